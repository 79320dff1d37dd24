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
