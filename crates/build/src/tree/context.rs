use std::{
    ffi::OsString,
    fs::File,
    io,
    os::{fd::OwnedFd, unix::ffi::OsStringExt as _},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{Mode, OFlags, ResolveFlags},
    io::Errno,
};

use super::{Entry, Tree};
use crate::ignore::Ignore;

/// A folder of the host, less what its ignore file names. Everything in it
/// belongs to root, whoever owns it on the host: an image must not depend on
/// who builds it.
#[derive(Debug)]
pub(crate) struct Context {
    root: OwnedFd,
    ignore: Ignore,
}

impl Context {
    pub(crate) fn open(dir: &Path, ignore: Ignore) -> io::Result<Self> {
        let flags = OFlags::DIRECTORY | OFlags::PATH | OFlags::CLOEXEC;
        Ok(Self { root: rustix::fs::open(dir, flags, Mode::empty())?, ignore })
    }

    /// Opens beneath the root. The kernel refuses any link and any `..` on
    /// the way, so nothing that changes meanwhile can lead outside.
    fn beneath(&self, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let how = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        loop {
            let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            match rustix::fs::openat2(&self.root, path, flags, Mode::empty(), how) {
                // A rename elsewhere made the walk ambiguous; man openat2(2).
                Err(Errno::AGAIN | Errno::INTR) => {}
                other => return Ok(other?),
            }
        }
    }

    fn stat(&self, path: &Path) -> io::Result<Option<Entry>> {
        match self.beneath(path, OFlags::PATH) {
            Ok(fd) => {
                let entry = Entry::of(&rustix::fs::fstat(&fd)?);
                Ok(Some(Entry { uid: 0, gid: 0, ..entry }))
            }
            Err(e) if matches!(Errno::from_io_error(&e), Some(Errno::NOENT | Errno::NOTDIR)) => {
                Ok(None)
            }
            Err(e) => Err(e),
        }
    }

    fn sees(&self, path: &Path, entry: &Entry) -> io::Result<bool> {
        if self.ignore.is_empty() || path.as_os_str().is_empty() {
            return Ok(true);
        }
        if !self.ignore.excludes(&path.to_string_lossy()) {
            return Ok(true);
        }
        // An excluded folder is seen when something in it is.
        if entry.is_dir() && self.ignore.has_exceptions() {
            return Ok(!self.list(path)?.is_empty());
        }
        Ok(false)
    }
}

impl Tree for Context {
    fn entry(&self, path: &Path) -> io::Result<Option<Entry>> {
        match self.stat(path)? {
            Some(entry) if self.sees(path, &entry)? => Ok(Some(entry)),
            _ => Ok(None),
        }
    }

    fn list(&self, path: &Path) -> io::Result<Vec<OsString>> {
        let dir = self.beneath(path, OFlags::RDONLY | OFlags::DIRECTORY)?;
        let mut names = Vec::new();
        for item in rustix::fs::Dir::new(dir)? {
            let name = OsString::from_vec(item?.file_name().to_bytes().to_vec());
            if name != "." && name != ".." && self.entry(&path.join(&name))?.is_some() {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn open(&self, path: &Path) -> io::Result<File> {
        // NONBLOCK: a pipe put in the file's place must not hold the build.
        Ok(self.beneath(path, OFlags::RDONLY | OFlags::NONBLOCK)?.into())
    }

    fn read_link(&self, path: &Path) -> io::Result<PathBuf> {
        let link = self.beneath(path, OFlags::PATH)?;
        let target = rustix::fs::readlinkat(&link, c"", Vec::new())?;
        Ok(OsString::from_vec(target.into_bytes()).into())
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;
    use crate::tree::resolve;

    fn names(context: &Context, path: &str) -> Vec<String> {
        let list = context.list(Path::new(path)).unwrap();
        list.into_iter().map(|name| name.into_string().unwrap()).collect()
    }

    #[test]
    fn ignored_files_are_not_there_and_exceptions_are() {
        let dir = tempfile::tempdir().unwrap();
        for file in ["a.txt", "b/c.txt", "b/keep", "d/e"] {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }
        let ignore = Ignore::parse("b\nd\n!b/keep").unwrap();
        let context = Context::open(dir.path(), ignore).unwrap();
        assert_eq!(names(&context, ""), ["a.txt", "b"]);
        assert_eq!(names(&context, "b"), ["keep"]);
        assert!(context.entry(Path::new("b/c.txt")).unwrap().is_none());
        assert!(context.entry(Path::new("d/e")).unwrap().is_none());
    }

    #[test]
    fn nothing_swapped_for_a_link_is_read() {
        use std::sync::atomic::{AtomicBool, Ordering};
        let outer = tempfile::tempdir().unwrap();
        let dir = outer.path().join("context");
        for (folder, text) in [("outside", "secret"), ("context/folder", "inside")] {
            fs::create_dir_all(outer.path().join(folder)).unwrap();
            fs::write(outer.path().join(folder).join("file"), text).unwrap();
        }
        fs::write(outer.path().join("outside/more"), "").unwrap();
        symlink("../outside", dir.join("link")).unwrap();
        let context = Context::open(&dir, Ignore::default()).unwrap();
        let end = AtomicBool::new(false);
        std::thread::scope(|scope| {
            // The folder and the link change places as fast as the kernel can.
            scope.spawn(|| {
                let (one, two) = (dir.join("folder"), dir.join("link"));
                while !end.load(Ordering::Relaxed) {
                    let flags = rustix::fs::RenameFlags::EXCHANGE;
                    let cwd = rustix::fs::CWD;
                    rustix::fs::renameat_with(cwd, &one, cwd, &two, flags).unwrap();
                }
            });
            let (mut read, mut refused, mut wrong) = (0, 0, None);
            let begun = std::time::Instant::now();
            while wrong.is_none() && begun.elapsed().as_secs() < 10 && (read < 300 || refused < 300)
            {
                match context.open(Path::new("folder/file")).and_then(std::io::read_to_string) {
                    Ok(text) if text == "inside" => read += 1,
                    Ok(text) => wrong = Some(text),
                    Err(_) => refused += 1,
                }
                if let Ok(names) = context.list(Path::new("folder"))
                    && names.len() > 1
                {
                    wrong = Some(format!("{names:?}"));
                }
            }
            end.store(true, Ordering::Relaxed);
            assert_eq!(wrong, None, "it came from outside");
            assert!(read > 0 && refused > 0, "{read} read, {refused} refused: nothing was swapped");
        });
    }

    #[test]
    fn links_never_lead_outside() {
        let outer = tempfile::tempdir().unwrap();
        fs::write(outer.path().join("canary"), "secret").unwrap();
        let dir = outer.path().join("context");
        fs::create_dir_all(dir.join("real")).unwrap();
        fs::write(dir.join("real/file"), "inside").unwrap();
        symlink("..", dir.join("up")).unwrap();
        symlink("/real", dir.join("absolute")).unwrap();
        symlink("loop", dir.join("loop")).unwrap();
        let context = Context::open(&dir, Ignore::default()).unwrap();
        let found = |path: &str| resolve(&context, Path::new(path), true);
        assert_eq!(found("up/canary").unwrap(), Path::new("canary"));
        assert!(context.entry(&found("../canary").unwrap()).unwrap().is_none());
        assert_eq!(found("absolute/file").unwrap(), Path::new("real/file"));
        assert!(found("loop").is_err());
        // Even a path that was not resolved is stopped by the kernel.
        assert!(context.open(Path::new("up/canary")).is_err());
        assert!(context.open(Path::new("../canary")).is_err());
    }
}
