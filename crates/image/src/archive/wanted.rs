//! What an archive offers, whatever its format.

use oci_spec::image::MediaType;
use tandem_model::{Digest, ImageRef};

use super::members::Place;

/// One image of an archive.
pub(super) struct Wanted {
    /// Empty for an image that the archive gives no name.
    pub(super) names: Vec<ImageRef>,
    /// The manifest; a Docker archive has none.
    pub(super) manifest: Option<(Vec<u8>, MediaType)>,
    /// The configuration.
    pub(super) config: Vec<u8>,
    pub(super) config_digest: Digest,
    /// Bottom first.
    pub(super) layers: Vec<WantedLayer>,
}

/// One layer of an image of an archive.
#[derive(Debug, Clone)]
pub(super) struct WantedLayer {
    /// The digest of the stored bytes, where it is known before they are read.
    pub(super) digest: Option<Digest>,
    /// The digest of the uncompressed bytes.
    pub(super) diff_id: Digest,
    pub(super) media_type: MediaType,
    pub(super) place: Place,
}
