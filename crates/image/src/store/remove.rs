use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use tandem_home::Lock;
use tandem_model::{Digest, ImageRef, InstanceId};

use super::{Store, index::Index, unpacked::usage_path};
use crate::{DiskUsage, ImageError};

/// While it is held, nothing that no image names yet is collected. Builds and
/// pulls hold one from their first layer to the finished image.
#[derive(Debug)]
pub struct Lease {
    _lock: Lock,
}

/// What a removal did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Removed {
    /// Bytes given back: blobs, and allocated bytes of unpacked layers.
    pub freed_bytes: u64,
    /// Blobs and unpacked layers removed.
    pub files: u64,
    /// A build or pull was running, so the bytes are given back by a later
    /// [`Store::collect`].
    pub postponed: bool,
}

/// What the collector needs to know of a stored instance.
#[derive(Deserialize)]
pub(super) struct StoredInstance {
    pub(super) spec: StoredSpec,
}

#[derive(Deserialize)]
pub(super) struct StoredSpec {
    pub(super) name: String,
    #[serde(default)]
    pub(super) image: String,
    pub(super) digest: Digest,
}

impl Store {
    /// Keeps the collector away from layers that no image names yet.
    pub fn lease(&self) -> Result<Lease, ImageError> {
        Ok(Lease { _lock: Lock::shared(&self.home.images().join(".lease"))? })
    }

    /// Takes a name away and gives back what nothing uses any more. With
    /// `force`, an image that an instance was made from loses its last name
    /// too; it stays without one as long as the instance does.
    ///
    /// # Errors
    /// [`ImageError::NotFound`]; [`ImageError::InUse`] when this is the
    /// image's last name, an instance was made from it, and it is not forced.
    pub fn remove(&self, reference: &ImageRef, force: bool) -> Result<Removed, ImageError> {
        {
            let _lock = self.lock()?;
            let mut index = self.index()?;
            let entry = index
                .find(reference)
                .cloned()
                .ok_or_else(|| ImageError::NotFound { name: reference.to_string() })?;
            let named = entry.reference.as_ref().unwrap_or(reference);
            let names = index
                .entries
                .iter()
                .filter(|other| other.digest == entry.digest && other.reference.is_some());
            if !force
                && names.count() == 1
                && let Some(instance) =
                    self.instances()?.into_iter().find(|i| i.spec.digest == entry.digest)
            {
                let reference = reference.to_string();
                return Err(ImageError::InUse { reference, instance: instance.spec.name });
            }
            index.untag(named);
            self.write_index(&index)?;
        }
        self.collect()
    }

    /// Removes images that have no name and no instance, and then every blob
    /// and unpacked layer that belongs to no image.
    pub fn collect(&self) -> Result<Removed, ImageError> {
        self.settle()?;
        let Some(_lease) = Lock::try_exclusive(&self.home.images().join(".lease"))? else {
            return Ok(Removed { postponed: true, ..Removed::default() });
        };
        let _lock = self.lock()?;
        let used = self.used()?;
        let mut index = self.index()?;
        index.entries.retain(|entry| entry.reference.is_some() || used.contains(&entry.digest));
        let keep = self.needed_by(&index, |_| true)?;
        self.write_index(&index)?;
        let mut removed = Removed::default();
        self.sweep_blobs(&keep, &mut removed)?;
        self.sweep_layers(&keep, &mut removed)?;
        self.sweep_disks(&keep, &mut removed)?;
        removed.freed_bytes += self.sweep_downloads(true);
        Ok(removed)
    }

    /// Removes every name of the images that no instance was made from, and
    /// then what nothing uses any more. Returns the names.
    pub fn remove_unused(&self) -> Result<(Vec<ImageRef>, Removed), ImageError> {
        let mut names = Vec::new();
        {
            let _lock = self.lock()?;
            let (used, mut index) = (self.used()?, self.index()?);
            index.entries.retain(|entry| {
                let keep = used.contains(&entry.digest);
                names.extend(entry.reference.clone().filter(|_| !keep));
                keep
            });
            self.write_index(&index)?;
        }
        Ok((names, self.collect()?))
    }

    /// The manifests that instances were made from.
    pub(super) fn used(&self) -> Result<BTreeSet<Digest>, ImageError> {
        Ok(self.instances()?.into_iter().map(|instance| instance.spec.digest).collect())
    }

    /// The names, in hexadecimal, of all blobs and unpacked layers that images
    /// need; with `used`, only images that an instance was made from count.
    pub fn needed(&self, used: bool) -> Result<BTreeSet<String>, ImageError> {
        let digests = self.used()?;
        self.needed_by(&self.index()?, |digest| !used || digests.contains(digest))
    }

    pub(super) fn needed_by(
        &self,
        index: &Index,
        counts: impl Fn(&Digest) -> bool,
    ) -> Result<BTreeSet<String>, ImageError> {
        let mut keep = BTreeSet::new();
        for entry in index.entries.iter().filter(|entry| counts(&entry.digest)) {
            // What cannot be read cannot say what it needs: keep everything.
            self.mark(entry.reference.clone(), &entry.digest, &mut keep)?;
        }
        Ok(keep)
    }

    fn mark(
        &self,
        reference: Option<ImageRef>,
        digest: &Digest,
        keep: &mut BTreeSet<String>,
    ) -> Result<(), ImageError> {
        // A list for several platforms names manifests that are not here.
        let bytes = self.read_blob(digest)?;
        keep.insert(digest.hex().to_owned());
        if let Ok(list) = serde_json::from_slice::<oci_spec::image::ImageIndex>(&bytes) {
            for manifest in list.manifests() {
                if let Ok(digest) = manifest.digest().to_string().parse()
                    && self.has_blob(&digest)
                {
                    self.mark(reference.clone(), &digest, keep)?;
                }
            }
            return Ok(());
        }
        let reference = match reference {
            Some(reference) => reference,
            None => "untagged".parse()?,
        };
        let image = self.load(reference, digest)?;
        keep.insert(image.config_digest.hex().to_owned());
        keep.extend(image.layers.iter().map(|layer| layer.digest.hex().to_owned()));
        keep.extend(image.chain_ids().iter().map(|chain_id| chain_id.hex().to_owned()));
        Ok(())
    }

    fn sweep_blobs(
        &self,
        keep: &BTreeSet<String>,
        removed: &mut Removed,
    ) -> Result<(), ImageError> {
        for (name, path) in list(&self.blobs())? {
            if !is_digest(&name) || keep.contains(&name) {
                continue;
            }
            let size = fs::metadata(&path).map_or(0, |metadata| metadata.len());
            fs::remove_file(&path).map_err(ImageError::io("remove", &path))?;
            removed.freed_bytes += size;
            removed.files += 1;
        }
        Ok(())
    }

    fn sweep_layers(
        &self,
        keep: &BTreeSet<String>,
        removed: &mut Removed,
    ) -> Result<(), ImageError> {
        for (name, path) in list(&self.home.layers())? {
            if !is_digest(&name) || keep.contains(&name) || !path.is_dir() {
                continue;
            }
            let usage = DiskUsage::of(&path).map_err(ImageError::io("measure", &path))?;
            // Out of sight first: a half-removed layer must not be used.
            let scratch = self.home.scratch("removed")?;
            let away = scratch.path().join("layer");
            fs::rename(&path, &away).map_err(ImageError::io("remove", &path))?;
            let _ = fs::remove_file(usage_path(&path));
            fs::remove_dir_all(&away).map_err(ImageError::io("remove", &away))?;
            removed.freed_bytes += usage.allocated_bytes;
            removed.files += 1;
        }
        Ok(())
    }

    /// Disks of virtual machines are made of an image's layers and named
    /// after the uppermost.
    fn sweep_disks(
        &self,
        keep: &BTreeSet<String>,
        removed: &mut Removed,
    ) -> Result<(), ImageError> {
        let folder = self.disks();
        if !folder.is_dir() {
            return Ok(());
        }
        let _lock = Lock::exclusive(&folder.join(".lock"))?;
        for (name, path) in list(&folder)? {
            if layer_of_disk(&name).is_none_or(|chain_id| keep.contains(chain_id)) {
                continue;
            }
            let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
            let gone =
                if metadata.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            gone.map_err(ImageError::io("remove", &path))?;
            removed.freed_bytes += metadata.blocks() * 512;
            removed.files += 1;
        }
        Ok(())
    }

    /// Where disks made of images lie.
    pub fn disks(&self) -> PathBuf {
        self.home.cache().join("disks")
    }

    /// The instances of this home, read from their own records so that no
    /// caller can forget one.
    pub(super) fn instances(&self) -> Result<Vec<StoredInstance>, ImageError> {
        Ok(self.instances_with_ids()?.into_iter().map(|(_, instance)| instance).collect())
    }

    pub(super) fn instances_with_ids(&self) -> Result<Vec<(String, StoredInstance)>, ImageError> {
        let mut instances = Vec::new();
        // Beside the instances lie locks and folders of half-made ones.
        let is_id = |name: &str| name.parse::<InstanceId>().is_ok();
        for (id, dir) in list(&self.home.instances())?.into_iter().filter(|(n, _)| is_id(n)) {
            if let Some(instance) = tandem_home::read_json(&dir.join("instance.json"))? {
                instances.push((id, instance));
            }
        }
        Ok(instances)
    }
}

/// The chain id that the name of a disk begins with.
pub fn layer_of_disk(name: &str) -> Option<&str> {
    name.get(..64).filter(|hex| is_digest(hex))
}

pub(super) fn is_digest(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

pub(super) fn list(dir: &Path) -> Result<Vec<(String, PathBuf)>, ImageError> {
    let entries = fs::read_dir(dir).map_err(ImageError::io("list", dir))?;
    Ok(entries
        .flatten()
        .filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path())))
        .collect())
}
