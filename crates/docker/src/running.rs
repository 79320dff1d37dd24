use std::{rc::Rc, time::Duration};

use async_trait::async_trait;
use hyper::body::Incoming;
use tandem_backend::{BackendError, Output, Running, Stream, pump};
use tandem_model::{Exit, Resources};
use tokio::{
    io::{AsyncWriteExt as _, DuplexStream, duplex},
    sync::watch,
    task::JoinHandle,
    time::timeout,
};

use crate::{
    api::{ApiError, next},
    container::Container,
    frames::Frames,
    refusal::{of_update, other},
};

/// How long output may come after the end.
const OUTPUT_LIMIT: Duration = Duration::from_secs(2);

/// Bytes of output between the engine's stream and the log.
const ROOM: usize = 64 * 1024;

/// An app that runs in a container of an engine's.
pub(crate) struct RunningContainer {
    container: Rc<Container>,
    ended: watch::Receiver<Option<Exit>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for RunningContainer {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl RunningContainer {
    /// Watches over a container that was just started and passes its output
    /// on.
    pub(crate) fn watch(container: Rc<Container>, frames: Incoming, output: Output) -> Self {
        let carrying = tokio::task::spawn_local(carry(frames, output.clone()));
        let (sender, ended) = watch::channel(None);
        let watched = container.clone();
        let waiting = tokio::task::spawn_local(async move {
            let exit = end_of(&watched).await;
            // An app may leave, and somebody attached reads slowly.
            tokio::pin!(carrying);
            while timeout(OUTPUT_LIMIT, &mut carrying).await.is_err() {
                if !output.is_held_back() {
                    carrying.abort();
                    break;
                }
            }
            sender.send_replace(Some(exit));
        });
        Self { container, ended, tasks: vec![waiting] }
    }
}

async fn end_of(container: &Container) -> Exit {
    let lost = |e: ApiError| Exit {
        code: 125,
        out_of_memory: false,
        error: Some(BackendError::engine("waiting for the container", e).to_failure()),
    };
    let code = match container.wait().await {
        Ok(code) => code,
        Err(e) => return lost(e),
    };
    let found = container.inspect("").await.ok().flatten().unwrap_or_default();
    let out_of_memory = found["State"]["OOMKilled"].as_bool().unwrap_or(false);
    Exit { code, out_of_memory, error: None }
}

/// Takes the engine's stream apart into the app's two.
async fn carry(mut frames: Incoming, output: Output) {
    let (mut out, from_out) = duplex(ROOM);
    let (mut err, from_err) = duplex(ROOM);
    let apart = async {
        let mut parser = Frames::default();
        while let Ok(Some(bytes)) = next(&mut frames).await {
            let mut pieces = Vec::new();
            parser.push(&bytes, |stream, piece| pieces.push((stream, piece)));
            for (stream, piece) in pieces {
                let end: &mut DuplexStream = match stream {
                    Stream::Stdout => &mut out,
                    Stream::Stderr => &mut err,
                };
                if end.write_all(piece).await.is_err() {
                    break;
                }
            }
        }
        drop((out, err));
    };
    tokio::join!(
        apart,
        pump(from_out, Stream::Stdout, output.clone()),
        pump(from_err, Stream::Stderr, output.clone()),
    );
}

#[async_trait(?Send)]
impl Running for RunningContainer {
    async fn wait(&self) -> Exit {
        let mut ended = self.ended.clone();
        let exit = ended.wait_for(Option::is_some).await.ok().and_then(|exit| exit.clone());
        exit.unwrap_or_else(|| {
            let error = BackendError::engine("the supervisor", "it lost sight of the container");
            Exit { code: 125, out_of_memory: false, error: Some(error.to_failure()) }
        })
    }

    async fn signal(&self, number: i32) -> Result<(), BackendError> {
        self.container.signal(number).await.map_err(other)
    }

    async fn kill(&self) -> Result<(), BackendError> {
        self.container.signal(9).await.map_err(other)
    }

    async fn pause(&self) -> Result<(), BackendError> {
        self.container.pause(true).await.map_err(other)
    }

    async fn resume(&self) -> Result<(), BackendError> {
        self.container.pause(false).await.map_err(other)
    }

    async fn update(&self, resources: &Resources) -> Result<(), BackendError> {
        self.container.update(resources).await.map_err(of_update)
    }
}
