//! Interactive terminals for a view that is none itself: a shell in a running
//! instance, or a virtual machine's serial console.
//!
//! ```text
//! view ⇄ Terminal ⇄ pseudo-terminal ⇄ tandem __exec ⇄ the shell's own terminal
//!                 ⇄ console.log and the supervisor's socket ⇄ the serial port
//! ```
//!
//! Nothing is read that nobody asks for: a shell that writes faster than its
//! view draws is held up by the pseudo-terminal, as in any terminal.

mod console;
mod pty;
mod shell;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tandem_backend::WindowSize;

use crate::{App, AppError};
use console::ConsoleLine;
use pty::Pty;

/// Size of a terminal in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ts_rs::TS)]
pub struct TerminalSize {
    /// Characters in a line.
    pub columns: u16,
    /// Lines.
    pub rows: u16,
}

impl From<TerminalSize> for WindowSize {
    fn from(size: TerminalSize) -> Self {
        // Programs divide by these.
        Self { rows: size.rows.max(1), columns: size.columns.max(1) }
    }
}

/// What a terminal is joined to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ts_rs::TS)]
#[serde(rename_all = "snake_case")]
pub enum TerminalKind {
    /// A shell of its own in a running instance.
    Shell,
    /// The serial console of a virtual machine, from its boot on.
    Console,
}

/// A terminal that was opened for a view.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ts_rs::TS)]
pub struct OpenedTerminal {
    /// Its number.
    pub id: u32,
    /// The same as a command to type.
    pub command: String,
}

/// How a terminal ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ts_rs::TS)]
pub struct TerminalEnd {
    /// The shell's exit code; absent for a console, and for a shell that was
    /// closed.
    pub code: Option<i32>,
}

/// The side of a terminal that shows.
pub struct Terminal {
    command: String,
    source: Source,
}

enum Source {
    Shell(Pty),
    Console(ConsoleLine),
}

/// The side of a terminal that is typed into.
#[derive(Clone)]
pub struct TerminalKeys(Sink);

#[derive(Clone)]
enum Sink {
    Shell(pty::Keys),
    Console(console::Keys),
}

impl App {
    /// Opens a terminal of this kind in an instance.
    pub async fn open_terminal(
        self: &Arc<Self>,
        instance: &str,
        kind: TerminalKind,
        size: TerminalSize,
    ) -> Result<Terminal, AppError> {
        match kind {
            TerminalKind::Shell => self.open_shell(instance, size.into()).await,
            TerminalKind::Console => self.open_console_line(instance),
        }
    }
}

impl Terminal {
    /// The same as a command to type.
    pub fn command(&self) -> &str {
        &self.command
    }

    /// What is typed into it; a second side, so that both can go on at once.
    pub fn keys(&self) -> TerminalKeys {
        TerminalKeys(match &self.source {
            Source::Shell(pty) => Sink::Shell(pty.keys()),
            Source::Console(line) => Sink::Console(line.keys()),
        })
    }

    /// The next output, some at least; `None` at the end.
    pub async fn read(&mut self) -> Option<Vec<u8>> {
        match &mut self.source {
            Source::Shell(pty) => pty.read().await,
            Source::Console(line) => line.read().await,
        }
    }

    /// How it ended, once there is nothing more to read.
    pub async fn end(self) -> TerminalEnd {
        match self.source {
            Source::Shell(pty) => TerminalEnd { code: pty.code().await },
            Source::Console(_) => TerminalEnd { code: None },
        }
    }

    /// Hangs up: the shell is told as by a terminal that is closed, and killed
    /// when it does not go.
    pub async fn close(self) -> TerminalEnd {
        if let Source::Shell(pty) = self.source {
            pty.hang_up().await;
        }
        TerminalEnd { code: None }
    }
}

impl TerminalKeys {
    /// Types; resolves when it was taken. What is typed after the end is lost.
    pub async fn type_in(&self, bytes: &[u8]) {
        match &self.0 {
            Sink::Shell(keys) => keys.type_in(bytes).await,
            Sink::Console(keys) => keys.type_in(bytes).await,
        }
    }

    /// Tells the programs in it how large it is. A serial line knows no size.
    pub fn resize(&self, size: TerminalSize) {
        if let Sink::Shell(keys) = &self.0 {
            keys.resize(size.into());
        }
    }
}
