//! The process that stands beside a running instance.

mod family;
mod health;
mod life;
mod restart;
mod serve;
mod signal;
mod start;
mod wake;

use std::{io::Write as _, net::IpAddr, path::Path, pin::Pin, process::Command, time::Duration};

use async_trait::async_trait;
use serde_json::Value;
use tandem_model::{ExecSpec, Exit, HostInstant, InstanceRecord, Phase, Resources};
use tandem_probe::now;
use tokio::net::UnixStream;

pub use self::{
    signal::signal_number,
    start::{keep_descriptors, stand_by, supervise, take_standard_input},
};
use crate::{BackendError, InstanceStore, LaunchEvent, Output, Peer, WindowSize};

/// Makes a command that, run with the caller's streams, executes something
/// beside the running app and ends with its exit code.
pub type Executor = Box<dyn Fn(&ExecSpec) -> Result<Command, BackendError>>;

/// Gives something back and says, in sentences, what could not be.
pub type Remainder = Pin<Box<dyn Future<Output = Vec<String>>>>;

/// What a supervisor brings up and takes away. One implementation a backend,
/// and a new value for each start.
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

    /// What is left to give back that nobody has to wait for: done once the end
    /// has been told. What a killed supervisor leaves of it must be found by
    /// [`crate::Supervised::sweep`]. Asked for after `clean_up`.
    fn remainder(&mut self) -> Option<Remainder> {
        None
    }

    /// What executes the health checks; `None` where nothing can be executed
    /// beside the app, which is then not checked.
    fn executor(&self, _record: &InstanceRecord) -> Option<Executor> {
        None
    }
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

    /// Holds every process still and writes what is in their memory into a
    /// folder. Returns for how long they have been held; when it fails they go
    /// on.
    async fn checkpoint(&self, _into: &Path) -> Result<Duration, BackendError> {
        Err(BackendError::Unsupported("a snapshot with memory"))
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

    /// Gives the app input; resolves when it has taken it. An app without
    /// standard input takes nothing.
    async fn write_input(&self, _: &[u8]) -> Result<(), BackendError> {
        Ok(())
    }

    /// Ends the app's standard input.
    async fn close_input(&self) -> Result<(), BackendError> {
        Ok(())
    }

    /// Gives the app's terminal, when it has one, this size.
    async fn resize(&self, _: WindowSize) -> Result<(), BackendError> {
        Ok(())
    }

    /// Joins a network beside those that `record` names.
    async fn join_network(
        &self,
        _record: &InstanceRecord,
        _network: &str,
    ) -> Result<Joined, BackendError> {
        Err(BackendError::Unsupported("a second network"))
    }

    /// Leaves a network that `record` names.
    async fn leave_network(
        &self,
        _record: &InstanceRecord,
        _network: &str,
    ) -> Result<(), BackendError> {
        Err(BackendError::Unsupported("a second network"))
    }

    /// What serves a connection to `peer`, beside everything else.
    fn connect(&self, _: Peer) -> Result<Serve, BackendError> {
        Err(BackendError::Unsupported("a console or an agent"))
    }

    /// Serves a request that only this kind of payload knows
    /// ([`crate::ControlRequest::Own`]). Whoever asked is gone when `given_up`
    /// resolves: then nobody wants the answer, and what was begun is undone.
    async fn own(
        &self,
        _request: Value,
        _given_up: Pin<&mut dyn Future<Output = ()>>,
    ) -> Result<Value, BackendError> {
        Err(BackendError::Unsupported("this request"))
    }
}

/// What joining a network gave.
#[derive(Debug)]
pub struct Joined {
    /// The app's address on it.
    pub address: IpAddr,
    /// The link on the host.
    pub link: String,
    /// What it does without there, and why.
    pub warnings: Vec<String>,
}

/// Takes a connection over and serves it in a task of its own.
pub type Serve = Box<dyn FnOnce(UnixStream)>;

/// What a payload works with while it comes up.
pub struct Launch<'a> {
    /// The instance; `runtime` and `ports` are the payload's to fill in.
    pub record: &'a mut InstanceRecord,
    /// The store, for paths and for saving `record` before something is made
    /// that a crash would leave behind.
    pub store: &'a InstanceStore,
    /// Where the app's output goes.
    pub output: Output,
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
