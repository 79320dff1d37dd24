//! The process that stands beside a running instance.

mod serve;
mod signal;
mod wake;

use std::{io::Write as _, path::Path, process::ExitCode};

use async_trait::async_trait;
use tandem_home::Home;
use tandem_model::{Exit, HostInstant, InstanceRecord, InstanceState, Phase, Resources};
use tandem_probe::{identity, now};

use self::serve::Supervisor;
pub use self::signal::signal_number;
use crate::{BackendError, InstanceStore, LaunchEvent, LogWriter};

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
    let mut supervisor = Supervisor::new(store, record);
    tokio::task::LocalSet::new().block_on(&runtime, supervisor.run(payload))
}
