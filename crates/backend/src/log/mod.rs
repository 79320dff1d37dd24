//! An app's log: JSON lines in `logs/app.jsonl`. A file that is full is put
//! aside as `app.jsonl.1`, what was there becomes `app.jsonl.2`, and the
//! oldest goes. Readers follow across that by the files' inodes.

mod reader;
mod writer;

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use reader::LogReader;
pub use writer::LogWriter;

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

/// The log that was put aside as the `number`-th; 0 is the one in use.
fn aside(path: &Path, number: u32) -> PathBuf {
    if number == 0 {
        return path.to_owned();
    }
    let mut name = OsString::from(path);
    name.push(format!(".{number}"));
    name.into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tandem_model::LogLimits;

    use super::*;

    fn texts(reader: &mut LogReader) -> Vec<String> {
        std::iter::from_fn(|| reader.next_line()).map(|line| line.text).collect()
    }

    #[test]
    fn a_reader_follows_across_files_and_misses_only_what_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        assert!(LogReader::open(&path).unwrap().is_none());
        let limits = LogLimits { max_size_bytes: 300, max_files: 3 };
        let log = LogWriter::open(&path, limits).unwrap();
        let mut follower = LogReader::open(&path).unwrap().unwrap();
        let mut followed = Vec::new();
        for number in 0..40 {
            log.write(Stream::Stdout, &format!("line {number}\n"));
            if number % 5 == 0 {
                followed.extend(texts(&mut follower));
            }
        }
        followed.extend(texts(&mut follower));
        let all: Vec<_> = (0..40).map(|number| format!("line {number}\n")).collect();
        assert_eq!(followed, all);
        let left = texts(&mut LogReader::open(&path).unwrap().unwrap());
        assert!(all.ends_with(&left) && left.len() > 3 && left.len() < 20, "{left:?}");
        let files = std::fs::read_dir(dir.path()).unwrap().count();
        assert_eq!(files, 3);
        // Opened again, the count of bytes goes on.
        drop(log);
        let log = LogWriter::open(&path, LogLimits { max_files: 1, ..limits }).unwrap();
        for _ in 0..5 {
            log.write(Stream::Stderr, "more\n");
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        assert!(std::fs::metadata(&path).unwrap().len() <= 300);
    }

    #[test]
    fn lines_that_come_together_fill_files_like_single_ones() {
        let lines: Vec<_> = (0..40).map(|number| format!("line {number}\n")).collect();
        let limits = LogLimits { max_size_bytes: 300, max_files: 100 };
        let kept = |write: &dyn Fn(&LogWriter)| {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("log");
            write(&LogWriter::open(&path, limits).unwrap());
            let files: Vec<_> = std::fs::read_dir(dir.path()).unwrap().flatten().collect();
            assert!(files.iter().all(|file| file.metadata().unwrap().len() <= 300));
            assert!(files.len() > 8);
            texts(&mut LogReader::open(&path).unwrap().unwrap())
        };
        let together = kept(&|log| {
            log.write_lines(Stream::Stdout, lines.iter().map(String::as_bytes));
        });
        assert_eq!(together, lines);
        let one_by_one = kept(&|log| lines.iter().for_each(|line| log.write(Stream::Stdout, line)));
        assert_eq!(one_by_one, lines);
    }

    #[test]
    fn a_line_that_was_cut_costs_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        std::fs::write(&path, "{\"time\":\"2026-01-01T0").unwrap();
        let log = LogWriter::open(&path, LogLimits::default()).unwrap();
        log.write(Stream::Stdout, "whole\n");
        assert_eq!(texts(&mut LogReader::open(&path).unwrap().unwrap()), ["whole\n"]);
    }

    proptest! {
        #[test]
        fn no_file_makes_a_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("log");
            std::fs::write(&path, bytes).unwrap();
            let _ = texts(&mut LogReader::open(&path).unwrap().unwrap());
        }
    }
}
