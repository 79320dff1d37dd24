//! Unpacking an archive that ADD names, as Docker does: what it recognises
//! by content is unpacked into the destination, which becomes a folder.

use std::{
    fs::File,
    io::{self, Read, Seek as _},
    path::{Path, PathBuf},
};

use tandem_image::{ArchiveMember, ArchiveMembers, Limits, MemberKind, decompressed_archive};

use super::{
    interrupt::Interrupt,
    select::Source,
    upper::{Attributes, Upper},
    users::Owner,
};
use crate::tree::{Below, Kind, Tree, lexical, resolve};

/// Unpacks the source below `base` if it is an archive; otherwise does
/// nothing and says so.
pub(super) fn extract(
    upper: &mut Upper,
    tree: &dyn Tree,
    source: &Source,
    base: &Path,
    owner: Option<Owner>,
    (interrupt, limits): (&Interrupt, Limits),
) -> io::Result<bool> {
    let [found] = source.found.as_slice() else { return Ok(false) };
    if found.entry.kind != Kind::File {
        return Ok(false);
    }
    let Some(reader) = tar_reader(tree.open(&found.path)?)? else { return Ok(false) };
    upper.ensure_folder(base, owner.unwrap_or(Owner::ROOT))?;
    upper.replace = true;
    let mut archive = ArchiveMembers::new(reader, limits);
    // As in Docker the archive says who owns its members, whatever --chown says.
    let mut unpacking = Unpacking { upper, base, interrupt };
    while let Some(member) = archive.read_member().map_err(io::Error::other)? {
        interrupt.check()?;
        unpacking.put(&member, &mut archive).map_err(|e| {
            let shown: String = member.path.to_string_lossy().chars().take(SHOWN).collect();
            io::Error::new(e.kind(), format!("{shown} of the archive: {e}"))
        })?;
    }
    upper.replace = false;
    Ok(true)
}

/// Letters of a name in a message.
const SHOWN: usize = 200;

type Members = ArchiveMembers<Reader>;

type Reader = Box<dyn Read>;

/// The uncompressed archive, if the file is one.
fn tar_reader(mut file: File) -> io::Result<Option<Reader>> {
    // A compressed file need not be an archive: its first block decides.
    let mut block = [0; 512];
    let mut reader = decompressed_archive(file.try_clone()?)?;
    let is_tar = match read_up_to(&mut reader, &mut block) {
        Ok(512) => is_header(&block),
        _ => false,
    };
    drop(reader);
    file.rewind()?;
    if is_tar { decompressed_archive(file).map(Some) } else { Ok(None) }
}

/// A tar header has the sum of its own bytes, the sum's field taken as
/// blanks (POSIX.1-2017, pax, "ustar Interchange Format").
fn is_header(block: &[u8; 512]) -> bool {
    let sum: u32 = block
        .iter()
        .enumerate()
        .map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u32::from(*byte) })
        .sum();
    let field = String::from_utf8_lossy(&block[148..156]);
    let written = u32::from_str_radix(field.trim_matches([' ', '\0']), 8);
    block[0] != 0 && written == Ok(sum)
}

struct Unpacking<'a> {
    upper: &'a mut Upper,
    base: &'a Path,
    interrupt: &'a Interrupt,
}

impl Unpacking<'_> {
    fn put(&mut self, member: &ArchiveMember, archive: &mut Members) -> io::Result<()> {
        let Some(path) = self.place(&member.path)? else { return Ok(()) };
        if let Some(parent) = path.parent() {
            self.upper.ensure_folder(parent, Owner::ROOT)?;
        }
        let (mode, uid, gid, mtime) = (member.mode, member.uid, member.gid, member.modified);
        let attributes = Attributes { mode, uid, gid, mtime };
        let is_link = matches!(member.kind, MemberKind::Symlink | MemberKind::HardLink);
        if is_link && member.link.as_os_str().is_empty() {
            return Err(io::Error::other("a link without a target"));
        }
        match member.kind {
            MemberKind::Directory => self.upper.put_folder(&path, &attributes)?,
            MemberKind::Symlink => self.upper.put_symlink(&path, &member.link, &attributes)?,
            MemberKind::HardLink => {
                let first = self.place(&member.link)?.unwrap_or_default();
                return self.upper.put_link(&path, &first);
            }
            MemberKind::Fifo => self.upper.put_node(&path, Kind::Fifo, 0, &attributes)?,
            MemberKind::CharacterDevice | MemberKind::BlockDevice => {
                let character = member.kind == MemberKind::CharacterDevice;
                // That device is overlayfs's mark for a deletion.
                if character && member.device == (0, 0) {
                    return Err(io::Error::other("device 0:0 has a meaning to overlays"));
                }
                let kind = if character { Kind::CharDevice } else { Kind::BlockDevice };
                let device = rustix::fs::makedev(member.device.0, member.device.1);
                self.upper.put_node(&path, kind, device, &attributes)?;
            }
            MemberKind::File => self.upper.put_file(&path, &attributes, |file| {
                archive.write_content(member, file, &|| self.interrupt.check())
            })?,
        }
        for (name, value) in &member.xattrs {
            self.upper.put_xattr(&path, name.as_ref(), value)?;
        }
        Ok(())
    }

    /// Where a name of the archive goes: links above it are followed, but
    /// never out of the destination. `None` is the destination itself.
    fn place(&self, name: &Path) -> io::Result<Option<PathBuf>> {
        let name = lexical(name);
        let (Some(parent), Some(last)) = (name.parent(), name.file_name()) else {
            return Ok(None);
        };
        let below = Below { tree: self.upper.view(), base: self.base };
        Ok(Some(self.base.join(resolve(&below, parent, true)?).join(last)))
    }
}

fn read_up_to(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match reader.read(&mut buffer[length..]) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(length)
}
