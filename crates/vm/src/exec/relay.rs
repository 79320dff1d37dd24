//! The supervisor's part: a connection on one side, a task on the other.

use tandem_guest::wire::{Body, Failure, Frame, Frames, FromGuest, Stream, ToGuest};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
};

use super::TASK;
use crate::agent::{Agent, AgentError, Event, Task};

/// Serves one connection to its end.
pub(crate) async fn relay(agent: Agent, stream: UnixStream) {
    let (reader, mut writer) = stream.into_split();
    let mut client = Client { reader, frames: Frames::default() };
    let Some(Body::Message(request)) = client.next().await else { return };
    let result = match request {
        ToGuest::Execute(_) | ToGuest::Stats | ToGuest::Ping => agent.start(request).await,
        // Everything else is the supervisor's own to decide.
        _ => Err(AgentError::Odd),
    };
    match result {
        Ok(task) => tokio::select! {
            () = client.forward(&task) => {}
            _ = answer(&task, &mut writer) => {}
        },
        Err(e) => drop(refuse(&mut writer, &e).await),
    }
}

/// What a client sends.
struct Client {
    reader: OwnedReadHalf,
    frames: Frames,
}

impl Client {
    /// `None` when it is gone, or does not keep to the protocol.
    async fn next(&mut self) -> Option<Body<ToGuest>> {
        loop {
            if let Some(frame) = self.frames.next_frame() {
                return frame.ok().map(|frame: Frame<ToGuest>| frame.body);
            }
            let mut buffer = vec![0; 16 * 1024];
            match self.reader.read(&mut buffer).await {
                Ok(0) | Err(_) => return None,
                Ok(count) => self.frames.push(&buffer[..count]),
            }
        }
    }

    /// Passes on what the client sends, until it is gone.
    async fn forward(&mut self, task: &Task) {
        while let Some(body) = self.next().await {
            // A task that is over takes nothing more; its end is told.
            let _ = match body {
                Body::Data(Stream::Stdin, bytes) => task.input(&bytes).await,
                Body::Message(ToGuest::EndOfInput) => task.end_input().await,
                Body::Message(ToGuest::Signal { number }) => task.signal(number).await,
                Body::Message(ToGuest::Resize(size)) => task.resize(size).await,
                _ => return,
            };
        }
    }
}

/// Passes on what the task says, until its end.
async fn answer(task: &Task, writer: &mut OwnedWriteHalf) -> std::io::Result<()> {
    loop {
        match task.next().await {
            Event::Answer(answer) => {
                let goes_on = matches!(answer, FromGuest::Executed);
                say(writer, answer).await?;
                if !goes_on {
                    return Ok(());
                }
            }
            Event::Data(stream, bytes) => {
                let count = bytes.len();
                let frame = Frame::<FromGuest>::data(TASK, stream, bytes);
                writer.write_all(&frame.to_bytes().unwrap_or_default()).await?;
                if let Err(e) = task.taken(count).await {
                    return refuse(writer, &e).await;
                }
            }
            Event::Exited(code) => {
                return say(writer, FromGuest::Exited { code, out_of_memory: false }).await;
            }
            Event::Gone => return refuse(writer, &AgentError::Gone).await,
        }
    }
}

async fn say(writer: &mut OwnedWriteHalf, message: FromGuest) -> std::io::Result<()> {
    writer.write_all(&Frame::message(TASK, message).to_bytes().unwrap_or_default()).await
}

async fn refuse(writer: &mut OwnedWriteHalf, e: &AgentError) -> std::io::Result<()> {
    let failure = Failure::Refused { reason: e.to_string() };
    say(writer, FromGuest::Failed { failure }).await
}
