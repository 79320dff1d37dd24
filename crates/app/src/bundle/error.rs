use std::path::PathBuf;

use tandem_model::ErrorCode;

/// What can go wrong with a bundle.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// There is no such file.
    #[error("there is no bundle {}: check the path", .0.display())]
    Missing(PathBuf),
    /// It is something else.
    #[error(
        "{} is no bundle ({reason}): take a file that `tandem bundle create` made", .file.display()
    )]
    Foreign {
        /// The file.
        file: PathBuf,
        /// What it is instead.
        reason: String,
    },
    /// A later version made it.
    #[error(
        "{} was made by a newer Tandem (bundle version {version}, this one reads {}): use a newer Tandem, or let this version make it", .file.display(), super::index::VERSION
    )]
    Newer {
        /// The file.
        file: PathBuf,
        /// Its version.
        version: u64,
    },
    /// It was made for machines of another kind.
    #[error(
        "{} is for machines of the kind {architecture}, and this one is {}: make one on a machine like this", .file.display(), std::env::consts::ARCH
    )]
    Architecture {
        /// The file.
        file: PathBuf,
        /// The kind.
        architecture: String,
    },
    /// It was changed or cut off on the way.
    #[error(
        "{} is damaged ({reason}), and nothing of it was taken over: copy or make it again", .file.display()
    )]
    Damaged {
        /// The file.
        file: PathBuf,
        /// Where.
        reason: String,
    },
    /// A part of it cannot be used here.
    #[error(
        "{} cannot be taken over ({reason}), and nothing of it was: make it again with this version of Tandem", .file.display()
    )]
    Unfit {
        /// The file.
        file: PathBuf,
        /// What.
        reason: String,
    },
    /// What was to be carried has other bytes than it should.
    #[error(
        "{path} has changed ({reason}), so no bundle was made: `tandem system check --repair` mends what can be mended"
    )]
    Changed {
        /// Its place in the bundle.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// The bundle's own place is no place for it.
    #[error("a bundle cannot be written to {} ({reason}): choose another file", .file.display())]
    Place {
        /// The file.
        file: PathBuf,
        /// Why not.
        reason: &'static str,
    },
    /// The home has nothing of what a bundle is for.
    #[error(
        "there is nothing to put into a bundle here: leave --no-build out, or name images that `tandem images` lists with --image"
    )]
    Nothing,
    /// There is not enough room.
    #[error(
        "{} has no room for a bundle of {needed_mib} MiB ({free_mib} MiB are free): free some, or choose another folder", .folder.display()
    )]
    DiskFull {
        /// Where.
        folder: PathBuf,
        /// What it takes, in MiB.
        needed_mib: u64,
        /// What is free, in MiB.
        free_mib: u64,
    },
    /// Somebody wanted it to end.
    #[error("it was given up: nothing of the bundle is kept")]
    Stopped,
}

impl BundleError {
    /// What somebody can act on.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Missing(_) => ErrorCode::NotFound,
            Self::Foreign { .. }
            | Self::Newer { .. }
            | Self::Architecture { .. }
            | Self::Damaged { .. }
            | Self::Unfit { .. }
            | Self::Changed { .. }
            | Self::Nothing => ErrorCode::Internal,
            Self::Place { .. } => ErrorCode::Unavailable,
            Self::DiskFull { .. } => ErrorCode::NoSpace,
            Self::Stopped => ErrorCode::Cancelled,
        }
    }
}
