use std::{path::Path, process::Command};

use async_trait::async_trait;
use tandem_backend::{Availability, BackendError, Supervised};
use tandem_home::Home;
use tandem_model::{
    BackendKind, Capability, CapabilityStatus, ExecSpec, InstanceRecord, InstanceSpec, Lane,
    Ledger, Resources, Sample,
};
use tandem_rootless::Standing;

use super::{ENGINE, probe, security::filter};
use crate::{
    cgroup::{self, Layout},
    confine::{bit, lost_user, wanted},
    exec::exec_command,
    init, network, prepare, reap, usage,
};

/// The container lane.
#[derive(Debug, Clone)]
pub struct ContainerEngine {
    home: Home,
}

impl ContainerEngine {
    /// The engine for instances of this home.
    pub fn new(home: Home) -> Self {
        Self { home }
    }
}

#[async_trait]
impl Supervised for ContainerEngine {
    fn kind(&self) -> BackendKind {
        BackendKind::Container
    }

    fn honours_options(&self) -> bool {
        true
    }

    fn stand_by(&self) -> bool {
        cgroup::warm_up_once();
        true
    }

    fn check_limits(&self, resources: &Resources) -> Result<(), BackendError> {
        match Layout::detect() {
            Ok(layout) => cgroup::refuse_impossible(&layout, resources),
            // Told when it is started.
            Err(_) => Ok(()),
        }
    }

    async fn capabilities(&self) -> Vec<Capability> {
        let home = self.home.clone();
        tokio::task::spawn_blocking(move || probe::capabilities(&home)).await.unwrap_or_default()
    }

    async fn availability(&self, _: &Lane) -> Result<Availability, BackendError> {
        let home = self.home.clone();
        let found = tokio::task::spawn_blocking(move || probe::essentials(&home)).await;
        let found = found.map_err(|e| BackendError::engine("probing the container engine", e))?;
        match found.into_iter().find(|one| one.status == CapabilityStatus::Missing) {
            Some(missing) => Err(BackendError::Unavailable {
                what: "the container engine".into(),
                why: missing.detail,
                fix: missing.fix.unwrap_or_else(|| "see `tandem doctor`".into()),
            }),
            None => Ok(Availability { engine: ENGINE.into(), accelerator: None, note: None }),
        }
    }

    async fn prepare(
        &self,
        spec: &InstanceSpec,
        progress: &mut (dyn for<'l> FnMut(&'l str) + Send),
    ) -> Result<(), BackendError> {
        let user = spec.user.split(':').next().unwrap_or_default();
        if Standing::of_process().is_single() && !matches!(user, "" | "0" | "root") {
            progress(&format!("warning: {}", lost_user(user)));
        }
        prepare::unpack(&self.home, spec, progress).await?;
        // A profile that is none is refused before anything is made.
        let (home, options) = (self.home.clone(), spec.options.security.clone());
        let work = move || {
            let devices_filtered =
                Layout::detect().is_ok_and(|it| it.folder("devices", "").is_some());
            let capabilities = wanted(&options, devices_filtered);
            filter(&home, &options, capabilities)
                .map(|_| open_devices(capabilities, devices_filtered))
        };
        let made = tokio::task::spawn_blocking(work).await;
        let open = made.map_err(|e| BackendError::engine("the system call filter", e))??;
        if let Some(warning) = open.filter(|_| Standing::of_process().is_machine_root()) {
            progress(warning);
        }
        if spec.options.init {
            init::find()?;
        }
        Ok(())
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

    fn exec_command(
        &self,
        program: &Path,
        record: &InstanceRecord,
        spec: &ExecSpec,
    ) -> Result<Command, BackendError> {
        exec_command(program, &self.home, &record.id, spec)
    }

    async fn reap(&self, record: &InstanceRecord) -> Result<Vec<String>, BackendError> {
        // The names follow from the id: what was made before the record could
        // say so is found too.
        let mut folders = record.runtime.cgroups.clone();
        if let Ok(layout) = Layout::detect() {
            folders.extend(layout.folders(&cgroup::group_of(&record.id)));
        }
        folders.sort();
        folders.dedup();
        cgroup::let_go(&folders);
        let mut cleaned = reap::processes(&record.id)?;
        cgroup::kill_all(&folders);
        let removed = cgroup::remove(&folders)
            .map_err(|e| BackendError::engine("removing the control group", e))?;
        cleaned.extend(removed.iter().map(|folder| format!("control group {}", folder.display())));
        cleaned.extend(network::leave(&self.home, record).await?);
        cleaned.extend(reap::files(&self.home, &record.id)?);
        Ok(cleaned)
    }

    async fn sweep(&self) -> Result<Vec<String>, BackendError> {
        network::sweep().await
    }
}

/// What is to be said of an app that makes device nodes where nothing keeps it
/// from the devices: only groups of version 1 do.
fn open_devices(capabilities: u64, devices_filtered: bool) -> Option<&'static str> {
    let makes = capabilities & bit(oci_spec::runtime::Capability::Mknod) != 0;
    (makes && !devices_filtered).then_some(
        "warning: with CAP_MKNOD the app can use every device of this machine, its disks too: \
         there are no control groups of version 1, which would keep it from them; leave the \
         capability out for an app that you do not trust",
    )
}

#[cfg(test)]
mod tests {
    use tandem_model::SecurityOptions;

    use super::*;

    #[test]
    fn devices_that_are_open_are_told() {
        let asked = |cap_add: &[&str], filtered| {
            let cap_add = cap_add.iter().map(|name| (*name).to_owned()).collect();
            let security = SecurityOptions { cap_add, ..SecurityOptions::default() };
            open_devices(wanted(&security, filtered), filtered).is_some()
        };
        assert!(!asked(&[], false) && !asked(&["CAP_MKNOD"], true));
        assert!(asked(&["CAP_MKNOD"], false));
    }
}
