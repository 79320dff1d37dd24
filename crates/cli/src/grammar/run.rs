use std::path::PathBuf;

use clap::{Args, ValueEnum};
use tandem_model::{
    AcceleratorChoice, BackendKind, Profile, parse_cpus, parse_hostname, parse_size,
};

use super::{
    network::NetworkOptions,
    supervision::{StreamOptions, SupervisionOptions},
};

/// When a virtual machine starts from a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Template {
    Auto,
    Never,
}

/// When an image is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PullWhen {
    Always,
    Missing,
    Never,
}

/// A limit of processes; none when `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pids(pub(crate) Option<u32>);

/// Zero and what is below are no limit, as in Docker.
fn parse_pids(text: &str) -> Result<Pids, String> {
    let number: i64 = text.parse().map_err(|_| {
        format!("`{text}` is no number of processes: write one, e.g. 100, or -1 for no limit")
    })?;
    let limit = u32::try_from(number.max(0)).map_err(|_| {
        format!("`{text}` is more processes than there can be: write e.g. 100, or -1 for no limit")
    })?;
    Ok(Pids((limit > 0).then_some(limit)))
}

/// `tandem run` and `tandem create`.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// What runs it: container, vm, docker, podman or process
    #[arg(long, default_value = "container", value_name = "BACKEND")]
    pub(crate) backend: BackendKind,
    /// Kind of virtual machine: micro (kernel and app) or full (Debian with systemd on its own disk)
    #[arg(long, value_name = "PROFILE")]
    pub(crate) profile: Option<Profile>,
    /// How QEMU executes: auto, kvm or tcg
    #[arg(long, default_value = "auto", value_name = "ACCELERATOR")]
    pub(crate) accelerator: AcceleratorChoice,
    /// Go on from a saved state of the booted app (auto: made when there is none), or never
    #[arg(long, value_enum, default_value = "never", value_name = "WHEN")]
    pub(crate) template: Template,
    /// Memory that a virtual machine may grow to while it runs, e.g. 1g
    #[arg(long, value_parser = parse_size, value_name = "SIZE")]
    pub(crate) max_memory: Option<u64>,
    /// Processors that a virtual machine may grow to while it runs, e.g. 4
    #[arg(long, value_parser = parse_cpus, value_name = "N")]
    pub(crate) max_cpus: Option<u32>,
    /// Go to the background and print the id
    #[arg(short, long)]
    pub(crate) detach: bool,
    /// Write the id to this file, which must not be there yet
    #[arg(long, value_name = "FILE")]
    pub(crate) cidfile: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) streams: StreamOptions,
    #[command(flatten)]
    pub(crate) supervision: SupervisionOptions,
    /// Remove the instance when it ends
    #[arg(long)]
    pub(crate) rm: bool,
    /// Its name [default: made from the image's]
    #[arg(long)]
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) network: NetworkOptions,
    /// Set a variable; without =V the caller's own
    #[arg(short, long, value_name = "K[=V]")]
    pub(crate) env: Vec<String>,
    /// Read variables from a file, one K=V a line
    #[arg(long, value_name = "FILE")]
    pub(crate) env_file: Vec<PathBuf>,
    /// The image's platform; one that is here for another is pulled anew
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub(crate) platform: Option<String>,
    /// Working directory
    #[arg(short, long, value_name = "DIR")]
    pub(crate) workdir: Option<String>,
    /// User inside
    #[arg(short, long, value_name = "USER[:GROUP]")]
    pub(crate) user: Option<String>,
    /// Program in place of the image's ENTRYPOINT
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) entrypoint: Option<String>,
    #[command(flatten)]
    pub(crate) storage: super::storage::StorageOptions,
    #[command(flatten)]
    pub(crate) security: super::security::SecurityArguments,
    /// Host name inside
    #[arg(short = 'h', long, value_parser = parse_hostname, value_name = "NAME")]
    pub(crate) hostname: Option<String>,
    /// Memory limit, e.g. 256m
    #[arg(short, long, value_parser = parse_size, value_name = "SIZE")]
    pub(crate) memory: Option<u64>,
    /// Number of processors, e.g. 1.5
    #[arg(long, value_parser = parse_cpus, value_name = "N")]
    pub(crate) cpus: Option<u32>,
    /// Largest number of processes; -1 for no limit
    #[arg(long, value_parser = parse_pids, allow_hyphen_values = true, value_name = "N")]
    pub(crate) pids_limit: Option<Pids>,
    /// Signal that asks the app to stop
    #[arg(long, value_name = "SIGNAL")]
    pub(crate) stop_signal: Option<String>,
    /// Seconds from that signal to SIGKILL
    #[arg(long, value_name = "SECONDS")]
    pub(crate) stop_timeout: Option<u32>,
    /// Label of the instance
    #[arg(short, long, value_name = "K=V")]
    pub(crate) label: Vec<String>,
    /// When the image is fetched from its registry
    #[arg(long, value_enum, default_value = "missing", value_name = "WHEN")]
    pub(crate) pull: PullWhen,
    /// Print help
    #[arg(long, action = clap::ArgAction::Help)]
    help: Option<bool>,
    /// The image, and behind it arguments in place of its CMD, options of the app among them
    #[arg(required = true, trailing_var_arg = true, value_name = "IMAGE")]
    words: Vec<String>,
}

/// What is run stands last, and nothing behind the image is read as an option.
pub(super) const USAGE: &str = "[OPTIONS] <IMAGE> [COMMAND]...";

impl Run {
    /// The image.
    pub(crate) fn image(&self) -> String {
        self.words.first().cloned().unwrap_or_default()
    }

    /// Arguments in place of the image's CMD.
    pub(crate) fn command(&self) -> Vec<String> {
        self.words.iter().skip(1).cloned().collect()
    }
}
