use serde::{Deserialize, Serialize};

/// What somebody can act on when something fails. A code exists only when the
/// window or a script does something different for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The command or request itself is wrong.
    Usage,
    /// A named instance, image, sample or file is not there.
    NotFound,
    /// The name is taken.
    Conflict,
    /// A port to publish is held by another program.
    PortInUse,
    /// The disk is full.
    NoSpace,
    /// This machine cannot do it; the message names the mend.
    Unavailable,
    /// A Dockerfile has a syntax error.
    Syntax,
    /// A base image is not here and cannot be fetched.
    UnknownBase,
    /// A build step ended with a code other than zero.
    BuildFailed,
    /// The image names no command and none was given.
    NoCommand,
    /// The command is not in the image.
    CommandNotFound,
    /// The command is there and cannot be executed.
    NotExecutable,
    /// The app gave no answer within the time limit.
    NotReady,
    /// The person cancelled.
    Cancelled,
    /// Anything else.
    Internal,
}

impl ErrorCode {
    /// The exit code of the `tandem` command for this error (CLI.md).
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Usage => 2,
            Self::NotExecutable => 126,
            Self::CommandNotFound => 127,
            Self::Cancelled => 130,
            _ => 125,
        }
    }
}

/// An error as it crosses a process or window boundary: one code, one
/// sentence that says what, why and what to do next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[error("{message}")]
pub struct Failure {
    /// What to act on.
    pub code: ErrorCode,
    /// The sentence.
    pub message: String,
}

impl Failure {
    /// A failure with this code and sentence.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}
