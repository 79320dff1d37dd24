//! Opening files of trees that somebody else may be changing.

use std::{
    fs::File,
    io,
    os::fd::{AsFd, AsRawFd as _, OwnedFd},
};

use rustix::{
    fs::{FileType, Mode, OFlags, fstat, openat},
    path::Arg,
};

/// Opens plain files, and nothing that has become something else since it was
/// looked at: a device would do what opening it does, since nothing keeps this
/// process from using it.
///
/// What a name is gets a descriptor first that opens nothing (`O_PATH`,
/// open(2)); that is looked at, and opened by its number (proc(5), "fd"). So
/// this is made before a process changes its root, for `/proc` in another root
/// is not to be believed, if there is one.
#[derive(Debug)]
pub struct PlainFiles {
    descriptors: OwnedFd,
}

impl PlainFiles {
    /// Holds on to this process's descriptors.
    ///
    /// # Errors
    /// Where `/proc` is not mounted.
    pub fn of_this_process() -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self { descriptors: rustix::fs::open("/proc/self/fd", flags, Mode::empty())? })
    }

    /// Opens a name of a folder for reading; a link at its end is not followed.
    ///
    /// # Errors
    /// Of kind [`io::ErrorKind::InvalidData`] when it is no plain file.
    pub(crate) fn open(&self, dir: impl AsFd, name: impl Arg) -> io::Result<File> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let found = openat(dir, name, flags, Mode::empty())?;
        if FileType::from_raw_mode(fstat(&found)?.st_mode) != FileType::RegularFile {
            let reason = "it became something else while it was read";
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        }
        let number = found.as_raw_fd().to_string();
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        Ok(openat(&self.descriptors, number, flags, Mode::empty())?.into())
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Read as _, os::unix::fs::symlink};

    use rustix::{
        fs::{
            CWD, FileType, Mode,
            inotify::{self, CreateFlags, WatchFlags},
            mknodat,
        },
        io::Errno,
    };

    use super::*;

    #[test]
    fn what_is_no_plain_file_is_not_even_opened() {
        let dir = tempfile::tempdir().unwrap();
        let files = PlainFiles::of_this_process().unwrap();
        let (pipe, plain, link) =
            (dir.path().join("pipe"), dir.path().join("plain"), dir.path().join("link"));
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        std::fs::write(&plain, "content").unwrap();
        symlink("plain", &link).unwrap();
        // Whoever is told of every opening hears of none.
        let watch = inotify::init(CreateFlags::NONBLOCK).unwrap();
        inotify::add_watch(&watch, &pipe, WatchFlags::OPEN).unwrap();
        for path in [&pipe, &link] {
            let error = files.open(CWD, path).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{}", path.display());
        }
        let heard = rustix::io::read(&watch, &mut [0_u8; 4096][..]);
        assert_eq!(heard.unwrap_err(), Errno::AGAIN);
        inotify::add_watch(&watch, &plain, WatchFlags::OPEN).unwrap();
        let mut text = String::new();
        files.open(CWD, &plain).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "content");
        assert!(rustix::io::read(&watch, &mut [0_u8; 4096][..]).is_ok());
    }
}
