//! Snapshots of virtual machines: layers of the disk, which stay in the
//! instance's folder, and the memory, which lies in the snapshot's.

use std::{collections::BTreeMap, path::Path};

use tandem_backend::BackendError;
use tandem_home::{Lock, make_private_dir, write_json};
use tandem_model::{InstanceRecord, InstanceSpec, MountSource, MountSpec};
use tandem_vm::{
    Chain, Saved, give_back, give_to_new, layers_of, save_running, save_stopped, sweep_layers,
};

use super::{HEAD, Head, RECORD, Restored, Snapshot, all, record::come_back, rename, size::Sizes};
use crate::{App, AppError};

impl App {
    /// Takes a snapshot of a machine; the caller holds the snapshots' lock.
    /// Returns how long the guest stood still.
    pub(crate) async fn snapshot_machine(
        &self,
        record: InstanceRecord,
        dir: &Path,
        name: &str,
        head: Head,
        memory: bool,
    ) -> Result<Option<u64>, AppError> {
        refuse_volumes(&record, "a snapshot")?;
        if memory {
            refuse_shares(&record)?;
        }
        let machine = self.instances.dir(&record.id);
        let scratch = self.home.scratch("snapshot")?;
        let fresh = scratch.path().join("snapshot");
        make_private_dir(&fresh)?;
        let (saved, pause_ns) = match save_running(&machine, &fresh, memory).await? {
            Some(taken) => (taken.saved, taken.pause_ns),
            None => {
                let _ended = self.ended_lock(&record)?;
                (stopped(&record, &machine, memory)?, None)
            }
        };
        let snapshot =
            Snapshot { machine: Some(saved), ..Snapshot::now(name, head.snapshot, record.spec) };
        write_json(&fresh.join(RECORD), &snapshot)?;
        rename(&fresh, &dir.join(name))?;
        write_json(&dir.join(HEAD), &Head { snapshot: Some(name.to_owned()), ..Head::default() })?;
        Ok(pause_ns)
    }

    /// Gives a machine a saved state again, or makes a new one of it.
    pub(crate) async fn restore_machine(
        &self,
        record: InstanceRecord,
        dir: &Path,
        snapshot: Snapshot,
        into: Option<&str>,
        memory: bool,
        lock: Lock,
    ) -> Result<Restored, AppError> {
        let Some(saved) = &snapshot.machine else { return Err(no_machine(&snapshot.name)) };
        let (machine, from) = (self.instances.dir(&record.id), dir.join(&snapshot.name));
        if let Some(into) = into {
            let mut spec = InstanceSpec { name: into.to_owned(), owner: None, ..snapshot.spec };
            for port in &mut spec.ports {
                *port = port.at(0);
            }
            let new = self.instances.create(spec)?;
            let given = give_to_new(&machine, &from, saved, &self.instances.dir(&new.id), memory);
            if given.is_err() {
                self.instances.delete(&new.id)?;
            }
            return Ok(Restored { instance: into.to_owned(), started: false, memory: given? });
        }
        let backend = self.backend(record.spec.backend);
        let ran = record.state.is_up();
        if ran {
            // What it has in memory is given up: nothing is gained by asking.
            backend.stop_for_start(&record.id, Some(std::time::Duration::ZERO), None).await?;
        }
        let ended = self.ended_lock(&record)?;
        let memory = give_back(&machine, &from, saved, memory)?;
        let mut now = self.instances.load(&record.id)?;
        now.spec = come_back(snapshot.spec, &record.spec);
        self.instances.save(&now)?;
        let head = Head { snapshot: Some(snapshot.name), ..Head::default() };
        write_json(&dir.join(HEAD), &head)?;
        self.sweep_layers(&record, dir)?;
        drop((ended, lock));
        if ran {
            backend.start(&record.id, &mut |_| {}).await?;
        }
        Ok(Restored { instance: record.spec.name, started: ran, memory })
    }

    /// Removes the layers of a machine's disk that no snapshot and no disk
    /// needs; the caller holds the snapshots' lock.
    pub(crate) fn sweep_layers(&self, record: &InstanceRecord, dir: &Path) -> Result<(), AppError> {
        let snapshots = all(dir)?;
        let saved: Vec<&Chain> =
            snapshots.iter().filter_map(|it| it.machine.as_ref()).map(|it| &it.chain).collect();
        Ok(sweep_layers(&self.instances.dir(&record.id), &saved)?)
    }
}

/// A machine's volumes are disks of their own, which no layer freezes: a state
/// without them would belong to files that have changed since.
pub(crate) fn refuse_volumes(record: &InstanceRecord, what: &str) -> Result<(), AppError> {
    let is_volume = |mount: &MountSpec| matches!(mount.source, MountSource::Volume { .. });
    if !record.spec.options.mounts.iter().any(is_volume) {
        return Ok(());
    }
    Err(BackendError::Unavailable {
        what: format!("{what} of {}", record.spec.name),
        why: "it has volumes, and those of a virtual machine cannot be kept with it".to_owned(),
        fix: "keep the data in the machine's own disk, or use --backend container".to_owned(),
    }
    .into())
}

/// A machine's memory knows what it has open of the host's folders, and QEMU
/// does not save that.
fn refuse_shares(record: &InstanceRecord) -> Result<(), AppError> {
    let is_bind = |mount: &MountSpec| matches!(mount.source, MountSource::Bind { .. });
    if !record.spec.options.mounts.iter().any(is_bind) {
        return Ok(());
    }
    Err(BackendError::Unavailable {
        what: format!("a snapshot of {} with its memory", record.spec.name),
        why: "it has folders of the host, whose open files cannot be saved with it".to_owned(),
        fix: "leave out --memory: the disk alone is kept then".to_owned(),
    }
    .into())
}

fn stopped(record: &InstanceRecord, machine: &Path, memory: bool) -> Result<Saved, AppError> {
    let name = record.spec.name.clone();
    let wrong = |state: &'static str, next: String| -> AppError {
        BackendError::WrongState { name: name.clone(), state, next }.into()
    };
    if memory {
        let next = format!("start it first with `tandem start {name}`, or leave out --memory");
        return Err(wrong("not running, so it has no memory to keep", next));
    }
    let next = || format!("start it with `tandem start {name}`, then there is something to keep");
    save_stopped(machine)?.ok_or_else(|| wrong("as it was made, without a disk of its own", next()))
}

fn no_machine(name: &str) -> AppError {
    AppError::Usage(format!("snapshot `{name}` is none of a virtual machine"))
}

/// How many snapshots and disks need each layer.
pub(crate) fn users_of_layers(
    machine: &Path,
    snapshots: &[Snapshot],
) -> Result<BTreeMap<String, u32>, AppError> {
    let mut users = BTreeMap::new();
    let saved = snapshots.iter().filter_map(|it| it.machine.as_ref());
    let own = layers_of(machine)?;
    for chain in saved.map(|saved| &saved.chain).chain([&own]) {
        for layer in chain.names() {
            *users.entry(layer.clone()).or_default() += 1;
        }
    }
    Ok(users)
}

/// What a snapshot's layers take, and what its removal would free of them.
pub(crate) fn layer_sizes(
    machine: &Path,
    saved: &Saved,
    users: &BTreeMap<String, u32>,
) -> Result<Sizes, AppError> {
    use std::os::unix::fs::MetadataExt as _;
    let mut found = Sizes::default();
    for layer in saved.chain.names() {
        let path = machine.join(layer);
        let metadata = path.metadata().map_err(|e| AppError::io("measure", path, e))?;
        let bytes = metadata.blocks() * 512;
        found.all += bytes;
        // An instance made of it has a link of its own.
        if users.get(layer) == Some(&1) && metadata.nlink() == 1 {
            found.unique += bytes;
        }
    }
    Ok(found)
}
