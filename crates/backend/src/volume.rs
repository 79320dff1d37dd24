//! Volumes: folders that outlive the instances which write into them.
//!
//! `volumes/NAME/` holds `volume.json`, `data/`, which is what is mounted, and
//! `lock`, which every running instance that has it mounted holds together
//! with the others. One that virtual machines use has its files on `disk.raw`
//! instead, and one that Docker or Podman use is a volume of theirs, of which
//! `keeper.json` tells: these cannot be the same bytes, so what a volume is
//! used by first decides. `volumes/.lock` keeps the making of instances and the
//! removal of volumes apart.

use std::{collections::BTreeMap, fs, io::Read as _, path::PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tandem_home::{Home, HomeError, Lock, make_private_dir, read_json, write_json};
use tandem_model::{BackendKind, Digest, InstanceRecord, MountSource, check_volume_name, closest};

use crate::{BackendError, InstanceStore};

/// A volume as it stands in `volumes/NAME/volume.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeRecord {
    /// Version of this format.
    pub version: u32,
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Made for one instance, without a name of a person's.
    pub anonymous: bool,
    /// Free-form labels.
    pub labels: BTreeMap<String, String>,
}

/// The engine that keeps a volume's files, in `keeper.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeKeeper {
    /// Version of this format.
    pub version: u32,
    /// Docker or Podman.
    pub engine: BackendKind,
    /// Where it answers.
    pub socket: PathBuf,
}

/// The volumes below a home.
#[derive(Debug, Clone)]
pub struct VolumeStore {
    home: Home,
}

impl VolumeStore {
    /// The store of this home.
    pub fn new(home: Home) -> Self {
        Self { home }
    }

    /// Keeps volumes from being removed as long as the lock lives.
    pub fn hold(&self) -> Result<Lock, BackendError> {
        Ok(Lock::shared(&self.home.volumes().join(".lock"))?)
    }

    /// The folder that is mounted.
    pub fn data(&self, name: &str) -> PathBuf {
        self.dir(name).join("data")
    }

    /// The disk that a virtual machine mounts.
    pub fn disk(&self, name: &str) -> PathBuf {
        self.dir(name).join("disk.raw")
    }

    /// Whether a virtual machine has used it.
    pub fn is_disk(&self, name: &str) -> bool {
        self.disk(name).exists()
    }

    /// The engine that keeps its files; `None` when they are here.
    pub fn keeper(&self, name: &str) -> Result<Option<VolumeKeeper>, BackendError> {
        Ok(read_json(&self.dir(name).join(KEEPER))?)
    }

    /// Writes down that an engine keeps its files. One that has files here is
    /// refused, and so is one of another engine.
    pub fn give_to(&self, name: &str, keeper: &VolumeKeeper) -> Result<(), String> {
        let told = |e: BackendError| e.to_string();
        if let Some(found) = self.keeper(name).map_err(told)? {
            if (found.engine, &found.socket) == (keeper.engine, &keeper.socket) {
                return Ok(());
            }
            let (engine, socket) = (found.engine, found.socket.display());
            return Err(format!("its files are {engine}'s at {socket}; use another volume"));
        }
        let has_files = fs::read_dir(self.data(name)).is_ok_and(|mut it| it.next().is_some());
        if self.is_disk(name) || has_files {
            let engine = keeper.engine;
            return Err(format!(
                "its files are here, where {engine} has volumes of its own; use another volume"
            ));
        }
        write_json(&self.dir(name).join(KEEPER), keeper).map_err(|e| e.to_string())
    }

    /// Why nobody here can mount a volume that an engine keeps.
    pub fn kept_elsewhere(&self, name: &str) -> Result<Option<String>, BackendError> {
        let why = |keeper: VolumeKeeper| {
            let engine = keeper.engine;
            format!("its files are {engine}'s; use another volume, or --backend {engine}")
        };
        Ok(self.keeper(name)?.map(why))
    }

    /// The lock that running instances with this volume share.
    pub fn lock_path(&self, name: &str) -> PathBuf {
        self.dir(name).join("lock")
    }

    /// A name that no volume has, for one that nobody named.
    pub fn free_name(&self) -> Result<String, BackendError> {
        let mut bytes = [0; 32];
        let source = "/dev/urandom";
        fs::File::open(source)
            .and_then(|mut file| file.read_exact(&mut bytes))
            .map_err(|e| BackendError::io("read", source, e))?;
        Ok(Digest::from_sha256(&bytes).hex().to_owned())
    }

    /// Makes a volume unless it is there. Tells whether it was made. Whole or
    /// not at all: it is put together elsewhere and renamed.
    pub fn ensure(
        &self,
        name: &str,
        anonymous: bool,
        labels: BTreeMap<String, String>,
    ) -> Result<bool, BackendError> {
        check_volume_name(name).map_err(|e| BackendError::BadVolume(e.to_string()))?;
        let dir = self.dir(name);
        if dir.join(RECORD).is_file() {
            return Ok(false);
        }
        let (version, name, created_at) = (1, name.to_owned(), Timestamp::now());
        let record = VolumeRecord { version, name, created_at, anonymous, labels };
        if dir.join("data").is_dir() {
            // Brought here with an instance from another home.
            write_json(&dir.join(RECORD), &record)?;
            return Ok(false);
        }
        let scratch = self.home.scratch("volume")?;
        let made = scratch.path().join("made");
        make_private_dir(&made.join("data"))?;
        let io = |action| {
            let made = made.clone();
            move |e| BackendError::io(action, made, e)
        };
        // The mode that an app sees; the folder around it keeps others out.
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(made.join("data"), mode).map_err(io("set the mode of"))?;
        write_json(&made.join(RECORD), &record)?;
        match fs::rename(&made, &dir) {
            Ok(()) => Ok(true),
            // Somebody else made it in this moment.
            Err(_) if dir.join(RECORD).is_file() => Ok(false),
            Err(e) => Err(BackendError::io("make the volume", dir, e)),
        }
    }

    /// All volumes, by name.
    pub fn list(&self) -> Result<Vec<VolumeRecord>, BackendError> {
        let folder = self.home.volumes();
        let io = |e| BackendError::io("list", &folder, e);
        let mut volumes = Vec::new();
        for entry in fs::read_dir(&folder).map_err(io)? {
            let folder = entry.map_err(io)?;
            let record = read_json::<VolumeRecord>(&folder.path().join(RECORD)).ok().flatten();
            // A copy brings the record of its original along: the folder's
            // name is the volume's.
            let name = folder.file_name().to_string_lossy().into_owned();
            volumes.extend(record.map(|record| VolumeRecord { name, ..record }));
        }
        volumes.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(volumes)
    }

    /// The volume of this name.
    pub fn find(&self, name: &str) -> Result<VolumeRecord, BackendError> {
        let all = self.list()?;
        if let Some(found) = all.iter().find(|volume| volume.name == name) {
            return Ok(found.clone());
        }
        let names: Vec<&str> = all.iter().map(|volume| volume.name.as_str()).collect();
        let hint = closest(name, &names).map(|near| format!("did you mean `{near}`? "));
        Err(BackendError::NoVolume { name: name.to_owned(), hint: hint.unwrap_or_default() })
    }

    /// Names of the instances that have a volume among their mounts.
    pub fn users(instances: &InstanceStore, name: &str) -> Result<Vec<String>, BackendError> {
        let uses = |record: &InstanceRecord| volumes_of(record).any(|(other, _)| other == name);
        Ok(instances.list()?.into_iter().filter(uses).map(|record| record.spec.name).collect())
    }

    /// Removes a volume that no instance has.
    ///
    /// # Errors
    /// [`BackendError::VolumeInUse`] names the instances.
    pub fn remove(&self, instances: &InstanceStore, name: &str) -> Result<(), BackendError> {
        self.find(name)?;
        let _alone = Lock::exclusive(&self.home.volumes().join(".lock"))?;
        let users = Self::users(instances, name)?;
        if !users.is_empty() {
            let (name, users) = (name.to_owned(), users.join(", "));
            return Err(BackendError::VolumeInUse { name, users });
        }
        let dir = self.dir(name);
        // Out of sight at once; a crash leaves a scratch folder to be reaped.
        let scratch = self.home.scratch("volume")?;
        match fs::rename(&dir, scratch.path().join("removed")) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(HomeError::Io { action: "remove", path: dir, source: e }.into())
            }
            _ => Ok(()),
        }
    }

    /// Removes the volumes that were made for this instance alone, once it is
    /// gone. One that another instance has by now stays.
    pub fn remove_anonymous(
        &self,
        instances: &InstanceStore,
        record: &InstanceRecord,
    ) -> Result<(), BackendError> {
        for (name, anonymous) in volumes_of(record) {
            if anonymous {
                match self.remove(instances, name) {
                    Err(BackendError::NoVolume { .. } | BackendError::VolumeInUse { .. }) => {}
                    other => other?,
                }
            }
        }
        Ok(())
    }

    fn dir(&self, name: &str) -> PathBuf {
        self.home.volumes().join(name)
    }
}

const RECORD: &str = "volume.json";

const KEEPER: &str = "keeper.json";

/// Names of an instance's volumes, and whether they were made for it alone.
fn volumes_of(record: &InstanceRecord) -> impl Iterator<Item = (&str, bool)> {
    record.spec.options.mounts.iter().filter_map(|mount| match &mount.source {
        MountSource::Volume { name, anonymous, .. } => Some((name.as_str(), *anonymous)),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn a_volume_is_made_once_private_and_removed_whole() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(Some(dir.path())).unwrap();
        let (volumes, instances) = (VolumeStore::new(home.clone()), InstanceStore::new(home));
        assert!(volumes.ensure("data", false, BTreeMap::new()).unwrap());
        assert!(!volumes.ensure("data", false, BTreeMap::new()).unwrap());
        assert!(volumes.ensure("../x", false, BTreeMap::new()).is_err());
        let mode = |path: PathBuf| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!(mode(volumes.dir("data")), 0o700);
        assert_eq!(mode(volumes.data("data")), 0o755);
        let error = volumes.find("dta").unwrap_err().to_string();
        assert!(error.contains("did you mean `data`?"), "{error}");
        fs::write(volumes.data("data").join("file"), "x").unwrap();
        let brought = volumes.data("brought");
        fs::create_dir_all(&brought).unwrap();
        fs::write(brought.join("file"), "x").unwrap();
        assert!(!volumes.ensure("brought", false, BTreeMap::new()).unwrap());
        assert!(brought.join("file").exists());
        volumes.remove(&instances, "brought").unwrap();
        volumes.remove(&instances, "data").unwrap();
        assert_eq!(volumes.list().unwrap(), []);
        assert!(!volumes.dir("data").exists());
    }

    #[test]
    fn what_an_engine_keeps_is_nobody_elses() {
        let dir = tempfile::tempdir().unwrap();
        let volumes = VolumeStore::new(Home::open(Some(dir.path())).unwrap());
        let of = |engine, socket: &str| VolumeKeeper { version: 1, engine, socket: socket.into() };
        let docker = of(BackendKind::Docker, "/run/docker.sock");
        volumes.ensure("data", false, BTreeMap::new()).unwrap();
        assert_eq!(volumes.kept_elsewhere("data").unwrap(), None);
        volumes.give_to("data", &docker).unwrap();
        volumes.give_to("data", &docker).unwrap();
        assert_eq!(volumes.keeper("data").unwrap(), Some(docker.clone()));
        assert!(volumes.kept_elsewhere("data").unwrap().unwrap().contains("--backend docker"));
        let other = volumes.give_to("data", &of(BackendKind::Podman, "/run/p.sock")).unwrap_err();
        assert!(other.contains("docker's at /run/docker.sock"), "{other}");
        volumes.ensure("full", false, BTreeMap::new()).unwrap();
        fs::write(volumes.data("full").join("file"), "x").unwrap();
        let refused = volumes.give_to("full", &docker).unwrap_err();
        assert!(refused.contains("its files are here"), "{refused}");
    }
}
