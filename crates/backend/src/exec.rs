//! The way of a further command from `tandem exec` to its helper, which every
//! backend has one of: `tandem ENTRY HOME ID`.

use std::{
    env,
    path::Path,
    process::{Command, ExitCode},
};

use tandem_home::Home;
use tandem_model::{ExecSpec, InstanceId};

use crate::BackendError;

/// Carries the [`ExecSpec`] as JSON. Others cannot read a process's
/// environment, but everybody can read its arguments.
const SPEC: &str = "TANDEM_EXEC";

fn failed(e: impl std::fmt::Display) -> BackendError {
    BackendError::engine("passing the command on", e)
}

/// The helper that, run with the caller's streams, executes `spec` in the
/// instance and ends with its exit code. `entry` is its hidden entry point.
pub fn exec_helper(
    program: &Path,
    entry: &str,
    home: &Home,
    id: &InstanceId,
    spec: &ExecSpec,
) -> Result<Command, BackendError> {
    let json = serde_json::to_string(spec).map_err(failed)?;
    let mut command = Command::new(program);
    command.arg(entry).arg(home.root()).arg(id.as_str()).env(SPEC, json);
    Ok(command)
}

/// In the helper: what is to be executed.
pub fn exec_wanted() -> Result<ExecSpec, BackendError> {
    serde_json::from_str(&env::var(SPEC).map_err(failed)?).map_err(failed)
}

/// In the helper: its end, by the command's exit code; 125, 126 and 127 with a
/// sentence on standard error when it could not be executed.
pub fn exec_ended(result: Result<i32, BackendError>) -> ExitCode {
    match result {
        Ok(code) => ExitCode::from(u8::try_from(code & 0xff).unwrap_or(125)),
        Err(e) => {
            eprintln!("tandem: {e}");
            ExitCode::from(e.code().exit_code())
        }
    }
}
