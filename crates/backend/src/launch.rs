use std::{
    fs::{File, OpenOptions},
    os::{fd::OwnedFd, unix::fs::OpenOptionsExt as _},
    path::Path,
    process::Stdio,
};

use serde::{Deserialize, Serialize};
use tandem_model::{Failure, InstanceId, Phase};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    net::UnixStream,
    process::{Child, ChildStdout, Command},
};

use crate::{AttachWishes, BackendError, InstanceStore, attach::request};

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
    /// Starts the supervisor of an instance with `program`, the `tandem`
    /// executable. Whoever has `wishes` gets a connection on which it has asked
    /// for them.
    pub(crate) async fn begin(
        program: &Path,
        store: &InstanceStore,
        id: &InstanceId,
        wishes: Option<AttachWishes>,
    ) -> Result<(Self, Option<UnixStream>), BackendError> {
        let (ours, theirs) = match wishes {
            Some(wishes) => {
                let (ours, theirs) = connection(wishes).await?;
                (Some(ours), Some(theirs))
            }
            None => (None, None),
        };
        let mut child = Command::new(program)
            .arg(SUPERVISE)
            .arg(store.home().root())
            .arg(id.as_str())
            .args(theirs.is_some().then_some(ATTACHED))
            .stdin(theirs.map_or_else(Stdio::null, Stdio::from))
            .stdout(Stdio::piped())
            .stderr(open_log(store, id)?)
            .kill_on_drop(false)
            .spawn()
            .map_err(|e| BackendError::io("start", program, e))?;
        let stdout = child.stdout.take().expect("standard output was asked for");
        Ok((Self::of(child, stdout), ours))
    }

    /// What a supervisor says. It is waited for in the background.
    pub(crate) fn of(mut child: Child, stdout: ChildStdout) -> Self {
        tokio::spawn(async move { child.wait().await });
        Self { lines: BufReader::new(stdout).lines() }
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

/// A connection on which somebody asks to be attached, and its other end.
async fn connection(wishes: AttachWishes) -> Result<(UnixStream, OwnedFd), BackendError> {
    let failed = |e| BackendError::engine("attaching", e);
    let (mut ours, theirs) = UnixStream::pair().map_err(failed)?;
    request(&mut ours, wishes).await.map_err(failed)?;
    Ok((ours, theirs.into_std().map_err(failed)?.into()))
}

/// Where a supervisor writes what it has to complain of.
pub(crate) fn open_log(store: &InstanceStore, id: &InstanceId) -> Result<File, BackendError> {
    let log = store.dir(id).join("logs/supervisor.log");
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(&log)
        .map_err(|e| BackendError::io("open", &log, e))
}
