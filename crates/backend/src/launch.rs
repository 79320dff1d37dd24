use std::{
    fs::OpenOptions,
    os::{fd::OwnedFd, unix::fs::OpenOptionsExt as _},
    path::Path,
    process::Stdio,
};

use serde::{Deserialize, Serialize};
use tandem_model::{Failure, InstanceId, Phase};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{ChildStdout, Command},
};

use crate::{BackendError, InstanceStore};

/// First argument of the hidden entry point that runs a supervisor:
/// `tandem __supervise HOME ID [attached]`.
pub const SUPERVISE: &str = "__supervise";

/// Its third argument when standard input is a connection.
pub const ATTACHED: &str = "attached";

/// What a supervisor tells the command that started it, a JSON line each on
/// its standard output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum LaunchEvent {
    /// A slice of the launch ended.
    Phase {
        /// The slice.
        phase: Phase,
    },
    /// The app's process was executed.
    Started,
    /// The launch failed and was cleaned up.
    Failed {
        /// Why.
        failure: Failure,
    },
}

/// A launch as the starting command sees it. Dropping it before
/// [`LaunchEvent::Started`] closes the pipe, and the supervisor cancels.
pub(crate) struct LaunchStream {
    lines: Lines<BufReader<ChildStdout>>,
}

impl LaunchStream {
    /// Spawns the supervisor of an instance with `program`, the `tandem`
    /// executable. The child is waited for in the background. The other end of
    /// `attached` asks to be attached.
    pub(crate) fn spawn(
        program: &Path,
        store: &InstanceStore,
        id: &InstanceId,
        attached: Option<OwnedFd>,
    ) -> Result<Self, BackendError> {
        let log = store.dir(id).join("logs/supervisor.log");
        let errors = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&log)
            .map_err(|e| BackendError::io("open", &log, e))?;
        let mut child = Command::new(program)
            .arg(SUPERVISE)
            .arg(store.home().root())
            .arg(id.as_str())
            .args(attached.is_some().then_some(ATTACHED))
            .stdin(attached.map_or_else(Stdio::null, Stdio::from))
            .stdout(Stdio::piped())
            .stderr(errors)
            .kill_on_drop(false)
            .spawn()
            .map_err(|e| BackendError::io("start", program, e))?;
        let stdout = child.stdout.take().expect("standard output was asked for");
        tokio::spawn(async move { child.wait().await });
        Ok(Self { lines: BufReader::new(stdout).lines() })
    }

    /// The next event; an error when the supervisor ended without a word.
    pub(crate) async fn next(&mut self) -> Result<LaunchEvent, BackendError> {
        let line = self.lines.next_line().await.ok().flatten();
        line.and_then(|line| serde_json::from_str(&line).ok()).ok_or_else(|| {
            BackendError::engine(
                "the supervisor",
                "it ended unexpectedly; see logs/supervisor.log of the instance",
            )
        })
    }
}
