use tandem_model::{InstanceRecord, Ledger, ProcessIdentity, Sample};
use tandem_probe::{alive, cgroup_usage, memory_of, sample_tree, tree};

use crate::BackendError;

fn process_of(record: &InstanceRecord) -> Result<ProcessIdentity, BackendError> {
    let running = record.runtime.process.filter(|process| alive(*process));
    running.ok_or_else(|| BackendError::WrongState {
        name: record.spec.name.clone(),
        state: "not running",
        next: format!("start it with `tandem start {}`", record.spec.name),
    })
}

/// Processor time, memory and processes now, of an instance whose processes
/// are this machine's.
pub fn sample(record: &InstanceRecord) -> Result<Sample, BackendError> {
    let process = process_of(record)?;
    sample_tree(process.pid, &record.runtime.cgroups)
        .ok_or_else(|| BackendError::engine("reading what the app uses", "its processes are gone"))
}

/// Where its memory is: the app's by kind, what the kernel keeps for it, and
/// our supervisor beside it.
pub fn memory_ledger(record: &InstanceRecord) -> Result<Ledger, BackendError> {
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
    push_supervisor(&mut ledger, record);
    Ok(ledger)
}

/// What our supervisor takes, which every backend has.
pub fn push_supervisor(ledger: &mut Ledger, record: &InstanceRecord) {
    let found = record.runtime.supervisor.map(|one| memory_of(&[one.pid])).unwrap_or_default();
    ledger.push("supervisor", found.anonymous + found.shmem);
    ledger.push("supervisor's program and libraries", found.file);
}
