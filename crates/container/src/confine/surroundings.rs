//! Mounts over the files of an image, safe against links in it.

use std::{
    io,
    os::fd::{AsRawFd as _, OwnedFd},
    path::{Path, PathBuf},
};

use nix::mount::{MsFlags, mount};
use rustix::fs::{Mode, OFlags};

use super::Root;

/// What a mount needs to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A directory.
    Directory,
    /// A file.
    File,
}

/// A place to mount on, opened inside a root.
#[derive(Debug)]
pub(crate) struct Target {
    place: OwnedFd,
    /// What had to be made for it, outermost first.
    pub(crate) made: Vec<PathBuf>,
}

impl Target {
    /// Opens a place, and makes it where it is missing.
    pub(crate) fn open(root: &Root, path: &Path, kind: Kind) -> io::Result<Self> {
        let (flags, mut made) = match kind {
            Kind::Directory => (OFlags::DIRECTORY, root.make_dirs(path)?),
            Kind::File => {
                let parent = path.parent().unwrap_or(Path::new("/"));
                (OFlags::empty(), root.make_dirs(parent)?)
            }
        };
        if kind == Kind::File {
            // Made without truncating or opening what is there already; a link
            // to a missing file is followed inside and that file is made.
            let create = OFlags::CREATE | OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
            if root.at(path, OFlags::PATH, Mode::empty()).is_err() {
                root.at(path, create, Mode::from_raw_mode(0o644))?;
                made.push(path.to_owned());
            }
        }
        let place = root.at(path, OFlags::PATH | flags, Mode::empty())?;
        Ok(Self { place, made })
    }

    /// Mounts on it; `source`, `fs_type`, flags and options as in mount(2).
    pub(crate) fn mount(
        &self,
        source: &str,
        fs_type: Option<&str>,
        flags: MsFlags,
        options: Option<&str>,
    ) -> io::Result<()> {
        let place = format!("/proc/self/fd/{}", self.place.as_raw_fd());
        Ok(mount(Some(source), place.as_str(), fs_type, flags, options)?)
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    #[test]
    fn a_place_is_made_inside_and_nothing_there_is_lost() {
        let dir = tempfile::tempdir().unwrap();
        let inside = dir.path().join("root");
        fs::create_dir(&inside).unwrap();
        fs::write(inside.join("kept"), "text").unwrap();
        symlink(dir.path().join("outside"), inside.join("link")).unwrap();
        symlink("../../up", inside.join("rise")).unwrap();
        let root = Root::open(&inside).unwrap();

        assert!(Target::open(&root, Path::new("/kept"), Kind::File).unwrap().made.is_empty());
        assert_eq!(fs::read_to_string(inside.join("kept")).unwrap(), "text");
        let made = Target::open(&root, Path::new("/a/b/c"), Kind::File).unwrap().made;
        assert_eq!(made, ["/a", "/a/b", "/a/b/c"].map(PathBuf::from));

        // Links lead to places inside, and nowhere else.
        Target::open(&root, Path::new("/rise"), Kind::File).unwrap();
        assert!(inside.join("up").exists() && !dir.path().join("up").exists());
        let _ = Target::open(&root, Path::new("/link"), Kind::File);
        let _ = Target::open(&root, Path::new("/link"), Kind::Directory);
        assert!(!dir.path().join("outside").exists());

        // A file is no folder.
        assert!(Target::open(&root, Path::new("/kept"), Kind::Directory).is_err());
        assert!(Target::open(&root, Path::new("/kept/x"), Kind::Directory).is_err());
    }
}
