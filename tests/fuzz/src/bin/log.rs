#![no_main]
//! Logs of apps: any file can be read, and what is written can be.

use std::fs;

use libfuzzer_sys::fuzz_target;
use tandem_backend::{LogReader, LogWriter, Stream};
use tandem_model::LogLimits;

fuzz_target!(|data: &[u8]| {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("app.jsonl");
    fs::write(&path, data).expect("a file");
    let before = read(&path);
    let lines: Vec<&[u8]> = data.split_inclusive(|byte| *byte == b'\n').collect();
    let log = LogWriter::open(&path, LogLimits::default()).expect("a log");
    log.write_lines(Stream::Stderr, lines.iter().copied());
    let after = read(&path);
    // A line that a crash had cut may be whole with its end behind it.
    assert!(after.len() >= before.len() + lines.len());
    let written = lines.iter().map(|line| String::from_utf8_lossy(line).into_owned());
    assert!(after[after.len() - lines.len()..].iter().map(|line| line.text.clone()).eq(written));
});

fn read(path: &std::path::Path) -> Vec<tandem_backend::LogLine> {
    let mut reader = LogReader::open(path).expect("it is there").expect("it is a file");
    std::iter::from_fn(|| reader.next_line()).inspect(tandem_fuzz::survives_json).collect()
}
