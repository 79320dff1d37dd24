//! A machine that is up.

mod console;
mod life;

use std::rc::Rc;

use async_trait::async_trait;
use tandem_backend::{BackendError, Output, Running};
use tandem_model::Exit;
use tokio::{net::UnixStream, sync::watch};

use crate::{
    agent::Agent,
    machine::Machine,
    qmp::{Qmp, QmpError},
};
pub(crate) use console::Console;
use life::Life;

/// The supervisor's handle on a machine. A task of its own does the work, so
/// that nothing is lost when a caller stops waiting.
pub(crate) struct RunningVm {
    exit: watch::Receiver<Option<Exit>>,
    agent: Agent,
    qmp: Rc<Qmp>,
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
        let (kill, killed) = watch::channel(false);
        let qmp = Rc::new(qmp);
        let (life, agent) = Life::new(machine, Rc::clone(&qmp), channel, console, app_output);
        tokio::task::spawn_local(async move {
            let exit = life.run(killed).await;
            exit_sender.send_replace(Some(exit));
        });
        Self { exit, agent, qmp, kill }
    }

    /// The guest's agent.
    pub(crate) const fn agent(&self) -> &Agent {
        &self.agent
    }

    /// QEMU's monitor.
    pub(crate) fn qmp(&self) -> &Qmp {
        &self.qmp
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
        self.agent().signal(number).map_err(|e| BackendError::engine("telling the guest", e))
    }

    async fn kill(&self) -> Result<(), BackendError> {
        self.kill.send_replace(true);
        Ok(())
    }

    async fn pause(&self) -> Result<(), BackendError> {
        self.qmp().execute("stop", None).await.map(drop).map_err(monitor)
    }

    async fn resume(&self) -> Result<(), BackendError> {
        self.qmp().execute("cont", None).await.map(drop).map_err(monitor)
    }
}

fn monitor(e: QmpError) -> BackendError {
    BackendError::engine("QEMU's monitor", e)
}
