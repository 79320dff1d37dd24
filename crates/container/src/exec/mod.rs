//! A further command in a container that runs.
//!
//! ```text
//! tandem exec ──spawns──▶ tandem __exec, outside ──forks──▶ the command, inside
//! ```
//!
//! Of the caller's streams only a pipe is the command's own; bytes of all others
//! are carried, since a descriptor is more than what is written to it. The
//! helper looks everything up from outside, enters the container's
//! namespaces through a pidfd, and forks; the child takes the container's
//! control group, user, capabilities and filter, and becomes the command. The
//! helper stays between the two for those bytes, for signals and for the exit
//! code. It runs from a read-only view of its own file, so that nobody
//! inside can write to the program through `/proc/PID/exe` (CVE-2019-5736).

mod carry;
mod child;
mod entry;
mod helper;
mod relay;
mod terminal;

use std::{path::Path, process::Command};

use tandem_backend::{BackendError, exec_helper};
use tandem_home::Home;
use tandem_model::{ExecSpec, InstanceId};

pub use helper::exec_main;

/// First argument of the hidden entry point: `tandem __exec HOME ID`.
pub const EXEC: &str = "__exec";

/// A command that, run with the caller's streams, executes `spec` in the
/// instance and ends with its exit code; 125, 126 and 127 with a sentence on
/// standard error when it could not.
pub(crate) fn exec_command(
    program: &Path,
    home: &Home,
    id: &InstanceId,
    spec: &ExecSpec,
) -> Result<Command, BackendError> {
    exec_helper(program, EXEC, home, id, spec)
}
