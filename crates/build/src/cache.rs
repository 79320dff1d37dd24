//! What steps made before, by everything that decides what they make.

use std::{fs, path::PathBuf};

use oci_spec::image::MediaType;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tandem_home::{Home, HomeError, make_private_dir, read_json, write_json};
use tandem_image::{Layer, Store};
use tandem_model::Digest;

use crate::BuildError;

/// The step cache of a home, `cache/build/steps/`. One file for each step, so
/// any number of builds may use it at once.
#[derive(Debug)]
pub(crate) struct Cache {
    dir: PathBuf,
}

/// What a step made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Made {
    /// When, RFC 3339.
    pub(crate) created: String,
    /// The layer; none when nothing in the file system changed.
    pub(crate) layer: Option<MadeLayer>,
}

/// A layer and its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MadeLayer {
    pub(crate) digest: Digest,
    pub(crate) diff_id: Digest,
    pub(crate) size: u64,
    pub(crate) media_type: MediaType,
    pub(crate) chain_id: Digest,
}

impl MadeLayer {
    pub(crate) fn layer(&self) -> Layer {
        Layer {
            digest: self.digest.clone(),
            diff_id: self.diff_id.clone(),
            size: self.size,
            media_type: self.media_type.clone(),
        }
    }
}

/// Forgets what build steps made whose layers are gone.
///
/// # Errors
/// [`BuildError`] when the cache cannot be read.
pub fn forget_stale_steps(home: &Home, store: &Store) -> Result<(), BuildError> {
    let cache = Cache::open(home)?;
    cache.forget_stale(store).map_err(BuildError::io("tidy", &cache.dir))
}

/// Identity of a step.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key(String);

impl Key {
    /// From everything that decides what the step makes. Fields of structs
    /// and the keys of sorted maps come in a fixed order, so equal facts give
    /// equal keys.
    pub(crate) fn of(facts: &impl Serialize) -> serde_json::Result<Self> {
        let mut hash = Sha256::new();
        // The layout of facts and entries; raise it when either changes.
        hash.update(b"tandem build step 1\n");
        hash.update(serde_json::to_vec(facts)?);
        Ok(Self(Digest::from_sha256(&hash.finalize().into()).hex().to_owned()))
    }
}

impl Cache {
    pub(crate) fn open(home: &Home) -> Result<Self, HomeError> {
        let dir = Self::folder(home);
        make_private_dir(&dir)?;
        Ok(Self { dir })
    }

    /// Where the steps of a home are remembered.
    pub(crate) fn folder(home: &Home) -> PathBuf {
        home.cache().join("build/steps")
    }

    /// What the step made before. An entry whose layer is gone, and one that
    /// cannot be read, count for nothing.
    pub(crate) fn get(&self, store: &Store, key: &Key) -> Option<Made> {
        let made: Made = read_json(&self.path(key)).ok()??;
        let whole = made.layer.as_ref().is_none_or(|layer| {
            store.has_layer(&layer.layer()) && store.is_unpacked(&layer.chain_id)
        });
        whole.then_some(made)
    }

    /// Remembers what a step made. To be called only when its layer is in the
    /// store.
    pub(crate) fn put(&self, key: &Key, made: &Made) -> Result<(), HomeError> {
        let path = self.path(key);
        if let Some(parent) = path.parent() {
            make_private_dir(parent)?;
        }
        write_json(&path, made)
    }

    /// Forgets the entries that count for nothing any more.
    fn forget_stale(&self, store: &Store) -> std::io::Result<()> {
        for folder in fs::read_dir(&self.dir)? {
            for entry in fs::read_dir(folder?.path())? {
                let path = entry?.path();
                let made: Option<Made> = read_json(&path).ok().flatten();
                let layer = made.map(|made| made.layer);
                let useful = layer
                    .is_some_and(|layer| layer.is_none_or(|layer| store.has_layer(&layer.layer())));
                if !useful {
                    fs::remove_file(path)?;
                }
            }
        }
        Ok(())
    }

    fn path(&self, key: &Key) -> PathBuf {
        self.dir.join(&key.0[..2]).join(format!("{}.json", &key.0[2..]))
    }
}
