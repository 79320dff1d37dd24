use std::{
    collections::HashMap,
    ffi::OsStr,
    fs::{self, Metadata},
    io::{self, Read as _, Write},
    os::unix::{
        ffi::{OsStrExt as _, OsStringExt as _},
        fs::{FileTypeExt as _, MetadataExt as _},
    },
    path::{Path, PathBuf},
};

use rustix::fs::CWD;
use tar::{EntryType, Header};

use super::{
    LayerError,
    overlay::{OPAQUE, WHITEOUT, is_portable, overlay_mark},
    pax::{Time, push_record},
};
use crate::PlainFiles;

/// Packs a folder in overlayfs form as an uncompressed layer archive. The
/// same files give the same bytes: names in byte order, no names of users, no
/// access times. The folder itself is not a member. Sockets are left out.
/// Without root, what belongs to the caller is stored as root's.
pub(crate) fn pack(dir: &Path, out: impl Write) -> Result<(), LayerError> {
    let user = rustix::process::geteuid();
    let files = PlainFiles::of_this_process().map_err(LayerError::io("open", b"/proc/self/fd"))?;
    let mut packing = Packing {
        root: dir,
        out,
        files: &files,
        links: HashMap::new(),
        own: (!user.is_root()).then(|| (user.as_raw(), rustix::process::getegid().as_raw())),
        plain: None,
        piece: Vec::new(),
    };
    packing.folder(Path::new(""))?;
    packing.end()
}

/// Packs the upper folder of an overlay as an uncompressed layer archive;
/// [`crate::unpack_layer`] makes the folder again.
pub fn pack_layer(dir: &Path, out: impl Write) -> Result<(), LayerError> {
    pack(dir, out)
}

/// Packs a file or a folder with all in it under a name of its own, as files
/// and not as a layer: nothing in it means a deletion. Sockets are left out,
/// and so is what kernel file systems (proc, sysfs, control groups) show.
/// `follow` packs what a link at the path leads to. What becomes another thing
/// meanwhile is not opened.
pub fn pack_tree(
    path: &Path,
    name: &Path,
    follow: bool,
    files: &PlainFiles,
    out: impl Write,
) -> Result<(), LayerError> {
    let shown = path.as_os_str().as_bytes();
    let read = |e: io::Error| LayerError::io("read", shown)(e);
    let real = if follow { fs::canonicalize(path).map_err(read)? } else { path.to_owned() };
    let path = real.as_path();
    let metadata = fs::symlink_metadata(path).map_err(read)?;
    let mut packing = Packing {
        root: path,
        out,
        files,
        links: HashMap::new(),
        own: None,
        plain: Some(Plain { name: name.to_owned(), device: metadata.dev() }),
        piece: Vec::new(),
    };
    packing.member(path, name, &metadata)?;
    packing.end()
}

/// How files are packed that are no layer.
struct Plain {
    /// What stands in the archive for the root.
    name: PathBuf,
    /// The file system of the root.
    device: u64,
}

struct Packing<'a, W> {
    root: &'a Path,
    out: W,
    files: &'a PlainFiles,
    /// First name of each file with several.
    links: HashMap<(u64, u64), PathBuf>,
    /// The caller's own ids, stored as 0.
    own: Option<(u32, u32)>,
    /// `None` for a layer.
    plain: Option<Plain>,
    /// Where files are read into; made with the first.
    piece: Vec<u8>,
}

/// Bytes of a file that are read at once.
const PIECE: usize = 256 << 10;

impl<W: Write> Packing<'_, W> {
    /// Two blocks of zeros end an archive.
    fn end(mut self) -> Result<(), LayerError> {
        self.out.write_all(&[0; 1024]).map_err(LayerError::io("write", b"the end"))?;
        self.out.flush().map_err(LayerError::io("write", b"the end"))
    }

    /// Where a member's file is.
    fn full(&self, path: &Path) -> PathBuf {
        match &self.plain {
            None => self.root.join(path),
            Some(plain) => match path.strip_prefix(&plain.name) {
                Ok(rest) if !rest.as_os_str().is_empty() => self.root.join(rest),
                _ => self.root.to_owned(),
            },
        }
    }

    fn folder(&mut self, folder: &Path) -> Result<(), LayerError> {
        let shown = folder.as_os_str().as_bytes();
        let list = |e: io::Error| LayerError::io("list", shown)(e);
        let mut names = fs::read_dir(self.full(folder))
            .map_err(list)?
            .map(|entry| entry.map(|entry| entry.file_name()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(list)?;
        names.sort_unstable();
        for name in names {
            self.file(&folder.join(&name), &name)?;
        }
        Ok(())
    }

    fn file(&mut self, path: &Path, name: &OsStr) -> Result<(), LayerError> {
        let shown = path.as_os_str().as_bytes();
        let full = self.full(path);
        let metadata = match fs::symlink_metadata(&full) {
            // Removed by somebody while the folder was read.
            Err(e) if e.kind() == io::ErrorKind::NotFound && self.plain.is_some() => return Ok(()),
            other => other.map_err(|e| LayerError::io("read", shown)(e))?,
        };
        if self.plain.is_some() {
            return self.member(&full, path, &metadata);
        }
        let file_type = metadata.file_type();
        if file_type.is_char_device() && metadata.rdev() == 0 {
            let mut whiteout = WHITEOUT.to_vec();
            whiteout.extend_from_slice(name.as_bytes());
            return self.mark(&path.with_file_name(OsStr::from_bytes(&whiteout)));
        }
        if name.as_bytes().starts_with(WHITEOUT) {
            return Err(LayerError::ReservedName { path: path.to_owned() });
        }
        self.member(&full, path, &metadata)
    }

    fn member(&mut self, full: &Path, path: &Path, metadata: &Metadata) -> Result<(), LayerError> {
        let shown = path.as_os_str().as_bytes();
        let file_type = metadata.file_type();
        if file_type.is_socket() {
            return Ok(());
        }
        let attributes = attributes(full, path)?;
        if !file_type.is_dir() && metadata.nlink() > 1 {
            let key = (metadata.dev(), metadata.ino());
            if let Some(first) = self.links.get(&key).cloned() {
                let link = first.into_os_string().into_vec();
                return self.header(path, EntryType::Link, &link, metadata, &[], 0);
            }
            self.links.insert(key, path.to_owned());
        }
        let portable = attributes.portable.as_slice();
        if file_type.is_dir() {
            self.header(path, EntryType::Directory, b"", metadata, portable, 0)?;
            if attributes.opaque {
                self.mark(&path.join(OsStr::from_bytes(OPAQUE)))?;
            }
            let entered = self
                .plain
                .as_ref()
                .is_none_or(|plain| metadata.dev() == plain.device || !is_of_the_kernel(full));
            if entered { self.folder(path) } else { Ok(()) }
        } else if file_type.is_symlink() {
            let target = fs::read_link(full).map_err(|e| LayerError::io("read", shown)(e))?;
            let target = target.into_os_string().into_vec();
            self.header(path, EntryType::Symlink, &target, metadata, portable, 0)
        } else if file_type.is_file() {
            self.header(path, EntryType::Regular, b"", metadata, portable, metadata.len())?;
            self.content(full, path, metadata.len())
        } else {
            let entry_type = if file_type.is_fifo() {
                EntryType::Fifo
            } else if file_type.is_char_device() {
                EntryType::Char
            } else {
                EntryType::Block
            };
            self.header(path, entry_type, b"", metadata, portable, 0)
        }
    }

    fn content(&mut self, full: &Path, path: &Path, size: u64) -> Result<(), LayerError> {
        let shown = path.as_os_str().as_bytes();
        let file = self.files.open(CWD, full).map_err(|e| LayerError::io("pack", shown)(e))?;
        let copied = self.copy(&mut file.take(size)).map_err(LayerError::io("pack", shown))?;
        if copied != size {
            let shorter = io::Error::other("the file became shorter while it was read");
            return Err(LayerError::io("pack", shown)(shorter));
        }
        let padding = usize::try_from((512 - size % 512) % 512).unwrap_or(0);
        self.out.write_all(&[0; 512][..padding]).map_err(LayerError::io("write", shown))
    }

    /// As [`io::copy`] does, in pieces that are worth a call to the kernel, and
    /// to what digests and packs them.
    fn copy(&mut self, from: &mut impl io::Read) -> io::Result<u64> {
        self.piece.resize(PIECE, 0);
        let mut copied = 0;
        loop {
            match from.read(&mut self.piece) {
                Ok(0) => return Ok(copied),
                Ok(count) => {
                    self.out.write_all(&self.piece[..count])?;
                    copied += count as u64;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }

    /// An empty file whose name says it all.
    fn mark(&mut self, path: &Path) -> Result<(), LayerError> {
        let shown = path.as_os_str().as_bytes();
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(0);
        header.set_mtime(0);
        let mut records = Vec::new();
        name_field(&mut header.as_old_mut().name, shown, "path", &mut records);
        self.write_header(header, &records, shown)
    }

    fn header(
        &mut self,
        path: &Path,
        entry_type: EntryType,
        link: &[u8],
        metadata: &Metadata,
        xattrs: &[(String, Vec<u8>)],
        size: u64,
    ) -> Result<(), LayerError> {
        let mut name = path.as_os_str().as_bytes().to_vec();
        if entry_type == EntryType::Directory {
            name.push(b'/');
        }
        let mut header = Header::new_ustar();
        header.set_entry_type(entry_type);
        header.set_mode(metadata.mode() & 0o7777);
        let mut records = Vec::new();
        name_field(&mut header.as_old_mut().name, &name, "path", &mut records);
        name_field(&mut header.as_old_mut().linkname, link, "linkpath", &mut records);
        let (uid, gid) = match self.own {
            Some((uid, gid)) => (
                if metadata.uid() == uid { 0 } else { metadata.uid() },
                if metadata.gid() == gid { 0 } else { metadata.gid() },
            ),
            None => (metadata.uid(), metadata.gid()),
        };
        let number = |value: u64, digits: u32, key: &str, records: &mut Vec<u8>| {
            if value < 8u64.pow(digits) {
                return value;
            }
            push_record(records, key, value.to_string().as_bytes());
            0
        };
        header.set_uid(number(uid.into(), 7, "uid", &mut records));
        header.set_gid(number(gid.into(), 7, "gid", &mut records));
        header.set_size(number(size, 11, "size", &mut records));
        let nanoseconds = u32::try_from(metadata.mtime_nsec()).unwrap_or(0);
        let modified = Time { seconds: metadata.mtime(), nanoseconds };
        header.set_mtime(u64::try_from(modified.seconds).unwrap_or(0).min(8u64.pow(11) - 1));
        if nanoseconds != 0 || !(0..8i64.pow(11)).contains(&modified.seconds) {
            push_record(&mut records, "mtime", modified.to_text().as_bytes());
        }
        if matches!(entry_type, EntryType::Char | EntryType::Block) {
            let broken = |e: io::Error| LayerError::io("pack", &name)(e);
            let device = metadata.rdev();
            header.set_device_major(rustix::fs::major(device)).map_err(broken)?;
            header.set_device_minor(rustix::fs::minor(device)).map_err(broken)?;
        }
        for (key, value) in xattrs {
            push_record(&mut records, &format!("SCHILY.xattr.{key}"), value);
        }
        self.write_header(header, &records, &name)
    }

    fn write_header(
        &mut self,
        mut header: Header,
        records: &[u8],
        name: &[u8],
    ) -> Result<(), LayerError> {
        let write = |e: io::Error| LayerError::io("write", name)(e);
        if !records.is_empty() {
            let mut extended = Header::new_ustar();
            extended.set_entry_type(EntryType::XHeader);
            extended.set_mode(0o644);
            extended.set_uid(0);
            extended.set_gid(0);
            extended.set_mtime(0);
            extended.set_size(records.len() as u64);
            extended.as_old_mut().name[..9].copy_from_slice(b"PaxHeader");
            extended.set_cksum();
            self.out.write_all(extended.as_bytes()).map_err(write)?;
            self.out.write_all(records).map_err(write)?;
            let padding = (512 - records.len() % 512) % 512;
            self.out.write_all(&[0; 512][..padding]).map_err(write)?;
        }
        header.set_cksum();
        self.out.write_all(header.as_bytes()).map_err(write)
    }
}

/// Whether a folder shows the kernel's own state rather than files.
fn is_of_the_kernel(folder: &Path) -> bool {
    // statfs(2): proc, sysfs, cgroup, cgroup2, devpts, mqueue, debugfs, tracefs.
    const KINDS: [u32; 8] = [
        0x9fa0,
        0x6265_6572,
        0x0027_e0eb,
        0x6367_7270,
        0x1cd1,
        0x1980_0202,
        0x6462_6720,
        0x7472_6163,
    ];
    rustix::fs::statfs(folder)
        .is_ok_and(|found| u32::try_from(found.f_type).is_ok_and(|kind| KINDS.contains(&kind)))
}

/// Fills a name field, or a record when the name is too long for it.
fn name_field(field: &mut [u8; 100], name: &[u8], key: &str, records: &mut Vec<u8>) {
    let length = name.len().min(field.len());
    field[..length].copy_from_slice(&name[..length]);
    if name.len() > field.len() {
        push_record(records, key, name);
    }
}

/// What an image keeps of a file's attributes, and what the overlay says.
struct Attributes {
    portable: Vec<(String, Vec<u8>)>,
    opaque: bool,
}

fn attributes(full: &Path, path: &Path) -> Result<Attributes, LayerError> {
    let shown = path.as_os_str().as_bytes();
    let failed = |e: io::Error| LayerError::io("read the attributes of", shown)(e);
    let mut found = Attributes { portable: Vec::new(), opaque: false };
    let names = match xattr::list(full) {
        Ok(names) => names,
        Err(error) if error.kind() == io::ErrorKind::Unsupported => return Ok(found),
        Err(error) => return Err(failed(error)),
    };
    for name in names {
        let Some(name) = name.to_str() else { continue };
        match overlay_mark(name) {
            Some("opaque") => {
                found.opaque |= xattr::get(full, name).map_err(failed)?.as_deref() == Some(b"y");
            }
            Some("redirect") => {
                return Err(LayerError::OverlayFeature {
                    path: path.into(),
                    feature: "redirect_dir",
                });
            }
            Some("metacopy") => {
                return Err(LayerError::OverlayFeature { path: path.into(), feature: "metacopy" });
            }
            None if is_portable(name) => {
                if let Some(value) = xattr::get(full, name).map_err(failed)? {
                    found.portable.push((name.to_owned(), value));
                }
            }
            Some(_) | None => {}
        }
    }
    found.portable.sort_unstable();
    Ok(found)
}
