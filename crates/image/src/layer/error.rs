use std::path::PathBuf;

use tandem_model::Digest;

use super::{header::lossy, limits::FILE};

/// What can go wrong with one layer. Paths are inside the layer.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// The bytes are not a tar archive, or a broken one.
    #[error("the archive is broken: {reason}")]
    Malformed {
        /// What is wrong and where.
        reason: String,
    },
    /// A name would reach outside the layer.
    #[error("`{path}` would reach outside the image: do not trust where this image comes from")]
    Escapes {
        /// The name as it stands in the archive.
        path: String,
    },
    /// A limit that protects the machine was reached.
    #[error(
        "the archive has more than {limit} {what}, and no more is taken: if you trust where it comes from, allow more with `{key}` in {FILE} of Tandem's folder"
    )]
    Limit {
        /// What is counted.
        what: &'static str,
        /// The field of [`Limits`](crate::Limits) that changes it.
        key: &'static str,
        /// How many are allowed.
        limit: u64,
    },
    /// A file whose name means a deletion in a layer.
    #[error("`{path}` cannot be stored in an image: names that begin with `.wh.` mean deletions")]
    ReservedName {
        /// The file.
        path: PathBuf,
    },
    /// An overlay was mounted with a feature that hides where files are.
    #[error("`{path}` was written with overlayfs {feature}: mount with {feature}=off")]
    OverlayFeature {
        /// The file.
        path: PathBuf,
        /// The mount option.
        feature: &'static str,
    },
    /// The bytes are not the ones that the image names.
    #[error(
        "the content has the digest {actual}, the image says {expected}: pull or build it again"
    )]
    DigestMismatch {
        /// What the image says.
        expected: Digest,
        /// What the bytes have.
        actual: Digest,
    },
    /// The operating system refused.
    #[error("cannot {action} `{path}`: {source}")]
    Io {
        /// What was tried, a verb.
        action: &'static str,
        /// On what, inside the layer.
        path: PathBuf,
        /// The answer.
        source: std::io::Error,
    },
}

impl LayerError {
    pub(crate) fn malformed(reason: impl Into<String>) -> Self {
        Self::Malformed { reason: reason.into() }
    }

    pub(crate) fn io<E: Into<std::io::Error>>(
        action: &'static str,
        path: &[u8],
    ) -> impl FnOnce(E) -> Self {
        let path = PathBuf::from(lossy(path));
        move |source| Self::Io { action, path, source: source.into() }
    }
}
