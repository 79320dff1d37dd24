use std::path::{Path, PathBuf};

use tandem_backend::BackendError;
use tandem_home::HomeError;
use tandem_image::ImageError;
use tandem_model::{ErrorCode, Failure};

use crate::{ignore::GlobError, parse::SyntaxError};

/// Why a build ended without an image.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The Dockerfile cannot be read as one.
    #[error(transparent)]
    Syntax(#[from] SyntaxError),
    /// There is no Dockerfile.
    #[error("there is no Dockerfile at {path}: write one, or name another file with -f")]
    NoDockerfile {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The build context is no folder.
    #[error("the build context {path} is not a folder: give the folder that holds the Dockerfile")]
    NoContext {
        /// What was given.
        path: PathBuf,
    },
    /// The ignore file has a senseless pattern.
    #[error("{file}:{line}: {source}")]
    Ignore {
        /// The ignore file.
        file: String,
        /// The line.
        line: u32,
        /// What is wrong.
        #[source]
        source: IgnoreProblem,
    },
    /// No stage has the name of `--target`.
    #[error("there is no build stage `{target}`: {known}")]
    UnknownTarget {
        /// What was asked for.
        target: String,
        /// A sentence on the stages that there are.
        known: String,
    },
    /// The base image is not here and cannot be fetched.
    #[error(
        "{place}: the base image {base} is not here and cannot be fetched: {reason}. Next: make a base from Debian packages with `tandem image bootstrap python` and build with --build-context {base}=docker-image://localhost/tandem/python:3.11-bookworm"
    )]
    UnknownBase {
        /// `FILE:LINE`.
        place: String,
        /// The image that the Dockerfile names.
        base: String,
        /// Why it cannot be fetched.
        reason: String,
    },
    /// A `RUN` step ended with a code other than zero.
    #[error("{place}: `{instruction}` ended with code {code}{}", shown(.output))]
    StepFailed {
        /// `FILE:LINE`.
        place: String,
        /// The instruction as written.
        instruction: String,
        /// The command's exit code; 128 + n after signal n.
        code: i32,
        /// The last lines of its output.
        output: Vec<String>,
    },
    /// An instruction cannot be carried out.
    #[error("{place}: `{instruction}`: {problem}")]
    Instruction {
        /// `FILE:LINE`.
        place: String,
        /// The instruction as written.
        instruction: String,
        /// What stands in the way, and what to do.
        problem: String,
        /// What somebody can act on.
        code: ErrorCode,
    },
    /// Names or settings of the build contradict each other.
    #[error("{0}")]
    Usage(String),
    /// There is no sample of that name.
    #[error("there is no sample `{name}`: `tandem sample ls` lists them")]
    UnknownSample {
        /// The name.
        name: String,
    },
    /// The build context, or one with a name, cannot be read.
    #[error("cannot open the build context {path}: {source}; name a folder that you may read")]
    Context {
        /// Where.
        path: PathBuf,
        /// The answer.
        source: std::io::Error,
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
    /// The build was cancelled.
    #[error("the build was cancelled")]
    Cancelled,
    /// The image store.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// What runs the steps.
    #[error("{place}: `{instruction}` could not be run: {source}")]
    Runner {
        /// `FILE:LINE`.
        place: String,
        /// The instruction as written.
        instruction: String,
        /// What it said.
        #[source]
        source: BackendError,
    },
    /// The files could not be written somewhere else.
    #[error("the files cannot be written: {0}")]
    Export(#[from] tandem_image::LayerError),
    /// The home folder.
    #[error(transparent)]
    Home(#[from] HomeError),
}

/// What is wrong with a pattern of an ignore file.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct IgnoreProblem(#[from] GlobError);

fn shown(output: &[String]) -> String {
    if output.is_empty() {
        ", and wrote nothing".to_owned()
    } else {
        format!("; its last output:\n  {}", output.join("\n  "))
    }
}

impl BuildError {
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }

    /// The failure to open the folder of a build context.
    pub(crate) fn context(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Context { path, source }
    }

    /// What somebody can act on.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Syntax(_) | Self::Ignore { .. } => ErrorCode::Syntax,
            Self::NoDockerfile { .. } | Self::NoContext { .. } | Self::UnknownSample { .. } => {
                ErrorCode::NotFound
            }
            Self::UnknownTarget { .. } | Self::Usage(_) => ErrorCode::Usage,
            Self::UnknownBase { .. } => ErrorCode::UnknownBase,
            Self::StepFailed { .. } => ErrorCode::BuildFailed,
            Self::Instruction { code, .. } => *code,
            Self::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
                ErrorCode::NoSpace
            }
            Self::Cancelled => ErrorCode::Cancelled,
            Self::Image(error) => error.code(),
            Self::Runner { source, .. } => match source.code() {
                // Those codes speak of an instance's command, not of a step's.
                ErrorCode::CommandNotFound | ErrorCode::NotExecutable => ErrorCode::BuildFailed,
                code => code,
            },
            Self::Home(error) if error.is_no_space() => ErrorCode::NoSpace,
            Self::Export(tandem_image::LayerError::Io { source, .. })
                if source.kind() == std::io::ErrorKind::StorageFull =>
            {
                ErrorCode::NoSpace
            }
            Self::Context { .. } | Self::Io { .. } | Self::Home(_) | Self::Export(_) => {
                ErrorCode::Internal
            }
        }
    }
}

impl From<BuildError> for Failure {
    fn from(error: BuildError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}
