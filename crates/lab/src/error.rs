use tandem_backend::BackendError;
use tandem_model::{ErrorCode, Failure};

use crate::StoreError;

/// Why a run came to no result.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// The plan cannot be carried out.
    #[error("{0}")]
    BadPlan(String),
    /// Not one lane can run here.
    #[error("no lane can run here: {0}")]
    NothingToRun(String),
    /// Every lane that could run failed before its first trial; the first
    /// failure.
    #[error("cannot prepare lane {lane}: {source}")]
    Prepare {
        /// Lane id.
        lane: String,
        /// What happened.
        source: BackendError,
    },
    /// Somebody cancelled.
    #[error("the run was cancelled")]
    Cancelled,
    /// Results cannot be kept.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl LabError {
    /// What somebody can act on.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::BadPlan(_) => ErrorCode::Usage,
            Self::NothingToRun(_) => ErrorCode::Unavailable,
            Self::Prepare { source, .. } => source.code(),
            Self::Cancelled => ErrorCode::Cancelled,
            Self::Store(e) => e.code(),
        }
    }

    /// The error as it crosses a process or window boundary.
    pub fn to_failure(&self) -> Failure {
        Failure::new(self.code(), self.to_string())
    }
}
