//! File trees that a build reads: the context, named folders, and the merged
//! view of layers. All are read beneath their root; a symbolic link is
//! resolved here, within the tree, never by the kernel.

mod context;
mod layers;
mod walk;

use std::{
    ffi::OsString,
    fs::File,
    io,
    path::{Component, Path, PathBuf},
};

pub(crate) use context::Context;
pub(crate) use layers::Layers;
pub(crate) use walk::{Below, Found, walk};

/// What a name in a tree is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Dir,
    Symlink,
    Fifo,
    CharDevice,
    BlockDevice,
    Socket,
}

/// What is known of a file without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) kind: Kind,
    /// Permission bits with setuid, setgid and sticky.
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) size: u64,
    /// Seconds and nanoseconds since 1970.
    pub(crate) mtime: (i64, i64),
    /// Of the file itself or its attributes; tells a change while it is read.
    pub(crate) ctime: (i64, i64),
    pub(crate) device: u64,
    /// File system and inode of a file with several names.
    pub(crate) identity: Option<(u64, u64)>,
}

impl Entry {
    pub(crate) fn is_dir(&self) -> bool {
        self.kind == Kind::Dir
    }

    pub(crate) fn of(stat: &rustix::fs::Stat) -> Self {
        use rustix::fs::FileType;
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => Kind::Dir,
            FileType::Symlink => Kind::Symlink,
            FileType::Fifo => Kind::Fifo,
            FileType::CharacterDevice => Kind::CharDevice,
            FileType::BlockDevice => Kind::BlockDevice,
            FileType::Socket => Kind::Socket,
            _ => Kind::File,
        };
        #[expect(clippy::cast_possible_wrap, reason = "nanoseconds are below 10^9")]
        let time = |seconds: i64, nanoseconds: u64| (seconds, nanoseconds as i64);
        Self {
            kind,
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            mtime: time(stat.st_mtime, stat.st_mtime_nsec),
            ctime: time(stat.st_ctime, stat.st_ctime_nsec),
            device: stat.st_rdev,
            identity: (kind != Kind::Dir && stat.st_nlink > 1)
                .then_some((stat.st_dev, stat.st_ino)),
        }
    }
}

/// A tree. Paths are relative to its root, `""` is the root; no component
/// above the last may be a symbolic link (see [`resolve`]).
pub(crate) trait Tree {
    /// What the path is, itself even when it is a link; `None` if not there.
    fn entry(&self, path: &Path) -> io::Result<Option<Entry>>;
    /// Names in a folder, in byte order.
    fn list(&self, path: &Path) -> io::Result<Vec<OsString>>;
    /// Opens a file or folder for reading.
    fn open(&self, path: &Path) -> io::Result<File>;
    /// Where a link points.
    fn read_link(&self, path: &Path) -> io::Result<PathBuf>;
}

/// How many links may follow one another (Linux allows 40).
const LINKS: u32 = 40;

/// The path with every link in it followed within the tree, the last
/// component too if `follow_last`. Components that do not exist stay as they
/// are; `..` and absolute links stop at the root.
pub(crate) fn resolve(tree: &dyn Tree, path: &Path, follow_last: bool) -> io::Result<PathBuf> {
    let mut done = PathBuf::new();
    let mut todo: Vec<OsString> = parts(path);
    todo.reverse();
    let mut links = 0;
    while let Some(part) = todo.pop() {
        if part == ".." {
            done.pop();
            continue;
        }
        let next = done.join(&part);
        let last = todo.is_empty();
        let entry = if last && !follow_last { None } else { tree.entry(&next)? };
        if entry.is_none_or(|entry| entry.kind != Kind::Symlink) {
            done = next;
            continue;
        }
        links += 1;
        if links > LINKS {
            let message = format!("{} leads through too many links", path.display());
            return Err(io::Error::other(message));
        }
        let target = tree.read_link(&next)?;
        if target.is_absolute() {
            done = PathBuf::new();
        }
        todo.extend(parts(&target).into_iter().rev());
    }
    Ok(done)
}

fn parts(path: &Path) -> Vec<OsString> {
    path.components()
        .filter_map(|part| match part {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some("..".into()),
            _ => None,
        })
        .collect()
}

/// The path relative to the root, `.` and `..` worked out by the text alone.
pub(crate) fn lexical(path: &Path) -> PathBuf {
    let mut done = PathBuf::new();
    for part in parts(path) {
        if part == ".." {
            done.pop();
        } else {
            done.push(part);
        }
    }
    done
}
