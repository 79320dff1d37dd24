use oci_spec::image::{ImageConfiguration, MediaType};
use sha2::{Digest as _, Sha256};
use tandem_model::{Digest, ImageRef};

use crate::Platform;

/// An image in the store: its configuration and its layers, bottom first.
#[derive(Debug, Clone)]
pub struct Image {
    /// The name it was found by.
    pub reference: ImageRef,
    /// Digest of the manifest.
    pub digest: Digest,
    /// Digest of the configuration, what Docker calls the image id.
    pub config_digest: Digest,
    /// The configuration.
    pub config: ImageConfiguration,
    /// The layers, bottom first.
    pub layers: Vec<Layer>,
    /// When it was made, as its configuration says.
    pub created_at: Option<jiff::Timestamp>,
}

/// One layer of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// Digest of the blob as it is stored, usually compressed.
    pub digest: Digest,
    /// Digest of the uncompressed tar.
    pub diff_id: Digest,
    /// Bytes of the blob.
    pub size: u64,
    /// What the blob is.
    pub media_type: MediaType,
}

/// A layer that was just packed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLayer {
    /// Digest of the compressed blob.
    pub digest: Digest,
    /// Digest of the uncompressed tar.
    pub diff_id: Digest,
    /// Bytes of the compressed blob.
    pub size: u64,
    /// Identity of this layer on top of its parents; the name of its folder.
    pub chain_id: Digest,
}

impl From<NewLayer> for Layer {
    fn from(new: NewLayer) -> Self {
        Self {
            digest: new.digest,
            diff_id: new.diff_id,
            size: new.size,
            media_type: MediaType::ImageLayerGzip,
        }
    }
}

impl Image {
    /// The chain id of every layer, bottom first.
    pub fn chain_ids(&self) -> Vec<Digest> {
        chain_ids(self.layers.iter().map(|layer| &layer.diff_id))
    }

    /// The chain id of the whole file system; `None` for an image without
    /// layers.
    pub fn top_chain_id(&self) -> Option<Digest> {
        self.chain_ids().pop()
    }

    /// What machine it is for; `None` for one that does not say.
    pub fn platform(&self) -> Option<Platform> {
        Some(Platform::of_config(&self.config)).filter(|platform| !platform.is_unknown())
    }

    /// Sum of the stored layer blobs, bytes.
    pub fn compressed_bytes(&self) -> u64 {
        self.layers.iter().map(|layer| layer.size).sum()
    }
}

/// The chain id of each layer from the diff ids, bottom first (OCI image
/// specification, config.md, "Layer ChainID").
pub fn chain_ids<'a>(diff_ids: impl IntoIterator<Item = &'a Digest>) -> Vec<Digest> {
    let mut chain: Vec<Digest> = Vec::new();
    for diff_id in diff_ids {
        chain.push(chain_id(chain.last(), diff_id));
    }
    chain
}

/// The chain id of a layer on top of a parent.
pub(crate) fn chain_id(parent: Option<&Digest>, diff_id: &Digest) -> Digest {
    match parent {
        None => diff_id.clone(),
        Some(parent) => sha256(format!("{parent} {diff_id}").as_bytes()),
    }
}

pub(crate) fn sha256(bytes: &[u8]) -> Digest {
    Digest::from_sha256(&Sha256::digest(bytes).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_id_covers_every_layer_beneath() {
        let [a, b, c] = [b"a", b"b", b"c"].map(|bytes| sha256(bytes));
        let chain = chain_ids([&a, &b, &c]);
        assert_eq!(chain[0], a);
        assert_eq!(chain[1], sha256(format!("{a} {b}").as_bytes()));
        assert_eq!(chain[2], sha256(format!("{} {c}", chain[1]).as_bytes()));
        assert_ne!(chain_ids([&b, &a, &c])[2], chain[2]);
    }
}
