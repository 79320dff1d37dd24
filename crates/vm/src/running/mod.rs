//! A machine that is up.

mod console;
mod life;
mod pulse;
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
use tandem_model::{Accelerator, Exit, Resources};
use tandem_probe::identity;
use tokio::{net::UnixStream, sync::watch, time::timeout};

use crate::{
    agent::{Agent, Task},
    exec::relay,
    machine::{LEAST_FOR_SYSTEM, LEAST_MEMORY, Machine},
    payload::Kind,
    qmp::{Qmp, QmpError},
    snapshot::{GuestSize, MachineState, Request},
};
pub(crate) use console::Console;
use console::Door;
use life::Life;
pub(crate) use pulse::Pulse;

/// The supervisor's handle on a machine. A task of its own does the work, so
/// that nothing is lost when a caller stops waiting.
pub(crate) struct RunningVm {
    exit: watch::Receiver<Option<Exit>>,
    /// `None` when nobody inside talks to us.
    agent: Option<Agent>,
    /// The app's input.
    app: Option<Task>,
    /// The app has a terminal.
    terminal: bool,
    qmp: Rc<Qmp>,
    pulse: Pulse,
    console: Door,
    kill: watch::Sender<bool>,
    /// The instance's folder.
    dir: PathBuf,
    /// What a saved state fits to.
    state: RefCell<MachineState>,
    limits: Cell<Resources>,
    /// The least memory that such a machine comes up with, bytes.
    least: u64,
    /// Processors that may still be plugged in, one after the other.
    places: Cell<u32>,
    /// A processor was taken from it in this life of QEMU's.
    lost_one: Cell<bool>,
    /// The channel rests, because the machine was paused.
    at_rest: Cell<bool>,
    has_volumes: bool,
}

/// Signals that ask to end: SIGHUP, SIGINT, SIGQUIT, SIGTERM, and the one for
/// systemd.
const ENDING: [i32; 5] = [1, 2, 3, 15, 37];

/// How long a guest may take to write its volumes out before it is killed.
const SETTLING: Duration = Duration::from_secs(5);

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
    pub(crate) kind: Kind,
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
        let Parts { has_volumes, kind, terminal, .. } = parts;
        let qmp = Rc::new(qmp);
        let pulse = Pulse::of(machine.pid().and_then(identity));
        let door = console.door();
        let (life, agent) = Life::new(machine, Rc::clone(&qmp), channel, console, app_output, kind);
        tokio::task::spawn_local(async move {
            let exit = life.run(killed).await;
            exit_sender.send_replace(Some(exit));
        });
        let least = if kind == Kind::Micro { LEAST_MEMORY } else { LEAST_FOR_SYSTEM };
        let shape = state.shape();
        let places = match state.accelerator {
            Accelerator::Tcg => shape.places(Accelerator::Tcg).saturating_sub(shape.cpus),
            Accelerator::Kvm => u32::MAX,
        };
        let (state, limits) = (RefCell::new(state), Cell::new(limits));
        let at_rest = Cell::new(false);
        Self {
            exit,
            app: agent.as_ref().map(Agent::app),
            agent,
            terminal,
            qmp,
            pulse,
            console: door,
            kill,
            dir,
            state,
            limits,
            least,
            places: Cell::new(places),
            lost_one: Cell::new(false),
            at_rest,
            has_volumes,
        }
    }

    /// Lets a machine whose state was brought back go on, with the time, fresh
    /// random numbers and, as another instance, an identity of its own.
    pub(crate) async fn revive(&self, identity: Option<NewIdentity>) -> Result<(), BackendError> {
        let agent = self.agent()?;
        let identity = identity.as_ref().map(|it| (it.hostname.as_str(), it.mac));
        // The guest finds both requests as it wakes, before its app runs.
        let (resumed, refreshed, runs) =
            tokio::join!(agent.resume(true), agent.refresh(identity), self.qmp.cont());
        runs.map_err(failed)?;
        resumed.and(refreshed).map_err(guest)
    }

    fn agent(&self) -> Result<&Agent, BackendError> {
        self.agent.as_ref().ok_or_else(|| BackendError::Unavailable {
            what: "what is inside this machine".to_owned(),
            why: "its disk came from elsewhere, and no agent of Tandem's is on it".to_owned(),
            fix: "log in at its console with `tandem console`, or by a published port".to_owned(),
        })
    }

    /// Brings the guest's files and the channel to rest.
    async fn quiesce(&self) -> Result<(), BackendError> {
        self.agent()?.quiesce().await.map_err(guest)
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
        match &self.agent {
            Some(agent) => agent.signal(number).map_err(guest),
            // Whoever asks it to stop presses its power button.
            None if ENDING.contains(&number) => {
                self.qmp.execute("system_powerdown", None).await.map(drop).map_err(failed)
            }
            None => self.agent().map(drop),
        }
    }

    async fn write_input(&self, bytes: &[u8]) -> Result<(), BackendError> {
        let Some(app) = &self.app else { return Ok(()) };
        // Without standard input nobody would take it.
        app.input(bytes).await.map_err(|e| BackendError::engine("passing input on", e))
    }

    async fn close_input(&self) -> Result<(), BackendError> {
        match &self.app {
            // A terminal has no end: the key for it is a matter of the app's.
            Some(app) if !self.terminal => app.end_input().await.map_err(guest),
            _ => Ok(()),
        }
    }

    async fn resize(&self, size: WindowSize) -> Result<(), BackendError> {
        match &self.app {
            Some(app) if self.terminal => {
                let size = Window { rows: size.rows, columns: size.columns };
                app.resize(size).await.map_err(guest)
            }
            _ => Ok(()),
        }
    }

    async fn kill(&self) -> Result<(), BackendError> {
        // A killed process leaves what it wrote; a machine without power loses
        // what its kernel had not written out.
        if self.has_volumes && !self.at_rest.get() && self.pulse.check().is_ok() {
            let _ = timeout(SETTLING, self.quiesce()).await;
        }
        self.kill.send_replace(true);
        Ok(())
    }

    fn connect(&self, peer: Peer) -> Result<Serve, BackendError> {
        match peer {
            Peer::Agent => {
                let (agent, pulse) = (self.agent()?.clone(), self.pulse);
                Ok(Box::new(move |stream| {
                    drop(tokio::task::spawn_local(relay(agent, pulse, stream)));
                }))
            }
            Peer::Console => self.console.clone().serve(),
        }
    }

    async fn pause(&self) -> Result<(), BackendError> {
        self.pulse.check()?;
        // A guest that does not answer can be paused all the same; only a
        // snapshot with its memory would be of no use.
        self.at_rest.set(self.quiesce().await.is_ok());
        self.qmp.stop().await.map_err(failed)
    }

    async fn resume(&self) -> Result<(), BackendError> {
        self.pulse.check()?;
        self.qmp.cont().await.map_err(failed)?;
        if self.at_rest.replace(false) {
            self.agent()?.resume(false).await.map_err(guest)?;
        }
        Ok(())
    }

    async fn update(&self, resources: &Resources) -> Result<(), BackendError> {
        self.pulse.check()?;
        self.change_size(resources).await
    }

    async fn own(
        &self,
        request: Value,
        given_up: Pin<&mut dyn Future<Output = ()>>,
    ) -> Result<Value, BackendError> {
        let unreadable = |e| BackendError::engine("the supervisor", e);
        let request: Request = serde_json::from_value(request).map_err(unreadable)?;
        self.pulse.check()?;
        match request {
            Request::Save { to, memory } => {
                let taken = self.save(&to, memory, given_up).await?;
                serde_json::to_value(taken).map_err(unreadable)
            }
            Request::Size => {
                let online = self.agent()?.online().await.map_err(guest)?;
                let size = GuestSize { cpus: online.cpus, memory_bytes: online.memory_bytes };
                serde_json::to_value(size).map_err(unreadable)
            }
            Request::Freeze { to } => {
                serde_json::to_value(self.freeze(&to).await?).map_err(unreadable)
            }
        }
    }
}
