//! A person at a terminal: a command with a pseudo-terminal of its own.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    os::{fd::AsRawFd as _, unix::process::CommandExt as _},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use nix::{
    pty::{OpenptyResult, Winsize, openpty},
    sys::termios::{LocalFlags, tcgetattr},
};

/// A command that believes to talk to a person.
#[derive(Debug)]
pub struct Terminal {
    child: Child,
    pty: OpenptyResult,
    bytes: Receiver<Vec<u8>>,
    seen: String,
}

impl Terminal {
    /// Starts the command on a terminal of this size.
    pub fn start(mut command: Command, rows: u16, columns: u16) -> Result<Self> {
        let pty = openpty(Some(&size(rows, columns)), None)?;
        let stream = || -> Result<Stdio> { Ok(Stdio::from(pty.slave.try_clone()?)) };
        command.stdin(stream()?).stdout(stream()?).stderr(stream()?);
        // SAFETY: both calls are allowed between fork and exec, and allocate
        // nothing.
        unsafe {
            command.pre_exec(|| {
                nix::unistd::setsid()?;
                match nix::libc::ioctl(0, nix::libc::TIOCSCTTY, 0) {
                    0 => Ok(()),
                    _ => Err(std::io::Error::last_os_error()),
                }
            });
        }
        let child = command.spawn()?;
        let mut master = File::from(pty.master.try_clone()?);
        let (sender, bytes) = channel();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = master.read(&mut buffer) {
                if sender.send(buffer[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Ok(Self { child, pty, bytes, seen: String::new() })
    }

    /// Types these characters.
    pub fn type_in(&self, text: &str) -> Result<()> {
        Ok(File::from(self.pty.master.try_clone()?).write_all(text.as_bytes())?)
    }

    /// Waits until this text was shown since the last call, and returns
    /// everything up to its end.
    pub fn expect(&mut self, text: &str, limit: Duration) -> Result<String> {
        let begin = Instant::now();
        loop {
            if let Some(at) = self.seen.find(text) {
                let rest = self.seen.split_off(at + text.len());
                return Ok(std::mem::replace(&mut self.seen, rest));
            }
            let left = limit.saturating_sub(begin.elapsed());
            match self.bytes.recv_timeout(left) {
                Ok(bytes) => self.seen.push_str(&String::from_utf8_lossy(&bytes)),
                Err(RecvTimeoutError::Timeout) => {
                    bail!("`{text}` was not shown within {limit:?}, but `{}`", self.seen)
                }
                Err(RecvTimeoutError::Disconnected) => bail!("the terminal is closed"),
            }
        }
    }

    /// Changes the size, as a person pulls a window.
    pub fn resize(&self, rows: u16, columns: u16) -> Result<()> {
        let size = size(rows, columns);
        // SAFETY: one valid structure is passed to be read.
        let done = unsafe {
            nix::libc::ioctl(self.pty.master.as_raw_fd(), nix::libc::TIOCSWINSZ, &raw const size)
        };
        anyhow::ensure!(done == 0, "{}", std::io::Error::last_os_error());
        Ok(())
    }

    /// Whether the terminal shows what is typed: not while somebody has made
    /// it raw.
    pub fn echoes(&self) -> Result<bool> {
        Ok(tcgetattr(&self.pty.slave)?.local_flags.contains(LocalFlags::ECHO))
    }

    /// Waits for the command's end; returns its exit code.
    pub fn end(mut self, limit: Duration) -> Result<i32> {
        self.wait(limit)
    }

    /// The same, when it must be this code: else the error has what was shown.
    pub fn ends_with(mut self, wanted: i32, limit: Duration) -> Result<()> {
        let code = self.wait(limit)?;
        while let Ok(bytes) = self.bytes.recv_timeout(Duration::from_millis(100)) {
            self.seen.push_str(&String::from_utf8_lossy(&bytes));
        }
        anyhow::ensure!(code == wanted, "it ended with {code} and showed `{}`", self.seen);
        Ok(())
    }

    fn wait(&mut self, limit: Duration) -> Result<i32> {
        let begin = Instant::now();
        while begin.elapsed() < limit {
            if let Some(status) = self.child.try_wait()? {
                anyhow::ensure!(self.echoes()?, "the terminal was left raw");
                return status.code().context("a signal ended it");
            }
            thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        bail!("the command did not end within {limit:?}; it showed `{}`", self.seen)
    }
}

fn size(rows: u16, columns: u16) -> Winsize {
    Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}
