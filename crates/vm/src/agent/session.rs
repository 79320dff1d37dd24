use std::{cell::Cell, rc::Rc};

use tandem_guest::wire::{APP, Body, Frame, FrameError, Frames, FromGuest, Stream};
use tokio::{
    io::{AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::mpsc,
    task::JoinHandle,
};

use super::{Agent, QUEUE, Tasks, task::Shared};

/// How much is read at once.
const READ: usize = 64 * 1024;

/// Why there is nothing more to hear.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The app ended.
    App {
        /// As the guest said it.
        code: i32,
        /// The guest's kernel killed it for want of memory.
        out_of_memory: bool,
    },
    /// The guest does not keep to the protocol.
    Broken(String),
    /// The channel closed.
    Closed,
}

/// The reading side of the channel, and the app's output.
pub(crate) struct Session<O> {
    reader: OwnedReadHalf,
    frames: Frames,
    tasks: Tasks,
    last: Rc<Cell<u32>>,
    /// The app's input.
    app: Rc<Shared>,
    /// Where the app's standard output and error go.
    outputs: [O; 2],
    writer: JoinHandle<()>,
}

impl<O: AsyncWrite + Unpin> Session<O> {
    /// Takes the channel over. Must be called in a `LocalSet`.
    pub(crate) fn open(channel: UnixStream, outputs: [O; 2]) -> (Self, Agent) {
        let (reader, writer) = channel.into_split();
        let (queue, frames) = mpsc::channel(QUEUE);
        let (tasks, last) = (Tasks::default(), Rc::new(Cell::new(APP)));
        let app = Rc::new(Shared::default());
        let (tasks_of_agent, last_of_agent) = (Rc::clone(&tasks), Rc::clone(&last));
        let agent =
            Agent { queue, tasks: tasks_of_agent, last: last_of_agent, app: Rc::clone(&app) };
        // A guest that does not read must not keep us from listening.
        let writer = tokio::task::spawn_local(write(frames, writer));
        (Self { reader, frames: Frames::default(), tasks, last, app, outputs, writer }, agent)
    }

    /// Listens until something ends. May be dropped while it waits, and called
    /// again.
    pub(crate) async fn listen(&mut self) -> End {
        let end = self.next_end().await;
        self.lose_tasks();
        end
    }

    async fn next_end(&mut self) -> End {
        loop {
            while let Some(frame) = self.frames.next_frame() {
                match frame {
                    Ok(frame) => match self.take(frame).await {
                        Ok(None) => {}
                        Ok(Some(end)) => return end,
                        Err(what) => return End::Broken(what),
                    },
                    Err(e) => return End::Broken(FrameError::to_string(&e)),
                }
            }
            let mut buffer = vec![0; READ];
            match self.reader.read(&mut buffer).await {
                Ok(0) | Err(_) => return End::Closed,
                Ok(count) => self.frames.push(&buffer[..count]),
            }
        }
    }

    /// Hands a frame to whom it is for; an error says what is wrong with it.
    async fn take(&mut self, frame: Frame<FromGuest>) -> Result<Option<End>, String> {
        let id = frame.task;
        if id == APP {
            return self.take_from_app(frame.body).await;
        }
        if id > self.last.get() {
            return Err(format!("something about task {id}, which nobody began"));
        }
        // Nobody waits for one that was given up; it may not know yet.
        let Some(task) = self.tasks.borrow().get(&id).map(Rc::clone) else { return Ok(None) };
        let allowed = match frame.body {
            Body::Data(stream, bytes) => task.take_data(stream, bytes),
            Body::Message(message) => task.take(message),
        };
        if allowed { Ok(None) } else { Err(format!("more for task {id} than it was allowed")) }
    }

    async fn take_from_app(&mut self, body: Body<FromGuest>) -> Result<Option<End>, String> {
        match body {
            Body::Data(Stream::Stdin, _) => Err("input for the host".to_owned()),
            Body::Data(stream, bytes) => {
                let output = &mut self.outputs[usize::from(stream == Stream::Stderr)];
                if output.write_all(&bytes).await.is_err() {
                    return Ok(Some(End::Closed));
                }
                Ok(None)
            }
            Body::Message(FromGuest::Exited { code, out_of_memory }) => {
                Ok(Some(End::App { code, out_of_memory }))
            }
            Body::Message(FromGuest::Credit { cost }) => {
                self.app.grant(cost);
                Ok(None)
            }
            Body::Message(_) => Err("an answer that nobody asked for".to_owned()),
        }
    }
}

impl<O> Session<O> {
    fn lose_tasks(&self) {
        self.writer.abort();
        self.tasks.borrow().values().for_each(|task| task.lose());
        self.app.lose();
    }
}

impl<O> Drop for Session<O> {
    fn drop(&mut self) {
        self.lose_tasks();
    }
}

async fn write(mut frames: mpsc::Receiver<Vec<u8>>, mut writer: OwnedWriteHalf) {
    while let Some(bytes) = frames.recv().await {
        if writer.write_all(&bytes).await.is_err() {
            return;
        }
    }
    // Nobody asks any more; the guest may still talk.
    std::future::pending::<()>().await;
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
