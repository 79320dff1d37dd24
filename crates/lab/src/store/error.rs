use std::path::PathBuf;

use tandem_model::ErrorCode;

/// Why results cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite refused.
    #[error("cannot {action} the results in {path}: {source}", path = .path.display())]
    Database {
        /// What was tried, a verb.
        action: &'static str,
        /// The database.
        path: PathBuf,
        /// What it said.
        source: rusqlite::Error,
    },
    /// The database is of a later version, or not ours.
    #[error("{path} was not written by this version of Tandem ({reason}): move it away, or use a newer Tandem", path = .path.display())]
    Foreign {
        /// The database.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// A stored document does not read back.
    #[error("the stored run {id} is damaged: {reason}")]
    Damaged {
        /// Run id.
        id: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A result with this id is here already.
    #[error("the result {0} is here already: `tandem result show {0}` shows it")]
    Known(String),
    /// No run has this id.
    #[error("there is no result `{0}`: `tandem result ls` lists them")]
    NoResult(String),
    /// A run that does not go on.
    #[error("the run {id} cannot be resumed: {why}")]
    NotResumable {
        /// Its id.
        id: String,
        /// Why not, and what to do.
        why: String,
    },
    /// Several runs match the beginning of an id.
    #[error("`{0}` is the beginning of several result ids: write more of it")]
    Ambiguous(String),
}

impl StoreError {
    /// What somebody can act on.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Database { source, .. }
                if source.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull) =>
            {
                ErrorCode::NoSpace
            }
            Self::Database { .. } | Self::Foreign { .. } | Self::Damaged { .. } => {
                ErrorCode::Internal
            }
            Self::NoResult(_) => ErrorCode::NotFound,
            Self::Ambiguous(_) | Self::Known(_) | Self::NotResumable { .. } => ErrorCode::Usage,
        }
    }
}
