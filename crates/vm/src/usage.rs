//! What an instance uses, as the host sees it.

use std::{io, path::Path};

use tandem_backend::BackendError;
use tandem_home::Home;
use tandem_image::Store;
use tandem_model::{InstanceRecord, Ledger, ProcessIdentity, Profile, Sample};
use tandem_probe::{alive, allocated_bytes, memory_of, sample_tree};

use crate::disk::{BaseDisk, BaseRecord, Chain, Content};

fn process_of(record: &InstanceRecord) -> Result<ProcessIdentity, BackendError> {
    let running = record.runtime.process.filter(|process| alive(*process));
    running.ok_or_else(|| BackendError::WrongState {
        name: record.spec.name.clone(),
        state: "not running",
        next: format!("start it with `tandem start {}`", record.spec.name),
    })
}

/// Processor time and memory of QEMU now.
pub(crate) fn sample(record: &InstanceRecord) -> Result<Sample, BackendError> {
    let process = process_of(record)?;
    sample_tree(process.pid, &record.runtime.cgroups)
        .ok_or_else(|| BackendError::engine("reading what the machine uses", "QEMU is gone"))
}

/// Where the memory is: the guest's and QEMU's own cannot be told apart from
/// outside, both are anonymous memory of one process.
pub(crate) fn memory_ledger(record: &InstanceRecord) -> Result<Ledger, BackendError> {
    let process = process_of(record)?;
    let qemu = memory_of(&[process.pid]);
    let mut ledger = Ledger::default();
    ledger.push("QEMU and the guest's memory in use, anonymous", qemu.anonymous);
    ledger.push("QEMU's program and libraries", qemu.file);
    ledger.push("QEMU, shared memory", qemu.shmem);
    let supervisor = record.runtime.supervisor.map_or(0, |one| memory_of(&[one.pid]).pss);
    ledger.push("supervisor", supervisor);
    Ok(ledger)
}

/// Where the disk space is.
pub(crate) fn disk_ledger(home: &Home, record: &InstanceRecord) -> Result<Ledger, BackendError> {
    let dir = home.instances().join(record.id.as_str());
    let base = match BaseRecord::load(&dir)? {
        Some(recorded) => recorded.find(home)?,
        None => {
            let store = Store::open(home).map_err(|e| BackendError::Reported(e.into()))?;
            BaseDisk::of(home, &Content::of(&store, &record.spec)?)?.path().to_owned()
        }
    };
    let layers = Chain::load(&dir)?.paths(&dir);
    let overlay = layers.iter().map(|layer| size(layer)).sum::<Result<u64, _>>()?;
    let all = size(&dir)?;
    let mut ledger = Ledger::default();
    ledger.push("image disk, shared by all instances", size(&base)?);
    if record.spec.profile != Some(Profile::Full) {
        ledger.push("kernel, shared by all machines", size(&home.kernels())?);
    }
    ledger.push("disk overlay of this instance", overlay);
    ledger.push("snapshots, logs and records of this instance", all.saturating_sub(overlay));
    Ok(ledger)
}

fn size(path: &Path) -> Result<u64, BackendError> {
    match allocated_bytes(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(0),
        result => result.map_err(|e| BackendError::io("measure", path, e)),
    }
}
