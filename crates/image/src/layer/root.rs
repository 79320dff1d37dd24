//! Turns names from an archive into files below one folder. Every walk is the
//! kernel's, with the folder as its root (`openat2(2)`, `RESOLVE_IN_ROOT`):
//! neither `..` nor a symbolic link, absolute or not, leads outside, whatever
//! the archive made before.

use std::{
    io,
    os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
    rc::Rc,
};

use rustix::{
    fs::{
        AtFlags, Dir, FileType, Gid, Mode, OFlags, ResolveFlags, Stat, Uid, XattrFlags, mkdirat,
        openat, openat2, statat, unlinkat,
    },
    io::Errno,
};

use super::{LayerError, Limits, header::lossy};

/// A folder as the root of all names.
pub(super) struct Root {
    fd: OwnedFd,
    path: PathBuf,
    /// The folder of the last name: archives list folder by folder.
    last: Option<(Vec<u8>, Rc<OwnedFd>)>,
}

/// Told the name of each folder that had to be made on the way.
type OnMade<'a> = &'a mut dyn FnMut(&Root, &[u8]) -> Result<(), LayerError>;

/// A name within an open folder.
pub(super) struct Place {
    pub(super) dir: Rc<OwnedFd>,
    pub(super) name: Vec<u8>,
}

impl Root {
    pub(super) fn open(path: &Path) -> Result<Self, LayerError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, Mode::empty())
            .map_err(LayerError::io("open", path.as_os_str().as_encoded_bytes()))?;
        Ok(Self { fd, path: path.to_owned(), last: None })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The folder of a clean name, made where it is missing; `made` gets the
    /// name of each folder just made.
    pub(super) fn place(&mut self, name: &[u8], made: OnMade<'_>) -> Result<Place, LayerError> {
        let (parent, last) = split(name);
        if let Some((path, dir)) = &self.last
            && path == parent
        {
            return Ok(Place { dir: Rc::clone(dir), name: last.to_vec() });
        }
        let dir = Rc::new(self.dir(parent, made)?);
        self.last = Some((parent.to_vec(), Rc::clone(&dir)));
        Ok(Place { dir, name: last.to_vec() })
    }

    /// Forgets the open folder: something was removed or became a link.
    pub(super) fn forget(&mut self) {
        self.last = None;
    }

    /// Opens what a name is, without following a link at its end.
    pub(super) fn open_at(&self, name: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
        let name = if name.is_empty() { b"." } else { name };
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        self.resolve(name, flags)
    }

    fn dir(&self, name: &[u8], made: OnMade<'_>) -> Result<OwnedFd, LayerError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let path: &[u8] = if name.is_empty() { b"." } else { name };
        match self.resolve(path, flags) {
            Ok(dir) => Ok(dir),
            Err(Errno::NOENT) if !name.is_empty() => {
                let (parent, last) = split(name);
                let parent = self.dir(parent, made)?;
                mkdirat(&parent, last, Mode::RWXU).map_err(LayerError::io("make", name))?;
                made(self, name)?;
                self.resolve(path, flags).map_err(LayerError::io("open", name))
            }
            Err(error) => Err(LayerError::io("enter", name)(error)),
        }
    }

    fn resolve(&self, name: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        loop {
            match openat2(&self.fd, name, flags, Mode::empty(), resolve) {
                // The tree changed under a walk with `..`; the kernel asks to
                // walk again.
                Err(Errno::AGAIN | Errno::INTR) => {}
                other => return other,
            }
        }
    }
}

impl Place {
    /// What is there now, links not followed.
    pub(super) fn stat(&self) -> Result<Option<Stat>, Errno> {
        match statat(&self.dir, self.name.as_slice(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Removes what is there, folders with all in them.
    pub(super) fn remove(&self) -> Result<(), Errno> {
        remove_at(self.dir.as_fd(), &self.name)
    }

    /// Sets the owner, links not followed.
    pub(super) fn chown(&self, uid: u32, gid: u32) -> Result<(), Errno> {
        let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        rustix::fs::chownat(&self.dir, self.name.as_slice(), Some(uid), Some(gid), flags)
    }

    /// Sets an attribute, links not followed. `false` when the file system or
    /// the kernel does not keep it.
    pub(super) fn set_xattr(&self, name: &str, value: &[u8]) -> Result<bool, Errno> {
        // There is no setxattrat before Linux 6.13; the open folder is
        // reached by its number instead, and only the last name is walked.
        let mut path = format!("/proc/self/fd/{}/", self.dir.as_raw_fd()).into_bytes();
        path.extend_from_slice(&self.name);
        match rustix::fs::lsetxattr(path.as_slice(), name, value, XattrFlags::empty()) {
            Ok(()) => Ok(true),
            Err(Errno::OPNOTSUPP | Errno::PERM) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn remove_at(dir: BorrowedFd<'_>, name: &[u8]) -> Result<(), Errno> {
    match unlinkat(dir, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(error) => return Err(error),
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let inner = openat(dir, name, flags, Mode::empty())?;
    for entry in Dir::read_from(&inner)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            remove_at(inner.as_fd(), name)?;
        }
    }
    unlinkat(dir, name, AtFlags::REMOVEDIR)
}

/// Whether a stat is of a folder.
pub(super) fn is_dir(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
}

/// Whether a stat is of overlayfs's mark for a deleted name.
pub(super) fn is_whiteout(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == 0
}

/// Splits a clean name into its folder and its last part.
pub(super) fn split(name: &[u8]) -> (&[u8], &[u8]) {
    match name.iter().rposition(|byte| *byte == b'/') {
        Some(at) => (&name[..at], &name[at + 1..]),
        None => (b"", name),
    }
}

/// The name without `/` at its ends, `//` and `.`; empty for the root.
///
/// # Errors
/// [`LayerError::Escapes`] for a name with `..`, which no honest archive has,
/// and [`LayerError::Malformed`] for one with a zero byte.
pub(crate) fn clean(name: &[u8], limits: &Limits) -> Result<Vec<u8>, LayerError> {
    let lossy = || lossy(name);
    if name.contains(&0) {
        return Err(LayerError::malformed(format!("`{}` has a zero byte", lossy())));
    }
    let mut parts = Vec::new();
    for part in name.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => return Err(LayerError::Escapes { path: lossy() }),
            part => parts.push(part),
        }
    }
    if parts.len() as u64 > limits.depth {
        return Err(LayerError::Limit {
            what: "folders above one file",
            key: "depth",
            limit: limits.depth,
        });
    }
    Ok(parts.join(&b'/'))
}

/// The answer of the operating system as an I/O error.
pub(super) fn os(error: Errno) -> io::Error {
    error.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cleaned_or_refused() {
        let clean = |name: &str| clean(name.as_bytes(), &Limits::default());
        assert_eq!(clean("/a//./b/").unwrap(), b"a/b");
        assert_eq!(clean("./").unwrap(), b"");
        assert!(matches!(clean("../x"), Err(LayerError::Escapes { .. })));
        assert!(matches!(clean("a/../../x"), Err(LayerError::Escapes { .. })));
        assert!(matches!(clean("a\0b"), Err(LayerError::Malformed { .. })));
        assert!(matches!(clean(&"a/".repeat(300)), Err(LayerError::Limit { .. })));
    }
}
