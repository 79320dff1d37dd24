//! An instance gets the files of a snapshot again, or a new one is made of
//! them.

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use tandem_backend::BackendError;
use tandem_container::{Checkpoint, drop_pending, lay_pending, upper_of};
use tandem_home::{Lock, make_private_dir, write_json};
use tandem_image::{copy_tree, stamps};
use tandem_model::{InstanceRecord, InstanceSpec, MountSource};

use super::{
    HEAD, Head, MEMORY, Restored, Snapshot, TICK, conflict,
    record::{come_back, load},
    rename,
};
use crate::{App, AppError, swap::exchange};

impl App {
    /// Gives an instance the files of a snapshot again, or makes a new one of
    /// them; with its memory, where the snapshot has that, unless `memory` is
    /// not wanted. An instance that ran is stopped for it and started again.
    pub async fn restore(
        &self,
        instance: &str,
        name: &str,
        into: Option<&str>,
        memory: bool,
    ) -> Result<Restored, AppError> {
        let record = self.instances.find(instance)?;
        let dir = self.snapshots_dir(&record)?;
        let lock = Lock::exclusive(&dir.join(".lock"))?;
        let snapshot = load(&dir, &record, name)?;
        if snapshot.machine.is_some() {
            return self.restore_machine(record, &dir, snapshot, into, memory, lock).await;
        }
        let memory = memory && snapshot.checkpoint;
        if memory {
            self.refuse_restore().await?;
        }
        if let Some(into) = into {
            return self.restore_as(&dir.join(name), snapshot, into, memory);
        }
        for volume in &snapshot.volumes {
            self.refuse_shared(&record, volume)?;
        }
        let backend = self.backend(record.spec.backend);
        let ran = record.state.is_up();
        if ran {
            // With its memory replaced, nothing is gained by asking it.
            let grace = memory.then_some(Duration::ZERO);
            backend.stop_for_start(&record.id, grace, None).await?;
        }
        let ended = self.ended_lock(&record)?;
        let scratch = self.home.scratch("restore")?;
        let mut swaps = Vec::new();
        for (tree, to) in self.trees_to(&record, &snapshot.volumes)? {
            let from = dir.join(name).join(&tree);
            let fresh = scratch.path().join(swaps.len().to_string());
            if from.is_dir() {
                copy_tree(&from, &fresh, None).map_err(|e| BackendError::io("copy", &from, e))?;
            } else {
                fs::create_dir(&fresh).map_err(|e| AppError::io("make", &fresh, e))?;
            }
            swaps.push((fresh, to, tree));
        }
        let instance = self.instances.dir(&record.id);
        // Whatever waited fits to other files.
        drop_pending(&instance)?;
        // Everything is here; what remains takes no time and no room.
        let mut head = Head { snapshot: Some(name.to_owned()), trees: BTreeMap::new() };
        for (fresh, to, tree) in &swaps {
            exchange(fresh, to)?;
            let found = stamps(to).map_err(|e| AppError::io("read", to, e))?;
            head.trees.insert(tree.clone(), found);
        }
        tokio::time::sleep(TICK).await;
        let mut now = self.instances.load(&record.id)?;
        now.spec = come_back(snapshot.spec, &record.spec);
        self.instances.save(&now)?;
        write_json(&dir.join(HEAD), &head)?;
        if memory {
            lay_pending(&instance, &dir.join(name).join(MEMORY))?;
        }
        drop((scratch, ended, lock));
        if ran {
            backend.start(&record.id, &mut |_| {}).await?;
        }
        Ok(Restored { instance: record.spec.name, started: ran, memory })
    }

    /// A new instance of a snapshot, with volumes of its own and any free host
    /// ports.
    fn restore_as(
        &self,
        from: &Path,
        snapshot: Snapshot,
        into: &str,
        memory: bool,
    ) -> Result<Restored, AppError> {
        let mut spec = InstanceSpec { name: into.to_owned(), owner: None, ..snapshot.spec };
        let images = from.join(MEMORY);
        if let Some(checkpoint) = memory.then(|| Checkpoint::in_folder(&images)).transpose()? {
            // The app goes on knowing itself by the name that it had.
            spec.hostname = checkpoint.map(|it| it.hostname).or(spec.hostname);
        }
        for port in &mut spec.ports {
            *port = port.at(0);
        }
        let scratch = self.home.scratch("restore")?;
        let copy = |tree: &str, to: &Path| {
            let from = from.join(tree);
            let done = if from.is_dir() {
                copy_tree(&from, to, None).map(drop)
            } else {
                fs::create_dir(to)
            };
            done.map_err(|e| AppError::from(BackendError::io("copy", from, e)))
        };
        copy("upper", &scratch.path().join("upper"))?;
        let mut volumes = Vec::new();
        for mount in &mut spec.options.mounts {
            let MountSource::Volume { name, .. } = &mut mount.source else { continue };
            if !snapshot.volumes.contains(name) {
                continue;
            }
            let own = format!("{into}-{name}");
            if self.home.volumes().join(&own).exists() {
                return Err(conflict(format!(
                    "there is a volume `{own}` already: choose another name for the instance"
                )));
            }
            let fresh = scratch.path().join(format!("volume-{}", volumes.len()));
            make_private_dir(&fresh)?;
            copy(&format!("volumes/{name}"), &fresh.join("data"))?;
            let record = self.home.volumes().join(&*name).join("volume.json");
            if record.is_file() {
                let own = fresh.join("volume.json");
                fs::copy(&record, &own).map_err(|e| AppError::io("copy", record, e))?;
            }
            volumes.push((fresh, self.home.volumes().join(&own)));
            *name = own;
        }
        let record = self.instances.create(spec)?;
        for (fresh, to) in &volumes {
            rename(fresh, to)?;
        }
        rename(&scratch.path().join("upper"), &upper_of(&self.home, &record)?)?;
        if memory {
            lay_pending(&self.instances.dir(&record.id), &images)?;
        }
        Ok(Restored { instance: record.spec.name, started: false, memory })
    }

    /// Another instance that runs would lose its volume's files.
    fn refuse_shared(&self, record: &InstanceRecord, volume: &str) -> Result<(), AppError> {
        for other in self.instances.list()? {
            if other.id != record.id
                && other.state.is_up()
                && self.volumes_of(&other.spec).iter().any(|name| name == volume)
            {
                return Err(conflict(format!(
                    "the volume `{volume}` is in use by {0} as well: stop that with `tandem stop {0}`, or restore with --as",
                    other.spec.name
                )));
            }
        }
        Ok(())
    }
}
