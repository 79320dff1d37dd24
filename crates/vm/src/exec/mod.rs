//! A further command in a machine that runs.
//!
//! ```text
//! tandem exec ─spawns─▶ tandem __vm-exec ═ control socket ═▶ supervisor ═ channel ═▶ agent ─▶ command
//! ```
//!
//! The helper has the caller's streams and terminal; the supervisor joins its
//! connection with a task of the agent. Frames on the connection are those of
//! the channel, with the one task 1. When either side goes away the command
//! ends.

mod client;
mod relay;
mod streams;

use std::{path::Path, process::Command};

use tandem_backend::{BackendError, exec_helper};
use tandem_guest::wire::Failure;
use tandem_home::Home;
use tandem_model::{ExecSpec, InstanceId};

pub use client::vm_exec_main;
pub(crate) use relay::relay;

/// First argument of the hidden entry point: `tandem __vm-exec HOME ID`.
pub const VM_EXEC: &str = "__vm-exec";

/// The number of a connection's task.
const TASK: u32 = 1;

/// A command that, run with the caller's streams, executes `spec` in the
/// instance and ends with its exit code.
pub(crate) fn exec_command(
    program: &Path,
    home: &Home,
    id: &InstanceId,
    spec: &ExecSpec,
) -> Result<Command, BackendError> {
    exec_helper(program, VM_EXEC, home, id, spec)
}

/// A guest's failure as a person sees it.
pub(crate) fn explain(failure: Failure, program: &str) -> BackendError {
    match failure {
        Failure::NotFound => BackendError::CommandNotFound(program.to_owned()),
        Failure::NotExecutable { reason } => {
            BackendError::NotExecutable { program: program.to_owned(), reason }
        }
        Failure::NoUser { name } => BackendError::NoUser(name),
        Failure::NoDirectory { path } => BackendError::NotExecutable {
            program: program.to_owned(),
            reason: format!("its working directory {path} is not there"),
        },
        Failure::Refused { reason } => BackendError::engine("asking the machine", reason),
        Failure::Step { step, reason } => {
            BackendError::engine("the guest", format!("{step}: {reason}"))
        }
    }
}
