//! A build on a terminal: the steps that run stand below, with their time and
//! their last lines, and those that have ended above, with what they took.

use std::{
    collections::VecDeque,
    io::{self, Write as _},
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use tandem_backend::WindowSize;
use tandem_build::BuildEvent;
use tandem_report::{format_bytes, format_duration};

use crate::output::plain;

/// Between two pictures while nothing happens.
const PAUSE: Duration = Duration::from_millis(100);
/// So many lines of each step that runs are shown.
const LINES: usize = 4;

/// What a build looks like.
struct Screen {
    color: bool,
    running: Vec<Step>,
}

struct Step {
    index: u32,
    /// `[2/6]`.
    number: String,
    instruction: String,
    begun: Instant,
    lines: VecDeque<String>,
}

impl Step {
    /// Its line, with how long it took and how much it made.
    fn line(&self, time: &str, bytes: &str) -> String {
        format!("{} {time:>8} {bytes:>10}  {}", self.number, self.instruction)
    }
}

impl Screen {
    /// Takes an event in. Returns the line that stays on the screen for it.
    fn tell(&mut self, event: &BuildEvent, now: Instant) -> Option<String> {
        match event {
            BuildEvent::StepStarted { index, total, instruction, .. } => {
                let width = total.to_string().len();
                self.running.push(Step {
                    index: *index,
                    number: format!("[{index:>width$}/{total}]"),
                    instruction: plain(instruction),
                    begun: now,
                    lines: VecDeque::new(),
                });
                None
            }
            BuildEvent::Output { index, line, .. } => {
                let step = self.running.iter_mut().find(|step| step.index == *index)?;
                step.lines.push_back(plain(line));
                if step.lines.len() > LINES {
                    step.lines.pop_front();
                }
                None
            }
            BuildEvent::StepCached { index } => {
                let step = self.ended(*index)?;
                Some(self.painted("36", &step.line("cached", "")))
            }
            BuildEvent::StepFinished { index, elapsed_ns, bytes } => {
                let step = self.ended(*index)?;
                let size = if *bytes == 0 { String::new() } else { format_bytes(*bytes) };
                Some(self.painted("32", &step.line(&format_duration(*elapsed_ns), &size)))
            }
            BuildEvent::Substituted(it) => {
                Some(format!("tandem: {} stands in for {}", plain(&it.to), plain(&it.from)))
            }
            BuildEvent::Warning { message, .. } => {
                Some(self.painted("33", &format!("warning: {}", plain(message))))
            }
            BuildEvent::Done { .. } => None,
        }
    }

    fn ended(&mut self, index: u32) -> Option<Step> {
        let at = self.running.iter().position(|step| step.index == index)?;
        Some(self.running.remove(at))
    }

    /// What stands below, at most so many lines: of each step its own one, and
    /// where there is room its last ones.
    fn below(&self, now: Instant, most: usize) -> Vec<String> {
        let shown = self.running.iter().take(most);
        let mut room = most.saturating_sub(self.running.len());
        let mut rows = Vec::new();
        for step in shown {
            let time = now.duration_since(step.begun).as_secs_f64() * 1e9;
            rows.push(step.line(&format_duration(time), ""));
            let few = step.lines.len().min(room);
            room -= few;
            for line in step.lines.iter().skip(step.lines.len() - few) {
                rows.push(self.painted("2", &format!("      {line}")));
            }
        }
        rows
    }

    fn painted(&self, color: &str, text: &str) -> String {
        if self.color { format!("\x1b[{color}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// The screen with what stands on it now.
struct Drawn {
    screen: Screen,
    rows: usize,
}

impl Drawn {
    /// Draws what stands below anew, and above it a line that stays.
    fn draw(&mut self, above: Option<&str>, below: &[String]) {
        let mut picture = match self.rows {
            0 => String::new(),
            rows => format!("\x1b[{rows}A\r\x1b[J"),
        };
        picture.extend(above.into_iter().flat_map(|line| [line, "\n"]));
        // A line that is too long is cut, so that each takes one of the screen.
        picture.push_str("\x1b[?7l");
        picture.extend(below.iter().flat_map(|line| [line.as_str(), "\n"]));
        picture.push_str("\x1b[?7h");
        self.rows = below.len();
        let _ = io::stderr().lock().write_all(picture.as_bytes());
    }

    fn refresh(&mut self, above: Option<&str>) {
        let rows = WindowSize::of(io::stderr()).map_or(24, |size| size.rows);
        let below = self.screen.below(Instant::now(), usize::from(rows).saturating_sub(2));
        if above.is_some() || self.rows > 0 || !below.is_empty() {
            self.draw(above, &below);
        }
    }
}

/// The same on standard error, drawn again and again until this is dropped.
pub(super) struct Live {
    drawn: Arc<Mutex<Drawn>>,
    end: Option<mpsc::Sender<()>>,
    drawing: Option<JoinHandle<()>>,
}

impl Live {
    pub(super) fn new(color: bool) -> Self {
        let screen = Screen { color, running: Vec::new() };
        let drawn = Arc::new(Mutex::new(Drawn { screen, rows: 0 }));
        let (end, ended) = mpsc::channel();
        let shared = Arc::clone(&drawn);
        let draw = move || {
            while ended.recv_timeout(PAUSE) == Err(mpsc::RecvTimeoutError::Timeout) {
                locked(&shared).refresh(None);
            }
        };
        // Without a thread the times stand still between two events.
        let drawing = std::thread::Builder::new().name("screen".to_owned()).spawn(draw).ok();
        Self { drawn, end: Some(end), drawing }
    }

    pub(super) fn tell(&self, event: &BuildEvent) {
        let mut drawn = locked(&self.drawn);
        let above = drawn.screen.tell(event, Instant::now());
        // What a step writes is shown with the next picture.
        if !matches!(event, BuildEvent::Output { .. }) {
            drawn.refresh(above.as_deref());
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(drawing) = self.drawing.take() {
            let _ = drawing.join();
        }
        locked(&self.drawn).draw(None, &[]);
    }
}

fn locked(drawn: &Mutex<Drawn>) -> MutexGuard<'_, Drawn> {
    drawn.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use tandem_build::OutputStream;

    use super::*;

    fn started(index: u32, instruction: &str) -> BuildEvent {
        let (stage, instruction) = ("0".to_owned(), instruction.to_owned());
        BuildEvent::StepStarted { index, total: 10, stage, instruction, line: index }
    }

    fn output(index: u32, line: &str) -> BuildEvent {
        BuildEvent::Output { index, stream: OutputStream::Stdout, line: line.to_owned() }
    }

    #[test]
    fn what_runs_stands_below_and_what_has_ended_above() {
        let begin = Instant::now();
        let mut screen = Screen { color: false, running: Vec::new() };
        assert_eq!(screen.tell(&started(1, "FROM a"), begin), None);
        assert_eq!(screen.tell(&started(2, "RUN \x1b[31mx"), begin), None);
        for line in 1..=9 {
            assert_eq!(screen.tell(&output(2, &format!("line {line}")), begin), None);
        }
        let later = begin + Duration::from_millis(1500);
        let rows = screen.below(later, 20);
        assert_eq!(rows[0], "[ 1/10]   1.50 s             FROM a");
        assert_eq!(rows[1], "[ 2/10]   1.50 s             RUN  [31mx");
        assert_eq!(rows[2..], ["6", "7", "8", "9"].map(|n| format!("      line {n}")));
        // A low window has room for the steps first.
        assert_eq!(screen.below(later, 3).len(), 3);
        assert_eq!(screen.below(later, 1).len(), 1);
        let finished = BuildEvent::StepFinished { index: 2, elapsed_ns: 2_000_000, bytes: 2048 };
        let line = screen.tell(&finished, later).unwrap();
        assert_eq!(line, "[ 2/10]   2.0 ms    2.0 KiB  RUN  [31mx");
        let line = screen.tell(&BuildEvent::StepCached { index: 1 }, later).unwrap();
        assert_eq!(line, "[ 1/10]   cached             FROM a");
        assert!(screen.below(later, 20).is_empty());
        assert_eq!(screen.tell(&output(2, "late"), later), None);
    }

    #[test]
    fn colors_are_for_those_who_want_them() {
        let mut screen = Screen { color: true, running: Vec::new() };
        let message = "odd\nthing".to_owned();
        let warning = BuildEvent::Warning { line: None, message };
        let line = screen.tell(&warning, Instant::now()).unwrap();
        assert_eq!(line, "\x1b[33mwarning: odd thing\x1b[0m");
    }
}
