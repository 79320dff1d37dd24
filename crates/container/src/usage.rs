//! What an instance uses.

use tandem_backend::BackendError;
use tandem_home::Home;
use tandem_model::{InstanceRecord, Ledger, ProcessIdentity, Sample};
use tandem_probe::{alive, allocated_bytes, cgroup_usage, memory_of, sample_tree, tree};

use crate::{
    launch::{image_of, open_images},
    rootfs::InstanceDirs,
};

fn process_of(record: &InstanceRecord) -> Result<ProcessIdentity, BackendError> {
    let running = record.runtime.process.filter(|process| alive(*process));
    running.ok_or_else(|| BackendError::WrongState {
        name: record.spec.name.clone(),
        state: "not running",
        next: format!("start it with `tandem start {}`", record.spec.name),
    })
}

/// Processor time, memory and processes now.
pub(crate) fn sample(record: &InstanceRecord) -> Result<Sample, BackendError> {
    let process = process_of(record)?;
    sample_tree(process.pid, &record.runtime.cgroups)
        .ok_or_else(|| BackendError::engine("reading what the app uses", "its processes are gone"))
}

/// Where the memory is: the app's by kind, what the kernel keeps for it, and
/// our supervisor beside it.
pub(crate) fn memory_ledger(record: &InstanceRecord) -> Result<Ledger, BackendError> {
    let process = process_of(record)?;
    let app = memory_of(&tree(process.pid));
    let mut ledger = Ledger::default();
    ledger.push("app, anonymous", app.anonymous);
    ledger.push("app, mapped files", app.file);
    ledger.push("app, shared memory", app.shmem);
    if let Some(usage) = cgroup_usage(&record.runtime.cgroups) {
        // Pages of files that are cached for the app beyond those it maps.
        let cached = usage.file.unwrap_or(0).saturating_sub(app.file + app.shmem);
        ledger.push("page cache beyond mapped files", cached);
        ledger.push("kernel, on the app's behalf", usage.kernel.unwrap_or(0));
    }
    let supervisor = record.runtime.supervisor.map_or(0, |one| memory_of(&[one.pid]).pss);
    ledger.push("supervisor", supervisor);
    Ok(ledger)
}

/// Where the disk space is: the image's layers, and what this instance adds.
pub(crate) fn disk_ledger(home: &Home, record: &InstanceRecord) -> Result<Ledger, BackendError> {
    let images = open_images(home)?;
    let image = image_of(&images, &record.spec)?;
    let used = images.disk_use(&image).map_err(|e| BackendError::Reported(e.into()))?;
    let instance = home.instances().join(record.id.as_str());
    let upper = InstanceDirs::new(instance.clone()).upper();
    let size = |path: &std::path::Path| match allocated_bytes(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(0),
        result => result.map_err(|e| BackendError::io("measure", path, e)),
    };
    // The merged tree is mounted in another namespace: here its folder is
    // empty, and nothing is counted twice.
    let (changed, all) = (size(&upper)?, size(&instance)?);
    let mut ledger = Ledger::default();
    ledger.push("image layers, shared by all instances", used.unpacked);
    ledger.push("files changed by the instance", changed);
    ledger.push("logs and records of the instance", all.saturating_sub(changed));
    Ok(ledger)
}
