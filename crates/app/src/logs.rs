use std::{collections::VecDeque, time::Duration};

use jiff::Timestamp;
use tandem_backend::{LogLine, LogReader, Stream};

use crate::{App, AppError};

/// How much of a log to show.
#[derive(Debug, Clone, Copy, Default)]
pub struct LogOptions {
    /// Go on until the instance ends.
    pub follow: bool,
    /// Only so many of the lines that are there; all when `None`.
    pub tail: Option<usize>,
    /// Only what was written at that moment or later.
    pub since: Option<Timestamp>,
    /// Only what was written before that moment.
    pub until: Option<Timestamp>,
}

/// A line of a log as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, ts_rs::TS)]
pub struct LogRow {
    /// RFC 3339.
    #[ts(type = "string")]
    pub time: Timestamp,
    /// It was written to standard error.
    pub error: bool,
    /// The line without its end.
    pub text: String,
}

impl From<LogLine> for LogRow {
    fn from(line: LogLine) -> Self {
        let text = line.text.trim_end_matches(['\r', '\n']).to_owned();
        Self { time: line.time, error: line.stream == Stream::Stderr, text }
    }
}

impl LogOptions {
    fn shows(&self, line: &LogLine) -> bool {
        self.since.is_none_or(|since| line.time >= since)
            && self.until.is_none_or(|until| line.time < until)
    }
}

/// So often a log is looked at that tells nothing of itself.
const LOOK: Duration = Duration::from_secs(1);

impl App {
    /// Hands the lines of an instance's log to `line`.
    pub async fn logs(
        &self,
        instance: &str,
        options: LogOptions,
        line: &mut (dyn FnMut(LogLine) + Send),
    ) -> Result<(), AppError> {
        let record = self.instances.find(instance)?;
        let mut changes = options.follow.then(|| self.changes_of_logs(&record));
        let id = record.id;
        let path = self.instances.log_path(&id);
        let mut reader = None;
        let mut first = options.tail;
        loop {
            // The state is read before the log: what is written in between is
            // then still shown.
            let past = options.until.is_some_and(|until| Timestamp::now() >= until);
            let over = !options.follow || past || !self.is_up(&id)?;
            if reader.is_none() {
                reader = LogReader::open(&path)?;
            }
            if let Some(reader) = &mut reader {
                let lines = std::iter::from_fn(|| reader.next_line());
                let lines = lines.filter(|line| options.shows(line));
                match first.take() {
                    Some(tail) => last(lines, tail).into_iter().for_each(&mut *line),
                    None => lines.for_each(&mut *line),
                }
            }
            let Some(changes) = changes.as_mut().filter(|_| !over) else { return Ok(()) };
            let rest = options.until.map(|until| until.duration_since(Timestamp::now()));
            let rest = rest.and_then(|rest| Duration::try_from(rest).ok());
            changes.within(rest.map_or(LOOK, |rest| rest.min(LOOK))).await;
        }
    }
}

/// The last `count` of them, however many there are.
fn last<T>(all: impl Iterator<Item = T>, count: usize) -> VecDeque<T> {
    let mut kept = VecDeque::new();
    for one in all {
        kept.push_back(one);
        if kept.len() > count {
            kept.pop_front();
        }
    }
    kept
}
