//! Volumes, and what an instance has mounted.

use std::collections::BTreeMap;

use serde::Serialize;
use tandem_backend::{BackendError, VolumeRecord, VolumeStore};
use tandem_docker::remove_kept_volume;
use tandem_home::Lock;
use tandem_image::Image;
use tandem_model::{BackendKind, InstanceOptions, InstanceRecord, MountSource, MountSpec};

use crate::{App, AppError, ListFilter, PruneFilter};

/// A volume as `tandem volume ls` lists it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct VolumeRow {
    /// Its name.
    pub name: String,
    /// RFC 3339.
    pub created_at: jiff::Timestamp,
    /// Made for one instance, without a name of a person's.
    pub anonymous: bool,
    /// Free-form labels.
    pub labels: BTreeMap<String, String>,
    /// Names of the instances that have it.
    pub instances: Vec<String>,
    /// The folder with its files, or the disk of a virtual machine.
    pub path: std::path::PathBuf,
}

/// Volumes that were made for an instance, and the lock that keeps them until
/// the instance is written down.
pub(crate) struct Volumes {
    made: Vec<String>,
    _held: Lock,
}

impl App {
    fn volume_store(&self) -> VolumeStore {
        VolumeStore::new(self.instances.home().clone())
    }

    /// The volumes, by name.
    pub fn volumes(&self) -> Result<Vec<VolumeRow>, AppError> {
        let all = self.volume_store().list()?;
        all.into_iter().map(|volume| self.volume_row(volume)).collect()
    }

    /// The volumes for which all filters hold, by name.
    pub fn volumes_where(&self, filters: &[ListFilter]) -> Result<Vec<VolumeRow>, AppError> {
        let mut rows = self.volumes()?;
        rows.retain(|row| {
            ListFilter::all_hold(filters, &row.name, &row.labels, row.instances.is_empty())
        });
        Ok(rows)
    }

    /// One volume.
    pub fn volume(&self, name: &str) -> Result<VolumeRow, AppError> {
        self.volume_row(self.volume_store().find(name)?)
    }

    fn volume_row(&self, volume: VolumeRecord) -> Result<VolumeRow, AppError> {
        let instances = VolumeStore::users(&self.instances, &volume.name)?;
        let store = self.volume_store();
        let is_disk = store.is_disk(&volume.name);
        let path = if is_disk { store.disk(&volume.name) } else { store.data(&volume.name) };
        let VolumeRecord { name, created_at, anonymous, labels, .. } = volume;
        Ok(VolumeRow { name, created_at, anonymous, labels, instances, path })
    }

    /// Makes a volume; without a name, one with a random name. One that is
    /// there already stays as it is. Returns its name.
    pub fn create_volume(
        &self,
        name: Option<String>,
        labels: BTreeMap<String, String>,
    ) -> Result<String, AppError> {
        let volumes = self.volume_store();
        let anonymous = name.is_none();
        let name = name.map_or_else(|| volumes.free_name(), Ok)?;
        volumes.ensure(&name, anonymous, labels)?;
        Ok(name)
    }

    /// Removes a volume that no instance has. With `force` it need not be there.
    pub fn remove_volume(&self, name: &str, force: bool) -> Result<(), AppError> {
        match self.take_volume_away(name) {
            Err(BackendError::NoVolume { .. }) if force => Ok(()),
            other => Ok(other?),
        }
    }

    /// The engine's part first, which may be refused; nothing of one that an
    /// instance has.
    fn take_volume_away(&self, name: &str) -> Result<(), BackendError> {
        let store = self.volume_store();
        if VolumeStore::users(&self.instances, name)?.is_empty() {
            remove_kept_volume(&self.home, name)?;
        }
        store.remove(&self.instances, name)
    }

    /// Removes the volumes that no instance has: those without a name of a
    /// person's, or all, for which the filters hold. Returns their names.
    pub fn prune_volumes(
        &self,
        all: bool,
        filters: &[PruneFilter],
    ) -> Result<Vec<String>, AppError> {
        PruneFilter::check_volumes(filters)?;
        let mut removed = Vec::new();
        for volume in self.volumes()? {
            let fits = PruneFilter::all_hold(filters, Some(volume.created_at), &volume.labels);
            if fits && (all || volume.anonymous) && volume.instances.is_empty() {
                match self.take_volume_away(&volume.name) {
                    // Taken, or removed, in this moment.
                    Err(BackendError::VolumeInUse { .. } | BackendError::NoVolume { .. }) => {}
                    other => {
                        other?;
                        removed.push(volume.name);
                    }
                }
            }
        }
        Ok(removed)
    }

    /// Fills in what the image wants mounted and the names of nameless volumes,
    /// and refuses what cannot be mounted.
    pub(crate) fn complete_mounts(
        &self,
        image: &Image,
        backend: BackendKind,
        options: &mut InstanceOptions,
    ) -> Result<(), AppError> {
        let mounts = &mut options.mounts;
        for (at, mount) in mounts.iter().enumerate() {
            if mounts[..at].iter().any(|other| other.target == mount.target) {
                let text =
                    format!("two things cannot be mounted at {}: leave one out", mount.target);
                return Err(AppError::Usage(text));
            }
            if let MountSource::Bind { path } = &mount.source
                && let Err(e) = path.metadata()
            {
                let missing = e.kind() == std::io::ErrorKind::NotFound;
                let why = if missing {
                    "it is not there; make it first, or write the name of a volume".into()
                } else {
                    format!("{e}; check its path and permissions")
                };
                return Err(BackendError::bad_mount(path.display(), &mount.target, why).into());
            }
        }
        // The other backends have no volumes: there the files are the image's.
        if backend == BackendKind::Container {
            let config = image.config.config().clone().unwrap_or_default();
            let mut places = config.volumes().clone().unwrap_or_default();
            places.sort();
            for target in places {
                let target = format!("/{}", target.trim_matches('/'));
                if target != "/" && !mounts.iter().any(|mount| mount.target == target) {
                    let name = String::new();
                    let source = MountSource::Volume { name, no_copy: false, anonymous: true };
                    mounts.push(MountSpec { source, target, read_only: false });
                }
            }
        }
        for mount in mounts {
            if let MountSource::Volume { name, anonymous: true, .. } = &mut mount.source {
                *name = self.volume_store().free_name()?;
            }
        }
        Ok(())
    }

    /// Makes an instance's volumes that are not there.
    pub(crate) fn make_volumes(
        &self,
        options: &InstanceOptions,
    ) -> Result<Option<Volumes>, AppError> {
        if options.mounts.is_empty() {
            return Ok(None);
        }
        let store = self.volume_store();
        let mut volumes = Volumes { made: Vec::new(), _held: store.hold()? };
        for mount in &options.mounts {
            if let MountSource::Volume { name, anonymous, .. } = &mount.source
                && store.ensure(name, *anonymous, BTreeMap::new())?
            {
                volumes.made.push(name.clone());
            }
        }
        Ok(Some(volumes))
    }

    /// Takes back the volumes made for an instance that never came to be.
    pub(crate) fn unmake_volumes(&self, volumes: Option<Volumes>) {
        let made = volumes.map(|volumes| volumes.made).unwrap_or_default();
        for name in made {
            // One that another instance has by now stays.
            let _ = self.volume_store().remove(&self.instances, &name);
        }
    }

    /// Removes the volumes that were made for a removed instance alone.
    pub(crate) fn remove_anonymous_volumes(&self, record: &InstanceRecord) -> Result<(), AppError> {
        Ok(self.volume_store().remove_anonymous(&self.instances, record)?)
    }
}
