use std::{
    fs::{self, File},
    io::{self, BufRead as _, BufReader},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use super::{LogLine, aside};
use crate::BackendError;

/// Reads an app's log from the oldest line that is kept, and goes on where it
/// stopped.
#[derive(Debug)]
pub struct LogReader {
    path: PathBuf,
    file: BufReader<File>,
    /// The beginning of a line whose end was not there yet.
    partial: Vec<u8>,
}

impl LogReader {
    /// Opens the log; `None` when nothing was logged yet.
    pub fn open(path: &Path) -> Result<Option<Self>, BackendError> {
        let file = oldest(path).map_err(|e| BackendError::io("open the log", path, e))?;
        let reader =
            |file| Self { path: path.to_owned(), file: BufReader::new(file), partial: Vec::new() };
        Ok(file.map(reader))
    }

    /// The next whole line; `None` when there is none yet. A line that cannot
    /// be read back (a crash cut it) is passed over.
    pub fn next_line(&mut self) -> Option<LogLine> {
        loop {
            if let Some(line) = self.next_here() {
                return Some(line);
            }
            let next = self.next_file()?;
            // What was written just before the file was put aside.
            if let Some(line) = self.next_here() {
                return Some(line);
            }
            self.file = BufReader::new(next);
            self.partial.clear();
        }
    }

    fn next_here(&mut self) -> Option<LogLine> {
        loop {
            let count = self.file.read_until(b'\n', &mut self.partial).unwrap_or(0);
            if count == 0 || !self.partial.ends_with(b"\n") {
                // The rest of the line may come.
                return None;
            }
            let line = serde_json::from_slice(&self.partial).ok();
            self.partial.clear();
            if line.is_some() {
                return line;
            }
        }
    }

    /// The file that follows the open one; `None` when that is the one in use.
    /// While it is open its inode belongs to no other.
    fn next_file(&self) -> Option<File> {
        let own = inode(&self.file.get_ref().metadata().ok()?);
        let is_own =
            |number| fs::metadata(aside(&self.path, number)).is_ok_and(|it| inode(&it) == own);
        // Files move on while they are looked for.
        for _ in 0..100 {
            if is_own(0) {
                return None;
            }
            let number =
                (1..=MOST).take_while(|it| exists_near(&self.path, *it)).find(|it| is_own(*it));
            let Some(number) = number else { return oldest(&self.path).ok().flatten() };
            let next = File::open(aside(&self.path, number - 1));
            if is_own(number) {
                return next.ok();
            }
        }
        None
    }
}

/// More files than can be asked for.
const MOST: u32 = 1001;

/// One number may be missing while files move.
fn exists_near(path: &Path, number: u32) -> bool {
    [number, number + 1].into_iter().any(|it| aside(path, it).exists())
}

fn inode(metadata: &fs::Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

fn oldest(path: &Path) -> io::Result<Option<File>> {
    let last = (1..=MOST).take_while(|number| exists_near(path, *number)).last().unwrap_or(0);
    for number in (0..=last).rev() {
        match File::open(aside(path, number)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            other => return other.map(Some),
        }
    }
    Ok(None)
}
