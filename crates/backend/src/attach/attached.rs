use std::io;

use serde::{Deserialize, Serialize};
use tandem_model::{Exit, Failure};
use tokio::{
    io::AsyncWriteExt as _,
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
};

use super::frame::{Frames, FromClient, ToClient};
use crate::{
    BackendError, ControlRequest, Stream, WindowSize,
    control::{read_line, write_line},
};

/// How somebody wants to be attached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachWishes {
    /// What it sends goes to the app's standard input.
    pub input: bool,
    /// Its end of input, or its own end, ends the app's standard input.
    pub close: bool,
    /// The app is held back when it reads slowly, so that it misses nothing;
    /// else it is let go of.
    pub hold: bool,
}

/// What comes from an app that one is attached to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttachEvent {
    /// A piece of its output.
    Output(Stream, Vec<u8>),
    /// It has ended for good, and everything is cleaned up.
    End(Option<Exit>),
}

/// An attachment, as the command that asked for it holds it.
#[derive(Debug)]
pub struct Attached {
    reader: OwnedReadHalf,
    writer: OwnedWriteHalf,
}

/// Sends to the app.
#[derive(Debug)]
pub struct AttachedInput(OwnedWriteHalf);

/// Hears from the app.
#[derive(Debug)]
pub struct AttachedOutput(Frames<OwnedReadHalf>);

/// Writes the request that makes a connection an attachment.
pub(crate) async fn request(stream: &mut UnixStream, wishes: AttachWishes) -> io::Result<()> {
    write_line(stream, &ControlRequest::Attach { wishes }).await
}

impl Attached {
    /// Waits for the answer to the [`request`]. `Ok(None)` says that the
    /// supervisor ended without one.
    pub(crate) async fn accepted(mut stream: UnixStream) -> Result<Option<Self>, BackendError> {
        let line = read_line(&mut stream).await.unwrap_or_default();
        match serde_json::from_slice::<Result<(), Failure>>(&line) {
            Ok(answer) => {
                answer?;
                let (reader, writer) = stream.into_split();
                Ok(Some(Self { reader, writer }))
            }
            Err(_) => Ok(None),
        }
    }

    /// The two directions.
    pub fn split(self) -> (AttachedInput, AttachedOutput) {
        (AttachedInput(self.writer), AttachedOutput(Frames::new(self.reader)))
    }
}

impl AttachedInput {
    /// Sends input; resolves when it is on its way.
    pub async fn send(&mut self, input: &[u8]) -> io::Result<()> {
        for piece in input.chunks(16 * 1024) {
            self.say(&FromClient::Input(piece.to_vec())).await?;
        }
        Ok(())
    }

    /// Says that no more input comes.
    pub async fn end(&mut self) -> io::Result<()> {
        self.say(&FromClient::EndOfInput).await
    }

    /// Gives the app's terminal a size.
    pub async fn resize(&mut self, size: WindowSize) -> io::Result<()> {
        self.say(&FromClient::Resize(size)).await
    }

    /// Leaves the app alone, its standard input open.
    pub async fn detach(mut self) -> io::Result<()> {
        self.say(&FromClient::Detach).await
    }

    async fn say(&mut self, frame: &FromClient) -> io::Result<()> {
        self.0.write_all(&frame.to_bytes()).await
    }
}

impl AttachedOutput {
    /// The next event; `None` when the supervisor has let go without an end:
    /// it was killed, or this side read too slowly. May be dropped while it
    /// waits.
    pub async fn next(&mut self) -> Option<AttachEvent> {
        match self.0.next_event().await {
            Ok(Some(ToClient::Output(stream, bytes))) => Some(AttachEvent::Output(stream, bytes)),
            Ok(Some(ToClient::End(exit))) => Some(AttachEvent::End(exit)),
            Ok(None) | Err(_) => None,
        }
    }
}
