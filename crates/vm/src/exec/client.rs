//! The helper's part.

use std::{path::Path, process::ExitCode};

use tandem_backend::{BackendError, InstanceStore, Peer, connect, exec_ended, exec_wanted};
use tandem_guest::wire::{Body, Execute, Frame, Frames, FromGuest, Stream, ToGuest};
use tandem_home::Home;
use tandem_model::{ExecSpec, InstanceRecord};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::mpsc,
};

use super::{
    TASK, explain,
    streams::{Caller, input, raw, signals, window},
};
use crate::payload::{environment, knows_terminal};

/// The hidden entry point `tandem __vm-exec HOME ID`.
pub fn vm_exec_main(home: &Path, id: &str) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = runtime.map_err(|e| failed(&e)).and_then(|runtime| {
        let result = runtime.block_on(run(home, id));
        // The thread that reads a terminal must not hold up the end.
        runtime.shutdown_background();
        result
    });
    exec_ended(result)
}

fn failed(e: &dyn std::fmt::Display) -> BackendError {
    BackendError::engine("executing the command in the machine", e)
}

async fn run(home: &Path, id: &str) -> Result<i32, BackendError> {
    // The caller's end ends the command; opened first, so that none is missed.
    let caller = Caller::open().ok_or(BackendError::Cancelled)?;
    let numbers = signals().map_err(|e| failed(&e))?;
    let spec = exec_wanted()?;
    let store = InstanceStore::new(Home::opened(home));
    let id = id.parse().map_err(BackendError::NoInstance)?;
    let record = store.load(&id)?;
    let stream = connect(&store.dir(&id), Peer::Agent).await?.ok_or_else(|| {
        let name = record.spec.name.clone();
        let next = format!("start it first with `tandem start {name}`");
        BackendError::WrongState { name, state: "not running", next }
    })?;
    let name = spec.args.first().cloned().unwrap_or_default();
    let call = Call::begin(stream, execute_of(&record, &spec)).await.map_err(|e| failed(&e))?;
    tokio::select! {
        result = call.follow(&spec, &name, numbers) => result,
        () = caller.ended() => Err(BackendError::Cancelled),
    }
}

/// What the guest is asked.
fn execute_of(record: &InstanceRecord, spec: &ExecSpec) -> Execute {
    let env = knows_terminal(environment(record, &spec.env), spec.terminal);
    Execute {
        args: spec.args.clone(),
        env,
        cwd: spec.cwd.clone().unwrap_or_else(|| record.spec.cwd.clone()),
        user: spec.user.clone().unwrap_or_else(|| record.spec.user.clone()),
        stdin: spec.stdin && !spec.detach,
        terminal: spec.terminal.then(window),
        detach: spec.detach,
    }
}

/// A command that the supervisor was asked for.
struct Call {
    reader: OwnedReadHalf,
    writer: OwnedWriteHalf,
    frames: Frames,
}

impl Call {
    async fn begin(stream: UnixStream, execute: Execute) -> Result<Self, String> {
        let (reader, writer) = stream.into_split();
        let mut call = Self { reader, writer, frames: Frames::default() };
        let frame = Frame::message(TASK, ToGuest::Execute(execute));
        let bytes = frame.to_bytes().ok_or("with its environment it is longer than 32 KiB")?;
        call.writer.write_all(&bytes).await.map_err(|e| e.to_string())?;
        Ok(call)
    }

    async fn follow(
        mut self,
        spec: &ExecSpec,
        name: &str,
        numbers: mpsc::Receiver<i32>,
    ) -> Result<i32, BackendError> {
        match self.next().await? {
            Body::Message(FromGuest::Executed) if spec.detach => return Ok(0),
            Body::Message(FromGuest::Executed) => {}
            Body::Message(FromGuest::Failed { failure }) => return Err(explain(failure, name)),
            _ => return Err(failed(&"an odd answer came")),
        }
        let _raw = match (spec.terminal, spec.stdin) {
            (true, true) => raw().map_err(|e| failed(&e))?,
            _ => None,
        };
        let Self { reader, writer, frames } = self;
        let mut heard = Heard { reader, frames };
        tokio::select! {
            code = heard.hear_out(name) => code,
            never = talk(writer, spec, numbers) => match never {},
        }
    }

    async fn next(&mut self) -> Result<Body<FromGuest>, BackendError> {
        next(&mut self.reader, &mut self.frames).await
    }
}

async fn next(
    reader: &mut OwnedReadHalf,
    frames: &mut Frames,
) -> Result<Body<FromGuest>, BackendError> {
    loop {
        if let Some(frame) = frames.next_frame() {
            let frame: Frame<FromGuest> = frame.map_err(|e| failed(&e))?;
            return Ok(frame.body);
        }
        let mut buffer = vec![0; 64 * 1024];
        match reader.read(&mut buffer).await {
            Ok(0) | Err(_) => return Err(failed(&"the instance has ended")),
            Ok(count) => frames.push(&buffer[..count]),
        }
    }
}

/// What comes from the command.
struct Heard {
    reader: OwnedReadHalf,
    frames: Frames,
}

impl Heard {
    async fn hear_out(&mut self, name: &str) -> Result<i32, BackendError> {
        let (mut stdout, mut stderr) = (tokio::io::stdout(), tokio::io::stderr());
        loop {
            match next(&mut self.reader, &mut self.frames).await? {
                Body::Data(Stream::Stderr, bytes) => {
                    let _ = stderr.write_all(&bytes).await;
                    let _ = stderr.flush().await;
                }
                Body::Data(_, bytes) => {
                    let written = stdout.write_all(&bytes).await;
                    if written.is_err() || stdout.flush().await.is_err() {
                        // Nobody reads any more, as with SIGPIPE.
                        return Ok(141);
                    }
                }
                Body::Message(FromGuest::Exited { code, .. }) => return Ok(code),
                Body::Message(FromGuest::Failed { failure }) => return Err(explain(failure, name)),
                Body::Message(_) => {}
            }
        }
    }
}

/// Passes on what the caller has for the command.
async fn talk(
    mut writer: OwnedWriteHalf,
    spec: &ExecSpec,
    mut numbers: mpsc::Receiver<i32>,
) -> std::convert::Infallible {
    let mut pieces = spec.stdin.then(input);
    loop {
        let frame = tokio::select! {
            Some(number) = numbers.recv() => Frame::message(TASK, match number {
                libc::SIGWINCH => ToGuest::Resize(window()),
                number => ToGuest::Signal { number },
            }),
            piece = piece(&mut pieces) => match piece {
                Some(bytes) if !bytes.is_empty() => Frame::data(TASK, Stream::Stdin, bytes),
                _ => {
                    pieces = None;
                    Frame::message(TASK, ToGuest::EndOfInput)
                }
            },
        };
        // When the other side is gone, its end is heard.
        let _ = writer.write_all(&frame.to_bytes().unwrap_or_default()).await;
    }
}

async fn piece(pieces: &mut Option<mpsc::Receiver<Vec<u8>>>) -> Option<Vec<u8>> {
    match pieces {
        Some(pieces) => pieces.recv().await,
        None => std::future::pending().await,
    }
}
