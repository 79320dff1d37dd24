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
}

/// Runs build steps. The container engine does it for real; tests script it.
#[async_trait]
pub trait StepRunner: Send + Sync {
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
