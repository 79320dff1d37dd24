use std::{path::Path, process::Command};

use async_trait::async_trait;
use tandem_model::{
    BackendKind, Capability, ExecSpec, InstanceRecord, InstanceSpec, Lane, Ledger, Resources,
    Sample,
};

use crate::{Availability, BackendError};

/// What a backend with supervisors adds to what all of them share.
#[async_trait]
pub trait Supervised: Send + Sync {
    /// See [`crate::Backend::kind`].
    fn kind(&self) -> BackendKind;
    /// See [`crate::Backend::capabilities`].
    async fn capabilities(&self) -> Vec<Capability>;
    /// Whether it honours all of [`tandem_model::InstanceOptions`]. A backend
    /// that does not refuses those that only containers have.
    fn honours_options(&self) -> bool {
        false
    }
    /// Whether it has named volumes although it does not honour all options.
    fn has_volumes(&self) -> bool {
        false
    }
    /// See [`crate::Backend::stand_by`]. Returns whether a supervisor is to be started
    /// already, which then waits to be told whose.
    fn stand_by(&self) -> bool {
        false
    }
    /// See [`crate::Backend::check_limits`].
    fn check_limits(&self, _resources: &Resources) -> Result<(), BackendError> {
        Ok(())
    }
    /// See [`crate::Backend::availability`].
    async fn availability(&self, lane: &Lane) -> Result<Availability, BackendError>;
    /// See [`crate::Backend::prepare`].
    async fn prepare(
        &self,
        spec: &InstanceSpec,
        progress: &mut (dyn for<'l> FnMut(&'l str) + Send),
    ) -> Result<(), BackendError>;
    /// See [`crate::Backend::sample`].
    async fn sample(&self, record: &InstanceRecord) -> Result<Sample, BackendError>;
    /// See [`crate::Backend::memory_ledger`].
    async fn memory_ledger(&self, record: &InstanceRecord) -> Result<Ledger, BackendError>;
    /// See [`crate::Backend::keepers`].
    fn keepers(&self, _record: &InstanceRecord) -> Vec<u32> {
        Vec::new()
    }
    /// See [`crate::Backend::disk_ledger`].
    async fn disk_ledger(&self, record: &InstanceRecord) -> Result<Ledger, BackendError>;

    /// See [`crate::Backend::exec_command`]; `program` is the `tandem` executable.
    fn exec_command(
        &self,
        _program: &Path,
        _record: &InstanceRecord,
        _spec: &ExecSpec,
    ) -> Result<Command, BackendError> {
        Err(BackendError::Unsupported("executing further commands"))
    }

    /// Takes away what a killed supervisor left of this instance: processes,
    /// mounts, network devices, cgroups. Returns a line for each thing taken
    /// away. Called with the instance's lock held; must be safe to repeat.
    async fn reap(&self, record: &InstanceRecord) -> Result<Vec<String>, BackendError>;

    /// Takes away what a killed supervisor left of a
    /// [`Payload::remainder`](crate::Payload::remainder). Returns a line for
    /// each thing taken away.
    async fn sweep(&self) -> Result<Vec<String>, BackendError> {
        Ok(Vec::new())
    }

    /// Takes away what an instance that does not run has outside its folder,
    /// before the folder is deleted. Called with the instance's lock held; must
    /// be safe to repeat.
    async fn discard(&self, _record: &InstanceRecord) -> Result<(), BackendError> {
        Ok(())
    }
}
