//! The layers of a pull or a push: a live line for each on a terminal, plain
//! lines elsewhere.

use std::{
    io::{IsTerminal as _, Write as _},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tandem_app::Transfer;
use tandem_report::format_bytes;

use crate::output::{plain, tell};

/// Shows transfers on standard error.
#[derive(Clone)]
pub(crate) struct Board {
    shown: Arc<Mutex<Shown>>,
}

enum Shown {
    Nothing,
    Lines,
    Live(Live),
}

/// Layers with what happens to them.
struct Live {
    rows: Vec<Row>,
    /// Lines that stand on the screen now.
    drawn: usize,
    last: Instant,
}

struct Row {
    name: String,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Moving(u64, u64),
    Stored,
    Done(&'static str),
}

/// Between two pictures.
const PAUSE: Duration = Duration::from_millis(80);
/// More lines would scroll the terminal.
const ROWS: usize = 16;
const BAR: usize = 24;

impl Board {
    pub(crate) fn new(quiet: bool) -> Self {
        let shown = if quiet {
            Shown::Nothing
        } else if std::io::stderr().is_terminal() {
            Shown::Live(Live { rows: Vec::new(), drawn: 0, last: Instant::now() })
        } else {
            Shown::Lines
        };
        Self { shown: Arc::new(Mutex::new(shown)) }
    }

    /// Shows what happened.
    pub(crate) fn tell(&self, transfer: Transfer) {
        match &mut *self.shown.lock().unwrap_or_else(PoisonError::into_inner) {
            Shown::Nothing => {}
            Shown::Lines => {
                if let Some(line) = transfer.line() {
                    tell(&plain(&line));
                }
            }
            Shown::Live(live) => live.tell(transfer),
        }
    }

    /// Shows the last picture and nothing after it.
    pub(crate) fn end(&self) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if let Shown::Live(live) = &mut *shown {
            live.draw();
        }
        *shown = Shown::Nothing;
    }
}

impl Live {
    fn tell(&mut self, transfer: Transfer) {
        let line = transfer.line().map(|line| plain(&line));
        let (digest, state) = match transfer {
            Transfer::Planned { layers, .. } => {
                let row = |name: &str| Row { name: name.to_owned(), state: State::Waiting };
                self.rows = layers.iter().map(|layer| row(layer.short())).collect();
                return self.above(line);
            }
            Transfer::Again { .. } => return self.above(line),
            Transfer::Present { digest } => (digest, State::Done("already there")),
            Transfer::Moved { digest, done, total } => (digest, State::Moving(done, total)),
            Transfer::Stored { digest } => (digest, State::Stored),
            Transfer::Unpacked { digest } => (digest, State::Done("unpacked")),
            Transfer::Mounted { digest, .. } => (digest, State::Done("taken from elsewhere there")),
        };
        for row in self.rows.iter_mut().filter(|row| row.name == digest.short()) {
            row.state = state;
        }
        if self.last.elapsed() >= PAUSE {
            self.draw();
        }
    }

    /// A line that stays, above the layers.
    fn above(&mut self, line: Option<String>) {
        if let Some(line) = line {
            let up = self.up();
            self.drawn = 0;
            self.print(&format!("{up}\x1b[J{line}\n"));
        }
        self.draw();
    }

    fn draw(&mut self) {
        self.last = Instant::now();
        let mut picture = self.up();
        let hidden = self.rows.len().saturating_sub(ROWS);
        for row in self.rows.iter().skip(hidden) {
            let text = row.state.text();
            picture.extend(["\x1b[2K", row.name.as_str(), "  ", text.as_str(), "\n"]);
        }
        self.drawn = self.rows.len() - hidden;
        self.print(&picture);
    }

    fn up(&self) -> String {
        if self.drawn == 0 { String::new() } else { format!("\x1b[{}A", self.drawn) }
    }

    #[expect(clippy::unused_self, reason = "only a live board draws")]
    fn print(&self, text: &str) {
        let _ = std::io::stderr().lock().write_all(text.as_bytes());
    }
}

impl State {
    fn text(self) -> String {
        match self {
            Self::Waiting => "waiting".to_owned(),
            Self::Stored => "stored".to_owned(),
            Self::Done(how) => how.to_owned(),
            Self::Moving(done, total) => {
                let part = done as f64 / total.max(1) as f64;
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "between 0 and BAR"
                )]
                let full = ((part * BAR as f64) as usize).min(BAR);
                let bar = format!("{}{}", "#".repeat(full), ".".repeat(BAR - full));
                format!("[{bar}] {} of {}", format_bytes(done), format_bytes(total))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_never_longer_than_its_place() {
        assert!(State::Moving(5, 10).text().starts_with("[############............] "));
        assert!(State::Moving(20, 10).text().starts_with(&format!("[{}]", "#".repeat(BAR))));
        assert!(State::Moving(0, 0).text().starts_with("[....."));
    }
}
