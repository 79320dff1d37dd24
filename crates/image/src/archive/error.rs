use tandem_model::{Digest, ErrorCode};

/// What can go wrong with an archive of images.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// There is no such file.
    #[error("there is no archive {archive}: check the path")]
    Missing {
        /// The file.
        archive: String,
    },
    /// It is no archive of images, or a broken one.
    #[error(
        "{archive} is not an archive of images that can be loaded ({reason}): save it again with `tandem save` or `docker save`"
    )]
    Broken {
        /// The file.
        archive: String,
        /// What is wrong with it.
        reason: String,
    },
    /// It is compressed in a way that is not read here.
    #[error("{archive} is compressed with {program}: unpack it first ({program} -d)")]
    Compression {
        /// The file.
        archive: String,
        /// What it is compressed with.
        program: &'static str,
    },
    /// A part of it has other bytes than it should.
    #[error(
        "{what} in {archive} has the digest {actual}, expected {expected}: it was changed on the way, and nothing of the archive is kept"
    )]
    Mismatch {
        /// The file.
        archive: String,
        /// Which part.
        what: String,
        /// The digest that its name promises.
        expected: Digest,
        /// The digest of the bytes.
        actual: Digest,
    },
    /// There is not enough room.
    #[error(
        "the disk is too full for {archive} ({needed_mib} MiB more are needed, {free_mib} MiB are free in {path}): free some, or use another folder with --home"
    )]
    DiskFull {
        /// The file.
        archive: String,
        /// What is still missing, in MiB.
        needed_mib: u64,
        /// What is free, in MiB.
        free_mib: u64,
        /// Tandem's home.
        path: std::path::PathBuf,
    },
    /// Somebody wanted it to end.
    #[error("it was given up: nothing of the archive is kept")]
    Stopped,
}

impl ArchiveError {
    /// What somebody can act on.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Missing { .. } => ErrorCode::NotFound,
            Self::Broken { .. } | Self::Compression { .. } | Self::Mismatch { .. } => {
                ErrorCode::Internal
            }
            Self::DiskFull { .. } => ErrorCode::NoSpace,
            Self::Stopped => ErrorCode::Cancelled,
        }
    }
}
