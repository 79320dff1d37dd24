use std::time::Duration;

use tandem_backend::{BackendError, LogLine, LogReader};
use tandem_model::{InstanceId, InstanceRecord};

use crate::{App, AppError};

/// How much of a log to show.
#[derive(Debug, Clone, Copy, Default)]
pub struct LogOptions {
    /// Go on until the instance ends.
    pub follow: bool,
    /// Only so many of the lines that are there; all when `None`.
    pub tail: Option<usize>,
}

/// How often a log that grows, or a state that changes, is looked at.
const LOOK: Duration = Duration::from_millis(20);

impl App {
    /// Hands the lines of an instance's log to `line`.
    pub async fn logs(
        &self,
        instance: &str,
        options: LogOptions,
        line: &mut (dyn FnMut(LogLine) + Send),
    ) -> Result<(), AppError> {
        let id = self.instances.find(instance)?.id;
        let path = self.instances.log_path(&id);
        let mut reader = None;
        let mut first = options.tail;
        loop {
            // The state is read before the log: what is written in between is
            // then still shown.
            let over = !options.follow || !self.is_up(&id)?;
            if reader.is_none() {
                reader = LogReader::open(&path)?;
            }
            if let Some(reader) = &mut reader {
                let lines = std::iter::from_fn(|| reader.next_line());
                match first.take() {
                    Some(tail) => {
                        let lines: Vec<_> = lines.collect();
                        let skip = lines.len().saturating_sub(tail);
                        lines.into_iter().skip(skip).for_each(&mut *line);
                    }
                    None => lines.for_each(&mut *line),
                }
            }
            if over {
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Resolves once the instance has ended: with its record, unless it was to
    /// be removed then.
    pub(crate) async fn ended(&self, id: &InstanceId) -> Result<Option<InstanceRecord>, AppError> {
        while self.is_up(id)? {
            tokio::time::sleep(LOOK).await;
        }
        match self.instances.load(id) {
            Err(BackendError::NoInstance(_)) => Ok(None),
            other => Ok(Some(other?)),
        }
    }

    /// Whether it is starting or running. An instance that is gone is not.
    fn is_up(&self, id: &InstanceId) -> Result<bool, AppError> {
        match self.instances.load(id) {
            Ok(record) => {
                Ok(record.state.is_up()
                    && record.runtime.supervisor.is_some_and(tandem_probe::alive))
            }
            Err(BackendError::NoInstance(_)) => Ok(false),
            Err(e) => Err(e.into()),
        }
    }
}
