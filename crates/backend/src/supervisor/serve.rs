use std::time::Duration;

use jiff::Timestamp;
use tandem_model::{Exit, Failure, InstanceRecord, InstanceState};
use tokio::{
    net::{UnixListener, UnixStream},
    signal::unix::{SignalKind, signal},
};

use super::{
    Launch, Payload, Running, report, signal_number,
    wake::{ended, reader_gone, terminated, until},
};
use crate::{
    BackendError, ControlRequest, InstanceStore, LaunchEvent, LogWriter,
    control::{answer, listen, receive, released},
};

/// The number of SIGKILL.
const KILL: i32 = 9;

/// The supervisor of one instance, from its launch to its end.
pub(super) struct Supervisor {
    store: InstanceStore,
    record: InstanceRecord,
    /// Connections that wait for the end.
    callers: Vec<UnixStream>,
    owner_gone: bool,
    stop_asked: bool,
}

/// Why the supervisor has something to do.
enum Wake {
    Ended(Exit),
    Connection(Option<UnixStream>),
    OwnerGone,
    Terminated,
    GraceOver,
}

impl Supervisor {
    pub(super) fn new(store: InstanceStore, record: InstanceRecord) -> Self {
        Self { store, record, callers: Vec::new(), owner_gone: false, stop_asked: false }
    }

    /// Launches the payload, serves requests, and cleans up at its end.
    pub(super) async fn run(&mut self, mut payload: Box<dyn Payload>) -> Result<(), BackendError> {
        let listener = listen(&self.store.dir(&self.record.id))?;
        let log = LogWriter::open(&self.store.log_path(&self.record.id))?;
        self.store.save(&self.record)?;
        let launched = self.launch(payload.as_mut(), &listener, log).await;
        let (exit, failure) = match launched {
            Ok(running) => {
                self.record.state = InstanceState::Running;
                self.record.started_at = Some(Timestamp::now());
                self.store.save(&self.record)?;
                if !report(&LaunchEvent::Started) {
                    // Whoever asked for the launch is gone: nobody will know of it.
                    let _ = running.kill().await;
                }
                (self.serve(running.as_ref(), &listener).await, None)
            }
            Err(e) => {
                let failure = e.to_failure();
                let code = i32::from(failure.code.exit_code());
                (Exit { code, out_of_memory: false, error: Some(failure.clone()) }, Some(failure))
            }
        };
        self.finish(payload.as_mut(), exit, failure).await
    }

    /// Runs the launch while listening for a stop, for the owner's end and for
    /// the end of the command that waits for it.
    async fn launch(
        &mut self,
        payload: &mut dyn Payload,
        listener: &UnixListener,
        log: LogWriter,
    ) -> Result<Box<dyn Running>, BackendError> {
        let owner = self.record.spec.owner;
        let mut launch = Launch { record: &mut self.record, store: &self.store, log };
        let launching = payload.launch(&mut launch);
        tokio::pin!(launching);
        loop {
            tokio::select! {
                biased;
                result = &mut launching => return result,
                () = reader_gone() => return Err(BackendError::Cancelled),
                () = ended(owner) => return Err(BackendError::Cancelled),
                Ok((mut stream, _)) = listener.accept() => {
                    match receive(&mut stream).await {
                        Some(ControlRequest::Stop { .. } | ControlRequest::Signal { .. }) => {
                            self.callers.push(stream);
                            return Err(BackendError::Cancelled);
                        }
                        _ => answer(&mut stream, Err(BackendError::Cancelled.to_failure())).await,
                    }
                }
            }
        }
    }

    /// Serves the running payload until it has ended.
    async fn serve(&mut self, running: &dyn Running, listener: &UnixListener) -> Exit {
        let mut terminate = signal(SignalKind::terminate()).ok();
        let mut deadline = None;
        loop {
            let wake = tokio::select! {
                exit = running.wait() => Wake::Ended(exit),
                connection = listener.accept() => Wake::Connection(connection.ok().map(|(stream, _)| stream)),
                () = ended(self.record.spec.owner), if !self.owner_gone => Wake::OwnerGone,
                () = terminated(&mut terminate) => Wake::Terminated,
                () = until(deadline) => Wake::GraceOver,
            };
            match wake {
                Wake::Ended(exit) => return exit,
                Wake::Connection(None) => {}
                Wake::Connection(Some(stream)) => {
                    if let Some(grace) = self.handle(running, stream).await {
                        let limit = tokio::time::Instant::now() + grace;
                        deadline = Some(
                            deadline
                                .map_or(limit, |earlier: tokio::time::Instant| earlier.min(limit)),
                        );
                    }
                }
                Wake::OwnerGone => {
                    self.owner_gone = true;
                    let _ = running.kill().await;
                }
                Wake::Terminated => {
                    self.ask_to_stop(running).await;
                    deadline = Some(tokio::time::Instant::now() + self.default_grace());
                }
                Wake::GraceOver => {
                    deadline = None;
                    let _ = running.kill().await;
                }
            }
        }
    }

    /// Serves one request; returns the time limit of a stop.
    async fn handle(&mut self, running: &dyn Running, mut stream: UnixStream) -> Option<Duration> {
        let limit = Duration::from_secs(2);
        let request = tokio::time::timeout(limit, receive(&mut stream)).await.ok().flatten()?;
        match request {
            ControlRequest::Stop { grace_ms } => {
                self.callers.push(stream);
                let grace = grace_ms.map_or(self.default_grace(), Duration::from_millis);
                if grace.is_zero() {
                    let _ = running.kill().await;
                } else {
                    self.ask_to_stop(running).await;
                }
                return Some(grace);
            }
            ControlRequest::Signal { number } => {
                let mut result = running.signal(number).await.map_err(|e| e.to_failure());
                if number == KILL && self.record.state == InstanceState::Paused {
                    // Version 1 lets nobody die who is held still.
                    let resumed = running.resume().await;
                    result = result.and(resumed.map_err(|e| e.to_failure()));
                }
                answer(&mut stream, result).await;
            }
            ControlRequest::Disown => {
                self.record.spec.owner = None;
                let result = self.store.save(&self.record).map_err(|e| e.to_failure());
                answer(&mut stream, result).await;
            }
            ControlRequest::Pause if self.record.state == InstanceState::Paused => {
                answer(&mut stream, Err(self.wrong("paused already", "tandem unpause"))).await;
            }
            ControlRequest::Resume if self.record.state != InstanceState::Paused => {
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
            ControlRequest::Hold => {
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
            ControlRequest::Update { resources } => {
                let result = running.update(&resources).await.and_then(|()| {
                    self.record.spec.resources = resources;
                    self.store.save(&self.record)
                });
                answer(&mut stream, result.map_err(|e| e.to_failure())).await;
            }
        }
        None
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

    async fn ask_to_stop(&mut self, running: &dyn Running) {
        if self.record.state == InstanceState::Paused {
            // What is held still hears no signal.
            let _ = running.resume().await.and_then(|()| self.stand(InstanceState::Running));
        }
        if !std::mem::replace(&mut self.stop_asked, true) {
            let number = signal_number(&self.record.spec.stop_signal).unwrap_or(15);
            if running.signal(number).await.is_err() {
                let _ = running.kill().await;
            }
        }
    }

    fn default_grace(&self) -> Duration {
        Duration::from_secs(u64::from(self.record.spec.stop_timeout_s))
    }

    /// Cleans up, writes the end down and answers those who wait for it.
    async fn finish(
        &mut self,
        payload: &mut dyn Payload,
        mut exit: Exit,
        failure: Option<Failure>,
    ) -> Result<(), BackendError> {
        let problems = payload.clean_up(&self.record).await;
        for problem in &problems {
            eprintln!("cleaning up: {problem}");
        }
        if exit.error.is_none() && !problems.is_empty() {
            exit.error = Some(
                BackendError::engine("cleaning up after the app", problems.join("; ")).to_failure(),
            );
        }
        self.record.state = InstanceState::Exited;
        self.record.finished_at = Some(Timestamp::now());
        self.record.exit = Some(exit);
        if problems.is_empty() {
            self.record.runtime.supervisor = None;
            self.record.runtime.process = None;
            self.record.runtime.cgroups.clear();
            self.record.runtime.mounts.clear();
            self.record.runtime.links.clear();
        }
        let _ = std::fs::remove_file(self.store.dir(&self.record.id).join("control.sock"));
        let owned = self.record.spec.owner.is_some();
        let removed =
            if problems.is_empty() && (self.record.spec.remove || (owned && self.owner_gone)) {
                self.store.delete(&self.record.id)
            } else {
                self.store.save(&self.record)
            };
        for caller in &mut self.callers {
            answer(caller, removed.as_ref().copied().map_err(BackendError::to_failure)).await;
        }
        removed?;
        failure.map_or(Ok(()), |failure| Err(failure.into()))
    }
}
