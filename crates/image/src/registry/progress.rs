use std::time::Duration;

use tandem_model::Digest;

/// How a pull or a push comes along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transfer {
    /// It is known what has to travel.
    Planned {
        /// Layers, bottom first, whether they are there already or not.
        layers: Vec<Digest>,
        /// Bytes that must travel.
        bytes: u64,
    },
    /// A blob is at its destination already.
    Present {
        /// The blob.
        digest: Digest,
    },
    /// Bytes of a blob have travelled.
    Moved {
        /// The blob.
        digest: Digest,
        /// Bytes so far.
        done: u64,
        /// Bytes in all.
        total: u64,
    },
    /// A blob has arrived and its digest is right.
    Stored {
        /// The blob.
        digest: Digest,
    },
    /// A pulled layer is unpacked.
    Unpacked {
        /// Its blob.
        digest: Digest,
    },
    /// A pushed blob was taken from another repository of the registry.
    Mounted {
        /// The blob.
        digest: Digest,
        /// The repository.
        from: String,
    },
    /// Something went wrong and is tried again.
    Again {
        /// What went wrong.
        reason: String,
        /// How long until then.
        wait: Duration,
    },
}

impl Transfer {
    /// A line for people; none for what is too small to be told.
    pub fn line(&self) -> Option<String> {
        Some(match self {
            Self::Planned { layers, bytes: 0, .. } => {
                format!("{} layers, nothing to move", layers.len())
            }
            Self::Planned { layers, bytes, .. } => {
                format!("{} layers, {:.1} MB to move", layers.len(), *bytes as f64 / 1e6)
            }
            Self::Present { digest } => format!("{}: already there", digest.short()),
            Self::Stored { digest } => format!("{}: stored", digest.short()),
            Self::Unpacked { digest } => format!("{}: unpacked", digest.short()),
            Self::Mounted { digest, from } => format!("{}: taken from {from}", digest.short()),
            Self::Again { reason, wait } if wait.is_zero() => reason.clone(),
            Self::Again { reason, wait } => {
                format!("{reason}; trying again in {:.1} s", wait.as_secs_f64())
            }
            Self::Moved { .. } => return None,
        })
    }
}
