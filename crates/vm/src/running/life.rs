//! From the app's execution to QEMU's end.

use std::{io, process::ExitStatus, time::Duration};

use tandem_backend::{BackendError, Output, Stream, pump};
use tandem_guest::wire::{self, Frame, FrameError, Frames, FromGuest, ToGuest};
use tandem_model::Exit;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{mpsc, watch},
    task::JoinHandle,
};

use super::console::Console;
use crate::{machine::Machine, qmp::Qmp};

/// How long QEMU may take to write its disk down and end.
const QUIT_LIMIT: Duration = Duration::from_secs(10);

/// Output on its way into the log.
const PIPE: usize = 64 * 1024;

/// A machine with everything that belongs to it.
pub(super) struct Life {
    machine: Machine,
    qmp: Qmp,
    guest: Guest,
    writer: OwnedWriteHalf,
    console: Console,
    logs: [JoinHandle<()>; 2],
}

/// The guest's side of the channel.
struct Guest {
    reader: OwnedReadHalf,
    frames: Frames,
    outputs: [DuplexStream; 2],
}

/// Why a machine's life is over.
enum End {
    /// The app ended.
    App { code: i32, out_of_memory: bool },
    /// The guest does not keep to the protocol.
    Guest(FrameError),
    /// QEMU ended by itself.
    Qemu(io::Result<ExitStatus>),
    /// We were asked to end it.
    Killed,
}

impl Life {
    pub(super) fn new(
        machine: Machine,
        qmp: Qmp,
        channel: UnixStream,
        console: Console,
        app_output: &Output,
    ) -> Self {
        let (reader, writer) = channel.into_split();
        let into_log = |stream| {
            let (output, source) = duplex(PIPE);
            (output, tokio::task::spawn_local(pump(source, stream, app_output.clone())))
        };
        let (stdout, stdout_log) = into_log(Stream::Stdout);
        let (stderr, stderr_log) = into_log(Stream::Stderr);
        let guest = Guest { reader, frames: Frames::default(), outputs: [stdout, stderr] };
        Self { machine, qmp, guest, writer, console, logs: [stdout_log, stderr_log] }
    }

    /// Runs to the end and tells how it was. QEMU is gone then, and the app's
    /// output is in the log.
    pub(super) async fn run(
        mut self,
        requests: mpsc::Receiver<ToGuest>,
        mut killed: watch::Receiver<bool>,
    ) -> Exit {
        // A guest that does not read must not keep us from anything else.
        let forward = tokio::task::spawn_local(forward(requests, self.writer));
        let end = tokio::select! {
            end = self.guest.listen() => match end {
                // The channel closed, so QEMU is at its end.
                None => End::Qemu(self.machine.end(QUIT_LIMIT).await),
                Some(end) => end,
            },
            status = self.machine.child.wait() => {
                // What the guest said before is still to be read.
                match self.guest.listen().await {
                    Some(end @ End::App { .. }) => end,
                    _ => End::Qemu(status),
                }
            }
            _ = killed.wait_for(|killed| *killed) => End::Killed,
        };
        forward.abort();
        if matches!(end, End::App { .. }) {
            // The guest's files are at rest; now QEMU writes what it holds.
            let _ = self.qmp.quit().await;
        } else {
            let _ = self.machine.child.start_kill();
        }
        let _ = self.machine.end(QUIT_LIMIT).await;
        drop(self.guest);
        for log in self.logs {
            let _ = log.await;
        }
        explain(end, &mut self.machine, self.console).await
    }
}

impl Guest {
    /// Carries output into the log until something ends; `None` when the
    /// channel does. May be dropped while it waits, and called again.
    async fn listen(&mut self) -> Option<End> {
        loop {
            while let Some(frame) = self.frames.next_frame() {
                match frame {
                    Ok(Frame::Output(stream, bytes)) => {
                        let output = match stream {
                            wire::Stream::Stdout => &mut self.outputs[0],
                            wire::Stream::Stderr => &mut self.outputs[1],
                        };
                        output.write_all(&bytes).await.ok()?;
                    }
                    Ok(Frame::Message(FromGuest::Exited { code, out_of_memory })) => {
                        return Some(End::App { code, out_of_memory });
                    }
                    Err(e) => return Some(End::Guest(e)),
                }
            }
            let mut buffer = vec![0; PIPE];
            match self.reader.read(&mut buffer).await {
                Ok(0) | Err(_) => return None,
                Ok(count) => self.frames.push(&buffer[..count]),
            }
        }
    }
}

async fn forward(mut requests: mpsc::Receiver<ToGuest>, mut writer: OwnedWriteHalf) {
    while let Some(request) = requests.recv().await {
        if writer.write_all(&Frame::Message(request).to_bytes()).await.is_err() {
            return;
        }
    }
    // Nobody asks any more; the guest may still talk.
    std::future::pending::<()>().await;
}

async fn explain(end: End, machine: &mut Machine, console: Console) -> Exit {
    let failed = |error: BackendError| Exit {
        code: 137,
        out_of_memory: false,
        error: Some(error.to_failure()),
    };
    match end {
        // A hostile guest may say any number; exit codes have a byte.
        End::App { code, out_of_memory } => Exit { code: code & 0xff, out_of_memory, error: None },
        End::Killed => Exit { code: 137, out_of_memory: false, error: None },
        End::Guest(e) => {
            failed(BackendError::engine("the guest", format!("it broke the protocol with {e}")))
        }
        End::Qemu(status) => {
            let status = status.map_or_else(|e| e.to_string(), |status| status.to_string());
            let said = machine.errors().await;
            let reason = console.reason(&said).await;
            failed(BackendError::engine("QEMU", format!("it ended by itself ({status}): {reason}")))
        }
    }
}
