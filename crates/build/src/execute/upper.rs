use std::{
    ffi::OsStr,
    fs::{self, File},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, lchown, symlink},
    path::{Path, PathBuf},
};

use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, XattrFlags};
use tandem_image::{OverlayXattrs, has_single_id};

use super::users::Owner;
use crate::tree::{Entry, Kind, Layers, Tree};

/// Who owns a file, its permission bits and its time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attributes {
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mtime: (i64, i64),
}

impl From<&Entry> for Attributes {
    fn from(entry: &Entry) -> Self {
        Self { mode: entry.mode, uid: entry.uid, gid: entry.gid, mtime: entry.mtime }
    }
}

/// The change that a step makes, written straight into the upper folder of an
/// overlay over the layers so far. Paths are relative to the root, and no
/// component above the last may be a link: resolve them in [`Upper::view`].
#[derive(Debug)]
pub(super) struct Upper {
    dir: PathBuf,
    lower: Layers,
    view: Layers,
    /// Time of the folders that nobody described.
    time: (i64, i64),
    /// Files may take the place of folders and folders that of files, as in
    /// unpacking; otherwise that is an error, as in copying.
    pub(super) replace: bool,
    /// There is nobody to give anything to.
    alone: bool,
    /// Writing into a folder changes its time, so all are set at the end.
    folders: Vec<(PathBuf, (i64, i64))>,
}

impl Upper {
    /// Over an empty folder, which must exist. `time` is that of folders that
    /// nobody described; not the present, so that the same input gives the
    /// same layer.
    pub(super) fn new(dir: PathBuf, lower: Layers, time: (i64, i64)) -> Self {
        let view = lower.under(dir.clone());
        Self { dir, lower, view, time, replace: false, alone: has_single_id(), folders: Vec::new() }
    }

    /// What the step sees: the layers so far with its own change on top.
    pub(super) fn view(&self) -> &Layers {
        &self.view
    }

    /// Makes a folder and those above it, mode 0755, unless they are there.
    pub(super) fn ensure_folder(&mut self, path: &Path, owner: Owner) -> io::Result<()> {
        let mut at = PathBuf::new();
        for part in path {
            at.push(part);
            match self.view.entry(&at)? {
                Some(entry) if entry.is_dir() => self.raise(&at, &entry)?,
                Some(_) => {
                    let message = format!("/{} is not a folder", at.display());
                    return Err(io::Error::new(io::ErrorKind::NotADirectory, message));
                }
                None => {
                    let (uid, gid, mtime) = (owner.uid, owner.gid, self.time);
                    self.make_folder(&at, &Attributes { mode: 0o755, uid, gid, mtime })?;
                }
            }
        }
        Ok(())
    }

    /// Makes a folder, or gives one that is there new attributes.
    pub(super) fn put_folder(&mut self, path: &Path, attributes: &Attributes) -> io::Result<()> {
        match self.view.entry(path)? {
            Some(entry) if entry.is_dir() => {
                self.raise(path, &entry)?;
                self.folders.retain(|(folder, _)| folder != path);
                self.describe(path, attributes)?;
                self.folders.push((path.to_owned(), attributes.mtime));
                Ok(())
            }
            Some(_) if !self.replace => {
                let message = format!("/{} is a file, not a folder", path.display());
                Err(io::Error::new(io::ErrorKind::NotADirectory, message))
            }
            _ => {
                remove_if_there(fs::remove_file(self.dir.join(path)))?;
                self.make_folder(path, attributes)
            }
        }
    }

    /// Writes a file; `copy` fills it. What had the name is replaced.
    pub(super) fn put_file(
        &mut self,
        path: &Path,
        attributes: &Attributes,
        copy: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> io::Result<()> {
        self.clear(path)?;
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(self.dir.join(path))?;
        copy(&mut file)?;
        drop(file);
        self.describe(path, attributes)?;
        self.set_time(path, attributes.mtime)
    }

    /// Gives a file of this change a second name.
    pub(super) fn put_link(&mut self, path: &Path, first: &Path) -> io::Result<()> {
        self.clear(path)?;
        fs::hard_link(self.dir.join(first), self.dir.join(path))
    }

    /// Makes a symbolic link.
    pub(super) fn put_symlink(
        &mut self,
        path: &Path,
        target: &Path,
        attributes: &Attributes,
    ) -> io::Result<()> {
        self.clear(path)?;
        symlink(target, self.dir.join(path))?;
        self.own(path, attributes)?;
        self.set_time(path, attributes.mtime)
    }

    /// Makes a pipe or a device.
    pub(super) fn put_node(
        &mut self,
        path: &Path,
        kind: Kind,
        device: u64,
        attributes: &Attributes,
    ) -> io::Result<()> {
        self.clear(path)?;
        let file_type = match kind {
            Kind::CharDevice => FileType::CharacterDevice,
            Kind::BlockDevice => FileType::BlockDevice,
            _ => FileType::Fifo,
        };
        rustix::fs::mknodat(CWD, self.dir.join(path), file_type, Mode::empty(), device)?;
        self.describe(path, attributes)?;
        self.set_time(path, attributes.mtime)
    }

    /// Copies an extended attribute onto a path of this change.
    pub(super) fn put_xattr(&self, path: &Path, name: &OsStr, value: &[u8]) -> io::Result<()> {
        let full = self.dir.join(path);
        match rustix::fs::lsetxattr(full, name, value, XattrFlags::empty()) {
            // Without privilege a capability cannot be kept; the file can.
            Ok(()) | Err(rustix::io::Errno::PERM | rustix::io::Errno::NOTSUP) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    /// Sets the folders' times. Nothing may be written afterwards.
    pub(super) fn finish(self) -> io::Result<()> {
        for (path, mtime) in &self.folders {
            self.set_time(path, *mtime)?;
        }
        Ok(())
    }

    /// Copies a folder of a lower layer up, so that names can be added to it.
    fn raise(&mut self, path: &Path, entry: &Entry) -> io::Result<()> {
        let done = self.folders.iter().any(|(folder, _)| folder == path);
        if path.as_os_str().is_empty() || done {
            return Ok(());
        }
        let xattrs = portable_xattrs(&self.lower.open(path)?)?;
        fs::DirBuilder::new().mode(0o700).create(self.dir.join(path))?;
        self.describe(path, &Attributes::from(entry))?;
        for (name, value) in xattrs {
            self.put_xattr(path, &name, &value)?;
        }
        self.folders.push((path.to_owned(), entry.mtime));
        Ok(())
    }

    fn make_folder(&mut self, path: &Path, attributes: &Attributes) -> io::Result<()> {
        let full = self.dir.join(path);
        fs::DirBuilder::new().mode(0o700).create(&full)?;
        // A folder that something of this change hid must stay hidden.
        if self.lower.entry(path)?.is_some_and(|entry| entry.is_dir()) {
            let name = OverlayXattrs::of_process().opaque();
            rustix::fs::lsetxattr(&full, name, b"y", XattrFlags::empty())?;
        }
        self.describe(path, attributes)?;
        self.folders.push((path.to_owned(), attributes.mtime));
        Ok(())
    }

    /// Makes room for something that is no folder. What a lower layer has is
    /// hidden by what will be written.
    fn clear(&mut self, path: &Path) -> io::Result<()> {
        let full = self.dir.join(path);
        match self.view.entry(path)? {
            Some(entry) if entry.is_dir() && !self.replace => {
                let message =
                    format!("/{} is a folder, and a file cannot replace it", path.display());
                Err(io::Error::new(io::ErrorKind::IsADirectory, message))
            }
            Some(entry) if entry.is_dir() => {
                self.folders.retain(|(folder, _)| !folder.starts_with(path));
                remove_if_there(fs::remove_dir_all(full))
            }
            _ => remove_if_there(fs::remove_file(full)),
        }
    }

    /// Owner first: a change of owner takes setuid bits away.
    fn describe(&self, path: &Path, attributes: &Attributes) -> io::Result<()> {
        self.own(path, attributes)?;
        let mode = Mode::from_raw_mode(attributes.mode);
        Ok(rustix::fs::chmod(self.dir.join(path), mode)?)
    }

    fn own(&self, path: &Path, attributes: &Attributes) -> io::Result<()> {
        let (uid, gid) = (attributes.uid, attributes.gid);
        if self.alone {
            return Ok(());
        }
        // Without root, what belongs to the caller is packed as root's.
        if (uid, gid) == (0, 0) && !rustix::process::geteuid().is_root() {
            return Ok(());
        }
        lchown(self.dir.join(path), Some(uid), Some(gid)).map_err(|e| match e.kind() {
            // The kernel's answer where a namespace has no such id.
            io::ErrorKind::InvalidInput => io::Error::other(format!(
                "nothing can belong to {uid}:{gid} here, which is beyond your range of subordinate ids: `tandem doctor` says how to get more"
            )),
            _ => e,
        })
    }

    fn set_time(&self, path: &Path, mtime: (i64, i64)) -> io::Result<()> {
        let time = Timespec { tv_sec: mtime.0, tv_nsec: mtime.1 };
        let times = Timestamps { last_access: time, last_modification: time };
        Ok(rustix::fs::utimensat(CWD, self.dir.join(path), &times, AtFlags::SYMLINK_NOFOLLOW)?)
    }
}

fn remove_if_there(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// The extended attributes that belong to a file rather than to the machine
/// that it lies on.
pub(super) fn portable_xattrs(file: &File) -> io::Result<Vec<(std::ffi::OsString, Vec<u8>)>> {
    use rustix::{
        fs::{fgetxattr, flistxattr},
        io::Errno,
    };
    use std::os::unix::ffi::OsStrExt as _;
    let mut names = vec![0; 64 << 10];
    let length = match flistxattr(file, &mut names) {
        Ok(length) => length,
        Err(Errno::NOTSUP) => 0,
        Err(e) => return Err(e.into()),
    };
    let mut found = Vec::new();
    for name in names[..length].split(|byte| *byte == 0) {
        let keeps = name == b"security.capability"
            || (name.starts_with(b"user.") && !name.starts_with(b"user.overlay."));
        if keeps {
            let mut value = vec![0; 64 << 10];
            let length = fgetxattr(file, OsStr::from_bytes(name), &mut value)?;
            value.truncate(length);
            found.push((OsStr::from_bytes(name).to_owned(), value));
        }
    }
    found.sort();
    Ok(found)
}
