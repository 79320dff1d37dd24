//! A further command in a container of an engine's.
//!
//! ```text
//! tandem exec ─spawns─▶ tandem __engine-exec ═ the engine's socket ═▶ command
//! ```
//!
//! The command has no input and no terminal: for those the engine wants a
//! connection that stops being HTTP, which this client does not speak.

use std::{
    io::{self, Write as _},
    path::Path,
    process::{Command, ExitCode},
};

use serde_json::{Value, json};
use tandem_backend::{BackendError, InstanceStore, Stream, exec_ended, exec_helper, exec_wanted};
use tandem_home::Home;
use tandem_model::{BackendKind, ExecSpec, InstanceRecord};

use crate::{
    api::{self, ApiError},
    frames::Frames,
    payload::container_of,
    place::Place,
    refusal::{of_exec, of_exec_text},
};

/// First argument of the hidden entry point: `tandem __engine-exec HOME ID`.
pub const ENGINE_EXEC: &str = "__engine-exec";

/// A command that, run with the caller's streams, executes `spec` in the
/// instance and ends with its exit code.
pub(crate) fn exec_command(
    program: &Path,
    home: &Home,
    record: &InstanceRecord,
    spec: &ExecSpec,
) -> Result<Command, BackendError> {
    if spec.terminal || spec.stdin {
        let client = if record.spec.backend == BackendKind::Podman { "podman" } else { "docker" };
        return Err(BackendError::Unavailable {
            what: "input and a terminal for a command in this lane".to_owned(),
            why: "the engine passes them over a connection of a kind that Tandem does not speak"
                .to_owned(),
            fix: format!(
                "leave -i and -t out, or use the engine's own `{client} exec` with tandem-{}",
                record.id
            ),
        });
    }
    exec_helper(program, ENGINE_EXEC, home, &record.id, spec)
}

/// The hidden entry point `tandem __engine-exec HOME ID`.
pub fn engine_exec_main(home: &Path, id: &str) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    exec_ended(runtime.map_err(|e| failed(&e)).and_then(|it| it.block_on(run(home, id))))
}

fn failed(e: &dyn std::fmt::Display) -> BackendError {
    BackendError::engine("executing the command in the container", e)
}

async fn run(home: &Path, id: &str) -> Result<i32, BackendError> {
    let spec = exec_wanted()?;
    let home = Home::opened(home);
    let store = InstanceStore::new(home.clone());
    let id = id.parse().map_err(BackendError::NoInstance)?;
    let record = store.load(&id)?;
    let name = record.spec.name.clone();
    let next = format!("start it first with `tandem start {name}`");
    let stopped = BackendError::WrongState { name, state: "not running", next };
    let Some(place) = Place::read(&store, &id)?.filter(|_| record.state.is_up()) else {
        return Err(stopped);
    };
    let container = container_of(&home, &record, &place);
    if container.inspect("").await.map_err(|e| failed(&e))?.is_none() {
        return Err(stopped);
    }
    let told = |e: ApiError| of_exec(&e, &spec);
    let exec = container.prepare_exec(&request(&record, &spec)).await.map_err(told)?;
    let mut answer = container.start_exec(&exec, spec.detach).await.map_err(told)?;
    if spec.detach {
        return Ok(0);
    }
    let (mut frames, mut refusal) = (Frames::default(), Refusal::default());
    while let Some(bytes) = api::next(&mut answer).await.map_err(|e| failed(&e))? {
        let mut written = Ok(());
        frames.push(&bytes, |stream, piece| {
            if written.is_ok() {
                let bytes = match stream {
                    Stream::Stdout => refusal.hold(piece),
                    Stream::Stderr => Some(piece.to_vec()),
                };
                written = bytes.map_or(Ok(()), |bytes| write(stream, &bytes));
            }
        });
        // Whoever called does not listen any more.
        written.map_err(|e| failed(&e))?;
    }
    let code = container.exit_of_exec(&exec).await.map_err(|e| failed(&e))?;
    let code = i32::try_from(code).unwrap_or(125);
    match refusal.told() {
        Some(text) if [126, 127].contains(&code) => Err(of_exec_text(text, &spec)),
        Some(text) => write(Stream::Stdout, text.as_bytes()).map(|()| code).map_err(|e| failed(&e)),
        None => Ok(code),
    }
}

/// An engine that could not execute the command says so in the command's own
/// output, in the words of its runtime.
#[derive(Default)]
struct Refusal {
    held: Vec<u8>,
    other: bool,
}

/// What such words begin with, Docker's and Podman's.
const BEGIN: &[u8] = b"OCI runtime exec failed";

impl Refusal {
    /// Keeps a piece that may be such words; gives back what is output.
    fn hold(&mut self, piece: &[u8]) -> Option<Vec<u8>> {
        if self.other {
            return Some(piece.to_vec());
        }
        self.held.extend_from_slice(piece);
        let common = self.held.len().min(BEGIN.len());
        if self.held[..common] == BEGIN[..common] && self.held.len() < 4096 {
            return None;
        }
        self.other = true;
        Some(std::mem::take(&mut self.held))
    }

    /// The words; `None` when there were none.
    fn told(&self) -> Option<String> {
        (!self.held.is_empty()).then(|| String::from_utf8_lossy(&self.held).into_owned())
    }
}

fn write(stream: Stream, piece: &[u8]) -> io::Result<()> {
    match stream {
        Stream::Stdout => {
            let mut out = io::stdout().lock();
            out.write_all(piece)?;
            out.flush()
        }
        Stream::Stderr => io::stderr().lock().write_all(piece),
    }
}

/// The command in the engine's words: the instance's own environment is the
/// container's already.
fn request(record: &InstanceRecord, spec: &ExecSpec) -> Value {
    json!({
        "AttachStdout": !spec.detach,
        "AttachStderr": !spec.detach,
        "Cmd": spec.args,
        "Env": spec.env,
        "WorkingDir": spec.cwd.as_ref().unwrap_or(&record.spec.cwd),
        "User": spec.user.as_ref().unwrap_or(&record.spec.user),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_engines_words_are_held_back() {
        let mut plain = Refusal::default();
        assert!(plain.hold(b"OC").is_none());
        assert_eq!(plain.hold(b"TET\n").unwrap(), b"OCTET\n");
        assert_eq!(plain.hold(b"OCI runtime exec failed").unwrap(), BEGIN);
        assert_eq!(plain.told(), None);
        let mut refused = Refusal::default();
        assert!(refused.hold(b"OCI runtime exec failed: exec: \"/x\": no such file").is_none());
        assert!(refused.told().unwrap().ends_with("no such file"));
    }
}
