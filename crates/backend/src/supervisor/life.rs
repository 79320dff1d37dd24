use std::time::{Duration, Instant};

use jiff::Timestamp;
use tandem_model::{Exit, Failure, Health, HealthStatus, InstanceRecord, InstanceState, Runtime};
use tandem_probe::identity;
use tokio::{
    net::{UnixListener, UnixStream},
    signal::unix::{Signal, SignalKind, signal},
};

use super::{
    Launch, Payload, Remainder, Running,
    health::HealthChecks,
    report,
    restart::{BackOff, wanted},
    start::MakePayload,
    wake::{ended, reader_gone, single_threaded, terminated},
};
use crate::{
    BackendError, ControlRequest, InstanceStore, LaunchEvent, LogWriter, Output,
    attach::{Clients, Inbox},
    control::{answer, listen, receive},
};

/// The supervisor of one instance, from its launch to its end.
pub(super) struct Supervisor {
    pub(super) store: InstanceStore,
    pub(super) record: InstanceRecord,
    /// Connections that wait for the end.
    pub(super) callers: Vec<UnixStream>,
    pub(super) clients: Clients,
    pub(super) output: Output,
    /// SIGTERM to ourselves.
    pub(super) terminate: Option<Signal>,
    pub(super) owner_gone: bool,
    /// What becomes of it at its end.
    pub(super) fate: Fate,
    /// The app was asked to stop.
    pub(super) stop_asked: bool,
    /// A person wants it to end: it is not started again.
    pub(super) last: bool,
}

/// What becomes of an instance at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It goes where its specification says so.
    AsSpecified,
    /// It stays, to be started again.
    Stays,
}

/// A supervisor that has done its work, except telling those attached.
pub(super) struct Ended {
    pub(super) clients: Clients,
    pub(super) exit: Option<Exit>,
    pub(super) result: Result<(), BackendError>,
    pub(super) remainder: Option<Remainder>,
}

/// Gives the rest back.
pub(super) async fn settle(remainder: Option<Remainder>) {
    let Some(remainder) = remainder else { return };
    for problem in remainder.await {
        eprintln!("cleaning up: {problem}");
    }
}

/// How one life of the app came to its end.
struct Life {
    exit: Exit,
    /// Why it did not come up.
    failure: Option<Failure>,
    lasted: Duration,
}

impl Supervisor {
    pub(super) fn new(
        store: InstanceStore,
        record: InstanceRecord,
    ) -> Result<(Self, Inbox), BackendError> {
        let log = LogWriter::open(&store.log_path(&record.id), record.spec.options.log)?;
        let output = Output::new(log);
        let (clients, inbox) = Clients::new(output.clone());
        let supervisor = Self {
            store,
            record,
            callers: Vec::new(),
            clients,
            output,
            terminate: signal(SignalKind::terminate()).ok(),
            owner_gone: false,
            fate: Fate::AsSpecified,
            stop_asked: false,
            last: false,
        };
        Ok((supervisor, inbox))
    }

    /// Runs the app, again and again when its policy says so, and cleans up.
    /// `first` is the connection of whoever starts it and wants to be attached.
    pub(super) async fn run(
        mut self,
        make: MakePayload<'_>,
        mut inbox: Inbox,
        first: Option<UnixStream>,
    ) -> Result<Ended, BackendError> {
        let mut payload = make(&self.store, &self.record)?;
        let listener = listen(&self.store.dir(&self.record.id))?;
        if let Some(first) = first {
            self.admit_first(first).await;
        }
        self.begin(0);
        self.store.save(&self.record)?;
        let mut pauses = BackOff::new();
        let mut restarts = 0;
        loop {
            let life = self.live(payload.as_mut(), &listener, &mut inbox, restarts == 0).await;
            let problems = payload.clean_up(&self.record).await;
            let remainder = payload.remainder();
            // With it go the locks of what it had mounted.
            drop(payload);
            let clean = problems.is_empty();
            self.write_end(life.exit.clone(), &problems);
            // What does not come up at all is no case for a policy.
            let failed = restarts == 0 && life.failure.is_some();
            let again = wanted(self.record.spec.options.restart, life.exit.code, restarts);
            let last = self.last || self.owner_gone || failed || !clean || !again;
            let failure = life.failure.filter(|_| failed);
            if last {
                return Ok(self.finish(clean, failure, remainder).await);
            }
            settle(remainder).await;
            if self.rest(pauses.after(life.lasted), &listener).await {
                return Ok(self.finish(clean, failure, None).await);
            }
            restarts += 1;
            self.begin(restarts);
            payload = match self.make_again(make).await {
                Ok(payload) => payload,
                Err(e) => {
                    let exit = end_of(e.to_failure());
                    self.write_end(exit, &[]);
                    return Ok(self.finish(true, None, None).await);
                }
            };
        }
    }

    async fn make_again(&self, make: MakePayload<'_>) -> Result<Box<dyn Payload>, BackendError> {
        single_threaded().await?;
        make(&self.store, &self.record)
    }

    /// A new life begins.
    fn begin(&mut self, restarts: u32) {
        self.record.state = InstanceState::Starting;
        self.record.runtime =
            Runtime { supervisor: identity(std::process::id()), ..Runtime::default() };
        self.record.phases.clear();
        self.record.exit = None;
        self.record.health = None;
        self.record.restarts = restarts;
        self.stop_asked = false;
        self.output.hold_again();
        if restarts > 0 {
            self.save();
        }
    }

    /// One life of the app, from its launch to its end.
    async fn live(
        &mut self,
        payload: &mut dyn Payload,
        listener: &UnixListener,
        inbox: &mut Inbox,
        first: bool,
    ) -> Life {
        let begin = Instant::now();
        let launched = self.launch(payload, listener, first).await;
        let (exit, failure) = match launched {
            Ok(running) => {
                let checks = self.up(payload);
                if first && !report(&LaunchEvent::Started) {
                    // Whoever asked for the launch is gone: nobody will know of it.
                    self.last = true;
                    self.kill(running.as_ref()).await;
                }
                (self.serve(running.as_ref(), listener, inbox, checks).await, None)
            }
            Err(e) => (end_of(e.to_failure()), Some(e.to_failure())),
        };
        Life { exit, failure, lasted: begin.elapsed() }
    }

    /// Writes down that the app runs, and begins its health checks.
    fn up(&mut self, payload: &dyn Payload) -> Option<HealthChecks> {
        let check = self.record.spec.options.health.clone();
        let executor = payload.executor(&self.record);
        let checks = check.zip(executor).map(|(check, it)| HealthChecks::begin(it, check));
        self.record.health = checks.is_some().then_some(Health {
            status: HealthStatus::Starting,
            failing: 0,
            log: Vec::new(),
        });
        self.record.state = InstanceState::Running;
        self.record.started_at = Some(Timestamp::now());
        self.save();
        checks
    }

    /// Runs the launch while listening for a stop, for the owner's end and,
    /// the first time, for the end of the command that waits for it.
    async fn launch(
        &mut self,
        payload: &mut dyn Payload,
        listener: &UnixListener,
        first: bool,
    ) -> Result<Box<dyn Running>, BackendError> {
        let owner = self.record.spec.owner;
        let early = BackendError::WrongState {
            name: self.record.spec.name.clone(),
            state: "starting",
            next: "wait until `tandem ps` says that it is up".to_owned(),
        };
        let mut launch =
            Launch { record: &mut self.record, store: &self.store, output: self.output.clone() };
        let launching = payload.launch(&mut launch);
        tokio::pin!(launching);
        loop {
            let request = tokio::select! {
                biased;
                result = &mut launching => return result,
                () = reader_gone(), if first => None,
                () = ended(owner) => None,
                () = terminated(&mut self.terminate) => None,
                Ok((mut stream, _)) = listener.accept() => {
                    receive(&mut stream).await.map(|request| (stream, request))
                }
            };
            match request {
                None => {}
                Some((mut stream, ControlRequest::Attach { wishes })) => {
                    answer(&mut stream, Ok(())).await;
                    self.clients.admit(stream, wishes);
                    continue;
                }
                Some((stream, ControlRequest::Stop { .. } | ControlRequest::Signal { .. })) => {
                    self.callers.push(stream);
                }
                Some((mut stream, _)) => {
                    answer(&mut stream, Err(early.to_failure())).await;
                    continue;
                }
            }
            self.last = true;
            return Err(BackendError::Cancelled);
        }
    }

    async fn admit_first(&mut self, mut stream: UnixStream) {
        if let Some(ControlRequest::Attach { wishes }) = receive(&mut stream).await {
            answer(&mut stream, Ok(())).await;
            self.clients.admit(stream, wishes);
        }
    }

    pub(super) async fn kill(&self, running: &dyn Running) {
        self.output.release();
        let _ = running.kill().await;
    }

    /// Saves the record; an app does not end because a disk is full.
    pub(super) fn save(&self) {
        if let Err(e) = self.store.save(&self.record) {
            eprintln!("writing the record: {e}");
        }
    }

    /// Writes the end of one life down.
    fn write_end(&mut self, mut exit: Exit, problems: &[String]) {
        for problem in problems {
            eprintln!("cleaning up: {problem}");
        }
        if exit.error.is_none() && !problems.is_empty() {
            exit.error = Some(
                BackendError::engine("cleaning up after the app", problems.join("; ")).to_failure(),
            );
        }
        self.record.finished_at = Some(Timestamp::now());
        self.record.exit = Some(exit);
        if problems.is_empty() {
            self.record.runtime.process = None;
            self.record.runtime.cgroups.clear();
            self.record.runtime.mounts.clear();
            self.record.runtime.links.clear();
        }
    }

    /// Writes the end down for good and answers those who wait for it.
    async fn finish(
        mut self,
        clean: bool,
        failure: Option<Failure>,
        remainder: Option<Remainder>,
    ) -> Ended {
        self.record.state = InstanceState::Exited;
        if clean {
            self.record.runtime.supervisor = None;
        }
        let _ = std::fs::remove_file(self.store.dir(&self.record.id).join("control.sock"));
        let owned = self.record.spec.owner.is_some();
        let goes =
            self.record.spec.remove && self.fate == Fate::AsSpecified || owned && self.owner_gone;
        let removed = if clean && goes {
            self.store.delete(&self.record.id)
        } else {
            self.store.save(&self.record)
        };
        for caller in &mut self.callers {
            answer(caller, removed.as_ref().copied().map_err(BackendError::to_failure)).await;
        }
        let result = removed.and_then(|()| failure.map_or(Ok(()), |failure| Err(failure.into())));
        Ended { clients: self.clients, exit: self.record.exit, result, remainder }
    }
}

/// The end of an app that did not come up.
fn end_of(failure: Failure) -> Exit {
    let code = i32::from(failure.code.exit_code());
    Exit { code, out_of_memory: false, error: Some(failure) }
}
