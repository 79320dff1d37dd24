//! The store: names, images, layers on disk.

mod batch;
mod behind;
mod blob;
mod check;
mod commit;
mod download;
mod gzip;
mod hash;
mod history;
mod index;
mod kind;
mod list;
mod manifest;
mod parts;
mod remove;
mod settle;
mod tree;
mod unpacked;

use std::path::PathBuf;

use oci_spec::image::MediaType;
use tandem_home::{Home, Lock, make_private_dir};
use tandem_model::{Digest, ImageRef};

use crate::{Image, ImageError, Layer};
pub(crate) use batch::Batch;
pub use check::{CheckOptions, Finding, FindingKind};
pub(crate) use download::Download;
pub(crate) use hash::HashRead;
pub use history::HistoryEntry;
use index::Index;
pub(crate) use index::count as count_of_index;
pub(crate) use kind::{contradict, media_type_of};
pub use list::{DiskUse, ImageSummary};
pub(crate) use manifest::{choose_platform, layers_of, parse_manifest};
pub use parts::digest_of_file;
pub use remove::{Lease, Removed, layer_of_disk};
pub use tree::{LayerChange, LayerChangeKind, TreeLayer};
pub(crate) use unpacked::unpack_stream;

/// The images of one home. Any number of stores, in any number of processes,
/// may be open at once; a `Store` holds no lock.
#[derive(Debug, Clone)]
pub struct Store {
    home: Home,
}

impl Store {
    /// Opens the store of a home and makes an empty image layout when there
    /// is none.
    pub fn open(home: &Home) -> Result<Self, ImageError> {
        let store = Self { home: home.clone() };
        make_private_dir(&store.blobs())?;
        make_private_dir(&store.layer_locks())?;
        let layout = home.images().join("oci-layout");
        if !layout.exists() {
            tandem_home::write_atomic(&layout, b"{\"imageLayoutVersion\":\"1.0.0\"}\n")?;
        }
        if !store.index_path().exists() {
            let _lock = store.lock()?;
            if !store.index_path().exists() {
                store.write_index(&Index::default())?;
            }
        }
        store.drop_unsettled()?;
        Ok(store)
    }

    /// The home it lies in.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// The image of that name.
    ///
    /// # Errors
    /// [`ImageError::NotFound`], or [`ImageError::Damaged`] when its
    /// manifest or configuration no longer has its digest.
    pub fn resolve(&self, reference: &ImageRef) -> Result<Image, ImageError> {
        let index = self.index()?;
        let entry = index
            .find(reference)
            .ok_or_else(|| ImageError::NotFound { name: reference.to_string() })?;
        self.load(reference.clone(), &entry.digest)
    }

    /// The image of a name, `NAME:TAG`, a digest, or the beginning of the
    /// manifest's or the configuration's digest (at least four digits).
    pub fn find(&self, text: &str) -> Result<Image, ImageError> {
        let index = self.index()?;
        let name: Result<ImageRef, _> = text.parse();
        if let Ok(reference) = &name
            && let Some(entry) = index.find(reference)
        {
            return self.load(reference.clone(), &entry.digest);
        }
        let hex = text.strip_prefix("sha256:").unwrap_or(text);
        let is_id = hex.len() >= 4 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if !is_id {
            name?;
            return Err(ImageError::NotFound { name: text.to_owned() });
        }
        let mut found: Vec<Image> = Vec::new();
        for entry in &index.entries {
            let name = entry.reference.clone().or_else(|| list::untagged(&entry.digest));
            let Some(reference) = name else { continue };
            let by_manifest = entry.digest.hex().starts_with(hex);
            let image = match self.load(reference, &entry.digest) {
                Ok(image) => image,
                // One damaged image must not hide the others.
                Err(_) if !by_manifest => continue,
                Err(error) => return Err(error),
            };
            let fits = by_manifest || image.config_digest.hex().starts_with(hex);
            if fits && found.iter().all(|other| other.digest != image.digest) {
                found.push(image);
            }
        }
        match found.len() {
            0 => Err(ImageError::NotFound { name: text.to_owned() }),
            1 => Ok(found.remove(0)),
            count => Err(ImageError::Ambiguous { id: text.to_owned(), count }),
        }
    }

    /// The names of a manifest.
    pub fn names_of(&self, digest: &Digest) -> Result<Vec<ImageRef>, ImageError> {
        let entries = self.index()?.entries.into_iter();
        Ok(entries.filter(|it| it.digest == *digest).filter_map(|it| it.reference).collect())
    }

    /// Gives the image of one name another name too, taking that name from
    /// whatever had it.
    pub fn tag(&self, from: &ImageRef, to: &ImageRef) -> Result<Image, ImageError> {
        let _lock = self.lock()?;
        let mut index = self.index()?;
        let entry = index
            .find(from)
            .cloned()
            .ok_or_else(|| ImageError::NotFound { name: from.to_string() })?;
        index.put(to, entry.digest.clone(), entry.size, entry.media_type.clone());
        self.write_index(&index)?;
        self.load(to.clone(), &entry.digest)
    }

    /// Whether the blob of a layer is here, with its size.
    pub fn has_layer(&self, layer: &Layer) -> bool {
        std::fs::metadata(self.blob_path(&layer.digest)).is_ok_and(|blob| blob.len() == layer.size)
    }

    /// The configuration as it is stored, with what the OCI specification
    /// does not know (Docker's `Healthcheck`, `OnBuild`, `Shell`).
    pub fn config_document(&self, image: &Image) -> Result<serde_json::Value, ImageError> {
        let bytes = self.read_blob(&image.config_digest)?;
        serde_json::from_slice(&bytes).map_err(|e| ImageError::damaged(&image.config_digest, e))
    }

    fn lock(&self) -> Result<Lock, ImageError> {
        Ok(Lock::exclusive(&self.home.images().join(".lock"))?)
    }

    fn layer_locks(&self) -> PathBuf {
        self.home.layers().join(".locks")
    }
}

/// Media types of manifests that are one image.
fn is_manifest(media_type: &MediaType) -> bool {
    matches!(media_type, MediaType::ImageManifest)
        || media_type.as_ref() == "application/vnd.docker.distribution.manifest.v2+json"
}

/// Media types of lists of manifests.
pub(crate) fn is_list(media_type: &MediaType) -> bool {
    matches!(media_type, MediaType::ImageIndex)
        || media_type.as_ref() == "application/vnd.docker.distribution.manifest.list.v2+json"
}

fn digest_of(text: impl AsRef<str>) -> Result<Digest, ImageError> {
    let text = text.as_ref();
    text.parse().map_err(|e| ImageError::damaged("a descriptor", e))
}

#[cfg(test)]
mod tests;
