//! Unpacking an archive that ADD names, as Docker does: what it recognises
//! by content is unpacked into the destination, which becomes a folder.

use std::{
    fs::File,
    io::{self, Read, Seek as _},
    path::{Path, PathBuf},
};

use tandem_image::decompressed_archive;
use tar::{Archive, Entry, EntryType};

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
    interrupt: &Interrupt,
) -> io::Result<bool> {
    let [found] = source.found.as_slice() else { return Ok(false) };
    if found.entry.kind != Kind::File {
        return Ok(false);
    }
    let Some(reader) = tar_reader(tree.open(&found.path)?)? else { return Ok(false) };
    upper.ensure_folder(base, owner.unwrap_or(Owner::ROOT))?;
    upper.replace = true;
    let mut archive = Archive::new(reader);
    // As in Docker the archive says who owns its members, whatever --chown says.
    let mut unpacking = Unpacking { upper, base };
    for entry in archive.entries()? {
        interrupt.check()?;
        let mut entry = entry?;
        let shown = entry.path().map_or_else(|_| "?".into(), |path| path.display().to_string());
        unpacking
            .put(&mut entry, interrupt)
            .map_err(|e| io::Error::new(e.kind(), format!("{shown} of the archive: {e}")))?;
    }
    upper.replace = false;
    Ok(true)
}

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
}

impl Unpacking<'_> {
    fn put(&mut self, entry: &mut Entry<'_, impl Read>, interrupt: &Interrupt) -> io::Result<()> {
        let Some(path) = self.place(&entry.path()?)? else { return Ok(()) };
        if let Some(parent) = path.parent() {
            self.upper.ensure_folder(parent, Owner::ROOT)?;
        }
        let attributes = Self::attributes(entry)?;
        let link = |entry: &Entry<'_, _>| {
            let target = entry.link_name()?.map(std::borrow::Cow::into_owned);
            target.ok_or_else(|| io::Error::other("a link without a target"))
        };
        match entry.header().entry_type() {
            EntryType::Directory => self.upper.put_folder(&path, &attributes)?,
            EntryType::Symlink => self.upper.put_symlink(&path, &link(entry)?, &attributes)?,
            EntryType::Link => {
                let first = self.place(&link(entry)?)?.unwrap_or_default();
                self.upper.put_link(&path, &first)?;
                return Ok(());
            }
            kind @ (EntryType::Fifo | EntryType::Char | EntryType::Block) => {
                let major = entry.header().device_major()?.unwrap_or(0);
                let minor = entry.header().device_minor()?.unwrap_or(0);
                let kind = match kind {
                    EntryType::Char => Kind::CharDevice,
                    EntryType::Block => Kind::BlockDevice,
                    _ => Kind::Fifo,
                };
                // That device is overlayfs's mark for a deletion.
                if kind == Kind::CharDevice && (major, minor) == (0, 0) {
                    return Err(io::Error::other("device 0:0 has a meaning to overlays"));
                }
                let device = rustix::fs::makedev(major, minor);
                self.upper.put_node(&path, kind, device, &attributes)?;
            }
            EntryType::XGlobalHeader => return Ok(()),
            _ => self.upper.put_file(&path, &attributes, |file| {
                while io::copy(&mut (&mut *entry).take(16 << 20), file)? > 0 {
                    interrupt.check()?;
                }
                Ok(())
            })?,
        }
        self.xattrs(entry, &path)
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

    fn attributes(entry: &Entry<'_, impl Read>) -> io::Result<Attributes> {
        let header = entry.header();
        let id = |value: u64| {
            u32::try_from(value).map_err(|_| io::Error::other("an owner's number is too large"))
        };
        // A field that is left empty is a zero.
        let old = header.as_old();
        let empty = |field: &[u8]| field.iter().all(|byte| matches!(byte, 0 | b' '));
        let uid = if empty(&old.uid) { 0 } else { id(header.uid()?)? };
        let gid = if empty(&old.gid) { 0 } else { id(header.gid()?)? };
        let mtime = i64::try_from(header.mtime()?).unwrap_or(0);
        Ok(Attributes { mode: header.mode()? & 0o7777, uid, gid, mtime: (mtime, 0) })
    }

    fn xattrs(&self, entry: &mut Entry<'_, impl Read>, path: &Path) -> io::Result<()> {
        let Some(records) = entry.pax_extensions()? else { return Ok(()) };
        for record in records.flatten() {
            let Some(name) = record.key().ok().and_then(|key| key.strip_prefix("SCHILY.xattr."))
            else {
                continue;
            };
            // What says something to overlayfs or this machine stays out.
            let belongs = name == "security.capability"
                || (name.starts_with("user.") && !name.starts_with("user.overlay."));
            if belongs {
                self.upper.put_xattr(path, name.as_ref(), record.value_bytes())?;
            }
        }
        Ok(())
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
