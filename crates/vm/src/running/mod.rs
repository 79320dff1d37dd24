//! A machine that is up.

mod console;
mod life;

use async_trait::async_trait;
use tandem_backend::{BackendError, Output, Running};
use tandem_guest::wire::ToGuest;
use tandem_model::Exit;
use tokio::{
    net::UnixStream,
    sync::{mpsc, watch},
};

use crate::{machine::Machine, qmp::Qmp};
pub(crate) use console::Console;
use life::Life;

/// Requests that may wait for the guest.
const MOST_REQUESTS: usize = 64;

/// The supervisor's handle on a machine. A task of its own does the work, so
/// that nothing is lost when a caller stops waiting.
pub(crate) struct RunningVm {
    exit: watch::Receiver<Option<Exit>>,
    requests: mpsc::Sender<ToGuest>,
    kill: watch::Sender<bool>,
}

impl RunningVm {
    /// Takes over a machine whose app was executed.
    pub(crate) fn watch(
        machine: Machine,
        qmp: Qmp,
        channel: UnixStream,
        console: Console,
        app_output: &Output,
    ) -> Self {
        let (exit_sender, exit) = watch::channel(None);
        let (requests, receiver) = mpsc::channel(MOST_REQUESTS);
        let (kill, killed) = watch::channel(false);
        let life = Life::new(machine, qmp, channel, console, app_output);
        tokio::task::spawn_local(async move {
            let exit = life.run(receiver, killed).await;
            exit_sender.send_replace(Some(exit));
        });
        Self { exit, requests, kill }
    }
}

#[async_trait(?Send)]
impl Running for RunningVm {
    async fn wait(&self) -> Exit {
        let mut exit = self.exit.clone();
        let ended = exit.wait_for(Option::is_some).await;
        let lost = || Exit {
            code: 137,
            out_of_memory: false,
            error: Some(BackendError::engine("the supervisor", "it lost QEMU").to_failure()),
        };
        ended.ok().and_then(|exit| exit.clone()).unwrap_or_else(lost)
    }

    async fn signal(&self, number: i32) -> Result<(), BackendError> {
        let request = ToGuest::Signal { number };
        self.requests
            .try_send(request)
            .map_err(|_| BackendError::engine("the guest", "it does not take requests any more"))
    }

    async fn kill(&self) -> Result<(), BackendError> {
        self.kill.send_replace(true);
        Ok(())
    }
}
