use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    sync::{mpsc, watch},
};

use crate::{LogWriter, Stream};

/// A piece of output on its way to somebody attached.
#[derive(Debug, Clone)]
pub(super) struct Chunk {
    pub(super) stream: Stream,
    pub(super) bytes: Rc<[u8]>,
}

/// Pieces that may wait for one who is attached, each of 16 KiB at most.
const QUEUE: usize = 64;

/// Where an app's output goes: into its log, and to everybody attached.
/// Clones share both.
#[derive(Debug, Clone)]
pub struct Output {
    log: LogWriter,
    listeners: Rc<RefCell<Vec<Listener>>>,
    /// Nobody is waited for any more.
    released: watch::Sender<bool>,
    /// How many pieces wait for a listener to make room.
    waiting: Rc<Cell<u32>>,
}

#[derive(Debug, Clone)]
struct Listener {
    queue: mpsc::Sender<Chunk>,
    /// The app is held back rather than that output is lost, as if this one
    /// had the other end of its pipe.
    holds: bool,
}

impl Output {
    /// Output that goes into this log.
    pub fn new(log: LogWriter) -> Self {
        Self {
            log,
            listeners: Rc::default(),
            released: watch::Sender::new(false),
            waiting: Rc::default(),
        }
    }

    /// The log alone.
    pub fn log(&self) -> &LogWriter {
        &self.log
    }

    /// What comes from now on. One that does not hold the app back and falls
    /// behind hears nothing more.
    pub(super) fn listen(&self, holds: bool) -> mpsc::Receiver<Chunk> {
        let (queue, chunks) = mpsc::channel(QUEUE);
        self.listeners.borrow_mut().push(Listener { queue, holds });
        chunks
    }

    /// Waits for nobody from now on: the app is to end, whoever reads.
    pub(crate) fn release(&self) {
        self.released.send_replace(true);
    }

    /// Waits for those who hold it back again: the app has been started anew.
    pub(crate) fn hold_again(&self) {
        self.released.send_replace(false);
    }

    /// Whether output waits for somebody who reads slowly.
    pub fn is_held_back(&self) -> bool {
        self.waiting.get() > 0
    }

    async fn pass_on(&self, stream: Stream, bytes: &[u8]) {
        let listeners = self.listeners.borrow().clone();
        if listeners.is_empty() {
            return;
        }
        let chunk = Chunk { stream, bytes: bytes.into() };
        let mut lost = false;
        for listener in &listeners {
            lost |= !self.pass(listener, chunk.clone()).await;
        }
        if lost {
            self.listeners.borrow_mut().retain(|listener| !listener.queue.is_closed());
        }
    }

    /// False when the listener is gone or was given up.
    async fn pass(&self, listener: &Listener, chunk: Chunk) -> bool {
        let chunk = match listener.queue.try_send(chunk) {
            Ok(()) => return true,
            Err(mpsc::error::TrySendError::Closed(_)) => return false,
            Err(mpsc::error::TrySendError::Full(chunk)) => chunk,
        };
        if !listener.holds {
            self.listeners.borrow_mut().retain(|other| !other.queue.same_channel(&listener.queue));
            return true;
        }
        let mut released = self.released.subscribe();
        self.waiting.set(self.waiting.get() + 1);
        let there = tokio::select! {
            sent = listener.queue.send(chunk) => sent.is_ok(),
            _ = released.wait_for(|released| *released) => true,
        };
        self.waiting.set(self.waiting.get() - 1);
        there
    }
}

/// The longest line that is logged whole; longer ones are cut into pieces so
/// that an app without line ends cannot fill the memory.
const LONGEST: usize = 64 * 1024;

/// Passes a stream on until it ends: at once to those attached, line by line
/// to the log.
pub async fn pump(mut source: impl AsyncRead + Unpin, stream: Stream, output: Output) {
    let mut pending = Vec::new();
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let count = match source.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(count) => count,
        };
        pending.extend_from_slice(&buffer[..count]);
        let mut begin = 0;
        let lines = std::iter::from_fn(|| {
            let length = line_length(&pending[begin..])?;
            begin += length;
            Some(&pending[begin - length..begin])
        });
        output.log.write_lines(stream, lines);
        pending.drain(..begin);
        output.pass_on(stream, &buffer[..count]).await;
    }
    if !pending.is_empty() {
        output.log.write(stream, &String::from_utf8_lossy(&pending));
    }
}

/// Bytes of the next line that can be logged; a long one is cut between two
/// characters.
fn line_length(bytes: &[u8]) -> Option<usize> {
    let first = &bytes[..bytes.len().min(LONGEST)];
    if let Some(at) = first.iter().position(|byte| *byte == b'\n') {
        return Some(at + 1);
    }
    if first.len() < LONGEST {
        return None;
    }
    // A character has four bytes at most; those inside begin with 10 (RFC 3629).
    let inside = first.iter().rev().take(4).position(|byte| byte & 0xc0 != 0x80);
    match inside {
        Some(back) if first[LONGEST - 1 - back] >= 0xc0 => Some(LONGEST - 1 - back),
        _ => Some(LONGEST),
    }
}

#[cfg(test)]
mod tests {
    use tandem_model::LogLimits;

    use super::*;
    use crate::LogReader;

    fn output(dir: &tempfile::TempDir) -> Output {
        Output::new(LogWriter::open(&dir.path().join("log"), LogLimits::default()).unwrap())
    }

    #[tokio::test]
    async fn lines_come_back_and_long_ones_are_cut() {
        let dir = tempfile::tempdir().unwrap();
        let out = output(&dir);
        let long = [vec![b'x'; LONGEST - 1], "ü".as_bytes().to_vec(), vec![b'y'; 5]].concat();
        let input = [b"one\ntwo\xff\n".as_slice(), &long].concat();
        pump(input.as_slice(), Stream::Stderr, out).await;
        let mut reader = LogReader::open(&dir.path().join("log")).unwrap().unwrap();
        let lines: Vec<_> = std::iter::from_fn(|| reader.next_line()).collect();
        let texts: Vec<_> = lines.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(texts[..2], ["one\n", "two\u{fffd}\n"]);
        assert_eq!(texts[2].len(), LONGEST - 1);
        assert_eq!(texts[3], "üyyyyy");
    }

    #[tokio::test]
    async fn one_holds_the_app_back_and_another_falls_behind() {
        let dir = tempfile::tempdir().unwrap();
        let out = output(&dir);
        let (mut patient, mut hasty) = (out.listen(true), out.listen(false));
        let input = vec![b'x'; 4 * QUEUE * 16 * 1024];
        let work = pump(input.as_slice(), Stream::Stdout, out.clone());
        let read = async {
            let mut count = 0;
            while count < input.len() {
                tokio::task::yield_now().await;
                count += patient.recv().await.unwrap().bytes.len();
            }
        };
        tokio::join!(work, read);
        let mut heard = 0;
        while let Some(chunk) = hasty.recv().await {
            heard += chunk.bytes.len();
        }
        assert!(heard < input.len(), "it fell behind and was given up");
        assert!(!out.is_held_back());
    }

    #[tokio::test]
    async fn nobody_holds_up_an_end() {
        let dir = tempfile::tempdir().unwrap();
        let out = output(&dir);
        let _never_reads = out.listen(true);
        let input = vec![b'x'; 2 * QUEUE * 16 * 1024];
        let release = async {
            while !out.is_held_back() {
                tokio::task::yield_now().await;
            }
            out.release();
        };
        tokio::join!(pump(input.as_slice(), Stream::Stdout, out.clone()), release);
    }
}
