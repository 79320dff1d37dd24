use std::{
    fs::File,
    io::{self, Read as _, Write as _},
    time::{Duration, Instant},
};

use tandem_guest::wire::{FromGuest, LONGEST, OUTPUT_WINDOW, Stream, Window, cost};

use super::{link::Link, terminal};

/// How long output may still come after the program's end.
const DRAIN_LIMIT: Duration = Duration::from_millis(500);

/// Our ends of a program's streams; `None` where there is none, or once it is
/// closed.
#[derive(Debug, Default)]
pub(super) struct Streams {
    pub(super) input: Option<File>,
    pub(super) outputs: [Option<File>; 2],
    pub(super) terminal: Option<File>,
}

/// A program that runs: the app, or what the host asked for.
pub(super) struct Task {
    pub(super) pid: i32,
    pub(super) streams: Streams,
    /// Input that the program has not taken yet; the window bounds it.
    pending: Vec<u8>,
    /// What of `pending` still counts against the window.
    owed: usize,
    end_of_input: bool,
    /// Output that the host takes; `None` is any amount.
    credit: Option<usize>,
    ended: Option<(FromGuest, Instant)>,
}

impl Task {
    /// A program whose output has a window.
    pub(super) fn new(pid: i32, streams: Streams) -> Self {
        let (pending, owed, end_of_input) = (Vec::new(), 0, false);
        Self { pid, streams, pending, owed, end_of_input, credit: Some(OUTPUT_WINDOW), ended: None }
    }

    /// A program whose output is always taken.
    pub(super) fn unlimited(pid: i32, streams: Streams) -> Self {
        Self { credit: None, ..Self::new(pid, streams) }
    }

    /// Which of its outputs may be read now.
    pub(super) fn reads(&self, index: usize) -> Option<&File> {
        let room = self.credit.is_none_or(|credit| credit > cost(0));
        self.streams.outputs[index].as_ref().filter(|_| room)
    }

    /// Its input, when something waits for it.
    pub(super) fn writes(&self) -> Option<&File> {
        self.streams.input.as_ref().filter(|_| !self.pending.is_empty())
    }

    /// Passes output on that is there now.
    pub(super) fn read(&mut self, id: u32, index: usize, link: &mut Link) {
        let most = self.credit.map_or(LONGEST, |credit| credit.saturating_sub(cost(0)));
        let mut buffer = [0; LONGEST / 2];
        let most = most.min(buffer.len());
        let Some(output) = &mut self.streams.outputs[index] else { return };
        match output.read(&mut buffer[..most]) {
            Ok(0) if most > 0 => self.streams.outputs[index] = None,
            Ok(count) => {
                if let Some(credit) = &mut self.credit {
                    *credit = credit.saturating_sub(cost(count));
                }
                let stream = if index == 0 { Stream::Stdout } else { Stream::Stderr };
                link.send(id, stream, &buffer[..count]);
            }
            Err(e) if is_temporary(&e) => {}
            // A terminal whose other side is closed reads as an error.
            Err(_) => self.streams.outputs[index] = None,
        }
    }

    /// Takes input from the host.
    pub(super) fn input(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
        self.owed += cost(bytes.len());
    }

    /// Passes input on that the program takes now, and gives the host room for
    /// as much.
    pub(super) fn write(&mut self, id: u32, link: &mut Link) {
        if let Some(input) = &mut self.streams.input
            && !self.pending.is_empty()
        {
            match input.write(&self.pending) {
                Ok(count) => drop(self.pending.drain(..count)),
                Err(e) if is_temporary(&e) => {}
                // It reads no more.
                Err(_) => self.streams.input = None,
            }
        }
        if self.streams.input.is_none() {
            self.pending.clear();
        }
        if self.pending.is_empty() && self.owed > 0 {
            link.say(id, FromGuest::Credit { cost: std::mem::take(&mut self.owed) });
        }
        if self.end_of_input && self.pending.is_empty() {
            self.close_input();
        }
    }

    /// No more input will come.
    pub(super) fn end_input(&mut self) {
        self.end_of_input = true;
        if self.pending.is_empty() {
            self.close_input();
        }
    }

    fn close_input(&mut self) {
        if let Some(input) = &mut self.streams.input
            && self.streams.terminal.is_some()
        {
            // A terminal has no end; it has a character that says so
            // (termios(3), VEOF).
            let _ = input.write_all(b"\x04");
        }
        self.streams.input = None;
    }

    /// The host takes so much more.
    pub(super) fn grant(&mut self, cost: usize) {
        if let Some(credit) = &mut self.credit {
            *credit = credit.saturating_add(cost).min(OUTPUT_WINDOW);
        }
    }

    pub(super) fn resize(&self, size: Window) {
        if let Some(terminal) = &self.streams.terminal {
            terminal::resize(terminal, size);
        }
    }

    /// Sends it a signal.
    pub(super) fn signal(&self, number: i32) {
        if self.ended.is_none() && self.pid > 0 {
            // SAFETY: a system call without memory.
            unsafe { libc::kill(self.pid, number) };
        }
    }

    /// Ends it with all that it started, which is in a session of its own.
    pub(super) fn kill(&self) {
        if self.ended.is_none() && self.pid > 1 {
            // SAFETY: system calls without memory.
            unsafe {
                libc::kill(-self.pid, libc::SIGKILL);
                libc::kill(self.pid, libc::SIGKILL);
            }
        }
    }

    /// Its process has ended.
    pub(super) fn has_ended(&mut self, exit: FromGuest) {
        self.ended = Some((exit, Instant::now() + DRAIN_LIMIT));
    }

    /// Whether its process has ended and something may still come.
    pub(super) fn is_draining(&self) -> bool {
        self.ended.is_some()
    }

    /// Its end, once its output was sent too.
    pub(super) fn end(&mut self) -> Option<FromGuest> {
        let (exit, limit) = self.ended.as_mut()?;
        let open = self.streams.outputs.iter().any(Option::is_some);
        if open && self.credit.is_some_and(|credit| credit <= cost(0)) {
            // The host is the one who is slow.
            *limit = Instant::now() + DRAIN_LIMIT;
            return None;
        }
        (!open || Instant::now() > *limit).then(|| exit.clone())
    }
}

fn is_temporary(e: &io::Error) -> bool {
    matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
