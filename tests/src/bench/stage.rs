//! The clock and the time limit of every trial.

use std::{
    fs::File,
    io::{Read as _, Seek as _},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use tandem_probe::now;
use tokio::runtime::Runtime;

/// How long one command may take.
const LIMIT: Duration = Duration::from_mins(5);

/// Where trials run: an event loop, and Ctrl-C as something one can ask for.
pub(crate) struct Stage {
    pub(crate) runtime: Runtime,
    interrupted: Arc<AtomicBool>,
}

impl Stage {
    pub(crate) fn new() -> Result<Self> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let interrupted = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&interrupted);
        runtime.spawn(async move {
            if tokio::signal::ctrl_c().await.is_ok() {
                flag.store(true, Ordering::Relaxed);
            }
        });
        Ok(Self { runtime, interrupted })
    }

    /// Whether a person wants it to end.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    /// Resolves when a person wants it to end.
    pub(crate) async fn interruption(&self) {
        while !self.is_interrupted() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Nanoseconds from the start of a command to its successful end.
    pub(crate) fn time(&self, mut command: Command) -> Result<f64> {
        // A file, not a pipe: whoever the command leaves behind may hold it.
        let mut errors = tempfile::tempfile()?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors.try_clone()?);
        let text = format!("{command:?}");
        let mut command = tokio::process::Command::from(command);
        let (elapsed, status) = self.runtime.block_on(async {
            let begin = now();
            let mut child = command.spawn().with_context(|| format!("cannot start {text}"))?;
            let ended = tokio::time::timeout(LIMIT, child.wait()).await;
            let elapsed = now().since(begin);
            let Ok(status) = ended else {
                let _ = child.kill().await;
                bail!("{text} took longer than {} s", LIMIT.as_secs());
            };
            Ok((elapsed, status?))
        })?;
        if !status.success() {
            bail!("{text} ended with {status}: {}", last_words(&mut errors));
        }
        Ok(elapsed as f64)
    }
}

/// The end of what was written to a file.
pub(crate) fn last_words(file: &mut File) -> String {
    let mut text = String::new();
    let _ = file.rewind().and_then(|()| file.take(1 << 16).read_to_string(&mut text));
    let lines: Vec<&str> = text.trim().lines().collect();
    lines[lines.len().saturating_sub(5)..].join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_command_that_succeeds_has_a_time() {
        let stage = Stage::new().unwrap();
        assert!(stage.time(Command::new("true")).unwrap() > 0.0);
        let mut command = Command::new("sh");
        command.args(["-c", "echo why >&2; exit 3"]);
        let error = stage.time(command).unwrap_err().to_string();
        assert!(error.contains("why") && error.contains('3'), "{error}");
        assert!(stage.time(Command::new("/nonexistent")).is_err());
    }
}
