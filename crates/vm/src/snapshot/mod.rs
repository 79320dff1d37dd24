//! Saved states of machines: what a snapshot holds, how one is taken, and how
//! an instance gets one back.
//!
//! The disk's part of a snapshot is a list of layers that nobody writes to any
//! more; they stay in the instance's folder. The memory's part is a file in the
//! snapshot's own folder with every page at a place of its own
//! (QEMU, `docs/devel/migration/mapped-ram.rst`).

mod restore;
mod resume;
mod state;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tandem_backend::{BackendError, ControlRequest, ask};

use crate::disk::Chain;
pub use restore::{give_back, give_to_new};
pub(crate) use resume::{DEVICES, Resume, Source};
pub use state::MachineState;

/// Name of the memory's file in a snapshot's folder.
pub const MEMORY: &str = "memory";

/// What a snapshot holds of a machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Saved {
    /// The disk's layers, in the instance's folder.
    pub chain: Chain,
    /// What the memory fits to; `None` without memory.
    pub memory: Option<MachineState>,
}

/// A state that was just saved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Taken {
    /// What it is.
    pub saved: Saved,
    /// Nanoseconds that the guest stood still, at most; `None` when it stood
    /// still before.
    pub pause_ns: Option<u64>,
}

/// What a supervisor of a machine is asked besides what all are.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub(crate) enum Request {
    /// Save the state.
    Save {
        /// An empty folder for the memory.
        to: PathBuf,
        /// With the memory.
        memory: bool,
    },
    /// What the guest has: [`GuestSize`].
    Size,
    /// Save the devices of a machine whose memory is a file, and leave it
    /// standing still.
    Freeze {
        /// The file for the devices.
        to: PathBuf,
    },
}

/// What a guest has, as its kernel says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestSize {
    /// Processors online.
    pub cpus: u32,
    /// Memory that the kernel manages, bytes.
    pub memory_bytes: u64,
}

/// Asks the running machine in the folder `dir` what its guest has. `Ok(None)`
/// says that it does not run.
pub async fn guest_size(dir: &Path) -> Result<Option<GuestSize>, BackendError> {
    let unreadable = |e| BackendError::engine("the supervisor", e);
    let request = serde_json::to_value(Request::Size).map_err(unreadable)?;
    let answer = ask(dir, &ControlRequest::Own { request }).await?;
    answer.map(|answer| serde_json::from_value(answer).map_err(unreadable)).transpose()
}

/// Saves the state of the running machine in the folder `dir`, its memory into
/// the empty folder `to`. `Ok(None)` says that it does not run.
pub async fn save_running(
    dir: &Path,
    to: &Path,
    memory: bool,
) -> Result<Option<Taken>, BackendError> {
    let request = Request::Save { to: to.to_owned(), memory };
    let unreadable = |e| BackendError::engine("the supervisor", e);
    let request = serde_json::to_value(request).map_err(unreadable)?;
    let answer = ask(dir, &ControlRequest::Own { request }).await?;
    answer.map(|answer| serde_json::from_value(answer).map_err(unreadable)).transpose()
}

/// Saves the disk of a machine that does not run, in the folder `dir`. The
/// caller keeps it from being started. `Ok(None)` says that it has no disk: it
/// has never run.
pub fn save_stopped(dir: &Path) -> Result<Option<Saved>, BackendError> {
    let chain = Chain::load(dir)?;
    if !dir.join(chain.top()).exists() {
        return Ok(None);
    }
    chain.grow(dir)?;
    Ok(Some(Saved { chain, memory: None }))
}
