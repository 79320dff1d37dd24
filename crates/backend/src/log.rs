use std::{
    cell::RefCell,
    fs::{File, OpenOptions},
    io::{BufRead as _, BufReader, Seek as _, SeekFrom, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    rc::Rc,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::BackendError;

/// Which of the app's outputs a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// One line of an app's log, as it lies in `logs/app.jsonl`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// When it was read.
    pub time: Timestamp,
    /// Where it came from.
    pub stream: Stream,
    /// The text with its line end, if it had one. Bytes that are not UTF-8 are
    /// replaced.
    pub text: String,
}

/// Writes an app's log. Clones share one file.
#[derive(Debug, Clone)]
pub struct LogWriter {
    file: Rc<RefCell<File>>,
}

impl LogWriter {
    /// Opens the log for appending, 0600.
    pub fn open(path: &Path) -> Result<Self, BackendError> {
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)
            .map_err(|e| BackendError::io("open the log", path, e))?;
        Ok(Self { file: Rc::new(RefCell::new(file)) })
    }

    /// Adds a line. A full disk loses log lines, never the app.
    pub fn write(&self, stream: Stream, text: &str) {
        let line = LogLine { time: Timestamp::now(), stream, text: text.to_owned() };
        let mut bytes = serde_json::to_vec(&line).unwrap_or_default();
        bytes.push(b'\n');
        let _ = self.file.borrow_mut().write_all(&bytes);
    }
}

/// The longest line that is kept whole; longer ones are cut into pieces so
/// that an app without line ends cannot fill the memory.
const LONGEST: usize = 64 * 1024;

/// Copies a stream into the log, line by line, until it ends.
pub async fn pump(mut source: impl AsyncRead + Unpin, stream: Stream, log: LogWriter) {
    let mut pending = Vec::new();
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let count = match source.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(count) => count,
        };
        pending.extend_from_slice(&buffer[..count]);
        while let Some(end) = line_end(&pending) {
            let line: Vec<u8> = pending.drain(..end).collect();
            log.write(stream, &String::from_utf8_lossy(&line));
        }
    }
    if !pending.is_empty() {
        log.write(stream, &String::from_utf8_lossy(&pending));
    }
}

fn line_end(bytes: &[u8]) -> Option<usize> {
    match bytes.iter().position(|byte| *byte == b'\n') {
        Some(at) => Some((at + 1).min(LONGEST)),
        None => (bytes.len() >= LONGEST).then_some(LONGEST),
    }
}

/// Reads an app's log from its beginning, and goes on where it stopped.
#[derive(Debug)]
pub struct LogReader {
    file: BufReader<File>,
    partial: String,
}

impl LogReader {
    /// Opens the log; `None` when nothing was logged yet.
    pub fn open(path: &Path) -> Result<Option<Self>, BackendError> {
        match File::open(path) {
            Ok(file) => Ok(Some(Self { file: BufReader::new(file), partial: String::new() })),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(BackendError::io("open the log", path, e)),
        }
    }

    /// The next whole line; `None` when there is none yet. A line that cannot
    /// be read back (a crash cut it) is passed over.
    pub fn next_line(&mut self) -> Option<LogLine> {
        loop {
            let at = self.file.stream_position().ok()?;
            let count = self.file.read_line(&mut self.partial).unwrap_or(0);
            if count == 0 || !self.partial.ends_with('\n') {
                self.partial.clear();
                let _ = self.file.seek(SeekFrom::Start(at));
                return None;
            }
            let line = serde_json::from_str(&self.partial).ok();
            self.partial.clear();
            if line.is_some() {
                return line;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_come_back_and_long_ones_are_cut() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        assert!(LogReader::open(&path).unwrap().is_none());
        let log = LogWriter::open(&path).unwrap();
        let mut reader = LogReader::open(&path).unwrap().unwrap();
        assert_eq!(reader.next_line(), None);
        let long = vec![b'x'; LONGEST + 5];
        let input = [b"one\ntwo\xff\n".as_slice(), &long].concat();
        pump(input.as_slice(), Stream::Stderr, log).await;
        let lines: Vec<_> = std::iter::from_fn(|| reader.next_line()).collect();
        let texts: Vec<_> = lines.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(texts[..2], ["one\n", "two\u{fffd}\n"]);
        assert_eq!(texts[2..].iter().map(|text| text.len()).collect::<Vec<_>>(), [LONGEST, 5]);
    }
}
