use std::path::PathBuf;

use async_trait::async_trait;

use crate::{BackendError, Stream};

/// One RUN step of a build: a command in a container over the layers so far.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct StepSpec {
    /// Unpacked layers in overlayfs form, bottom first.
    pub lower: Vec<PathBuf>,
    /// Folder that receives the change, in overlayfs form.
    pub upper: PathBuf,
    /// Overlayfs work folder, on the same file system as `upper`.
    pub work: PathBuf,
    /// Program and arguments.
    pub args: Vec<String>,
    /// `NAME=value`.
    pub env: Vec<String>,
    /// Absolute working directory; made when it is not there.
    pub cwd: String,
    /// `USER[:GROUP]`, empty for root.
    pub user: String,
    /// The host's certificates: mounted where no layer can see them, and named
    /// in the variables that the usual tools read, unless `env` names others.
    pub ca_bundle: Option<PathBuf>,
    /// Use the host's network; otherwise loopback only.
    pub host_network: bool,
    /// What is mounted for this step alone, in this order; no layer holds it.
    pub mounts: Vec<StepMount>,
}

/// Something that is mounted while one step runs.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct StepMount {
    /// Absolute path in the container; made when it is not there.
    pub target: String,
    /// The step cannot write to it.
    pub read_only: bool,
    /// What is mounted.
    pub source: StepSource,
}

/// What is mounted while one step runs.
#[derive(Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepSource {
    /// A folder, file or socket of this machine; writes go there.
    Path(PathBuf),
    /// A path in merged layers; what the step writes there is thrown away.
    Layers {
        /// Unpacked layers in overlayfs form, bottom first, at least one.
        lower: Vec<PathBuf>,
        /// Folder for what is written.
        upper: PathBuf,
        /// Overlayfs work folder, on the same file system.
        work: PathBuf,
        /// Absolute path in them. Links are followed inside.
        path: String,
    },
    /// A file system of memory.
    Tmpfs {
        /// The most that it may hold, bytes.
        size: Option<u64>,
    },
    /// A file in memory that never reaches a disk.
    Secret {
        /// Its content.
        content: Vec<u8>,
        /// An empty folder where the file system of memory may be mounted.
        at: PathBuf,
        /// Permission bits.
        mode: u32,
        /// Owner.
        uid: u32,
        /// Group.
        gid: u32,
    },
}

impl std::fmt::Debug for StepSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Path(path) => f.debug_tuple("Path").field(path).finish(),
            Self::Layers { path, .. } => f.debug_struct("Layers").field("path", path).finish(),
            Self::Tmpfs { size } => f.debug_struct("Tmpfs").field("size", size).finish(),
            // A secret is in no log.
            Self::Secret { .. } => f.write_str("Secret"),
        }
    }
}

/// Runs build steps. The container engine does it for real; tests script it.
#[async_trait]
pub trait StepRunner: Send + Sync {
    /// Why programs for an architecture, in Go's words, do not run here, and
    /// what is missing; `None` when they do.
    fn refusal(&self, architecture: &str) -> Option<String>;

    /// Runs the step and returns the command's exit code. `output` gets each
    /// line as it comes. Dropping the future ends the command and takes away
    /// its mounts. Mount point stubs that the command's surroundings need
    /// (resolv.conf, hosts) are gone from `upper` afterwards.
    async fn run_step(
        &self,
        step: &StepSpec,
        output: &mut (dyn for<'l> FnMut(Stream, &'l str) + Send),
    ) -> Result<i32, BackendError>;
}
