use std::path::PathBuf;

use tandem_model::ErrorCode;

/// What can go wrong while a base image is made.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    /// A program is missing.
    #[error(
        "`{program}` is needed to make a base image and is not here: apt-get install {package}"
    )]
    Missing {
        /// The program.
        program: &'static str,
        /// The Debian package that has it.
        package: &'static str,
    },
    /// The program ended with an error.
    #[error("mmdebstrap could not make the base image ({reason}): {}", next(reason))]
    Failed {
        /// Its exit status and what it complained of, or printed, last.
        reason: String,
    },
    /// The disk is too full to begin.
    #[error(
        "{free_mib} MiB are free for {path} and making a base image takes about {needed_mib} MiB: free some, or use another folder with --home"
    )]
    NoSpace {
        /// What is free, in MiB.
        free_mib: u64,
        /// What it takes, in MiB.
        needed_mib: u64,
        /// The folder of the work.
        path: PathBuf,
    },
    /// The person cancelled.
    #[error("making the base image was cancelled")]
    Cancelled,
    /// What was made is not what was wanted.
    #[error("the base image is not usable ({reason}): try again, or use another Debian mirror")]
    Unusable {
        /// What is missing.
        reason: String,
    },
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

/// How apt and its methods begin to say that they cannot get something.
const MIRROR: [&str; 9] = [
    "Failed to fetch",
    "Unable to fetch",
    "Could not connect",
    "Could not resolve",
    "Cannot initiate the connection",
    "Temporary failure resolving",
    "does not have a Release file",
    "is not signed",
    "Connection failed",
];

/// What to do about it: only what apt says of the mirror is the mirror's fault.
fn next(reason: &str) -> &'static str {
    if MIRROR.iter().any(|words| reason.contains(words)) {
        "check that the Debian mirror in apt's sources can be reached (apt-get update)"
    } else {
        "that is what it printed last; mend that and try again"
    }
}

impl BootstrapError {
    /// What somebody can act on.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Missing { .. } | Self::Failed { .. } | Self::Unusable { .. } => {
                ErrorCode::Unavailable
            }
            Self::NoSpace { .. } => ErrorCode::NoSpace,
            Self::Cancelled => ErrorCode::Cancelled,
            Self::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
                ErrorCode::NoSpace
            }
            Self::Io { .. } => ErrorCode::Internal,
        }
    }

    pub(super) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mirror_is_blamed_for_what_is_its_fault_only() {
        let told = |reason: &str| BootstrapError::Failed { reason: reason.to_owned() }.to_string();
        let far =
            told("exit status: 25: E: Failed to fetch http://x/Release  Could not resolve 'x'");
        assert!(far.contains("mirror in apt's sources"), "{far}");
        let other = told("exit status: 1: E: chroot directory is not empty");
        assert!(other.contains("is not empty") && !other.contains("mirror"), "{other}");
    }
}
