use std::{
    fs::{self, File},
    io,
    os::{
        fd::AsRawFd as _,
        unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    },
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use rustix::{
    fs::{AtFlags, CWD, FlockOperation, Mode, OFlags, flock, linkat, openat},
    io::Errno,
};
use tempfile::TempPath;

/// A file that is being written beside its place and gets its name when it is
/// whole. Where the file system can, it has no name until then (`open(2)`,
/// `O_TMPFILE`), so that of a writer that is killed nothing is left. Elsewhere
/// (a memory stick, a share) it has a hidden one and is locked; the next draft
/// in the same folder sweeps those whose writer is gone.
#[derive(Debug)]
pub struct Draft {
    file: File,
    named: Option<TempPath>,
}

/// What hidden names of drafts of a person's files begin with.
const DRAFT: &str = ".tandem-draft-";

impl Draft {
    /// Begins one in a folder. The umask takes its part of `mode` away.
    pub fn new(folder: &Path, mode: u32) -> io::Result<Self> {
        match nameless(folder, mode)? {
            Some(file) => Ok(Self { file, named: None }),
            None => {
                sweep(folder)?;
                Self::hidden(folder, DRAFT, mode)
            }
        }
    }

    /// Begins the one for the file at `path`.
    pub fn beside(path: &Path, mode: u32) -> io::Result<Self> {
        let folder = path.parent().filter(|dir| !dir.as_os_str().is_empty());
        Self::new(folder.unwrap_or(Path::new(".")), mode)
    }

    /// One in a folder of the home, where the check of the store sweeps.
    pub(crate) fn in_home(folder: &Path, prefix: &str) -> io::Result<Self> {
        match nameless(folder, 0o600)? {
            Some(file) => Ok(Self { file, named: None }),
            None => Self::hidden(folder, prefix, 0o600),
        }
    }

    /// Where its bytes go.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Gives it its name, which another file may have had until now.
    pub fn keep(self, path: &Path) -> io::Result<()> {
        match self.named {
            Some(named) => named.persist(path).map_err(|e| e.error),
            None => replace(&self.file, path),
        }
    }

    /// Gives it a name that no file has; what is there stays, and is an error.
    pub fn keep_new(self, path: &Path) -> io::Result<()> {
        match self.named {
            Some(named) => named.persist_noclobber(path).map_err(|e| e.error),
            None => Ok(link(&self.file, path)?),
        }
    }

    fn hidden(folder: &Path, prefix: &str, mode: u32) -> io::Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        loop {
            // Made by ourselves: whoever cannot write a file is to be told of
            // that one, and the errors of `tempfile` name the hidden one.
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let path = folder.join(format!("{prefix}{:x}-{count:x}", std::process::id()));
            let mut options = fs::OpenOptions::new();
            let file = match options.read(true).write(true).create_new(true).mode(mode).open(&path)
            {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => continue,
                made => made?,
            };
            let path = TempPath::try_from_path(path)?;
            // Whoever sweeps may have had it before it was locked.
            let locked = flock(&file, FlockOperation::NonBlockingLockExclusive);
            if locked != Err(Errno::WOULDBLOCK) && file.metadata()?.nlink() > 0 {
                return Ok(Self { file, named: Some(path) });
            }
        }
    }
}

/// Removes what killed writers left in a folder: drafts that nobody locks.
fn sweep(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)?.flatten() {
        let is_draft = entry.file_name().to_string_lossy().starts_with(DRAFT);
        if !is_draft || !entry.file_type().is_ok_and(|kind| kind.is_file()) {
            continue;
        }
        let Ok(file) = File::open(entry.path()) else { continue };
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
            let _ = fs::remove_file(entry.path());
        }
    }
    Ok(())
}

/// `None` where the file system has no files without a name, or they could
/// get none, for want of `/proc`.
fn nameless(folder: &Path, mode: u32) -> io::Result<Option<File>> {
    let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
    match openat(CWD, folder, flags, Mode::from_raw_mode(mode)) {
        Ok(file) => {
            let file = File::from(file);
            Ok(own_link(&file).exists().then_some(file))
        }
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

fn own_link(file: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

fn link(file: &File, to: &Path) -> rustix::io::Result<()> {
    linkat(CWD, own_link(file), CWD, to, AtFlags::SYMLINK_FOLLOW)
}

/// A link cannot take another's place at once, so for a moment there are two.
fn replace(file: &File, path: &Path) -> io::Result<()> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    match link(file, path) {
        Err(Errno::EXIST) => {}
        other => return Ok(other?),
    }
    let fresh = loop {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let fresh = path.with_file_name(format!(".new-{}-{count}", std::process::id()));
        match link(file, &fresh) {
            Ok(()) => break fresh,
            Err(Errno::EXIST) => {}
            Err(e) => return Err(e.into()),
        }
    };
    fs::rename(&fresh, path).inspect_err(|_| drop(fs::remove_file(&fresh)))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(dir)
            .unwrap()
            .map(|it| it.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_draft_has_no_name_until_it_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        for text in ["one", "two"] {
            let draft = Draft::new(dir.path(), 0o640).unwrap();
            draft.file().write_all(text.as_bytes()).unwrap();
            draft.keep(&path).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o137, 0);
        let draft = Draft::new(dir.path(), 0o640).unwrap();
        assert_eq!(draft.keep_new(&path).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(names(dir.path()), ["file"]);
        assert!(Draft::new(&dir.path().join("none"), 0o600).is_err());
    }

    #[test]
    fn drafts_whose_writer_is_gone_are_swept_and_no_others() {
        let dir = tempfile::tempdir().unwrap();
        let mine = Draft::hidden(dir.path(), DRAFT, 0o600).unwrap();
        let gone = dir.path().join(".tandem-draft-gone");
        fs::write(&gone, "half").unwrap();
        fs::write(dir.path().join(".tandem-other"), "").unwrap();
        sweep(dir.path()).unwrap();
        assert!(!gone.exists());
        assert_eq!(names(dir.path()).len(), 2);
        mine.keep_new(&dir.path().join("file")).unwrap();
        assert_eq!(names(dir.path()), [".tandem-other", "file"]);
        drop(Draft::hidden(dir.path(), DRAFT, 0o600).unwrap());
        assert_eq!(names(dir.path()).len(), 2, "one that was given up stays");
    }

    #[test]
    fn an_error_tells_of_no_hidden_name() {
        // Nobody makes files there, with a name or without.
        let folder = Path::new("/proc/self");
        for error in [Draft::new(folder, 0o600), Draft::hidden(folder, DRAFT, 0o600)] {
            let error = error.unwrap_err().to_string();
            assert!(!error.contains("tandem-draft") && error.contains("os error"), "{error}");
        }
    }
}
