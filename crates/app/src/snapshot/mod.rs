//! Snapshots of an instance's disk: what it changed, and its volumes; and of
//! its memory, where that is asked for.
//!
//! They lie in `instances/ID/snapshots/NAME` and never change. A file that the
//! instance did not touch since the snapshot before is one more link to that
//! one's copy, so that each takes the room of what is new in it and can be
//! removed without harm to the others.

mod list;
mod machine;
mod memory;
mod record;
mod restore;
mod size;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use tandem_backend::BackendError;
use tandem_container::upper_of;
use tandem_home::{Lock, make_private_dir, read_json, write_json};
use tandem_image::{Earlier, copy_tree};
use tandem_model::{BackendKind, ErrorCode, Failure, InstanceRecord, InstanceSpec, MountSource};

pub use list::SnapshotRow;
pub(crate) use machine::refuse_volumes;
use record::load;
pub(crate) use record::{HEAD, Head, RECORD, Snapshot, all, check_name};
pub use record::{Restored, Taken};

use crate::{
    App, AppError,
    prober::{Prober, longest_wait},
};

/// The folder of a container's memory, in a snapshot.
const MEMORY: &str = "memory";

/// The shortest time to hold an app still: the kernel stamps changes with a
/// clock that ticks every 10 ms at the slowest, and a change after the
/// snapshot must be told from one just before.
const TICK: Duration = Duration::from_millis(12);

/// Time between the requests of the client that waits meanwhile. It must not
/// be a load: software emulation answers a few dozen a second.
const CLIENT: Duration = Duration::from_millis(50);

impl App {
    /// Takes a snapshot of an instance's disk, and of its memory where asked;
    /// one that runs is held still meanwhile.
    pub async fn snapshot(
        &self,
        instance: &str,
        name: &str,
        memory: bool,
    ) -> Result<Taken, AppError> {
        check_name(name)?;
        let record = self.instances.find(instance)?;
        if memory && record.spec.backend != BackendKind::Vm {
            self.refuse_memory(&record).await?;
        }
        let dir = self.snapshots_dir(&record)?;
        let _lock = Lock::exclusive(&dir.join(".lock"))?;
        if dir.join(name).exists() {
            let text = format!(
                "instance {0} has a snapshot `{name}` already: choose another name, or remove that one with `tandem snapshot rm {0} {name}`",
                record.spec.name
            );
            return Err(conflict(text));
        }
        let head: Head = read_json(&dir.join(HEAD))?.unwrap_or_default();
        let prober = Prober::start(&record, CLIENT).await;
        if record.spec.backend == BackendKind::Vm {
            let pause_ns = self.snapshot_machine(record, &dir, name, head, memory).await?;
            let longest_wait_ns = prober.finish().await.and_then(|shots| longest_wait(&shots));
            return Ok(Taken { name: name.to_owned(), pause_ns, longest_wait_ns });
        }
        let scratch = self.home.scratch("snapshot")?;
        let fresh = scratch.path().join("snapshot");
        make_private_dir(&fresh.join("volumes"))?;
        // Most of what waits for the disk goes there while the app still runs;
        // the rest below, so that later changes get a time of their own.
        sync(self.home.root())?;
        let (held, begin) = if memory {
            let into = fresh.join(MEMORY);
            make_private_dir(&into)?;
            self.held_with_memory(&record, &into).await?
        } else {
            let begin = Instant::now();
            (self.held(&record).await?, begin)
        };
        let _ended = match &held {
            Some(_) => None,
            None => Some(self.ended_lock(&record)?),
        };
        if held.is_some() {
            sync(self.home.root())?;
        }
        let volumes = self.volumes_of(&record.spec);
        let mut now = Head { snapshot: Some(name.to_owned()), trees: BTreeMap::new() };
        let parent = head.snapshot.as_ref().map(|parent| dir.join(parent));
        for (tree, from) in self.trees(&record, &volumes)? {
            let earlier = parent.as_ref().map(|parent| parent.join(&tree));
            let earlier = earlier.as_deref().zip(head.trees.get(&tree));
            let earlier = earlier.map(|(copy, stamps)| Earlier { copy, stamps });
            let stamps = copy_tree(&from, &fresh.join(&tree), earlier)
                .map_err(|e| BackendError::io("copy", &from, e))?;
            now.trees.insert(tree, stamps);
        }
        tokio::time::sleep(TICK.saturating_sub(begin.elapsed())).await;
        let paused = held.as_ref().map(|_| begin.elapsed());
        drop(held);
        let snapshot = Snapshot {
            volumes,
            checkpoint: memory,
            ..Snapshot::now(name, head.snapshot, record.spec)
        };
        write_json(&fresh.join(RECORD), &snapshot)?;
        rename(&fresh, &dir.join(name))?;
        write_json(&dir.join(HEAD), &now)?;
        let pause_ns = paused.map(|it| u64::try_from(it.as_nanos()).unwrap_or(u64::MAX));
        let longest_wait_ns = prober.finish().await.and_then(|shots| longest_wait(&shots));
        Ok(Taken { name: name.to_owned(), pause_ns, longest_wait_ns })
    }

    /// Removes a snapshot; those that came from it now come from its parent.
    pub fn remove_snapshot(&self, instance: &str, name: &str) -> Result<(), AppError> {
        let record = self.instances.find(instance)?;
        let dir = self.snapshots_dir(&record)?;
        let _lock = Lock::exclusive(&dir.join(".lock"))?;
        let gone = load(&dir, &record, name)?;
        for mut other in all(&dir)? {
            if other.parent.as_deref() == Some(name) {
                other.parent.clone_from(&gone.parent);
                write_json(&dir.join(&other.name).join(RECORD), &other)?;
            }
        }
        let mut head: Head = read_json(&dir.join(HEAD))?.unwrap_or_default();
        if head.snapshot.as_deref() == Some(name) {
            head = Head { snapshot: gone.parent, trees: BTreeMap::new() };
            write_json(&dir.join(HEAD), &head)?;
        }
        let scratch = self.home.scratch("snapshot")?;
        rename(&dir.join(name), &scratch.path().join("gone"))?;
        if gone.machine.is_some() { self.sweep_layers(&record, &dir) } else { Ok(()) }
    }

    pub(crate) fn snapshots_dir(&self, record: &InstanceRecord) -> Result<PathBuf, AppError> {
        if record.spec.backend != BackendKind::Vm {
            upper_of(&self.home, record)?;
        }
        let dir = self.instances.dir(&record.id).join("snapshots");
        make_private_dir(&dir)?;
        Ok(dir)
    }

    /// Keeps an instance that does not run from being started.
    pub(crate) fn ended_lock(&self, record: &InstanceRecord) -> Result<Lock, AppError> {
        self.instances.lock_ended(&record.id)?.ok_or_else(|| {
            let name = record.spec.name.clone();
            let next = "wait until it stands still and try again".to_owned();
            BackendError::WrongState { name, state: "just starting or ending", next }.into()
        })
    }

    /// The volumes of an instance that are there.
    pub(crate) fn volumes_of(&self, spec: &InstanceSpec) -> Vec<String> {
        let names = spec.options.mounts.iter().filter_map(|mount| match &mount.source {
            MountSource::Volume { name, .. } => Some(name.clone()),
            _ => None,
        });
        let mut names: Vec<_> = names.filter(|name| self.volume_data(name).is_dir()).collect();
        names.sort();
        names.dedup();
        names
    }

    pub(crate) fn volume_data(&self, name: &str) -> PathBuf {
        self.home.volumes().join(name).join("data")
    }

    /// Each tree of an instance that is there, with its place.
    fn trees(
        &self,
        record: &InstanceRecord,
        volumes: &[String],
    ) -> Result<Vec<(String, PathBuf)>, AppError> {
        let trees = self.trees_to(record, volumes)?;
        Ok(trees.into_iter().filter(|(_, place)| place.is_dir()).collect())
    }

    fn trees_to(
        &self,
        record: &InstanceRecord,
        volumes: &[String],
    ) -> Result<Vec<(String, PathBuf)>, AppError> {
        let upper = ("upper".to_owned(), upper_of(&self.home, record)?);
        let volume = |name: &String| (format!("volumes/{name}"), self.volume_data(name));
        Ok(std::iter::once(upper).chain(volumes.iter().map(volume)).collect())
    }
}

pub(crate) fn conflict(text: String) -> AppError {
    Failure::new(ErrorCode::Conflict, text).into()
}

fn sync(path: &Path) -> Result<(), AppError> {
    let dir = fs::File::open(path).map_err(|e| AppError::io("open", path, e))?;
    rustix::fs::syncfs(&dir).map_err(|e| AppError::io("sync", path, e.into()))
}

pub(crate) fn rename(from: &Path, to: &Path) -> Result<(), AppError> {
    fs::rename(from, to).map_err(|e| AppError::io("store", to, e))
}
