use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// How a build reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Progress {
    /// What runs, live, on a terminal; plain lines elsewhere
    Auto,
    /// Plain lines with all that steps write
    Plain,
    /// One JSON object a line, on standard error
    Json,
}

/// Which network RUN steps have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum BuildNetwork {
    /// The machine's
    Default,
    /// The machine's
    Host,
    /// Loopback only
    None,
}

/// `tandem build`.
#[derive(Debug, Args)]
pub(crate) struct Build {
    /// Name of the image; may be given several times
    #[arg(short = 't', long = "tag", value_name = "NAME[:TAG]")]
    pub(crate) tags: Vec<String>,
    /// The Dockerfile [default: CONTEXT/Dockerfile]; - reads standard input
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Value of an ARG; without =V the caller's own variable
    #[arg(long = "build-arg", value_name = "K[=V]")]
    pub(crate) arguments: Vec<String>,
    /// Something else under the name of an image or stage, e.g.
    /// python:3.12-slim=docker-image://localhost/tandem/python:3.11-bookworm
    #[arg(long = "build-context", value_name = "NAME=SOURCE")]
    pub(crate) named_contexts: Vec<String>,
    /// Stage to build
    #[arg(long, value_name = "STAGE")]
    pub(crate) target: Option<String>,
    /// Do every step again
    #[arg(long)]
    pub(crate) no_cache: bool,
    /// Ask the registry for newer base images
    #[arg(long)]
    pub(crate) pull: bool,
    /// Label of the image
    #[arg(long, value_name = "K=V")]
    pub(crate) label: Vec<String>,
    /// A file that RUN --mount=type=secret may see: id=NAME,src=FILE or
    /// id=NAME,env=VARIABLE; id=NAME alone is the variable or file of that name
    #[arg(long = "secret", value_name = "id=NAME[,src=FILE|,env=VARIABLE]")]
    pub(crate) secrets: Vec<String>,
    /// The SSH agent that RUN --mount=type=ssh may use [default socket:
    /// $SSH_AUTH_SOCK]
    #[arg(long = "ssh", value_name = "default|ID[=SOCKET]")]
    pub(crate) agents: Vec<String>,
    /// Network of RUN steps that do not choose one themselves
    #[arg(long, value_enum, default_value = "default", value_name = "NETWORK")]
    pub(crate) network: BuildNetwork,
    /// Platform to build for [default: this machine's]; RUN for another wants an
    /// interpreter in the kernel (binfmt_misc)
    #[arg(long, value_name = "OS/ARCH")]
    pub(crate) platform: Option<String>,
    /// Where else the result goes: a folder, - (tar to standard output), or
    /// type=local|tar|oci|docker,dest=PATH
    #[arg(short, long = "output", value_name = "DEST")]
    pub(crate) output: Option<String>,
    /// Do not give RUN steps the host's certificates and proxy settings
    #[arg(long)]
    pub(crate) no_host_network_settings: bool,
    /// How to report
    #[arg(long, value_enum, default_value = "auto")]
    pub(crate) progress: Progress,
    /// Write the image's digest to a file
    #[arg(long, value_name = "FILE")]
    pub(crate) iidfile: Option<PathBuf>,
    /// Folder with what the Dockerfile copies; - reads a tar archive of it, or
    /// a Dockerfile alone, from standard input
    pub(crate) context: PathBuf,
}
