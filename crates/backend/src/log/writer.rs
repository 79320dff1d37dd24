use std::{
    cell::RefCell,
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    rc::Rc,
};

use jiff::Timestamp;
use serde::Serialize;
use tandem_model::LogLimits;

use super::{Stream, aside};
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

    /// Adds a line.
    pub fn write(&self, stream: Stream, text: &str) {
        self.write_lines(stream, [text.as_bytes()]);
    }

    /// Adds lines that were read together. A full disk loses log lines, never
    /// the app.
    pub fn write_lines<'t>(&self, stream: Stream, lines: impl IntoIterator<Item = &'t [u8]>) {
        let time = Timestamp::now().to_string();
        let mut open = self.open.borrow_mut();
        let mut batch = Vec::new();
        for line in lines {
            let start = batch.len();
            let text = String::from_utf8_lossy(line);
            let entry = Entry { time: &time, stream, text: &text };
            // Writing to memory does not fail.
            let _ = serde_json::to_writer(&mut batch, &entry);
            batch.push(b'\n');
            if start > 0 && open.exceeded_with(batch.len()) {
                let first_of_next = batch.split_off(start);
                open.append(&batch);
                batch = first_of_next;
            }
        }
        if !batch.is_empty() {
            open.append(&batch);
        }
    }
}

/// A [`super::LogLine`] on its way to the file.
#[derive(Serialize)]
struct Entry<'a> {
    time: &'a str,
    stream: Stream,
    text: &'a str,
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
    fn exceeded_with(&self, more: usize) -> bool {
        self.size + more as u64 > self.limits.max_size_bytes
    }

    /// Adds whole lines, which go to one file.
    fn append(&mut self, lines: &[u8]) {
        if self.size > 0 && self.exceeded_with(lines.len()) {
            // When it cannot be put aside the file grows on.
            let _ = self.put_aside();
        }
        if self.cut {
            self.cut = !self.push(b"\n");
        }
        if !self.cut {
            self.cut = !self.push(lines);
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
