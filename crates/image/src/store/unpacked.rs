use std::{
    fs,
    path::{Path, PathBuf},
};

use tandem_home::{Lock, Scratch};
use tandem_model::Digest;

use super::{HashRead, Store};
use crate::{
    DiskUsage, Image, ImageError, Layer, LayerError, Limits, OverlayXattrs,
    layer::{Unpack, decompressed, unpack},
};

impl Store {
    /// The folders of an image's layers, bottom first, for overlayfs or for
    /// making a disk. Missing ones are unpacked, and their content is checked
    /// against the diff id; `progress` gets a line for each.
    ///
    /// The folders belong to all images: never write into them.
    pub fn layer_dirs(
        &self,
        image: &Image,
        progress: &dyn Fn(&str),
    ) -> Result<Vec<PathBuf>, ImageError> {
        let mut dirs: Vec<PathBuf> = Vec::new();
        let count = image.layers.len();
        for (at, (layer, chain_id)) in image.layers.iter().zip(image.chain_ids()).enumerate() {
            let dir = self.layer_dir(&chain_id);
            if !dir.is_dir() {
                let _lock = self.lock_layer(&chain_id)?;
                // Somebody else may have made it while this one waited.
                if !dir.is_dir() {
                    progress(&format!(
                        "unpacking layer {} of {count}, {} ({:.1} MB)",
                        at + 1,
                        layer.digest.short(),
                        layer.size as f64 / 1e6
                    ));
                    self.unpack_into(layer, &dirs, &chain_id)?;
                }
            }
            dirs.push(dir);
        }
        Ok(dirs)
    }

    /// Where the unpacked layer of a chain id is, or will be.
    pub fn layer_dir(&self, chain_id: &Digest) -> PathBuf {
        self.home.layers().join(chain_id.hex())
    }

    /// Whether the layer of a chain id is unpacked.
    pub fn is_unpacked(&self, chain_id: &Digest) -> bool {
        self.layer_dir(chain_id).is_dir()
    }

    pub(super) fn lock_layer(&self, chain_id: &Digest) -> Result<Lock, ImageError> {
        // One lock for each first byte: few files, and little waiting.
        Ok(Lock::exclusive(&self.layer_locks().join(&chain_id.hex()[..2]))?)
    }

    /// Unpacks a layer beside its place and moves it there; the caller holds
    /// the layer's lock.
    pub(super) fn unpack_into(
        &self,
        layer: &Layer,
        parents: &[PathBuf],
        chain_id: &Digest,
    ) -> Result<(), ImageError> {
        let scratch = self.home.scratch("layer")?;
        let fresh = scratch.path().join("layer");
        unpack_stream(self.open_blob(&layer.digest)?, layer, parents, &fresh)?;
        self.install(&fresh, chain_id, scratch)
    }

    /// Makes finished folders layers, bottom first. What somebody else has
    /// made meanwhile stays.
    pub(crate) fn install_all(
        &self,
        fresh: &[(PathBuf, PathBuf, Digest)],
    ) -> Result<(), ImageError> {
        if fresh.is_empty() {
            return Ok(());
        }
        let layers: Vec<&Digest> = fresh.iter().map(|(_, _, chain_id)| chain_id).collect();
        self.note_unsettled(&layers)?;
        for (fresh, dir, chain_id) in fresh {
            let _lock = self.lock_layer(chain_id)?;
            if !dir.is_dir() {
                place(fresh, dir)?;
            }
        }
        self.sync_layers()
    }

    /// Makes a finished folder the layer, visible at once.
    pub(super) fn install(
        &self,
        fresh: &Path,
        chain_id: &Digest,
        scratch: Scratch,
    ) -> Result<(), ImageError> {
        let dir = &self.layer_dir(chain_id);
        self.note_unsettled(&[chain_id])?;
        place(fresh, dir)?;
        drop(scratch);
        self.sync_layers()
    }

    fn sync_layers(&self) -> Result<(), ImageError> {
        let layers = self.home.layers();
        fs::File::open(&layers)
            .and_then(|dir| dir.sync_all())
            .map_err(ImageError::io("sync", &layers))
    }

    /// What an unpacked layer takes, from the note beside it.
    pub(super) fn layer_usage(&self, chain_id: &Digest) -> Result<DiskUsage, ImageError> {
        let dir = self.layer_dir(chain_id);
        if !dir.is_dir() {
            return Ok(DiskUsage::default());
        }
        if let Ok(Some(usage)) = tandem_home::read_json(&usage_path(&dir)) {
            return Ok(usage);
        }
        let usage = DiskUsage::of(&dir).map_err(ImageError::io("measure", &dir))?;
        tandem_home::write_json(&usage_path(&dir), &usage)?;
        Ok(usage)
    }
}

/// Unpacks a layer's blob into a new folder and checks its content
/// against the diff id; the blob's own digest is the caller's matter.
pub(crate) fn unpack_stream(
    blob: impl std::io::Read,
    layer: &Layer,
    parents: &[PathBuf],
    fresh: &Path,
) -> Result<(), ImageError> {
    fs::create_dir(fresh).map_err(ImageError::io("make", fresh))?;
    let failed = |error| ImageError::layer(&layer.digest)(error);
    let tar = decompressed(blob).map_err(|e| failed(LayerError::malformed(e.to_string())))?;
    let mut tar = HashRead::new(tar);
    let options =
        Unpack { limits: Limits::default(), xattrs: OverlayXattrs::of_process(), parents };
    unpack(&mut tar, fresh, &options).map_err(failed)?;
    let actual = tar.digest();
    if actual != layer.diff_id {
        let expected = layer.diff_id.clone();
        return Err(failed(LayerError::DigestMismatch { expected, actual }));
    }
    Ok(())
}

fn place(fresh: &Path, dir: &Path) -> Result<(), ImageError> {
    let usage = DiskUsage::of(fresh).map_err(ImageError::io("measure", fresh))?;
    // It can be made again.
    tandem_home::write_json_volatile(&usage_path(dir), &usage)?;
    fs::rename(fresh, dir).map_err(ImageError::io("store", dir))
}

pub(super) fn sync_file_system(path: &Path) -> Result<(), ImageError> {
    let handle = fs::File::open(path).map_err(ImageError::io("open", path))?;
    rustix::fs::syncfs(&handle).map_err(|e| ImageError::io("sync", path)(e.into()))
}

/// The note beside an unpacked layer: `CHAINID.json`.
pub(super) fn usage_path(dir: &Path) -> PathBuf {
    dir.with_extension("json")
}
