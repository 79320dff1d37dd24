use std::{path::Path, time::Duration};

use serde_json::json;
use tandem_model::{Exit, Failure, InstanceState, Membership, RestartPolicy};
use tokio::{
    net::{UnixListener, UnixStream},
    time::Instant,
};

use super::{
    Joined, Running,
    health::{self, Checked, HealthChecks},
    life::{Fate, Supervisor},
    signal_number,
    wake::{ended, terminated, until},
};
use crate::{
    BackendError, ControlRequest, Peer,
    attach::Inbox,
    control::{answer, answer_with, receive, released},
};

/// The number of SIGKILL.
const KILL: i32 = 9;

/// How long a request may take to arrive.
const REQUEST: Duration = Duration::from_secs(2);

/// Why the supervisor has something to do.
enum Wake {
    Ended(Exit),
    Connection(Option<UnixStream>),
    OwnerGone,
    Terminated,
    GraceOver,
    Checked(Checked),
}

impl Supervisor {
    /// Serves the running app until it has ended.
    pub(super) async fn serve(
        &mut self,
        running: &dyn Running,
        listener: &UnixListener,
        inbox: &mut Inbox,
        mut checks: Option<HealthChecks>,
    ) -> Exit {
        let mut deadline: Option<Instant> = None;
        let feeding = inbox.feed(running);
        tokio::pin!(feeding);
        loop {
            let wake = tokio::select! {
                exit = running.wait() => Wake::Ended(exit),
                connection = listener.accept() => Wake::Connection(connection.ok().map(|(stream, _)| stream)),
                () = ended(self.record.spec.owner), if !self.owner_gone => Wake::OwnerGone,
                () = terminated(&mut self.terminate) => Wake::Terminated,
                () = until(deadline) => Wake::GraceOver,
                checked = health::next(&mut checks) => Wake::Checked(checked),
                never = &mut feeding => match never {},
            };
            match wake {
                Wake::Ended(exit) => return exit,
                Wake::Connection(None) => {}
                Wake::Connection(Some(stream)) => {
                    if let Some(grace) = self.handle(running, stream, checks.as_ref()).await {
                        let limit = Instant::now() + grace;
                        deadline = Some(deadline.map_or(limit, |earlier| earlier.min(limit)));
                    }
                }
                Wake::OwnerGone => {
                    self.owner_gone = true;
                    self.kill(running).await;
                }
                Wake::Terminated => {
                    self.ask_to_stop(running, None).await;
                    deadline = Some(Instant::now() + self.default_grace());
                }
                Wake::GraceOver => {
                    deadline = None;
                    self.kill(running).await;
                }
                Wake::Checked(checked) => self.checked(checked),
            }
        }
    }

    /// Waits before the app is started again, and serves meanwhile. Returns
    /// whether it is not to be started any more.
    pub(super) async fn rest(&mut self, pause: Duration, listener: &UnixListener) -> bool {
        self.record.state = InstanceState::Restarting;
        self.save();
        let over = Instant::now() + pause;
        loop {
            let mut stream = tokio::select! {
                () = tokio::time::sleep_until(over) => return false,
                () = ended(self.record.spec.owner), if !self.owner_gone => {
                    self.owner_gone = true;
                    return true;
                }
                () = terminated(&mut self.terminate) => return true,
                connection = listener.accept() => match connection {
                    Ok((stream, _)) => stream,
                    Err(_) => continue,
                },
            };
            let request = tokio::time::timeout(REQUEST, receive(&mut stream)).await;
            match request.ok().flatten() {
                Some(ControlRequest::Stop { .. }) => {
                    self.callers.push(stream);
                    return true;
                }
                Some(ControlRequest::Signal { number }) if self.ends(number) => {
                    self.callers.push(stream);
                    return true;
                }
                Some(ControlRequest::Update { resources }) => {
                    self.record.spec.resources = resources;
                    let saved = self.store.save(&self.record).map_err(|e| e.to_failure());
                    answer(&mut stream, saved).await;
                }
                Some(ControlRequest::Restart { policy }) => {
                    self.set_restart(policy, stream).await;
                    if policy == RestartPolicy::No {
                        return true;
                    }
                }
                Some(ControlRequest::Rename { name }) => self.rename(name, stream).await,
                Some(ControlRequest::Attach { wishes }) => {
                    answer(&mut stream, Ok(())).await;
                    self.clients.admit(stream, wishes);
                }
                Some(ControlRequest::Disown) => self.disown(stream).await,
                Some(ControlRequest::Keep) => self.keep(stream).await,
                Some(_) => {
                    let failure = self.wrong("about to be started again", "tandem stop");
                    answer(&mut stream, Err(failure)).await;
                }
                None => {}
            }
        }
    }

    /// Serves one request; returns the time limit of a stop.
    async fn handle(
        &mut self,
        running: &dyn Running,
        mut stream: UnixStream,
        checks: Option<&HealthChecks>,
    ) -> Option<Duration> {
        let request = tokio::time::timeout(REQUEST, receive(&mut stream)).await.ok().flatten()?;
        let paused = self.record.state == InstanceState::Paused;
        let holds = matches!(
            request,
            ControlRequest::Pause | ControlRequest::Hold | ControlRequest::Checkpoint { .. }
        );
        if holds && let Some(checks) = checks {
            checks.pause(true);
        }
        match request {
            ControlRequest::Stop { grace_ms, signal } => {
                self.callers.push(stream);
                let grace = grace_ms.map_or(self.default_grace(), Duration::from_millis);
                self.last = true;
                if grace.is_zero() {
                    self.kill(running).await;
                } else {
                    self.ask_to_stop(running, signal).await;
                }
                return Some(grace);
            }
            ControlRequest::Signal { number } => self.signal(running, number, stream).await,
            ControlRequest::Disown => self.disown(stream).await,
            ControlRequest::Keep => self.keep(stream).await,
            ControlRequest::Pause if paused => {
                answer(&mut stream, Err(self.wrong("paused already", "tandem unpause"))).await;
            }
            ControlRequest::Resume if !paused => {
                answer(&mut stream, Err(self.wrong("not paused", "tandem pause"))).await;
            }
            ControlRequest::Pause => {
                let result = running.pause().await.and_then(|()| self.stand(InstanceState::Paused));
                answer(&mut stream, result.map_err(|e| e.to_failure())).await;
            }
            ControlRequest::Resume => {
                let result =
                    running.resume().await.and_then(|()| self.stand(InstanceState::Running));
                answer(&mut stream, result.map_err(|e| e.to_failure())).await;
            }
            ControlRequest::Hold => self.hold(running, stream).await,
            ControlRequest::Checkpoint { .. } if paused => {
                answer(&mut stream, Err(self.wrong("paused", "tandem unpause"))).await;
            }
            ControlRequest::Checkpoint { into } => self.checkpoint(running, &into, stream).await,
            ControlRequest::Connect { peer: Peer::Agent }
                if self.record.state == InstanceState::Paused =>
            {
                answer(&mut stream, Err(self.wrong("paused", "tandem unpause"))).await;
            }
            ControlRequest::Connect { peer } => match running.connect(peer) {
                Ok(serve) => {
                    answer(&mut stream, Ok(())).await;
                    serve(stream);
                }
                Err(e) => answer(&mut stream, Err(e.to_failure())).await,
            },
            ControlRequest::Update { resources } => {
                let result = running.update(&resources).await.and_then(|()| {
                    self.record.spec.resources = resources;
                    self.store.save(&self.record)
                });
                answer(&mut stream, result.map_err(|e| e.to_failure())).await;
            }
            ControlRequest::Restart { policy } => self.set_restart(policy, stream).await,
            ControlRequest::Rename { name } => self.rename(name, stream).await,
            ControlRequest::Join { membership } => {
                let joined = running.join_network(&self.record, &membership.name).await;
                let result = joined.and_then(|joined| self.joined(membership, joined));
                answer(&mut stream, result.map_err(|e| e.to_failure())).await;
            }
            ControlRequest::Leave { network } => {
                let left = running.leave_network(&self.record, &network).await;
                let result = left.and_then(|()| self.left(&network));
                answer(&mut stream, result.map_err(|e| e.to_failure())).await;
            }
            ControlRequest::Attach { wishes } => {
                answer(&mut stream, Ok(())).await;
                self.clients.admit(stream, wishes);
            }
            ControlRequest::Own { request } => {
                let result = {
                    let gone = released(&mut stream);
                    tokio::pin!(gone);
                    running.own(request, gone).await
                };
                answer_with(&mut stream, result.map_err(|e| e.to_failure())).await;
            }
        }
        if let Some(checks) = checks {
            checks.pause(self.record.state == InstanceState::Paused);
        }
        None
    }

    async fn keep(&mut self, mut stream: UnixStream) {
        self.fate = Fate::Stays;
        answer(&mut stream, Ok(())).await;
    }

    async fn set_restart(&mut self, policy: RestartPolicy, mut stream: UnixStream) {
        self.record.spec.options.restart = policy;
        let saved = self.store.save(&self.record).map_err(|e| e.to_failure());
        answer(&mut stream, saved).await;
    }

    async fn rename(&mut self, name: String, mut stream: UnixStream) {
        self.record.spec.name = name;
        let saved = self.store.save(&self.record).map_err(|e| e.to_failure());
        answer(&mut stream, saved).await;
    }

    /// Takes note of a further network.
    fn joined(&mut self, membership: Membership, joined: Joined) -> Result<(), BackendError> {
        let runtime = &mut self.record.runtime;
        runtime.addresses.insert(membership.name.clone(), joined.address);
        runtime.links.push(joined.link);
        runtime.warn(joined.warnings);
        self.record.spec.options.networks.push(membership);
        self.store.save(&self.record)
    }

    fn left(&mut self, network: &str) -> Result<(), BackendError> {
        self.record.spec.options.networks.retain(|it| it.name != network);
        self.record.runtime.addresses.remove(network);
        self.store.save(&self.record)
    }

    async fn signal(&mut self, running: &dyn Running, number: i32, mut stream: UnixStream) {
        self.last |= self.ends(number);
        let mut result = running.signal(number).await.map_err(|e| e.to_failure());
        if number == KILL {
            self.output.release();
            if self.record.state == InstanceState::Paused {
                // Version 1 lets nobody die who is held still.
                let resumed = running.resume().await;
                result = result.and(resumed.map_err(|e| e.to_failure()));
            }
        }
        answer(&mut stream, result).await;
    }

    /// Whether a person who sends this signal wants an end, not a new start.
    fn ends(&self, number: i32) -> bool {
        number == KILL || Some(number) == signal_number(&self.record.spec.stop_signal)
    }

    async fn disown(&mut self, mut stream: UnixStream) {
        self.record.spec.owner = None;
        let result = self.store.save(&self.record).map_err(|e| e.to_failure());
        answer(&mut stream, result).await;
    }

    /// Holds every process still as long as the connection stands.
    async fn hold(&mut self, running: &dyn Running, mut stream: UnixStream) {
        // One that a person has paused stays so afterwards.
        let ours = self.record.state != InstanceState::Paused;
        let held = if ours { running.pause().await } else { Ok(()) };
        let holds = held.is_ok();
        answer(&mut stream, held.map_err(|e| e.to_failure())).await;
        if holds {
            released(&mut stream).await;
            if ours && let Err(e) = running.resume().await {
                eprintln!("letting the app go on: {e}");
            }
        }
    }

    /// The same with their memory in a folder. It is written to its end even
    /// when whoever asked is gone: half-way nobody can let go.
    async fn checkpoint(&self, running: &dyn Running, into: &Path, mut stream: UnixStream) {
        let held = running.checkpoint(into).await;
        let holds = held.is_ok();
        let held = held.map(|it| json!(u64::try_from(it.as_nanos()).unwrap_or(u64::MAX)));
        answer_with(&mut stream, held.map_err(|e| e.to_failure())).await;
        if holds {
            released(&mut stream).await;
            if let Err(e) = running.resume().await {
                eprintln!("letting the app go on: {e}");
            }
        }
    }

    /// Takes note of a health check.
    fn checked(&mut self, checked: Checked) {
        if let (Some(health), Some(check)) =
            (&mut self.record.health, &self.record.spec.options.health)
        {
            health::judge(health, check, checked);
            self.save();
        }
    }

    fn wrong(&self, state: &'static str, command: &str) -> Failure {
        let name = self.record.spec.name.clone();
        let next = format!("`{command} {name}` changes that");
        BackendError::WrongState { name, state, next }.to_failure()
    }

    /// Writes down where the instance stands now.
    fn stand(&mut self, state: InstanceState) -> Result<(), BackendError> {
        self.record.state = state;
        self.store.save(&self.record)
    }

    async fn ask_to_stop(&mut self, running: &dyn Running, signal: Option<i32>) {
        self.last = true;
        if self.record.state == InstanceState::Paused {
            // What is held still hears no signal.
            let _ = running.resume().await.and_then(|()| self.stand(InstanceState::Running));
        }
        let asked = std::mem::replace(&mut self.stop_asked, true);
        // A signal of somebody's choice is sent again.
        if !asked || signal.is_some() {
            let usual = || signal_number(&self.record.spec.stop_signal).unwrap_or(15);
            let number = signal.unwrap_or_else(usual);
            if running.signal(number).await.is_err() {
                self.kill(running).await;
            }
        }
    }

    fn default_grace(&self) -> Duration {
        Duration::from_secs(u64::from(self.record.spec.stop_timeout_s))
    }
}
