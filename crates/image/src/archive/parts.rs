//! The files of an image layout one by one, for whoever packs them together
//! with other things.

use std::{collections::BTreeMap, path::PathBuf};

use tandem_model::Digest;

use super::{
    oci,
    save::{LAYOUT_VERSION, index_of},
};
use crate::{Image, ImageError, Store, image::sha256};

/// A file of an image layout (OCI image specification, image-layout.md).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayoutPart {
    /// Where it lies in the layout.
    pub path: String,
    /// The digest of its bytes.
    pub digest: Digest,
    /// How many bytes it has.
    pub size: u64,
    /// Where they are.
    pub source: PartSource,
}

/// Where the bytes of a part are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartSource {
    /// Here.
    Bytes(Vec<u8>),
    /// In a file.
    File(PathBuf),
}

/// The files of a layout with these images, in the order in which
/// [`save`](super::save) writes them, each once. What [`load`](super::load)
/// reads may hold other files beside them. Hold a [`Lease`](crate::Lease)
/// until they are read.
///
/// # Errors
/// [`ImageError::MissingBlob`] and [`ImageError::Damaged`].
pub fn layout_parts(store: &Store, images: &[Image]) -> Result<Vec<LayoutPart>, ImageError> {
    let text = |path: &str, bytes: Vec<u8>| LayoutPart {
        path: path.to_owned(),
        digest: sha256(&bytes),
        size: bytes.len() as u64,
        source: PartSource::Bytes(bytes),
    };
    let mut parts = vec![
        text(oci::LAYOUT, LAYOUT_VERSION.to_vec()),
        text(oci::INDEX, index_of(store, images)?),
    ];
    // Small documents come before the layers, by digest.
    let mut blobs = BTreeMap::new();
    for image in images {
        let layers = image.layers.iter().map(|layer| (true, &layer.digest));
        let documents = [&image.digest, &image.config_digest].map(|digest| (false, digest));
        for key in documents.into_iter().chain(layers) {
            blobs.insert(key, store.blob_size(key.1)?);
        }
    }
    parts.extend(blobs.into_iter().map(|((_, digest), size)| LayoutPart {
        path: oci::path(digest),
        digest: digest.clone(),
        size,
        source: PartSource::File(store.blob_path(digest)),
    }));
    Ok(parts)
}
