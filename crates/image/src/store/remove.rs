use std::{collections::BTreeSet, fs, path::Path};

use serde::Deserialize;
use tandem_home::Lock;
use tandem_model::{Digest, ImageRef, InstanceId};

use super::{Store, unpacked::usage_path};
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
struct StoredInstance {
    spec: StoredSpec,
}

#[derive(Deserialize)]
struct StoredSpec {
    name: String,
    digest: Digest,
}

impl Store {
    /// Keeps the collector away from layers that no image names yet.
    pub fn lease(&self) -> Result<Lease, ImageError> {
        Ok(Lease { _lock: Lock::shared(&self.home.images().join(".lease"))? })
    }

    /// Takes a name away and gives back what nothing uses any more.
    ///
    /// # Errors
    /// [`ImageError::NotFound`]; [`ImageError::InUse`] when this is the
    /// image's last name and an instance was made from it.
    pub fn remove(&self, reference: &ImageRef) -> Result<Removed, ImageError> {
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
            if names.count() == 1
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
        let Some(_lease) = Lock::try_exclusive(&self.home.images().join(".lease"))? else {
            return Ok(Removed { postponed: true, ..Removed::default() });
        };
        let _lock = self.lock()?;
        let used: BTreeSet<Digest> =
            self.instances()?.into_iter().map(|instance| instance.spec.digest).collect();
        let mut index = self.index()?;
        index.entries.retain(|entry| entry.reference.is_some() || used.contains(&entry.digest));
        let mut keep = BTreeSet::new();
        for entry in &index.entries {
            // What cannot be read cannot say what it needs: keep everything.
            self.mark(entry.reference.clone(), &entry.digest, &mut keep)?;
        }
        self.write_index(&index)?;
        let mut removed = Removed::default();
        self.sweep_blobs(&keep, &mut removed)?;
        self.sweep_layers(&keep, &mut removed)?;
        removed.freed_bytes += self.sweep_downloads(true);
        Ok(removed)
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

    /// The instances of this home, read from their own records so that no
    /// caller can forget one.
    fn instances(&self) -> Result<Vec<StoredInstance>, ImageError> {
        let mut instances = Vec::new();
        // Beside the instances lie locks and folders of half-made ones.
        let is_id = |name: &str| name.parse::<InstanceId>().is_ok();
        for (_, dir) in list(&self.home.instances())?.into_iter().filter(|(n, _)| is_id(n)) {
            if let Some(instance) = tandem_home::read_json(&dir.join("instance.json"))? {
                instances.push(instance);
            }
        }
        Ok(instances)
    }
}

fn is_digest(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn list(dir: &Path) -> Result<Vec<(String, std::path::PathBuf)>, ImageError> {
    let entries = fs::read_dir(dir).map_err(ImageError::io("list", dir))?;
    Ok(entries
        .flatten()
        .filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path())))
        .collect())
}
