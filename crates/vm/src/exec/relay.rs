//! The supervisor's part: a connection on one side, a task on the other.
//!
//! What runs may be silent as long as it likes; that it runs is to be told soon.

use std::time::Duration;

use tandem_guest::wire::{Body, Failure, Frame, Frames, FromGuest, Stream, ToGuest};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::{Instant, timeout},
};

use super::TASK;
use crate::{
    agent::{Agent, AgentError, Event, Task},
    running::Pulse,
};

/// How long a guest may take to begin: longer than it is silent for the sake of
/// a snapshot.
const BEGIN: Duration = Duration::from_mins(1);

/// How often QEMU is looked at meanwhile.
const INTERVAL: Duration = Duration::from_secs(1);

/// Serves one connection to its end.
pub(crate) async fn relay(agent: Agent, pulse: Pulse, stream: UnixStream) {
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
            _ = answer(&task, pulse, &mut writer) => {}
        },
        Err(e) => drop(refuse(&mut writer, &e.to_string()).await),
    }
}

/// What is heard of a task first; an error says why nothing is.
async fn first(task: &Task, pulse: Pulse) -> Result<Event, String> {
    let deadline = Instant::now() + BEGIN;
    loop {
        if let Some(why) = pulse.stopped() {
            return Err(format!("QEMU does not run: {why}"));
        }
        if let Ok(event) = timeout(INTERVAL, task.next()).await {
            return Ok(event);
        }
        if Instant::now() > deadline {
            return Err(AgentError::Timeout(BEGIN).to_string());
        }
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
async fn answer(task: &Task, pulse: Pulse, writer: &mut OwnedWriteHalf) -> std::io::Result<()> {
    let mut event = match first(task, pulse).await {
        Ok(event) => event,
        Err(why) => return refuse(writer, &why).await,
    };
    loop {
        match event {
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
                    return refuse(writer, &e.to_string()).await;
                }
            }
            Event::Exited(code) => {
                return say(writer, FromGuest::Exited { code, out_of_memory: false }).await;
            }
            Event::Gone => return refuse(writer, &AgentError::Gone.to_string()).await,
        }
        event = task.next().await;
    }
}

async fn say(writer: &mut OwnedWriteHalf, message: FromGuest) -> std::io::Result<()> {
    writer.write_all(&Frame::message(TASK, message).to_bytes().unwrap_or_default()).await
}

async fn refuse(writer: &mut OwnedWriteHalf, why: &str) -> std::io::Result<()> {
    let failure = Failure::Refused { reason: why.to_owned() };
    say(writer, FromGuest::Failed { failure }).await
}
