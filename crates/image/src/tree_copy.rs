//! Copies of whole trees on one machine, with everything a file has.

use std::{
    collections::{BTreeMap, HashMap},
    ffi::CString,
    fs::{self, File},
    io::{self, Read as _},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{
        AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, SeekFrom, Stat, Timespec, Timestamps, Uid,
        XattrFlags, fgetxattr, flistxattr, fstat, lsetxattr, mknodat, openat, readlinkat, seek,
        statat, utimensat,
    },
    io::Errno,
};
use serde::{Deserialize, Serialize};

use crate::{
    PlainFiles,
    layer::may_give,
    stoppable::{Stop, go_on},
};

/// What tells whether a file was touched: its number, size and the time of
/// its last change, which no program can set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp(u64, u64, i64, i64);

/// The stamps of the plain files of a tree, by path below it.
pub type Stamps = BTreeMap<PathBuf, Stamp>;

/// An earlier copy of a tree that will never be written to.
#[derive(Debug, Clone, Copy)]
pub struct Earlier<'a> {
    /// The copy.
    pub copy: &'a Path,
    /// The stamps of the original when it was made.
    pub stamps: &'a Stamps,
}

/// Copies a folder with all in it: owners, modes, times, extended attributes,
/// hard links, devices (overlayfs's deletions among them) and holes. Sockets
/// are left out. `to` must not exist. Blocks are shared where the file system
/// can; a file that was not touched since an earlier copy becomes one more
/// link to that. Links are never followed, whatever happens to the original
/// meanwhile. Returns the stamps of the original.
pub fn copy_tree(from: &Path, to: &Path, earlier: Option<Earlier<'_>>) -> io::Result<Stamps> {
    copy_tree_until(from, to, earlier, &|| false)
}

/// [`copy_tree`] that ends with an error soon after `stop` says so.
pub fn copy_tree_until(
    from: &Path,
    to: &Path,
    earlier: Option<Earlier<'_>>,
    stop: Stop<'_>,
) -> io::Result<Stamps> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let root = rustix::fs::open(from, flags, Mode::empty())?;
    let mut copying = Copying {
        to,
        earlier,
        files: PlainFiles::of_this_process()?,
        links: HashMap::new(),
        stamps: Stamps::new(),
        give: may_give(),
        stop,
    };
    copying.folder(&root, Path::new("")).map_err(|e| named(e, from))?;
    Ok(copying.stamps)
}

/// The stamps of a tree that nobody writes to.
pub fn stamps(dir: &Path) -> io::Result<Stamps> {
    let mut found = Stamps::new();
    let mut pending = vec![PathBuf::new()];
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(dir.join(&folder))? {
            let path = folder.join(entry?.file_name());
            let stat = statat(CWD, dir.join(&path), AtFlags::SYMLINK_NOFOLLOW)?;
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => pending.push(path),
                FileType::RegularFile => drop(found.insert(path, stamp(&stat))),
                _ => {}
            }
        }
    }
    Ok(found)
}

fn named(e: io::Error, path: &Path) -> io::Error {
    io::Error::new(e.kind(), format!("{}: {e}", path.display()))
}

struct Copying<'a> {
    to: &'a Path,
    earlier: Option<Earlier<'a>>,
    files: PlainFiles,
    /// First copy of each file with several names.
    links: HashMap<(u64, u64), PathBuf>,
    stamps: Stamps,
    give: bool,
    stop: Stop<'a>,
}

impl Copying<'_> {
    fn folder(&mut self, dir: &OwnedFd, path: &Path) -> io::Result<()> {
        let target = self.to.join(path);
        fs::create_dir(&target)?;
        for entry in Dir::read_from(dir)? {
            let name: CString = entry?.file_name().to_owned();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let below = path.join(std::ffi::OsStr::from_bytes(name.to_bytes()));
            match self.file(dir.as_fd(), &name, &below) {
                // Removed meanwhile.
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                other => other.map_err(|e| named(e, &below))?,
            }
        }
        self.dress(&target, &fstat(dir)?, Some(dir.as_fd()))
    }

    fn file(&mut self, dir: BorrowedFd<'_>, name: &CString, path: &Path) -> io::Result<()> {
        go_on(self.stop)?;
        let stat = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let target = self.to.join(path);
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind != FileType::Directory && stat.st_nlink > 1 {
            let key = (stat.st_dev, stat.st_ino);
            if let Some(first) = self.links.get(&key) {
                return fs::hard_link(first, &target);
            }
            self.links.insert(key, target.clone());
        }
        match kind {
            FileType::Directory => {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let inner = openat(dir, name, flags, Mode::empty())?;
                self.folder(&inner, path)
            }
            FileType::RegularFile => {
                // What it has become meanwhile is as good as removed.
                match self.files.open(dir, name) {
                    Err(e) if e.kind() == io::ErrorKind::InvalidData => Ok(()),
                    file => self.regular(&file?, path, &target),
                }
            }
            FileType::Symlink => {
                let link = readlinkat(dir, name, Vec::new())?;
                rustix::fs::symlinkat(link.as_c_str(), CWD, &target)?;
                self.dress(&target, &stat, None)
            }
            FileType::Socket => Ok(()),
            kind => {
                mknodat(CWD, &target, kind, Mode::empty(), stat.st_rdev)?;
                self.dress(&target, &stat, None)
            }
        }
    }

    fn regular(&mut self, file: &File, path: &Path, target: &Path) -> io::Result<()> {
        let stat = fstat(file)?;
        let stamp = stamp(&stat);
        self.stamps.insert(path.to_owned(), stamp);
        if let Some(earlier) = self.earlier
            && earlier.stamps.get(path) == Some(&stamp)
            && fs::hard_link(earlier.copy.join(path), target).is_ok()
        {
            return Ok(());
        }
        let copy = File::create_new(target)?;
        content(file, &copy, u64::try_from(stat.st_size).unwrap_or_default(), self.stop)?;
        drop(copy);
        self.dress(target, &stat, Some(file.as_fd()))
    }

    /// Owner first: a new owner takes privileges away.
    fn dress(&self, target: &Path, stat: &Stat, from: Option<BorrowedFd<'_>>) -> io::Result<()> {
        if self.give {
            let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
            rustix::fs::chownat(CWD, target, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
        }
        if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
            rustix::fs::chmod(target, Mode::from_raw_mode(stat.st_mode & 0o7777))?;
        }
        if let Some(from) = from {
            attributes(from, target)?;
        }
        let time = |seconds: i64, nanoseconds| Timespec {
            tv_sec: seconds,
            tv_nsec: i64::try_from(nanoseconds).unwrap_or_default(),
        };
        let times = Timestamps {
            last_access: time(stat.st_atime, stat.st_atime_nsec),
            last_modification: time(stat.st_mtime, stat.st_mtime_nsec),
        };
        Ok(utimensat(CWD, target, &times, AtFlags::SYMLINK_NOFOLLOW)?)
    }
}

fn stamp(stat: &Stat) -> Stamp {
    let nanoseconds = i64::try_from(stat.st_ctime_nsec).unwrap_or_default();
    Stamp(stat.st_ino, u64::try_from(stat.st_size).unwrap_or_default(), stat.st_ctime, nanoseconds)
}

fn attributes(from: BorrowedFd<'_>, to: &Path) -> io::Result<()> {
    let mut names = vec![0_u8; 64 << 10];
    let length = match flistxattr(from, &mut names[..]) {
        Err(Errno::OPNOTSUPP) => return Ok(()),
        other => other?,
    };
    for name in names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let name = CString::new(name).map_err(io::Error::other)?;
        let mut value = vec![0_u8; 64 << 10];
        let length = match fgetxattr(from, &name, &mut value[..]) {
            Err(Errno::NODATA) => continue,
            other => other?,
        };
        match lsetxattr(to, &name, &value[..length], XattrFlags::empty()) {
            Ok(()) | Err(Errno::PERM | Errno::OPNOTSUPP) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}

/// Bytes that are copied at once: after them it is asked whether to go on.
const PIECE: u64 = 64 << 20;

/// The blocks that hold something; holes stay holes (lseek(2)).
fn content(from: &File, to: &File, size: u64, stop: Stop<'_>) -> io::Result<()> {
    if size == 0 || rustix::fs::ioctl_ficlone(to, from).is_ok() {
        return Ok(());
    }
    let mut at = 0;
    while at < size {
        go_on(stop)?;
        at = match seek(from, SeekFrom::Data(at)) {
            Err(Errno::NXIO) => break,
            other => other?,
        };
        let end = seek(from, SeekFrom::Hole(at))?.min(size).min(at.saturating_add(PIECE));
        seek(from, SeekFrom::Start(at))?;
        seek(to, SeekFrom::Start(at))?;
        io::copy(&mut from.take(end.saturating_sub(at)), &mut &*to)?;
        at = end.max(at + 1);
    }
    to.set_len(size)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn everything_a_file_has_is_copied_and_the_untouched_is_shared() {
        let dir = tempfile::tempdir().unwrap();
        let (from, first, second) =
            (dir.path().join("from"), dir.path().join("first"), dir.path().join("second"));
        fs::create_dir_all(from.join("deep")).unwrap();
        fs::write(from.join("deep/file"), "one").unwrap();
        fs::set_permissions(from.join("deep/file"), fs::Permissions::from_mode(0o4711)).unwrap();
        fs::hard_link(from.join("deep/file"), from.join("again")).unwrap();
        symlink("/etc/passwd", from.join("link")).unwrap();
        File::create(from.join("hole")).unwrap().set_len(1 << 30).unwrap();
        fs::write(from.join("changing"), "before").unwrap();
        let stamps = copy_tree(&from, &first, None).unwrap();
        let copied = fs::metadata(first.join("deep/file")).unwrap();
        assert_eq!((copied.mode() & 0o7777, copied.nlink()), (0o4711, 2));
        assert_eq!(fs::read_link(first.join("link")).unwrap(), Path::new("/etc/passwd"));
        let hole = fs::metadata(first.join("hole")).unwrap();
        assert!(hole.len() == 1 << 30 && hole.blocks() < 64, "{}", hole.blocks());

        std::thread::sleep(std::time::Duration::from_millis(20));
        fs::write(from.join("changing"), "after!").unwrap();
        let earlier = Earlier { copy: &first, stamps: &stamps };
        copy_tree(&from, &second, Some(earlier)).unwrap();
        let ino = |path: PathBuf| fs::metadata(path).unwrap().ino();
        assert_eq!(ino(first.join("deep/file")), ino(second.join("deep/file")));
        assert_ne!(ino(first.join("changing")), ino(second.join("changing")));
        assert_eq!(fs::read_to_string(first.join("changing")).unwrap(), "before");
        assert_eq!(fs::read_to_string(second.join("changing")).unwrap(), "after!");
    }

    #[test]
    fn a_copy_ends_within_a_file_when_it_should() {
        use std::sync::atomic::{AtomicU64, Ordering};

        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        fs::create_dir(&from).unwrap();
        let bytes = vec![7; 3 << 20];
        fs::write(from.join("file"), &bytes).unwrap();
        let asked = AtomicU64::new(0);
        let counting = |most: u64| {
            asked.store(0, Ordering::Relaxed);
            let counted = || asked.fetch_add(1, Ordering::Relaxed) >= most;
            copy_tree_until(&from, &to, None, &counted).map(drop)
        };
        assert!(counting(0).is_err());
        assert!(!to.join("file").exists());
        fs::remove_dir_all(&to).unwrap();
        counting(u64::MAX).unwrap();
        assert_eq!(fs::read(to.join("file")).unwrap(), bytes);
    }
}
