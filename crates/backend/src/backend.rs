use std::{process::Command, time::Duration};

use async_trait::async_trait;
use tandem_model::{
    Accelerator, BackendKind, Capability, ExecSpec, InstanceId, InstanceRecord, InstanceSpec, Lane,
    Ledger, Membership, Phase, Resources, RestartPolicy, Sample,
};
use tokio::time::{Instant, sleep};

use crate::{AttachWishes, Attached, BackendError};

/// What will run a lane on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Availability {
    /// Engine and version, e.g. `libcontainer 0.7.0`.
    pub engine: String,
    /// The accelerator, for virtual machines.
    pub accelerator: Option<Accelerator>,
    /// What the reader must know of the choice, one sentence.
    pub note: Option<String>,
}

/// How long a supervisor may take to end after it has answered.
const PATIENCE: Duration = Duration::from_secs(10);

/// Something that runs an image. The laboratory, the command line and the
/// window drive every kind of instance through this trait alone.
///
/// Legal orders: `prepare → create → start → (sample, disk)… → stop → remove`;
/// `start` again after `stop`; `remove` of a stopped instance at any time.
#[async_trait]
pub trait Backend: Send + Sync {
    /// Which kind of instance it makes.
    fn kind(&self) -> BackendKind;

    /// What this machine can do for this backend, as probes saw it.
    async fn capabilities(&self) -> Vec<Capability>;

    /// What would run the lane, or [`BackendError::Unavailable`].
    async fn availability(&self, lane: &Lane) -> Result<Availability, BackendError>;

    /// Refuses limits that no instance could start with, or that this machine
    /// cannot hold.
    fn check_limits(&self, _resources: &Resources) -> Result<(), BackendError> {
        Ok(())
    }

    /// Does the work that all instances of the image share: unpacked layers,
    /// a VM's base disk, a kernel. Done before any clock starts; quick when it
    /// was done before. `progress` gets a line for people now and then.
    async fn prepare(
        &self,
        spec: &InstanceSpec,
        progress: &mut (dyn for<'l> FnMut(&'l str) + Send),
    ) -> Result<(), BackendError>;

    /// An instance is about to be made and started: what can be done before
    /// anything of it is known is begun. Must be called within an event loop.
    fn stand_by(&self) {}

    /// Makes an instance without starting it.
    async fn create(&self, spec: InstanceSpec) -> Result<InstanceRecord, BackendError>;

    /// Starts it; resolves when its app's process has been executed. `phase`
    /// gets each slice of the launch as it ends. When the future is dropped
    /// the launch is cancelled and cleaned up.
    async fn start(
        &self,
        id: &InstanceId,
        phase: &mut (dyn FnMut(Phase) + Send),
    ) -> Result<InstanceRecord, BackendError>;

    /// Starts it with the caller attached from the app's first byte on.
    async fn start_attached(
        &self,
        _id: &InstanceId,
        _wishes: AttachWishes,
        _phase: &mut (dyn FnMut(Phase) + Send),
    ) -> Result<(InstanceRecord, Attached), BackendError> {
        Err(BackendError::Unsupported("attaching"))
    }

    /// Attaches the caller to the app of a running instance, from its next
    /// output on.
    async fn attach(
        &self,
        _id: &InstanceId,
        _wishes: AttachWishes,
    ) -> Result<Attached, BackendError> {
        Err(BackendError::Unsupported("attaching"))
    }

    /// Asks the app to stop, and kills it after the time limit (the spec's,
    /// unless given). Resolves when everything it used is given back.
    async fn stop(
        &self,
        id: &InstanceId,
        grace: Option<Duration>,
    ) -> Result<InstanceRecord, BackendError> {
        self.stop_with(id, grace, None).await
    }

    /// The same with another signal than the instance's own, by its number.
    async fn stop_with(
        &self,
        id: &InstanceId,
        grace: Option<Duration>,
        signal: Option<i32>,
    ) -> Result<InstanceRecord, BackendError>;

    /// The same for one that is to be started again: it stays at this end,
    /// though its specification says that it is removed then.
    async fn stop_for_start(
        &self,
        id: &InstanceId,
        grace: Option<Duration>,
        signal: Option<i32>,
    ) -> Result<InstanceRecord, BackendError> {
        self.stop_with(id, grace, signal).await
    }

    /// A command that, run with the caller's streams, executes `spec` in a
    /// running instance and ends with its exit code; 125, 126 and 127 with a
    /// sentence on standard error when that cannot be done.
    async fn exec_command(&self, id: &InstanceId, spec: &ExecSpec)
    -> Result<Command, BackendError>;

    /// Sends a signal to the app of a running instance.
    async fn signal(&self, id: &InstanceId, number: i32) -> Result<(), BackendError>;

    /// Holds every process of a running instance still.
    async fn pause(&self, id: &InstanceId) -> Result<(), BackendError>;

    /// Lets a paused instance go on.
    async fn resume(&self, id: &InstanceId) -> Result<(), BackendError>;

    /// Changes the limits of an instance: of a running one at once, confirmed
    /// by the kernel, and of one that does not run for its next start.
    async fn update(&self, id: &InstanceId, resources: &Resources) -> Result<(), BackendError>;

    /// Changes when an instance is started again after its app ended, from its
    /// next end on.
    async fn set_restart(&self, id: &InstanceId, policy: RestartPolicy)
    -> Result<(), BackendError>;

    /// Gives an instance another name, which nobody else has.
    async fn rename(&self, id: &InstanceId, name: &str) -> Result<(), BackendError>;

    /// Joins a network beside the one that the instance was made with, at once
    /// where it runs.
    async fn join_network(&self, _: &InstanceId, _: &Membership) -> Result<(), BackendError> {
        Err(BackendError::Unsupported("a second network"))
    }

    /// Leaves a network that was joined so.
    async fn leave_network(&self, _: &InstanceId, _network: &str) -> Result<(), BackendError> {
        Err(BackendError::Unsupported("a second network"))
    }

    /// Removes a stopped instance with its files.
    async fn remove(&self, id: &InstanceId) -> Result<(), BackendError>;

    /// Stops an instance and removes it, in whatever state it is: also while
    /// somebody starts it.
    async fn take_away(
        &self,
        id: &InstanceId,
        grace: Option<Duration>,
    ) -> Result<(), BackendError> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let stopped = self.stop(id, grace).await;
            match self.remove(id).await {
                Ok(()) | Err(BackendError::NoInstance(_)) => return Ok(()),
                // Its supervisor lets go just now, or has only begun.
                Err(BackendError::WrongState { .. }) if Instant::now() < deadline => {
                    sleep(Duration::from_millis(20)).await;
                }
                Err(e) => return Err(stopped.err().unwrap_or(e)),
            }
        }
    }

    /// Brings an instance whose supervisor was killed into a truthful state,
    /// and removes it when it was to end with its owner. Returns a line for
    /// each thing that was cleaned; nothing when the instance is well.
    async fn reap(&self, id: &InstanceId) -> Result<Vec<String>, BackendError>;

    /// Takes away what was given up by instances that are no more. Returns a
    /// line for each thing.
    async fn sweep(&self) -> Result<Vec<String>, BackendError> {
        Ok(Vec::new())
    }

    /// The instance's record as it stands now, also while it starts.
    async fn inspect(&self, id: &InstanceId) -> Result<InstanceRecord, BackendError>;

    /// Gives the instance up: it no longer ends with its owner. An instance
    /// without an owner stays as it is.
    async fn disown(&self, id: &InstanceId) -> Result<(), BackendError>;

    /// The last lines of the app's log, oldest first, without line ends.
    async fn log_tail(&self, id: &InstanceId, lines: usize) -> Vec<String>;

    /// What a running instance uses now.
    async fn sample(&self, record: &InstanceRecord) -> Result<Sample, BackendError>;

    /// Where the memory of a running instance is. Entries of file pages, which
    /// the kernel gives up when somebody wants the memory and which others may
    /// have mapped too, say so: `mapped files`, `page cache` or `program and
    /// libraries` stands in their names.
    async fn memory_ledger(&self, record: &InstanceRecord) -> Result<Ledger, BackendError>;

    /// Processes that are there for this instance alone, besides the app's own
    /// and our supervisor: what an engine has watch it. Their memory stands in
    /// the ledger.
    fn keepers(&self, _record: &InstanceRecord) -> Vec<u32> {
        Vec::new()
    }

    /// Where its disk space is: what all instances of the image share (the
    /// entry's name begins with `image`, `base` or `kernel`), and what this
    /// instance adds (any other name). Bytes allocated.
    async fn disk_ledger(&self, record: &InstanceRecord) -> Result<Ledger, BackendError>;
}
