use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use tandem_model::{Digest, ImageRef};

use super::{Store, index::Entry};
use crate::{Image, ImageError};

/// One line of `tandem images`.
#[derive(Debug, Clone, Serialize)]
pub struct ImageSummary {
    /// The name; none for an image that lost it to a newer one and that an
    /// instance was made from.
    pub reference: Option<ImageRef>,
    /// Digest of the manifest.
    pub digest: Digest,
    /// Sum of the stored layer blobs, bytes.
    pub size_bytes: u64,
    /// Disk that the unpacked layers take, allocated bytes; layers that are
    /// not unpacked count 0.
    pub unpacked_bytes: u64,
    /// What no other image shares: removing this one frees both.
    pub unique: DiskUse,
    /// When it was made.
    pub created_at: Option<jiff::Timestamp>,
    /// Number of layers.
    pub layers: usize,
}

/// Disk that an image takes, or a part of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct DiskUse {
    /// Sum of the stored layer blobs, bytes.
    pub compressed: u64,
    /// Allocated bytes of the unpacked layers; those not unpacked count 0.
    pub unpacked: u64,
}

impl Store {
    /// Every image with a name, by name; with `all` those without one after
    /// them. One that cannot be read is left out.
    pub fn list(&self, all: bool) -> Result<Vec<ImageSummary>, ImageError> {
        let mut entries = self.index()?.entries;
        entries.retain(|entry| all || entry.reference.is_some());
        entries.sort_by(|a, b| {
            let key = |entry: &Entry| (entry.reference.is_none(), entry.reference.clone());
            key(a).cmp(&key(b))
        });
        let images: Vec<(Option<ImageRef>, Image)> = entries
            .into_iter()
            .filter_map(|entry| {
                let name = entry.reference.clone().or_else(|| untagged(&entry.digest))?;
                Some((entry.reference, self.load(name, &entry.digest).ok()?))
            })
            .collect();
        // Two names of one image share nothing with others by that alone.
        let mut users: BTreeMap<Digest, BTreeSet<Digest>> = BTreeMap::new();
        for (_, image) in &images {
            let blobs = image.layers.iter().map(|layer| layer.digest.clone());
            for key in blobs.chain(image.chain_ids()) {
                users.entry(key).or_default().insert(image.digest.clone());
            }
        }
        let unique = |key: &Digest| users.get(key).is_some_and(|users| users.len() == 1);
        images
            .iter()
            .map(|(reference, image)| {
                let mut own = DiskUse::default();
                let mut unpacked_bytes = 0;
                for (layer, chain_id) in image.layers.iter().zip(image.chain_ids()) {
                    let unpacked = self.layer_usage(&chain_id)?.allocated_bytes;
                    unpacked_bytes += unpacked;
                    own.unpacked += if unique(&chain_id) { unpacked } else { 0 };
                    own.compressed += if unique(&layer.digest) { layer.size } else { 0 };
                }
                Ok(ImageSummary {
                    reference: reference.clone(),
                    digest: image.digest.clone(),
                    size_bytes: image.compressed_bytes(),
                    unpacked_bytes,
                    unique: own,
                    created_at: image.created_at,
                    layers: image.layers.len(),
                })
            })
            .collect()
    }

    /// By blob, the other repositories of a registry that have it as far as
    /// is known here: images with names there.
    pub(crate) fn repositories_of_blobs(
        &self,
        target: &ImageRef,
    ) -> Result<BTreeMap<Digest, Vec<String>>, ImageError> {
        let mut found: BTreeMap<Digest, Vec<String>> = BTreeMap::new();
        for entry in self.index()?.entries {
            let Some(reference) = entry.reference else { continue };
            let same = reference.repository() == target.repository();
            if reference.registry() != target.registry() || same {
                continue;
            }
            let Ok(image) = self.load(reference, &entry.digest) else { continue };
            for layer in image.layers {
                let repositories = found.entry(layer.digest).or_default();
                let repository = image.reference.repository().to_owned();
                // More than a few are not worth the asking.
                if repositories.len() < 3 && !repositories.contains(&repository) {
                    repositories.push(repository);
                }
            }
        }
        Ok(found)
    }

    /// What an image takes on the disk.
    pub fn disk_use(&self, image: &Image) -> Result<DiskUse, ImageError> {
        let mut unpacked = 0;
        for chain_id in image.chain_ids() {
            unpacked += self.layer_usage(&chain_id)?.allocated_bytes;
        }
        Ok(DiskUse { compressed: image.compressed_bytes(), unpacked })
    }
}

/// What an image without a name is found by.
pub(super) fn untagged(digest: &Digest) -> Option<ImageRef> {
    format!("untagged@{digest}").parse().ok()
}
