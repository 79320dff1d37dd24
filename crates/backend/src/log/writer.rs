use std::{
    cell::RefCell,
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    rc::Rc,
};

use jiff::Timestamp;
use tandem_model::LogLimits;

use super::{LogLine, Stream, aside};
use crate::BackendError;

/// Writes an app's log. Clones share one file.
#[derive(Debug, Clone)]
pub struct LogWriter {
    open: Rc<RefCell<Open>>,
}

#[derive(Debug)]
struct Open {
    path: PathBuf,
    limits: LogLimits,
    file: File,
    size: u64,
    /// The file ends in the middle of a line.
    cut: bool,
}

impl LogWriter {
    /// Opens the log for appending, 0600.
    pub fn open(path: &Path, limits: LogLimits) -> Result<Self, BackendError> {
        let failed = |e| BackendError::io("open the log", path, e);
        let mut file = open(path).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        // Whoever wrote before may have been killed at it.
        let cut = size > 0 && last_byte(&mut file).map_err(failed)? != b'\n';
        let open = Open { path: path.to_owned(), limits, file, size, cut };
        Ok(Self { open: Rc::new(RefCell::new(open)) })
    }

    /// Adds a line. A full disk loses log lines, never the app.
    pub fn write(&self, stream: Stream, text: &str) {
        let line = LogLine { time: Timestamp::now(), stream, text: text.to_owned() };
        let mut bytes = serde_json::to_vec(&line).unwrap_or_default();
        bytes.push(b'\n');
        self.open.borrow_mut().append(&bytes);
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)
}

fn last_byte(file: &mut File) -> io::Result<u8> {
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last[0])
}

impl Open {
    fn append(&mut self, line: &[u8]) {
        if self.size > 0 && self.size + line.len() as u64 > self.limits.max_size_bytes {
            // When it cannot be put aside the file grows on.
            let _ = self.put_aside();
        }
        if self.cut {
            self.cut = !self.push(b"\n");
        }
        if !self.cut {
            self.cut = !self.push(line);
        }
    }

    /// Writes all or tells that the file may be cut.
    fn push(&mut self, bytes: &[u8]) -> bool {
        let written = loop {
            match self.file.write(bytes) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                other => break other.unwrap_or(0),
            }
        };
        self.size += written as u64;
        // Nothing of it: the line is lost, the file is whole.
        written == bytes.len() || (written == 0 && !self.cut)
    }

    fn put_aside(&mut self) -> io::Result<()> {
        let most = self.limits.max_files.max(1);
        // With one file only, a reader that has it open still reads its end.
        for number in (1..most).rev() {
            match fs::rename(aside(&self.path, number - 1), aside(&self.path, number)) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
        }
        if most == 1 {
            fs::remove_file(&self.path)?;
        }
        // Left from when more were kept.
        let mut surplus = most;
        while fs::remove_file(aside(&self.path, surplus)).is_ok() {
            surplus += 1;
        }
        self.file = open(&self.path)?;
        (self.size, self.cut) = (0, false);
        Ok(())
    }
}
