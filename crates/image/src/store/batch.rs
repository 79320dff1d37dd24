use std::{
    fs::{self, File},
    io::Write as _,
    path::PathBuf,
};

use oci_spec::image::MediaType;
use tandem_home::Scratch;
use tandem_model::{Digest, ImageRef};

use super::Store;
use crate::ImageError;

/// Blobs, layers and names that become visible together: the blobs are on
/// disk first, and the names come last.
pub(crate) struct Batch {
    store: Store,
    scratch: Scratch,
    /// Temporary file, digest.
    blobs: Vec<(PathBuf, Digest)>,
    /// New folder, its place, chain id; bottom first.
    layers: Vec<(PathBuf, PathBuf, Digest)>,
    names: Vec<Named>,
}

struct Named {
    reference: ImageRef,
    digest: Digest,
    size: u64,
    media_type: MediaType,
}

impl Batch {
    /// Nothing yet.
    pub(crate) fn new(store: &Store) -> Result<Self, ImageError> {
        let scratch = store.home.scratch("batch")?;
        let (blobs, layers, names) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Self { store: store.clone(), scratch, blobs, layers, names })
    }

    /// Where a new blob or folder may be made; `name` is unique in the batch.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// A finished file on the disk; the caller has checked its digest.
    pub(crate) fn add_blob(&mut self, path: PathBuf, digest: Digest) {
        self.blobs.push((path, digest));
    }

    /// A manifest or configuration.
    pub(crate) fn add_document(&mut self, bytes: &[u8], digest: &Digest) -> Result<(), ImageError> {
        let path = self.path(digest.hex());
        if path.exists() {
            // Images may share a configuration.
            return Ok(());
        }
        let write = |bytes| -> std::io::Result<()> {
            let mut file = File::create_new(&path)?;
            file.write_all(bytes)?;
            file.sync_data()
        };
        write(bytes).map_err(ImageError::io("write", &path))?;
        self.add_blob(path, digest.clone());
        Ok(())
    }

    /// A finished folder; those beneath it come first.
    pub(crate) fn add_layer(&mut self, path: PathBuf, chain_id: Digest) {
        let place = self.store.layer_dir(&chain_id);
        self.layers.push((path, place, chain_id));
    }

    /// Gives a manifest of the batch a name.
    pub(crate) fn add_name(
        &mut self,
        reference: ImageRef,
        digest: Digest,
        size: u64,
        media_type: MediaType,
    ) {
        self.names.push(Named { reference, digest, size, media_type });
    }

    /// Makes it all visible.
    pub(crate) fn commit(self) -> Result<(), ImageError> {
        let blobs = self.store.blobs();
        for (path, digest) in &self.blobs {
            let place = blobs.join(digest.hex());
            fs::rename(path, &place).map_err(ImageError::io("store", &place))?;
        }
        File::open(&blobs)
            .and_then(|dir| dir.sync_all())
            .map_err(ImageError::io("sync", &blobs))?;
        self.store.install_all(&self.layers)?;
        let _lock = self.store.lock()?;
        let mut index = self.store.index()?;
        for it in self.names {
            index.put(&it.reference, it.digest, it.size, it.media_type);
        }
        self.store.write_index(&index)
    }
}
