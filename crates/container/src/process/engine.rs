use async_trait::async_trait;
use tandem_backend::{Availability, BackendError, Supervised};
use tandem_home::Home;
use tandem_model::{BackendKind, Capability, InstanceRecord, InstanceSpec, Lane, Ledger, Sample};

use super::ENGINE;
use crate::{prepare, reap, usage};

/// The baseline lane.
#[derive(Debug, Clone)]
pub struct ProcessEngine {
    home: Home,
}

impl ProcessEngine {
    /// The lane for instances of this home.
    pub fn new(home: Home) -> Self {
        Self { home }
    }
}

#[async_trait]
impl Supervised for ProcessEngine {
    fn kind(&self) -> BackendKind {
        BackendKind::Process
    }

    async fn capabilities(&self) -> Vec<Capability> {
        const ID: &str = "process_chroot";
        if rustix::process::geteuid().is_root() {
            vec![Capability::ok(ID, "the baseline runs in a chroot")]
        } else {
            let detail = "the baseline needs root, or a user namespace, for its chroot";
            vec![Capability::missing(
                ID,
                detail,
                Some("`sudo tandem compare`, or what `container_engine` says"),
            )]
        }
    }

    async fn availability(&self, _: &Lane) -> Result<Availability, BackendError> {
        if !rustix::process::geteuid().is_root() {
            return Err(BackendError::Unavailable {
                what: "the process lane".into(),
                why: "a chroot needs root, or a user namespace".into(),
                fix: "see `container_engine` in `tandem doctor`, or leave the lane out".into(),
            });
        }
        let note = "no isolation and no limits: the app sees the host's processes and network";
        Ok(Availability { engine: ENGINE.into(), accelerator: None, note: Some(note.into()) })
    }

    async fn prepare(
        &self,
        spec: &InstanceSpec,
        progress: &mut (dyn for<'l> FnMut(&'l str) + Send),
    ) -> Result<(), BackendError> {
        prepare::unpack(&self.home, spec, progress).await
    }

    async fn sample(&self, record: &InstanceRecord) -> Result<Sample, BackendError> {
        tandem_backend::sample(record)
    }

    async fn memory_ledger(&self, record: &InstanceRecord) -> Result<Ledger, BackendError> {
        tandem_backend::memory_ledger(record)
    }

    async fn disk_ledger(&self, record: &InstanceRecord) -> Result<Ledger, BackendError> {
        usage::disk_ledger(&self.home, record)
    }

    async fn reap(&self, record: &InstanceRecord) -> Result<Vec<String>, BackendError> {
        let mut cleaned = reap::processes(&record.id)?;
        cleaned.extend(reap::files(&self.home, &record.id)?);
        Ok(cleaned)
    }
}
