use std::{
    io::{Error, ErrorKind},
    path::{Path, PathBuf},
};

use tandem_backend::BackendError;
use tandem_build::BuildError;
use tandem_home::HomeError;
use tandem_image::ImageError;
use tandem_lab::LabError;
use tandem_model::{ErrorCode, Failure, ParseImageRefError};
use tandem_report::ReportError;
use tandem_rootless::RootlessError;

use crate::BundleError;

/// What a use case can fail with: the parts' errors, and a few of its own.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// Nothing is called so.
    #[error(
        "`{0}` is neither a sample, nor a folder with a Dockerfile, nor a local image: `tandem sample ls` and `tandem images` list what there is"
    )]
    NoSubject(String),
    /// The same, of a name that is nearly that of a sample or an image.
    #[error(
        "`{name}` is neither a sample, nor a folder with a Dockerfile, nor a local image: did you mean `{near}`? `tandem sample ls` and `tandem images` list what there is"
    )]
    NoSubjectNear {
        /// What was written.
        name: String,
        /// The name that is nearest.
        near: String,
    },
    /// No sample is called so.
    #[error("there is no sample `{0}`: `tandem sample ls` lists them")]
    NoSample(String),
    /// No local image is called so, but one nearly.
    #[error("there is no image `{name}` here: did you mean `{near}`? `tandem images` lists all")]
    MistypedImage {
        /// What was asked for.
        name: String,
        /// The name that is nearest.
        near: String,
    },
    /// An image is not here and cannot be fetched, but one has nearly its name.
    #[error(
        "there is no image `{name}` here (did you mean `{near}`?), and it cannot be pulled: {source}"
    )]
    NotPulled {
        /// What was asked for.
        name: String,
        /// The name that is nearest.
        near: String,
        /// Why not.
        source: Box<ImageError>,
    },
    /// An image is not here and cannot be fetched, but a sample makes one of
    /// its name.
    #[error(
        "there is no image `{name}` here yet, but a sample that makes it (tandem sample copy {name} DIR, then tandem build -t {name} DIR); and it cannot be pulled: {source}"
    )]
    OnlyASample {
        /// The sample, and the image.
        name: String,
        /// Why not.
        source: Box<ImageError>,
    },
    /// The image's programs are for other processors or another system.
    #[error(
        "the image {image} for {platform} cannot run on this machine ({here}): {reason}; take the image for this machine instead (tandem pull --platform {here} {image})"
    )]
    Foreign {
        /// The image.
        image: String,
        /// What it is made for.
        platform: String,
        /// What this machine is.
        here: String,
        /// Why not.
        reason: String,
    },
    /// An image is here, but not for the platform asked for.
    #[error(
        "the image {image} is here for {found} and not for the platform asked for, {wanted}, and it cannot be pulled for that: {reason}"
    )]
    OtherPlatform {
        /// What was asked for.
        image: String,
        /// What the image here is for.
        found: String,
        /// The platform asked for.
        wanted: String,
        /// Why it cannot be pulled.
        reason: String,
    },
    /// No experiment is called so.
    #[error("there is no experiment `{0}`: `tandem experiment ls` lists them")]
    NoExperiment(String),
    /// The same, of a name that is nearly that of one.
    #[error(
        "there is no experiment `{name}`: did you mean `{near}`? `tandem experiment ls` lists them"
    )]
    NoExperimentNear {
        /// What was written.
        name: String,
        /// The id that is nearest.
        near: String,
    },
    /// No lesson is called so.
    #[error("there is no lesson `{id}`{hint} (`tandem lesson ls` lists them)")]
    NoLesson {
        /// What was asked for.
        id: String,
        /// `: did you mean …?`, or nothing.
        hint: String,
    },
    /// A lesson cannot be read.
    #[error("the lesson cannot be read: {0}")]
    Lesson(#[from] tandem_lesson::ParseLessonError),
    /// How far lessons are done was written by a later version.
    #[error(
        "{path} was written by a newer Tandem (version {version}, and this one reads 1): use that one, or move the file away to begin the lessons anew", path = .path.display()
    )]
    NewerProgress {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: u64,
    },
    /// The image names no command and none was given.
    #[error(
        "the image `{0}` has no command: add CMD or ENTRYPOINT to its Dockerfile, or write a command behind the image"
    )]
    NoCommand(String),
    /// The image exposes no port, so nothing can be asked for an answer.
    #[error(
        "the image `{0}` exposes no port to ask for an answer: add `EXPOSE PORT` to its Dockerfile"
    )]
    NoPort(String),
    /// A port of an instance is not published.
    #[error(
        "port {port} of instance `{instance}` is not published: `tandem port {instance}` shows those that are"
    )]
    NotPublished {
        /// The instance.
        instance: String,
        /// The port.
        port: String,
    },
    /// A setting is wrong.
    #[error("{0}")]
    Usage(String),
    /// A file could not be read or written.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried, a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The answer.
        source: Error,
    },
    /// A file of a project is not as it was read.
    #[error(
        "{path} was written by another program meanwhile: save again to put what stands here in its place", path = .0.display()
    )]
    ChangedMeanwhile(PathBuf),
    /// A new file that a person named could not be written.
    #[error("cannot write {path}: {source}: {}", next_place(.source))]
    NotWritten {
        /// The file.
        path: PathBuf,
        /// The answer.
        source: Error,
    },
    /// A reference could not be read.
    #[error(transparent)]
    Reference(#[from] ParseImageRefError),
    /// Instances.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// Images.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// Bundles.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// Builds.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// Experiments.
    #[error(transparent)]
    Lab(#[from] LabError),
    /// Reports.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// The home folder.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The user namespace of an ordinary user.
    #[error(transparent)]
    Rootless(#[from] RootlessError),
}

impl From<Failure> for AppError {
    /// A failure that a process of ours reported.
    fn from(failure: Failure) -> Self {
        Self::Backend(failure.into())
    }
}

impl AppError {
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>, source: Error) -> Self {
        Self::Io { action, path: path.into(), source }
    }

    /// The same of a file that a person named.
    pub(crate) fn named(action: &'static str, path: &Path, source: Error) -> Self {
        let (code, next) = match source.kind() {
            ErrorKind::NotFound => (ErrorCode::NotFound, "check the path"),
            ErrorKind::PermissionDenied => (ErrorCode::Unavailable, "check its permissions"),
            _ => return Self::io(action, path, source),
        };
        let path = path.display();
        Failure::new(code, format!("cannot {action} {path}: {source}; {next}")).into()
    }

    /// A file that a person named cannot be written.
    pub(crate) fn unwritten(path: &Path, source: &Error) -> Self {
        let code = match source.kind() {
            ErrorKind::NotFound => ErrorCode::NotFound,
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => ErrorCode::Unavailable,
            ErrorKind::StorageFull => ErrorCode::NoSpace,
            _ => ErrorCode::Internal,
        };
        let (path, next) = (path.display(), next_place(source));
        Failure::new(code, format!("cannot write {path}: {source}: {next}")).into()
    }

    /// What somebody can act on.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Io { source, .. } | Self::NotWritten { source, .. }
                if source.kind() == ErrorKind::StorageFull =>
            {
                ErrorCode::NoSpace
            }
            Self::NotPulled { source, .. } | Self::OnlyASample { source, .. } => source.code(),
            Self::MistypedImage { .. }
            | Self::NotPublished { .. }
            | Self::NoSubject(_)
            | Self::NoSample(_)
            | Self::NoLesson { .. }
            | Self::NoExperiment(_)
            | Self::NoExperimentNear { .. }
            | Self::NoSubjectNear { .. } => ErrorCode::NotFound,
            Self::Lesson(_) => ErrorCode::Syntax,
            Self::NoCommand(_) => ErrorCode::NoCommand,
            Self::NoPort(_)
            | Self::Usage(_)
            | Self::Reference(_)
            | Self::NotWritten { .. }
            | Self::Report(ReportError::NoPicture | ReportError::TooHigh) => ErrorCode::Usage,
            Self::NewerProgress { .. }
            | Self::Foreign { .. }
            | Self::OtherPlatform { .. }
            | Self::Report(ReportError::NoFont) => ErrorCode::Unavailable,
            Self::ChangedMeanwhile(_) => ErrorCode::Conflict,
            Self::Backend(e) => e.code(),
            Self::Image(e) => e.code(),
            Self::Bundle(e) => e.code(),
            Self::Build(e) => e.code(),
            Self::Lab(e) => e.code(),
            Self::Home(e) if e.is_no_space() => ErrorCode::NoSpace,
            Self::Io { .. } | Self::Report(_) | Self::Home(_) | Self::Rootless(_) => {
                ErrorCode::Internal
            }
        }
    }

    /// The error as it crosses into the window or out of the process.
    pub fn to_failure(&self) -> Failure {
        Failure::new(self.code(), self.to_string())
    }
}

/// Where a file can be written instead.
fn next_place(source: &Error) -> &'static str {
    match source.kind() {
        ErrorKind::StorageFull => "free some, or choose a place on another disk",
        ErrorKind::AlreadyExists => "choose another name",
        ErrorKind::NotFound => "make the folder first, or choose one that is there",
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            "choose a folder that you may write to, such as ~/"
        }
        _ => "give the whole path of a new file",
    }
}
