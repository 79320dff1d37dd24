//! Volumes of machines: each a raw disk with an ext4 file system, in the
//! volume's folder. Two kernels on one disk would destroy it, so that a machine
//! has it for itself as long as it runs. The guest fills an empty one.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use tandem_backend::{BackendError, VolumeStore};
use tandem_home::{Home, Lock};
use tandem_model::{InstanceOptions, MountSource, MountSpec};

use crate::disk::{make_empty, need_mke2fs};

/// Each is a device of its own on the machine's bus.
const MOST: usize = 16;

/// The disks of an instance's volumes, held for it.
#[derive(Debug, Default)]
pub(crate) struct VolumeDisks {
    paths: Vec<PathBuf>,
    locks: Vec<Lock>,
}

/// A volume among an instance's mounts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) mount: &'a MountSpec,
    pub(crate) name: &'a str,
    pub(crate) no_copy: bool,
    pub(crate) anonymous: bool,
}

impl Wanted<'_> {
    fn refused(&self, why: &str) -> BackendError {
        BackendError::bad_mount(format!("volume `{}`", self.name), &self.mount.target, why)
    }

    /// A folder that containers have written to is no disk.
    fn check(&self, volumes: &VolumeStore) -> Result<(), BackendError> {
        if let Some(why) = volumes.kept_elsewhere(self.name)? {
            return Err(self.refused(&why));
        }
        let has_files = || match fs::read_dir(volumes.data(self.name)) {
            Ok(mut entries) => entries.next().is_some(),
            Err(_) => false,
        };
        if volumes.is_disk(self.name) || !has_files() {
            return Ok(());
        }
        Err(self.refused(
            "it is a folder with a container's files, and a virtual machine's is a disk; use another volume, or --backend container",
        ))
    }
}

impl VolumeDisks {
    /// The volumes among the mounts, in their order.
    pub(crate) fn wanted(options: &InstanceOptions) -> impl Iterator<Item = Wanted<'_>> {
        options.mounts.iter().filter_map(|mount| match &mount.source {
            MountSource::Volume { name, no_copy, anonymous } => {
                Some(Wanted { mount, name, no_copy: *no_copy, anonymous: *anonymous })
            }
            _ => None,
        })
    }

    /// Refuses what cannot be, before anything is made.
    pub(crate) fn check(home: &Home, options: &InstanceOptions) -> Result<(), BackendError> {
        let store = VolumeStore::new(home.clone());
        let all: Vec<Wanted<'_>> = Self::wanted(options).collect();
        for (at, wanted) in all.iter().enumerate() {
            if at == MOST {
                return Err(wanted.refused("a virtual machine has 16 volumes at most"));
            }
            if all[..at].iter().any(|other| other.name == wanted.name) {
                return Err(wanted.refused(
                    "it is mounted elsewhere in the machine already; a disk has one place there",
                ));
            }
            wanted.check(&store)?;
        }
        Ok(())
    }

    /// Takes the instance's volumes, and makes the disks that are not there.
    pub(crate) fn open(home: &Home, options: &InstanceOptions) -> Result<Self, BackendError> {
        Self::check(home, options)?;
        let store = VolumeStore::new(home.clone());
        let mut opened = Self::default();
        for wanted in Self::wanted(options) {
            store.ensure(wanted.name, wanted.anonymous, BTreeMap::new())?;
            let lock = Lock::try_exclusive(&store.lock_path(wanted.name))?.ok_or_else(|| {
                wanted.refused(
                    "another instance that runs has it, and a virtual machine has a volume for itself; stop that one first",
                )
            })?;
            // A container may have been quicker.
            wanted.check(&store)?;
            let disk = store.disk(wanted.name);
            if !disk.exists() {
                make(home, &disk)?;
            }
            opened.paths.push(disk);
            opened.locks.push(lock);
        }
        Ok(opened)
    }

    /// The raw disks.
    pub(crate) fn paths(&self) -> &[PathBuf] {
        &self.paths
    }
}

/// Whole or not at all: it is made elsewhere and renamed.
fn make(home: &Home, disk: &Path) -> Result<(), BackendError> {
    need_mke2fs()?;
    let scratch = home.scratch("volume")?;
    let made = scratch.path().join("disk.raw");
    make_empty(&made).map_err(|e| BackendError::io("make the disk", disk, e))?;
    fs::rename(&made, disk).map_err(|e| BackendError::io("make the disk", disk, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(volumes: &[&str]) -> InstanceOptions {
        let mount = |text: &&str| tandem_model::parse_volume(text).unwrap();
        InstanceOptions { mounts: volumes.iter().map(mount).collect(), ..Default::default() }
    }

    #[test]
    fn a_disk_belongs_to_one_machine_and_a_folder_to_containers() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(Some(dir.path())).unwrap();
        let store = VolumeStore::new(home.clone());
        let said = |wanted: &InstanceOptions| VolumeDisks::open(&home, wanted).unwrap_err();
        let twice = said(&options(&["a:/a", "a:/b"])).to_string();
        assert!(twice.contains("/b") && twice.contains("one place"), "{twice}");
        assert!(!store.is_disk("a"), "nothing is made of what is refused");

        let many: Vec<String> = (0..17).map(|at| format!("v{at}:/{at}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        VolumeDisks::check(&home, &options(&many[..16])).unwrap();
        assert!(said(&options(&many)).to_string().contains("16 volumes at most"));

        store.ensure("folder", false, BTreeMap::new()).unwrap();
        fs::write(store.data("folder").join("file"), "x").unwrap();
        let folder = said(&options(&["folder:/f"])).to_string();
        assert!(folder.contains("folder") && folder.contains("--backend container"), "{folder}");

        let wanted = options(&["data:/data"]);
        let opened = VolumeDisks::open(&home, &wanted).unwrap();
        assert_eq!(opened.paths(), [store.disk("data")]);
        assert!(said(&wanted).to_string().contains("for itself"));
        drop(opened);
        // What another test starts holds the lock too, until it executes.
        let again = (0..500).find_map(|_| {
            std::thread::sleep(std::time::Duration::from_millis(20));
            VolumeDisks::open(&home, &wanted).ok()
        });
        let again = again.unwrap();
        let bytes =
            std::os::unix::fs::MetadataExt::blocks(&fs::metadata(&again.paths()[0]).unwrap());
        assert!(bytes * 512 < 64 << 20, "an empty one takes {} bytes", bytes * 512);
    }
}
