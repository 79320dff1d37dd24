//! The caller's terminal and the app's (termios(3), ioctl_tty(2)).

use std::{
    io,
    os::fd::{AsFd, AsRawFd as _, OwnedFd},
};

use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};
use serde::{Deserialize, Serialize};

/// Size of a terminal in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowSize {
    /// Lines.
    pub rows: u16,
    /// Characters in a line.
    pub columns: u16,
}

impl WindowSize {
    /// The size of this terminal; `None` when it is none.
    pub fn of(terminal: impl AsFd) -> Option<Self> {
        let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
        let fd = terminal.as_fd().as_raw_fd();
        // SAFETY: one valid structure is passed to be written.
        let known = unsafe { libc::ioctl(fd, libc::TIOCGWINSZ, &raw mut size) } == 0;
        known.then_some(Self { rows: size.ws_row, columns: size.ws_col })
    }

    /// Gives a terminal this size; whoever runs in it gets SIGWINCH.
    pub fn apply(self, terminal: impl AsFd) -> io::Result<()> {
        let size =
            libc::winsize { ws_row: self.rows, ws_col: self.columns, ws_xpixel: 0, ws_ypixel: 0 };
        let fd = terminal.as_fd().as_raw_fd();
        // SAFETY: one valid structure is passed to be read.
        match unsafe { libc::ioctl(fd, libc::TIOCSWINSZ, &raw const size) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

/// A terminal that passes every key on as it is. Dropping the value gives the
/// terminal back as it was.
#[derive(Debug)]
pub struct RawMode {
    terminal: OwnedFd,
    before: Termios,
}

impl RawMode {
    /// Makes a terminal raw.
    pub fn enter(terminal: impl AsFd) -> io::Result<Self> {
        let terminal = terminal.as_fd().try_clone_to_owned()?;
        let before = tcgetattr(&terminal)?;
        let mut raw = before.clone();
        cfmakeraw(&mut raw);
        tcsetattr(&terminal, SetArg::TCSANOW, &raw)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        let _ = tcsetattr(&self.terminal, SetArg::TCSADRAIN, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use nix::{pty::openpty, sys::termios::LocalFlags};

    use super::*;

    #[test]
    fn a_terminal_is_given_back_as_it_was() {
        let pty = openpty(None, None).unwrap();
        let echoes = || tcgetattr(&pty.slave).unwrap().local_flags.contains(LocalFlags::ECHO);
        assert!(echoes());
        let raw = RawMode::enter(&pty.slave).unwrap();
        assert!(!echoes());
        drop(raw);
        assert!(echoes());
    }

    #[test]
    fn a_size_reaches_the_other_side() {
        let pty = openpty(None, None).unwrap();
        let size = WindowSize { rows: 40, columns: 132 };
        size.apply(&pty.master).unwrap();
        assert_eq!(WindowSize::of(&pty.slave), Some(size));
        assert_eq!(WindowSize::of(std::fs::File::open("/dev/null").unwrap()), None);
    }
}
