//! Snapshots of an instance's disk: what it changed, and its volumes; and of
//! its memory, where that is asked for.
//!
//! They lie in `instances/ID/snapshots/NAME` and never change. A file that the
//! instance did not touch since the snapshot before is one more link to that
//! one's copy, so that each takes the room of what is new in it and can be
//! removed without harm to the others.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use tandem_backend::BackendError;
use tandem_container::{Checkpoint, drop_pending, lay_pending, upper_of};
use tandem_home::{Lock, make_private_dir, read_json, write_json};
use tandem_image::{Earlier, Stamps, copy_tree, stamps};
use tandem_model::{BackendKind, InstanceRecord, InstanceSpec, MountSource};
use tandem_vm::Saved;

use crate::{
    App, AppError,
    prober::{Prober, longest_wait},
    swap::exchange,
};

/// A snapshot as it lies on the disk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    /// Version of this format.
    pub(crate) version: u32,
    /// Its name, unique in its instance.
    pub(crate) name: String,
    /// When it was taken.
    pub(crate) created_at: jiff::Timestamp,
    /// The snapshot that the instance came from then.
    pub(crate) parent: Option<String>,
    /// What the instance was.
    pub(crate) spec: InstanceSpec,
    /// Volumes that lie in it.
    pub(crate) volumes: Vec<String>,
    /// It holds the memory of a container, in its folder `memory`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) checkpoint: bool,
    /// What it holds of a virtual machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) machine: Option<Saved>,
}

impl Snapshot {
    pub(crate) const VERSION: u32 = 1;
}

/// What the instance's files come from, to find what was not touched since.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Head {
    /// The last snapshot taken or restored.
    pub(crate) snapshot: Option<String>,
    /// Stamps by tree: `upper`, `volumes/NAME`; none for a virtual machine.
    #[serde(default)]
    pub(crate) trees: BTreeMap<String, Stamps>,
}

/// A snapshot that was just taken.
#[derive(Debug, Clone, PartialEq, Serialize, ts_rs::TS)]
pub struct Taken {
    /// Its name.
    pub name: String,
    /// Nanoseconds that the app was held still; absent when it did not run.
    #[ts(type = "number | null")]
    pub pause_ns: Option<u64>,
    /// Nanoseconds that a client waited for an answer meanwhile, at most;
    /// absent when the app answers no HTTP, or answered none of the requests.
    #[ts(type = "number | null")]
    pub longest_wait_ns: Option<u64>,
}

/// What a restore came to.
#[derive(Debug, Clone, PartialEq, Serialize, ts_rs::TS)]
pub struct Restored {
    /// The instance that has the snapshot's files now.
    pub instance: String,
    /// It ran before and runs again.
    pub started: bool,
    /// Its memory came back as well, or will with its next start.
    pub memory: bool,
}

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
            version: Snapshot::VERSION,
            name: name.to_owned(),
            created_at: jiff::Timestamp::now(),
            parent: head.snapshot,
            spec: record.spec,
            volumes,
            checkpoint: memory,
            machine: None,
        };
        write_json(&fresh.join(RECORD), &snapshot)?;
        rename(&fresh, &dir.join(name))?;
        write_json(&dir.join(HEAD), &now)?;
        let pause_ns = paused.map(|it| u64::try_from(it.as_nanos()).unwrap_or(u64::MAX));
        let longest_wait_ns = prober.finish().await.and_then(|shots| longest_wait(&shots));
        Ok(Taken { name: name.to_owned(), pause_ns, longest_wait_ns })
    }

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
            backend.stop(&record.id, memory.then_some(Duration::ZERO)).await?;
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
        now.spec = InstanceSpec {
            name: record.spec.name.clone(),
            remove: record.spec.remove,
            owner: record.spec.owner,
            ..snapshot.spec
        };
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
            port.host_port = 0;
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

pub(crate) const RECORD: &str = "snapshot.json";
pub(crate) const HEAD: &str = "head.json";
/// The folder of a container's memory, in a snapshot.
const MEMORY: &str = "memory";

pub(crate) fn conflict(text: String) -> AppError {
    tandem_model::Failure::new(tandem_model::ErrorCode::Conflict, text).into()
}

fn load(dir: &Path, record: &InstanceRecord, name: &str) -> Result<Snapshot, AppError> {
    check_name(name)?;
    read_json(&dir.join(name).join(RECORD))?.ok_or_else(|| {
        let text = format!(
            "instance {0} has no snapshot `{name}`: `tandem snapshot ls {0}` lists them",
            record.spec.name
        );
        tandem_model::Failure::new(tandem_model::ErrorCode::NotFound, text).into()
    })
}

/// All snapshots, oldest first.
pub(crate) fn all(dir: &Path) -> Result<Vec<Snapshot>, AppError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(|e| AppError::io("list", dir, e))?.flatten() {
        found.extend(read_json::<Snapshot>(&entry.path().join(RECORD)).ok().flatten());
    }
    found.sort_by(|a, b| (a.created_at, &a.name).cmp(&(b.created_at, &b.name)));
    Ok(found)
}

pub(crate) fn check_name(name: &str) -> Result<(), AppError> {
    let first = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    let rest = name.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
    if first && rest && name.len() <= 128 && name != HEAD {
        return Ok(());
    }
    let name: String = name.chars().take(128).collect();
    Err(AppError::Usage(format!(
        "`{name}` cannot name a snapshot: use letters, digits, `_`, `.` and `-`, beginning with a letter or digit"
    )))
}

fn sync(path: &Path) -> Result<(), AppError> {
    let dir = fs::File::open(path).map_err(|e| AppError::io("open", path, e))?;
    rustix::fs::syncfs(&dir).map_err(|e| AppError::io("sync", path, e.into()))
}

pub(crate) fn rename(from: &Path, to: &Path) -> Result<(), AppError> {
    fs::rename(from, to).map_err(|e| AppError::io("store", to, e))
}
