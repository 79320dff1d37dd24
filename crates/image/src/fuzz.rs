//! What the fuzz targets (`tests/fuzz`) reach of this crate; nobody else may.

use oci_spec::image::ImageConfiguration;
use tandem_model::Digest;

use crate::{
    Platform, registry, store,
    store::{choose_platform, layers_of, parse_manifest},
};

/// Reads a manifest and what it says of its layers beside a configuration.
pub fn manifest(manifest: &[u8], config: &[u8], digest: &Digest) -> Option<usize> {
    let manifest = parse_manifest(manifest).ok()?;
    let config: ImageConfiguration = serde_json::from_slice(config).ok()?;
    Some(layers_of(&manifest, &config, digest).ok()?.len())
}

/// Chooses from a list of manifests.
pub fn index(list: &[u8]) -> Option<Digest> {
    let name = "image".parse().ok()?;
    choose_platform(&name, list, &Platform::default()).ok().map(|it| it.digest)
}

/// How many images the store's own table names.
pub fn store_index(bytes: &[u8]) -> Option<usize> {
    store::count_of_index(bytes)
}

pub use registry::fuzz as answers;
