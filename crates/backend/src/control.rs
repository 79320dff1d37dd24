use std::{
    fs::File,
    io,
    os::{fd::AsRawFd as _, unix::fs::PermissionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use tandem_model::{Failure, Membership, Resources, RestartPolicy};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{UnixListener, UnixStream},
};

use crate::{AttachWishes, Attached, BackendError, attach::request};

/// What one may ask of a running instance's supervisor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum ControlRequest {
    /// Ask the app to stop; kill it after `grace_ms`. Answered when the
    /// instance has ended and everything is cleaned up.
    Stop {
        /// Milliseconds to SIGKILL; the spec's limit when `None`.
        grace_ms: Option<u64>,
        /// The signal's number; the spec's when `None`.
        #[serde(default)]
        signal: Option<i32>,
    },
    /// Send a signal to the app.
    Signal {
        /// The signal's number.
        number: i32,
    },
    /// The owner gives the instance up: it stands on its own from now on, and
    /// is still removed at its end when its specification says so.
    Disown,
    /// It stays at its next end, though its specification says that it is
    /// removed then: somebody is about to start it again.
    Keep,
    /// Hold every process of the app still.
    Pause,
    /// Let them go on.
    Resume,
    /// Hold every process still as long as this connection stands.
    Hold,
    /// The same with what is in their memory written into a folder. Answered
    /// with the nanoseconds for which they have been held.
    Checkpoint {
        /// An empty folder.
        into: PathBuf,
    },
    /// Change the limits while the app runs. Answered when the kernel has
    /// confirmed them.
    Update {
        /// The new limits, all of them.
        resources: Resources,
    },
    /// Change when the app is started again after its end.
    Restart {
        /// The new policy.
        policy: RestartPolicy,
    },
    /// Be called something else.
    Rename {
        /// The new name, which nobody else has.
        name: String,
    },
    /// Join a network beside the one that the app was started on.
    Join {
        /// Which, and under which names.
        membership: Membership,
    },
    /// Leave a network that was joined so.
    Leave {
        /// Its name.
        network: String,
    },
    /// Be attached: after the answer the connection carries frames.
    Attach {
        /// How.
        wishes: AttachWishes,
    },
    /// Something that only this kind of instance knows.
    Own {
        /// What, in the backend's own terms.
        request: Value,
    },
    /// Speak with something of the instance's: after the answer the connection
    /// is that one's.
    Connect {
        /// With what.
        peer: Peer,
    },
}

/// What of an instance one may speak with. Not every backend has each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Peer {
    /// A virtual machine's agent.
    Agent,
    /// A virtual machine's serial console.
    Console,
}

/// The longest request that is read, in bytes.
const LONGEST: usize = 64 * 1024;

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

/// Reads a line, and not a byte beyond it: frames may follow.
pub(crate) async fn read_line(stream: &mut UnixStream) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    loop {
        let byte = stream.read_u8().await?;
        if byte == b'\n' {
            return Ok(line);
        }
        if line.len() == LONGEST {
            return Err(io::ErrorKind::InvalidData.into());
        }
        line.push(byte);
    }
}

/// Writes a value as a line of JSON.
pub(crate) async fn write_line(stream: &mut UnixStream, value: &impl Serialize) -> io::Result<()> {
    let mut bytes = serde_json::to_vec(value)?;
    bytes.push(b'\n');
    stream.write_all(&bytes).await
}

/// Reads the one request of a connection.
pub(crate) async fn receive(stream: &mut UnixStream) -> Option<ControlRequest> {
    serde_json::from_slice(&read_line(stream).await.ok()?).ok()
}

/// Answers a request.
pub(crate) async fn answer(stream: &mut UnixStream, result: Result<(), Failure>) {
    let _ = write_line(stream, &result).await;
}

/// Sends a request and waits for the answer; `None` says that no supervisor
/// is there, or that it ended while it served us.
async fn exchange<T: DeserializeOwned>(
    dir: &Path,
    request: &ControlRequest,
) -> Result<Option<(UnixStream, Result<T, Failure>)>, BackendError> {
    let Ok((_folder, path)) = near(dir) else { return Ok(None) };
    let Ok(mut stream) = UnixStream::connect(path).await else { return Ok(None) };
    let io = |e| BackendError::io("ask the supervisor in", dir, e);
    match write_line(&mut stream, request).await {
        Err(e) if gone(&e) => return Ok(None),
        other => other.map_err(io)?,
    }
    match read_line(&mut stream).await {
        Ok(line) => Ok(serde_json::from_slice(&line).ok().map(|answer| (stream, answer))),
        Err(e) if gone(&e) => Ok(None),
        Err(e) => Err(io(e)),
    }
}

/// Whether the other side has ended.
fn gone(e: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(e.kind(), BrokenPipe | ConnectionReset | UnexpectedEof)
}

/// Answers a request with a value.
pub(crate) async fn answer_with(stream: &mut UnixStream, result: Result<Value, Failure>) {
    let _ = write_line(stream, &result).await;
}

/// Like [`call`], with what the supervisor says. `Ok(None)` says that no
/// supervisor is there.
pub async fn ask(dir: &Path, request: &ControlRequest) -> Result<Option<Value>, BackendError> {
    let answered = exchange(dir, request).await?;
    Ok(answered.map(|(_, answer)| answer).transpose()?)
}

/// Asks the supervisor of the instance in `dir` and waits for its answer.
/// `Ok(false)` says that no supervisor is there.
pub async fn call(dir: &Path, request: &ControlRequest) -> Result<bool, BackendError> {
    match exchange::<()>(dir, request).await? {
        Some((_, answer)) => Ok(answer.map(|()| true)?),
        None => Ok(false),
    }
}

/// Attaches to the app of the instance in `dir`. `Ok(None)` says that no
/// supervisor is there.
pub(crate) async fn attach(
    dir: &Path,
    wishes: AttachWishes,
) -> Result<Option<Attached>, BackendError> {
    let Ok((_folder, path)) = near(dir) else { return Ok(None) };
    let Ok(mut stream) = UnixStream::connect(path).await else { return Ok(None) };
    if request(&mut stream, wishes).await.is_err() {
        return Ok(None);
    }
    Attached::accepted(stream).await
}

/// Connects to something of the instance in `dir`. `Ok(None)` says that no
/// supervisor is there.
pub async fn connect(dir: &Path, peer: Peer) -> Result<Option<UnixStream>, BackendError> {
    match exchange::<()>(dir, &ControlRequest::Connect { peer }).await? {
        Some((stream, answer)) => Ok(answer.map(|()| Some(stream))?),
        None => Ok(None),
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
    match exchange::<()>(dir, &ControlRequest::Hold).await? {
        Some((stream, answer)) => Ok(answer.map(|()| Some(Held { _connection: stream }))?),
        None => Ok(None),
    }
}

/// The same with the memory of its processes in the folder `into`, and for
/// how long they have been held.
pub async fn hold_with_memory(
    dir: &Path,
    into: &Path,
) -> Result<Option<(Held, Duration)>, BackendError> {
    let request = ControlRequest::Checkpoint { into: into.to_owned() };
    match exchange::<u64>(dir, &request).await? {
        Some((stream, answer)) => {
            let held = Duration::from_nanos(answer?);
            Ok(Some((Held { _connection: stream }, held)))
        }
        None => Ok(None),
    }
}

/// Resolves when whoever holds the connection has closed it.
pub(crate) async fn released(stream: &mut UnixStream) {
    let mut rest = [0; 64];
    while matches!(stream.read(&mut rest).await, Ok(1..)) {}
}
