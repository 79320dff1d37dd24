use std::path::{Path, PathBuf};

use tandem_home::HomeError;
use tandem_model::{Digest, ErrorCode, Failure, ParseImageRefError};

use crate::{
    archive::ArchiveError, bootstrap::BootstrapError, layer::LayerError, registry::RegistryError,
};

/// What can go wrong with images.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// No image of that name, digest or id is in the store.
    #[error(
        "there is no image `{name}` here: build it (tandem build -t {name} DIR), pull it (tandem pull {name}), or see what is here (tandem images)"
    )]
    NotFound {
        /// What was asked for.
        name: String,
    },
    /// A short id fits several images.
    #[error("`{id}` fits {count} images: give more digits of the id")]
    Ambiguous {
        /// What was asked for.
        id: String,
        /// How many it fits.
        count: usize,
    },
    /// The name breaks the grammar.
    #[error(transparent)]
    Name(#[from] ParseImageRefError),
    /// Something stored is not what it must be.
    #[error(
        "{what} is damaged ({reason}): see what else is (tandem system check), and mend it (--repair) or build or pull the image again"
    )]
    Damaged {
        /// Which blob or file.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A blob that an image needs is not in the store.
    #[error("the store has no blob {digest}: build or pull the image again")]
    MissingBlob {
        /// Its digest.
        digest: Digest,
    },
    /// The bytes do not have the digest that they must have.
    #[error("{what} has the digest {actual}, expected {expected}: it was changed on the way")]
    DigestMismatch {
        /// What was read.
        what: String,
        /// The digest asked for.
        expected: String,
        /// The digest of the bytes.
        actual: Digest,
    },
    /// The image is of a kind that cannot be run here.
    #[error("{reference} cannot be used: {reason}")]
    Unsupported {
        /// The image.
        reference: String,
        /// Why.
        reason: String,
    },
    /// An instance was made from the image.
    #[error(
        "the image {reference} is used by instance {instance}: remove that first (tandem rm {instance})"
    )]
    InUse {
        /// The image.
        reference: String,
        /// Name of the instance.
        instance: String,
    },
    /// Somebody puts something into the store just now.
    #[error("a build, a pull or a load is at work in this home: try again when it has ended")]
    Busy,
    /// A layer cannot be packed or unpacked.
    #[error("layer {layer}: {source}")]
    Layer {
        /// Digest or folder.
        layer: String,
        /// What happened.
        source: LayerError,
    },
    /// The way to a registry, or the registry itself.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// An archive of images.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// A base image could not be made.
    #[error(transparent)]
    Bootstrap(#[from] BootstrapError),
    /// The limits that the home sets cannot be read.
    #[error("{} cannot be used ({reason}): mend it, or remove it for the usual limits", path.display())]
    Limits {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The home folder.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The operating system refused.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried, a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The answer.
        source: std::io::Error,
    },
}

impl ImageError {
    /// What somebody can act on.
    pub fn code(&self) -> ErrorCode {
        match self {
            _ if self.is_no_space() => ErrorCode::NoSpace,
            Self::NotFound { .. } => ErrorCode::NotFound,
            Self::Registry(error) => error.code(),
            Self::Ambiguous { .. } | Self::Name(_) | Self::Limits { .. } => ErrorCode::Usage,
            Self::InUse { .. } | Self::Busy => ErrorCode::Conflict,
            Self::Unsupported { .. } => ErrorCode::Unavailable,
            Self::Archive(error) => error.code(),
            Self::Bootstrap(error) => error.code(),
            _ => ErrorCode::Internal,
        }
    }

    /// Whether the disk is full.
    pub fn is_no_space(&self) -> bool {
        let full = |e: &std::io::Error| e.kind() == std::io::ErrorKind::StorageFull;
        match self {
            Self::Io { source, .. } | Self::Layer { source: LayerError::Io { source, .. }, .. } => {
                full(source)
            }
            Self::Home(error) => error.is_no_space(),
            Self::Registry(error) => matches!(error, RegistryError::DiskFull { .. }),
            Self::Archive(error) => matches!(error, ArchiveError::DiskFull { .. }),
            _ => false,
        }
    }

    pub(crate) fn io(
        action: &'static str,
        path: impl AsRef<Path>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { action, path: path.as_ref().to_owned(), source }
    }

    pub(crate) fn layer(layer: impl ToString) -> impl FnOnce(LayerError) -> Self {
        move |source| Self::Layer { layer: layer.to_string(), source }
    }

    pub(crate) fn damaged(what: impl ToString, reason: impl ToString) -> Self {
        Self::Damaged { what: what.to_string(), reason: reason.to_string() }
    }
}

impl From<ImageError> for Failure {
    fn from(error: ImageError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}
