//! A further command in a container of an engine's.
//!
//! ```text
//! tandem exec ─spawns─▶ tandem __engine-exec ═ the engine's socket ═▶ command
//! ```
//!
//! The command has no input and no terminal: for those the engine wants a
//! connection that stops being HTTP, which this client does not speak.

use std::{
    env,
    io::{self, Write as _},
    path::Path,
    process::{Command, ExitCode},
};

use serde_json::{Value, json};
use tandem_backend::{BackendError, InstanceStore, Stream};
use tandem_home::Home;
use tandem_model::{BackendKind, ExecSpec, InstanceRecord};

use crate::{
    api::{self, ApiError},
    frames::Frames,
    payload::container_of,
    place::Place,
    refusal::of_exec,
};

/// First argument of the hidden entry point: `tandem __engine-exec HOME ID`.
pub const ENGINE_EXEC: &str = "__engine-exec";

/// Carries the [`ExecSpec`] as JSON. Others cannot read a process's
/// environment, but everybody can read its arguments.
const SPEC: &str = "TANDEM_EXEC";

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
    let json = serde_json::to_string(spec)
        .map_err(|e| BackendError::engine("passing the command on", e))?;
    let mut command = Command::new(program);
    command.arg(ENGINE_EXEC).arg(home.root()).arg(record.id.as_str()).env(SPEC, json);
    Ok(command)
}

/// The hidden entry point `tandem __engine-exec HOME ID`.
pub fn engine_exec_main(home: &Path, id: &str) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result =
        runtime.map_err(|e| failed(&e)).and_then(|runtime| runtime.block_on(run(home, id)));
    match result {
        Ok(code) => ExitCode::from(u8::try_from(code & 0xff).unwrap_or(125)),
        Err(e) => {
            eprintln!("tandem: {e}");
            ExitCode::from(e.code().exit_code())
        }
    }
}

fn failed(e: &dyn std::fmt::Display) -> BackendError {
    BackendError::engine("executing the command in the container", e)
}

async fn run(home: &Path, id: &str) -> Result<i64, BackendError> {
    let spec = env::var(SPEC).map_err(|e| failed(&e))?;
    let spec: ExecSpec = serde_json::from_str(&spec).map_err(|e| failed(&e))?;
    let home = Home::open(Some(home))?;
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
    let mut frames = Frames::default();
    while let Some(bytes) = api::next(&mut answer).await.map_err(|e| failed(&e))? {
        let mut written = Ok(());
        frames.push(&bytes, |stream, piece| {
            if written.is_ok() {
                written = write(stream, piece);
            }
        });
        // Whoever called does not listen any more.
        written.map_err(|e| failed(&e))?;
    }
    container.exit_of_exec(&exec).await.map_err(|e| failed(&e))
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
