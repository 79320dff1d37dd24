use std::{
    fs::File,
    os::{fd::AsRawFd as _, unix::fs::PermissionsExt as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use tandem_model::{Failure, Resources};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{UnixListener, UnixStream},
};

use crate::BackendError;

/// What one may ask of a running instance's supervisor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum ControlRequest {
    /// Ask the app to stop; kill it after `grace_ms`. Answered when the
    /// instance has ended and everything is cleaned up.
    Stop {
        /// Milliseconds to SIGKILL; the spec's limit when `None`.
        grace_ms: Option<u64>,
    },
    /// Send a signal to the app.
    Signal {
        /// The signal's number.
        number: i32,
    },
    /// The owner gives the instance up: it stands on its own from now on.
    Disown,
    /// Hold every process of the app still.
    Pause,
    /// Let them go on.
    Resume,
    /// Hold every process still as long as this connection stands.
    Hold,
    /// Change the limits while the app runs. Answered when the kernel has
    /// confirmed them.
    Update {
        /// The new limits, all of them.
        resources: Resources,
    },
}

/// The longest request that is read, in bytes.
const LONGEST: u64 = 64 * 1024;

const NAME: &str = "control.sock";

/// A Unix socket's path may have 108 bytes only (unix(7)), and homes lie
/// deeper. Through `/proc/self/fd/N` any folder is near.
fn near(dir: &Path) -> Result<(File, PathBuf), BackendError> {
    let folder = File::open(dir).map_err(|e| BackendError::io("open", dir, e))?;
    let path = PathBuf::from(format!("/proc/self/fd/{}/{NAME}", folder.as_raw_fd()));
    Ok((folder, path))
}

/// Listens in the instance's folder; the socket is 0600.
pub(crate) fn listen(dir: &Path) -> Result<UnixListener, BackendError> {
    let socket = dir.join(NAME);
    let io = |e| BackendError::io("listen on", &socket, e);
    let _ = std::fs::remove_file(&socket);
    let (_folder, path) = near(dir)?;
    let listener = UnixListener::bind(path).map_err(io)?;
    std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o600)).map_err(io)?;
    Ok(listener)
}

/// Reads the one request of a connection.
pub(crate) async fn receive(stream: &mut UnixStream) -> Option<ControlRequest> {
    let mut line = String::new();
    BufReader::new(stream).take(LONGEST).read_line(&mut line).await.ok()?;
    serde_json::from_str(&line).ok()
}

/// Answers a request.
pub(crate) async fn answer(stream: &mut UnixStream, result: Result<(), Failure>) {
    let mut bytes = serde_json::to_vec(&result).unwrap_or_default();
    bytes.push(b'\n');
    let _ = stream.write_all(&bytes).await;
}

/// Asks the supervisor of the instance in `dir` and waits for its answer.
/// `Ok(false)` says that no supervisor is there.
pub async fn call(dir: &Path, request: &ControlRequest) -> Result<bool, BackendError> {
    let Ok((_folder, path)) = near(dir) else { return Ok(false) };
    let Ok(mut stream) = UnixStream::connect(path).await else { return Ok(false) };
    let io = |e| BackendError::io("ask the supervisor in", dir, e);
    let mut bytes = serde_json::to_vec(request).unwrap_or_default();
    bytes.push(b'\n');
    stream.write_all(&bytes).await.map_err(io)?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).await.map_err(io)?;
    // An empty answer: the supervisor ended while it served us.
    match serde_json::from_str::<Result<(), Failure>>(&line) {
        Ok(result) => Ok(result.map(|()| true)?),
        Err(_) => Ok(false),
    }
}

/// An instance whose processes are held still until this is dropped, also
/// when the holder is killed.
#[derive(Debug)]
pub struct Held {
    _connection: UnixStream,
}

/// Holds an instance still. `Ok(None)` says that no supervisor is there.
pub async fn hold(dir: &Path) -> Result<Option<Held>, BackendError> {
    let Ok((_folder, path)) = near(dir) else { return Ok(None) };
    let Ok(mut stream) = UnixStream::connect(path).await else { return Ok(None) };
    let io = |e| BackendError::io("ask the supervisor in", dir, e);
    let mut bytes = serde_json::to_vec(&ControlRequest::Hold).unwrap_or_default();
    bytes.push(b'\n');
    stream.write_all(&bytes).await.map_err(io)?;
    let mut line = String::new();
    BufReader::new(&mut stream).read_line(&mut line).await.map_err(io)?;
    match serde_json::from_str::<Result<(), Failure>>(&line) {
        Ok(result) => Ok(result.map(|()| Some(Held { _connection: stream }))?),
        Err(_) => Ok(None),
    }
}

/// Resolves when whoever holds the connection has closed it.
pub(crate) async fn released(stream: &mut UnixStream) {
    let mut rest = [0; 64];
    while matches!(stream.read(&mut rest).await, Ok(1..)) {}
}
