//! Paths inside a root directory that somebody else filled.
//!
//! Everything goes through `openat2(2)` with `RESOLVE_IN_ROOT`, so that no
//! link in an image can lead outside.

use std::{fs::File, io, os::fd::OwnedFd, path::Path};

use rustix::{
    fs::{AtFlags, Mode, OFlags, ResolveFlags, mkdirat, openat2, statat},
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

    /// Reads a small text file; `None` when it is not there. Bytes that are
    /// not UTF-8 are replaced.
    pub(crate) fn read(&self, path: &str) -> io::Result<Option<String>> {
        const LARGEST: u64 = 4 << 20;
        let file = match self.at(Path::new(path), OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty())
        {
            Ok(file) => File::from(file),
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e),
        };
        if !file.metadata()?.is_file() {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        io::Read::read_to_end(&mut io::Read::take(file, LARGEST), &mut bytes)?;
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
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
        let huge = fs::File::create(dir.path().join("group")).unwrap();
        huge.set_len(1 << 30).unwrap();
        assert_eq!(root.read("/group").unwrap().map(|text| text.len()), Some(4 << 20));
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
