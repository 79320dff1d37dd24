//! The process that stands beside a running instance.

use std::{io::Write as _, os::fd::AsRawFd, path::Path, process::ExitCode, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use tandem_home::Home;
use tandem_model::{
    Exit, Failure, HostInstant, InstanceRecord, InstanceState, Phase, ProcessIdentity, Resources,
};
use tandem_probe::{identity, now};
use tokio::{
    io::{Interest, unix::AsyncFd},
    net::{UnixListener, UnixStream},
    signal::unix::{SignalKind, signal},
};

use crate::{
    BackendError, ControlRequest, InstanceStore, LaunchEvent, LogWriter,
    control::{answer, listen, receive, released},
};

/// What a supervisor brings up and takes away. One implementation a backend.
///
/// `launch` may be dropped part-way; `clean_up` is called afterwards in every
/// case, exactly once, and must cope with any state.
#[async_trait(?Send)]
pub trait Payload {
    /// Brings the app up and returns once its process has been executed. The
    /// supervisor has a single thread until this returns, so it may fork.
    async fn launch(&mut self, launch: &mut Launch<'_>) -> Result<Box<dyn Running>, BackendError>;

    /// Gives back everything that `launch` took. Errors are sentences.
    async fn clean_up(&mut self, record: &InstanceRecord) -> Vec<String>;
}

/// A payload that is up.
#[async_trait(?Send)]
pub trait Running {
    /// Resolves when the app has ended and its output is in the log. May be
    /// dropped and called again.
    async fn wait(&self) -> Exit;

    /// Sends a signal to the app.
    async fn signal(&self, number: i32) -> Result<(), BackendError>;

    /// Ends everything at once.
    async fn kill(&self) -> Result<(), BackendError>;

    /// Holds every process of the app still.
    async fn pause(&self) -> Result<(), BackendError> {
        Err(BackendError::Unsupported("pausing"))
    }

    /// Lets them go on.
    async fn resume(&self) -> Result<(), BackendError> {
        Err(BackendError::Unsupported("resuming"))
    }

    /// Changes the limits and returns once the kernel has confirmed them. When
    /// it fails, the limits are as they were.
    async fn update(&self, _: &Resources) -> Result<(), BackendError> {
        Err(BackendError::Unsupported("changing limits while the app runs"))
    }
}

/// What a payload works with while it comes up.
pub struct Launch<'a> {
    /// The instance; `runtime` and `ports` are the payload's to fill in.
    pub record: &'a mut InstanceRecord,
    /// The store, for paths and for saving `record` before something is made
    /// that a crash would leave behind.
    pub store: &'a InstanceStore,
    /// The app's log.
    pub log: LogWriter,
}

impl Launch<'_> {
    /// Reports a slice of the launch that began at `start` and ends now.
    /// Returns its end, the start of the next one.
    pub fn phase(&mut self, name: &str, start: HostInstant) -> HostInstant {
        let end = now();
        self.phase_between(name, start, end);
        end
    }

    /// Reports a slice with a known end.
    pub fn phase_between(&mut self, name: &str, start: HostInstant, end: HostInstant) {
        let phase = Phase { name: name.to_owned(), start, end };
        self.record.phases.push(phase.clone());
        report(&LaunchEvent::Phase { phase });
    }

    /// Writes the record, so that a later command can clean up after a crash.
    pub fn save(&self) -> Result<(), BackendError> {
        self.store.save(self.record)
    }
}

/// Tells the starting command something; it may be gone.
fn report(event: &LaunchEvent) -> bool {
    let mut line = serde_json::to_vec(event).unwrap_or_default();
    line.push(b'\n');
    std::io::stdout().write_all(&line).and_then(|()| std::io::stdout().flush()).is_ok()
}

/// The hidden entry point `tandem __supervise HOME ID`: runs one instance from
/// launch to clean-up. `payload` makes the part that knows its backend.
pub fn supervise(
    home: &Path,
    id: &str,
    payload: impl FnOnce(&InstanceStore, &InstanceRecord) -> Result<Box<dyn Payload>, BackendError>,
) -> ExitCode {
    match run(home, id, payload) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            report(&LaunchEvent::Failed { failure: e.to_failure() });
            eprintln!("{e}");
            ExitCode::from(125)
        }
    }
}

fn run(
    home: &Path,
    id: &str,
    payload: impl FnOnce(&InstanceStore, &InstanceRecord) -> Result<Box<dyn Payload>, BackendError>,
) -> Result<(), BackendError> {
    // Already a session leader: then no terminal can reach us anyway.
    let _ = rustix::process::setsid();
    // Orphans of the payload come to us, so that their end is seen.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
        .map_err(|e| BackendError::engine("the supervisor", e))?;
    let store = InstanceStore::new(Home::open(Some(home))?);
    let id = id.parse().map_err(BackendError::NoInstance)?;
    let Some(_lock) = store.lock_ended(&id)? else {
        let name = store.load(&id)?.spec.name;
        return Err(BackendError::WrongState {
            next: format!("stop it first with `tandem stop {name}`"),
            name,
            state: "already running",
        });
    };
    let mut record = store.load(&id)?;
    let payload = payload(&store, &record)?;
    record.state = InstanceState::Starting;
    record.runtime =
        tandem_model::Runtime { supervisor: identity(std::process::id()), ..Default::default() };
    record.phases.clear();
    record.exit = None;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| BackendError::engine("the supervisor", e))?;
    let mut supervisor =
        Supervisor { store, record, callers: Vec::new(), owner_gone: false, stop_asked: false };
    tokio::task::LocalSet::new().block_on(&runtime, supervisor.run(payload))
}

struct Supervisor {
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
    async fn run(&mut self, mut payload: Box<dyn Payload>) -> Result<(), BackendError> {
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
                let result = running.signal(number).await.map_err(|e| e.to_failure());
                answer(&mut stream, result).await;
            }
            ControlRequest::Disown => {
                self.record.spec.owner = None;
                let result = self.store.save(&self.record).map_err(|e| e.to_failure());
                answer(&mut stream, result).await;
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

    /// Writes down where the instance stands now.
    fn stand(&mut self, state: InstanceState) -> Result<(), BackendError> {
        self.record.state = state;
        self.store.save(&self.record)
    }

    async fn ask_to_stop(&mut self, running: &dyn Running) {
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

/// Resolves when the reader of our standard output has closed it.
async fn reader_gone() {
    match watch(std::io::stdout(), Interest::ERROR) {
        Some(stdout) => drop(stdout.ready(Interest::ERROR).await),
        None => std::future::pending().await,
    }
}

/// Resolves when the process has ended; never without one.
async fn ended(process: Option<ProcessIdentity>) {
    use rustix::process::{Pid, PidfdFlags, pidfd_open};
    let Some(process) = process else { return std::future::pending().await };
    let pid = i32::try_from(process.pid).ok().and_then(Pid::from_raw);
    let pidfd = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
    // Checked after opening, so that the descriptor cannot be a later process's.
    let (Some(pidfd), true) = (pidfd, tandem_probe::alive(process)) else { return };
    if let Some(pidfd) = watch(pidfd, Interest::READABLE) {
        let _ = pidfd.readable().await;
    }
}

fn watch<T: AsRawFd>(source: T, interest: Interest) -> Option<AsyncFd<T>> {
    // SAFETY: standard output and an owned pidfd name the same open file as
    // long as the value lives, and the value lives inside the `AsyncFd`.
    unsafe { AsyncFd::register_with_interest(source, interest) }.ok()
}

async fn terminated(signal: &mut Option<tokio::signal::unix::Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}

async fn until(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// The number of a signal written `SIGTERM`, `TERM` or `15`.
pub(crate) fn signal_number(text: &str) -> Option<i32> {
    if let Ok(number) = text.parse::<i32>() {
        return (1..=64).contains(&number).then_some(number);
    }
    let upper = text.to_ascii_uppercase();
    let name = if upper.starts_with("SIG") { upper } else { format!("SIG{upper}") };
    name.parse::<nix::sys::signal::Signal>().ok().map(|signal| signal as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_known_by_name_and_number() {
        assert_eq!(signal_number("SIGTERM"), Some(15));
        assert_eq!(signal_number("int"), Some(2));
        assert_eq!(signal_number("9"), Some(9));
        assert_eq!(signal_number("0"), None);
        assert_eq!(signal_number("SIGNOTHING"), None);
    }
}
