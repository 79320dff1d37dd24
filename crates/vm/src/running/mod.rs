//! A machine that is up.

mod console;
mod life;
mod resize;
mod save;

use std::{
    cell::{Cell, RefCell},
    path::PathBuf,
    pin::Pin,
    rc::Rc,
    time::Duration,
};

use async_trait::async_trait;
use serde_json::Value;
use tandem_backend::{BackendError, Output, Peer, Running, Serve, WindowSize};
use tandem_guest::wire::Window;
use tandem_model::{Exit, Resources};
use tokio::{net::UnixStream, sync::watch, time::timeout};

use crate::{
    agent::{Agent, Task},
    exec::relay,
    machine::Machine,
    qmp::{Qmp, QmpError},
    snapshot::{GuestSize, MachineState, Request},
};
pub(crate) use console::Console;
use console::Door;
use life::Life;

/// The supervisor's handle on a machine. A task of its own does the work, so
/// that nothing is lost when a caller stops waiting.
pub(crate) struct RunningVm {
    exit: watch::Receiver<Option<Exit>>,
    agent: Agent,
    /// The app's input.
    app: Task,
    /// The app has a terminal.
    terminal: bool,
    qmp: Rc<Qmp>,
    console: Door,
    kill: watch::Sender<bool>,
    /// The instance's folder.
    dir: PathBuf,
    /// What a saved state fits to.
    state: RefCell<MachineState>,
    limits: Cell<Resources>,
    /// The channel rests, because the machine was paused.
    at_rest: Cell<bool>,
    has_volumes: bool,
}

/// How long a guest may take to write its volumes out before it is killed.
const SETTLING: Duration = Duration::from_secs(5);

/// How long an operating system may take to shut down after its app's end.
const SHUTDOWN: Duration = Duration::from_mins(1);

/// The parts of a machine that has come up.
pub(crate) struct Parts<'a> {
    pub(crate) machine: Machine,
    pub(crate) qmp: Qmp,
    pub(crate) channel: UnixStream,
    pub(crate) console: Console,
    pub(crate) app_output: &'a Output,
    /// The instance's folder.
    pub(crate) dir: PathBuf,
    pub(crate) state: MachineState,
    pub(crate) limits: Resources,
    /// It has disks that outlive it.
    pub(crate) has_volumes: bool,
    /// It has an operating system, which shuts down by itself.
    pub(crate) has_system: bool,
    /// Its app has a terminal.
    pub(crate) terminal: bool,
}

/// Who an instance is that was made of another one's state.
pub(crate) struct NewIdentity {
    pub(crate) hostname: String,
    /// Hardware address of its network device.
    pub(crate) mac: [u8; 6],
}

impl RunningVm {
    /// Takes over a machine whose app was executed.
    pub(crate) fn watch(parts: Parts<'_>) -> Self {
        let (exit_sender, exit) = watch::channel(None);
        let (kill, killed) = watch::channel(false);
        let Parts { machine, qmp, channel, console, app_output, dir, state, limits, .. } = parts;
        let Parts { has_volumes, has_system, terminal, .. } = parts;
        let qmp = Rc::new(qmp);
        let door = console.door();
        let shutdown = if has_system { SHUTDOWN } else { Duration::ZERO };
        let (life, agent) =
            Life::new(machine, Rc::clone(&qmp), channel, console, app_output, shutdown);
        tokio::task::spawn_local(async move {
            let exit = life.run(killed).await;
            exit_sender.send_replace(Some(exit));
        });
        let (state, limits) = (RefCell::new(state), Cell::new(limits));
        let at_rest = Cell::new(false);
        Self {
            exit,
            app: agent.app(),
            agent,
            terminal,
            qmp,
            console: door,
            kill,
            dir,
            state,
            limits,
            at_rest,
            has_volumes,
        }
    }

    /// Lets a machine whose state was brought back go on, with the time, fresh
    /// random numbers and, as another instance, an identity of its own.
    pub(crate) async fn revive(&self, identity: Option<NewIdentity>) -> Result<(), BackendError> {
        self.qmp.cont().await.map_err(failed)?;
        self.agent.resume(true).await.map_err(guest)?;
        let identity = identity.as_ref().map(|it| (it.hostname.as_str(), it.mac));
        self.agent.refresh(identity).await.map_err(guest)
    }
}

fn failed(e: QmpError) -> BackendError {
    BackendError::engine("QEMU's monitor", e)
}

fn guest(e: crate::agent::AgentError) -> BackendError {
    BackendError::engine("telling the guest", e)
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
        self.agent.signal(number).map_err(guest)
    }

    async fn write_input(&self, bytes: &[u8]) -> Result<(), BackendError> {
        // Without standard input nobody would take it.
        self.app.input(bytes).await.map_err(|e| BackendError::engine("passing input on", e))
    }

    async fn close_input(&self) -> Result<(), BackendError> {
        // A terminal has no end: the key for it is a matter of the app's.
        if self.terminal {
            return Ok(());
        }
        self.app.end_input().await.map_err(guest)
    }

    async fn resize(&self, size: WindowSize) -> Result<(), BackendError> {
        if !self.terminal {
            return Ok(());
        }
        let size = Window { rows: size.rows, columns: size.columns };
        self.app.resize(size).await.map_err(guest)
    }

    async fn kill(&self) -> Result<(), BackendError> {
        // A killed process leaves what it wrote; a machine without power loses
        // what its kernel had not written out.
        if self.has_volumes && !self.at_rest.get() {
            let _ = timeout(SETTLING, self.agent.quiesce()).await;
        }
        self.kill.send_replace(true);
        Ok(())
    }

    fn connect(&self, peer: Peer) -> Result<Serve, BackendError> {
        match peer {
            Peer::Agent => {
                let agent = self.agent.clone();
                Ok(Box::new(|stream| drop(tokio::task::spawn_local(relay(agent, stream)))))
            }
            Peer::Console => self.console.clone().serve(),
        }
    }

    async fn pause(&self) -> Result<(), BackendError> {
        // A guest that does not answer can be paused all the same; only a
        // snapshot with its memory would be of no use.
        self.at_rest.set(self.agent.quiesce().await.is_ok());
        self.qmp.stop().await.map_err(failed)
    }

    async fn resume(&self) -> Result<(), BackendError> {
        self.qmp.cont().await.map_err(failed)?;
        if self.at_rest.replace(false) {
            self.agent.resume(false).await.map_err(guest)?;
        }
        Ok(())
    }

    async fn update(&self, resources: &Resources) -> Result<(), BackendError> {
        self.change_size(resources).await
    }

    async fn own(
        &self,
        request: Value,
        given_up: Pin<&mut dyn Future<Output = ()>>,
    ) -> Result<Value, BackendError> {
        let unreadable = |e| BackendError::engine("the supervisor", e);
        let request: Request = serde_json::from_value(request).map_err(unreadable)?;
        match request {
            Request::Save { to, memory } => {
                let taken = self.save(&to, memory, given_up).await?;
                serde_json::to_value(taken).map_err(unreadable)
            }
            Request::Size => {
                let online = self.agent.online().await.map_err(guest)?;
                let size = GuestSize { cpus: online.cpus, memory_bytes: online.memory_bytes };
                serde_json::to_value(size).map_err(unreadable)
            }
            Request::Freeze { to } => {
                serde_json::to_value(self.freeze(&to).await?).map_err(unreadable)
            }
        }
    }
}
