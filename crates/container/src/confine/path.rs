//! Paths inside a root directory that somebody else filled.
//!
//! Everything goes through `openat2(2)` with `RESOLVE_IN_ROOT`, so that no
//! link in an image can lead outside.

use std::{
    fs::File,
    io,
    os::fd::{AsRawFd as _, OwnedFd},
    path::Path,
};

use rustix::{
    fs::{
        AtFlags, FileType, Mode, OFlags, ResolveFlags, fstat, major, minor, mkdirat, openat2,
        statat,
    },
    io::Errno,
};

/// A directory that serves as the root of a file system.
#[derive(Debug)]
pub(crate) struct Root {
    directory: OwnedFd,
}

impl Root {
    /// Opens the directory.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self { directory: rustix::fs::open(path, flags, Mode::empty())? })
    }

    /// Opens a path as if the directory were `/`. Links are followed inside.
    pub(crate) fn at(&self, path: &Path, flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
        loop {
            let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
            match openat2(&self.directory, path, flags | OFlags::CLOEXEC, mode, resolve) {
                // A rename raced with the lookup; the kernel asks to try again.
                Err(Errno::AGAIN) => {}
                result => return Ok(result?),
            }
        }
    }

    /// Reads a small text file; `None` when there is none. Bytes that are not
    /// UTF-8 are replaced. A device that somebody inside has put there is not
    /// even opened: nothing keeps this process from what it does.
    pub(crate) fn read(&self, path: &str) -> io::Result<Option<String>> {
        const LARGEST: u64 = 4 << 20;
        let found = match self.at(Path::new(path), OFlags::PATH, Mode::empty()) {
            Ok(found) => found,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e),
        };
        if !FileType::from_raw_mode(fstat(&found)?.st_mode).is_file() {
            return Ok(None);
        }
        let file = File::from(reopen(&found, OFlags::RDONLY)?);
        let mut bytes = Vec::new();
        io::Read::read_to_end(&mut io::Read::take(file, LARGEST), &mut bytes)?;
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// Opens the character device with this number, major and minor. What it
    /// is is seen before it is opened, as for [`Self::read`].
    ///
    /// # Errors
    /// Of kind [`io::ErrorKind::InvalidData`] when something else is there.
    pub(crate) fn device(
        &self,
        path: &str,
        number: (u32, u32),
        flags: OFlags,
    ) -> io::Result<OwnedFd> {
        let found = self.at(Path::new(path), OFlags::PATH, Mode::empty())?;
        let stat = fstat(&found)?;
        let is_device = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice;
        if !is_device || (major(stat.st_rdev), minor(stat.st_rdev)) != number {
            let reason = format!("{path} inside is not the device of that name");
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        }
        reopen(&found, flags)
    }

    /// Type and permissions of what a path leads to, links followed.
    pub(crate) fn mode(&self, path: &Path) -> io::Result<u32> {
        let target = self.at(path, OFlags::PATH, Mode::empty())?;
        Ok(statat(&target, "", AtFlags::EMPTY_PATH)?.st_mode)
    }

    /// Makes a directory with its parents (0755), like `mkdir -p`. Returns
    /// those that were not there before, outermost first.
    pub(crate) fn make_dirs(&self, path: &Path) -> io::Result<Vec<std::path::PathBuf>> {
        let mut made = Vec::new();
        let mut so_far = std::path::PathBuf::from("/");
        let mut parent = self.at(&so_far, OFlags::PATH | OFlags::DIRECTORY, Mode::empty())?;
        for part in path.components() {
            match part {
                std::path::Component::Normal(name) => so_far.push(name),
                std::path::Component::ParentDir => {
                    so_far.pop();
                }
                _ => continue,
            }
            let open = || self.at(&so_far, OFlags::PATH | OFlags::DIRECTORY, Mode::empty());
            parent = match open() {
                Ok(directory) => directory,
                Err(e) if e.kind() == io::ErrorKind::NotFound => {
                    let name = so_far.file_name().unwrap_or_default();
                    mkdirat(&parent, name, Mode::from_raw_mode(0o755))?;
                    made.push(so_far.clone());
                    open()?
                }
                Err(e) => return Err(e),
            };
        }
        Ok(made)
    }
}

/// Opens what a descriptor of [`OFlags::PATH`] leads to.
fn reopen(found: &OwnedFd, flags: OFlags) -> io::Result<OwnedFd> {
    let path = format!("/proc/self/fd/{}", found.as_raw_fd());
    Ok(rustix::fs::open(path, flags | OFlags::CLOEXEC, Mode::empty())?)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    #[test]
    fn links_do_not_lead_outside() {
        let dir = tempfile::tempdir().unwrap();
        let root_dir = dir.path().join("root");
        fs::create_dir_all(root_dir.join("etc")).unwrap();
        fs::write(dir.path().join("secret"), "outside").unwrap();
        symlink("../../../secret", root_dir.join("etc/passwd")).unwrap();
        symlink(dir.path(), root_dir.join("out")).unwrap();
        let root = Root::open(&root_dir).unwrap();
        assert_eq!(root.read("/etc/passwd").unwrap(), None);
        assert_eq!(root.read("out/secret").unwrap(), None);
        fs::write(root_dir.join("secret"), "inside").unwrap();
        assert_eq!(root.read("/etc/passwd").unwrap().as_deref(), Some("inside"));
        assert!(root.make_dirs(Path::new("/out/new")).is_err());
        assert!(!dir.path().join("new").exists());
    }

    #[test]
    fn a_pipe_is_not_waited_for_and_a_huge_file_is_cut() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::open(dir.path()).unwrap();
        nix::unistd::mkfifo(&dir.path().join("passwd"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(root.read("/passwd").unwrap(), None);
        // Opening a socket by its name is an error (unix(7)), as it is with
        // many a device; so it is told apart before.
        let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("hosts")).unwrap();
        assert_eq!(root.read("/hosts").unwrap(), None);
        let huge = fs::File::create(dir.path().join("group")).unwrap();
        huge.set_len(1 << 30).unwrap();
        assert_eq!(root.read("/group").unwrap().map(|text| text.len()), Some(4 << 20));
    }

    #[test]
    fn only_the_device_that_is_meant_is_opened() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("null"), "").unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("zero")).unwrap();
        let root = Root::open(dir.path()).unwrap();
        for path in ["/null", "/zero"] {
            let error = root.device(path, (1, 3), OFlags::RDONLY).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{path}: {error}");
        }
        // The machine's own: of these two only one is the device.
        let machine = Root::open(Path::new("/")).unwrap();
        assert!(machine.device("/dev/null", (1, 3), OFlags::RDWR).is_ok());
        assert!(machine.device("/dev/zero", (1, 3), OFlags::RDONLY).is_err());
    }

    #[test]
    fn missing_directories_are_made_and_named() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("a")).unwrap();
        symlink("/a", dir.path().join("link")).unwrap();
        let root = Root::open(dir.path()).unwrap();
        let made = root.make_dirs(Path::new("/link/b/../c/d")).unwrap();
        assert!(dir.path().join("a/c/d").is_dir());
        assert_eq!(made.last().unwrap(), Path::new("/link/c/d"));
        assert_eq!(root.make_dirs(Path::new("/a/c/d")).unwrap(), Vec::<std::path::PathBuf>::new());
    }
}
