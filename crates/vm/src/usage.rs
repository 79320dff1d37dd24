//! What an instance uses, as the host sees it.

use std::{io, path::Path, process::Stdio, time::Duration};

use tandem_backend::{BackendError, push_supervisor};
use tandem_guest::wire::GuestStats;
use tandem_home::Home;
use tandem_image::Store;
use tandem_model::{InstanceRecord, Ledger, ProcessIdentity, Profile, Sample};
use tandem_probe::{alive, allocated_bytes, anonymous_of_mapping, memory_of, sample_tree};

use crate::{
    disk::{BaseDisk, BaseRecord, Chain, Content},
    exec::exec_command,
    payload::shape_of,
    tool::GuestTool,
};

/// How long an agent may take to tell what its machine uses.
const LIMIT: Duration = Duration::from_secs(10);

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

/// What the machine's own kernel tells; `None` where there is no agent, and
/// where it does not answer.
pub(crate) async fn guest_stats(
    program: &Path,
    home: &Home,
    record: &InstanceRecord,
) -> Option<GuestStats> {
    let command = exec_command(program, home, &record.id, &GuestTool::Stats.command()).ok()?;
    let mut command = tokio::process::Command::from(command);
    command.stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(LIMIT, command.output()).await.ok()?.ok()?;
    serde_json::from_slice(&output.stdout).ok()
}

/// Where the memory is. `guest` is what the machine's own kernel tells.
pub(crate) fn memory_ledger(
    record: &InstanceRecord,
    guest: Option<&GuestStats>,
) -> Result<Ledger, BackendError> {
    let process = process_of(record)?;
    let qemu = memory_of(&[process.pid]);
    let mut ledger = Ledger::default();
    let ram = shape_of(&record.spec).map(|shape| shape.memory);
    // A template's file is mapped in its place, and holds what was not written.
    let ram = ram.ok().filter(|_| !record.spec.options.template);
    let held = ram.and_then(|ram| Some((ram, anonymous_of_mapping(process.pid, ram)?)));
    match (held, guest) {
        (Some((ram, held)), Some(guest)) => {
            let parts = Inside::of(ram, held, guest);
            ledger.push("guest, in use", parts.used);
            ledger.push("guest, files in its cache", parts.cache);
            ledger.push("guest, free again but held", parts.free);
            ledger.push("QEMU itself, anonymous", qemu.anonymous.saturating_sub(held));
        }
        (Some((_, held)), None) => {
            ledger.push("guest's memory that it has touched", held);
            ledger.push("QEMU itself, anonymous", qemu.anonymous.saturating_sub(held));
        }
        (None, _) => ledger.push("QEMU and the guest's memory in use, anonymous", qemu.anonymous),
    }
    ledger.push("QEMU's program and libraries", qemu.file);
    ledger.push("QEMU, shared memory", qemu.shmem);
    push_supervisor(&mut ledger, record);
    Ok(ledger)
}

/// The guest's memory as far as the host holds it, by what the guest does with
/// it.
#[derive(Debug, PartialEq, Eq)]
struct Inside {
    used: u64,
    cache: u64,
    free: u64,
}

impl Inside {
    /// Of `ram` bytes the host holds `held`, those that the guest has ever
    /// touched. What the guest cannot give away is in use, its kernel's own
    /// among it, which the guest does not count as memory that it manages.
    fn of(ram: u64, held: u64, guest: &GuestStats) -> Self {
        let used = ram.saturating_sub(guest.memory_available).min(held);
        let cache = guest.memory_cached.min(held - used);
        Self { used, cache, free: held - used - cache }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_host_holds_is_shared_out_and_never_more() {
        let mib = |number: u64| number << 20;
        let guest = GuestStats {
            memory_total: mib(480),
            memory_available: mib(400),
            memory_cached: mib(50),
            ..GuestStats::default()
        };
        let found = Inside::of(mib(512), mib(200), &guest);
        assert_eq!(found, Inside { used: mib(112), cache: mib(50), free: mib(38) });
        // A guest that tells of more than it has touched is believed no further.
        for held in [0, mib(60), mib(130), mib(512)] {
            let found = Inside::of(mib(512), held, &guest);
            assert_eq!(found.used + found.cache + found.free, held);
        }
    }
}
