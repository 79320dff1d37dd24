use std::{
    fs, io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use crate::{Home, HomeError, Lock};

/// A folder for work in progress, below [`Home::temporary`]. It is removed
/// when dropped; when its maker was killed instead, [`Home::reap_scratch`]
/// finds its lock free and removes it.
#[derive(Debug)]
pub struct Scratch {
    dir: PathBuf,
    _lock: Lock,
}

impl Scratch {
    /// The folder, on the same file system as everything in the home. One
    /// name in it, `.lock`, is taken.
    pub fn path(&self) -> &Path {
        &self.dir
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed now is reaped later.
        let _ = fs::remove_dir_all(&self.dir);
    }
}

impl Home {
    /// Makes a new folder for work in progress whose name begins with
    /// `prefix`.
    pub fn scratch(&self, prefix: &str) -> Result<Scratch, HomeError> {
        let root = self.temporary();
        // The reaper must not see the folder before its lock is held.
        let _making = Lock::shared(&root.join(MAKING))?;
        let dir = tempfile::Builder::new()
            .prefix(&format!("{prefix}-"))
            .tempdir_in(&root)
            .map_err(|e| HomeError::io("make a folder in", &root, e))?
            .keep();
        let lock = Lock::exclusive(&dir.join(LOCK))?;
        Ok(Scratch { dir, _lock: lock })
    }

    /// Removes scratch folders whose makers are gone and returns their paths. A
    /// folder without a lock is one whose removal was cut short.
    pub fn reap_scratch(&self) -> Result<Vec<PathBuf>, HomeError> {
        let root = self.temporary();
        let _making = Lock::exclusive(&root.join(MAKING))?;
        let mut reaped = Vec::new();
        let entries = fs::read_dir(&root).map_err(|e| HomeError::io("list", &root, e))?;
        for entry in entries.flatten() {
            let dir = entry.path();
            if !dir.is_dir() {
                continue;
            }
            let lock = dir.join(LOCK);
            let held = lock.is_file().then(|| Lock::try_exclusive(&lock)).transpose()?;
            if let Some(None) = held {
                continue;
            }
            remove_whole(&dir).map_err(|e| HomeError::io("remove", &dir, e))?;
            reaped.push(dir);
        }
        Ok(reaped)
    }
}

/// How long processes of a killed maker may go on writing.
const LAST_MOMENT: Duration = Duration::from_secs(5);

/// Removes a folder that somebody else may be removing as well, or that
/// processes which are just ending still write into.
fn remove_whole(dir: &Path) -> io::Result<()> {
    let begin = Instant::now();
    loop {
        match fs::remove_dir_all(dir) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(e)
                if matches!(
                    e.kind(),
                    io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::ResourceBusy
                ) && begin.elapsed() < LAST_MOMENT =>
            {
                thread::sleep(Duration::from_millis(10));
            }
            other => return other,
        }
    }
}

const MAKING: &str = ".making";
const LOCK: &str = ".lock";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_folders_without_a_holder_are_reaped() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(Some(dir.path())).unwrap();
        let held = home.scratch("held").unwrap();
        let dropped = home.scratch("dropped").unwrap().path().to_owned();
        assert!(!dropped.exists());
        let left = home.temporary().join("left-1");
        fs::create_dir_all(left.join("deep")).unwrap();
        fs::write(left.join(LOCK), "").unwrap();
        assert_eq!(home.reap_scratch().unwrap(), [left]);
        // A removal that was cut short has taken the lock's file already.
        let half = home.temporary().join("half-1");
        fs::create_dir_all(half.join("deep")).unwrap();
        assert_eq!(home.reap_scratch().unwrap(), [half]);
        assert!(held.path().is_dir());
    }
}
