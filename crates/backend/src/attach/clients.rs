use std::convert::Infallible;

use tandem_model::Exit;
use tokio::{
    io::AsyncWriteExt as _,
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
};

use super::{
    AttachWishes, Output,
    frame::{Frames, FromClient, bytes, end, kind_of},
    output::Chunk,
};
use crate::{Running, WindowSize};

/// Pieces of input that may wait for the app.
const INPUTS: usize = 16;

/// Everybody who is attached to one instance, as its supervisor sees them.
pub(crate) struct Clients {
    output: Output,
    input: mpsc::Sender<Option<Vec<u8>>>,
    size: watch::Sender<Option<WindowSize>>,
    tasks: JoinSet<()>,
    ends: Vec<oneshot::Sender<Option<Exit>>>,
}

/// What those attached have for the app. It outlives the app: one that is
/// started again goes on reading it.
pub(crate) struct Inbox {
    /// `None` ends standard input.
    input: mpsc::Receiver<Option<Vec<u8>>>,
    size: watch::Receiver<Option<WindowSize>>,
    over: bool,
}

impl Clients {
    /// Nobody yet; `output` is what they will hear.
    pub(crate) fn new(output: Output) -> (Self, Inbox) {
        let (input, inputs) = mpsc::channel(INPUTS);
        let (size, sizes) = watch::channel(None);
        let inbox = Inbox { input: inputs, size: sizes, over: false };
        (Self { output, input, size, tasks: JoinSet::new(), ends: Vec::new() }, inbox)
    }

    /// Attaches whoever holds the other end, from the next output on. The
    /// request was answered.
    pub(crate) fn admit(&mut self, stream: UnixStream, wishes: AttachWishes) {
        while self.tasks.try_join_next().is_some() {}
        self.ends.retain(|end| !end.is_closed());
        let (sender, ended) = oneshot::channel();
        self.ends.push(sender);
        let chunks = self.output.listen(wishes.hold);
        let (reader, writer) = stream.into_split();
        let (input, size) = (self.input.clone(), self.size.clone());
        self.tasks.spawn_local(async move {
            tokio::select! {
                () = listen(reader, wishes, input, size) => {}
                _ = tell(writer, chunks, ended) => {}
            }
        });
    }

    /// Tells everybody that it is over, and returns when they have heard all
    /// or are gone.
    pub(crate) async fn end(mut self, exit: Option<&Exit>) {
        for end in self.ends {
            let _ = end.send(exit.cloned());
        }
        while self.tasks.join_next().await.is_some() {}
    }
}

/// Takes what one client says; returns when it leaves.
async fn listen(
    reader: OwnedReadHalf,
    wishes: AttachWishes,
    input: mpsc::Sender<Option<Vec<u8>>>,
    size: watch::Sender<Option<WindowSize>>,
) {
    let mut frames = Frames::new(reader);
    loop {
        match frames.next_request().await {
            Ok(Some(FromClient::Input(bytes))) if wishes.input => {
                let _ = input.send(Some(bytes)).await;
            }
            Ok(Some(FromClient::EndOfInput)) if wishes.close => {
                let _ = input.send(None).await;
            }
            Ok(Some(FromClient::Resize(wanted))) => {
                size.send_replace(Some(wanted));
            }
            Ok(Some(FromClient::Input(_) | FromClient::EndOfInput)) => {}
            Ok(Some(FromClient::Detach)) => return,
            Ok(None) | Err(_) => {
                if wishes.close {
                    let _ = input.send(None).await;
                }
                return;
            }
        }
    }
}

/// Tells one client what it may hear; returns at the end, when it is gone, or
/// when it has fallen behind.
async fn tell(
    mut writer: OwnedWriteHalf,
    mut chunks: mpsc::Receiver<Chunk>,
    mut ended: oneshot::Receiver<Option<Exit>>,
) -> std::io::Result<()> {
    loop {
        let chunk = tokio::select! {
            biased;
            chunk = chunks.recv() => chunk,
            exit = &mut ended => {
                while let Ok(chunk) = chunks.try_recv() {
                    writer.write_all(&bytes(kind_of(chunk.stream), &chunk.bytes)).await?;
                }
                return writer.write_all(&end(exit.ok().flatten().as_ref())).await;
            }
        };
        let Some(chunk) = chunk else { return Ok(()) };
        writer.write_all(&bytes(kind_of(chunk.stream), &chunk.bytes)).await?;
    }
}

impl Inbox {
    /// Gives the running app what comes. May be dropped at any time; a piece
    /// that it was at is lost then.
    pub(crate) async fn feed(&mut self, running: &dyn Running) -> Infallible {
        let Self { input, size, over } = self;
        let resize = async {
            loop {
                let wanted = *size.borrow_and_update();
                if let Some(wanted) = wanted {
                    let _ = running.resize(wanted).await;
                }
                if size.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        let write = async {
            if *over {
                let _ = running.close_input().await;
            }
            loop {
                match input.recv().await {
                    Some(Some(bytes)) => drop(running.write_input(&bytes).await),
                    Some(None) => {
                        *over = true;
                        let _ = running.close_input().await;
                    }
                    None => std::future::pending().await,
                }
            }
        };
        tokio::select! {
            never = resize => never,
            never = write => never,
        }
    }
}
