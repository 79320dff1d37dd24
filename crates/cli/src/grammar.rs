//! What can be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use tandem_model::{
    AcceleratorChoice, BackendKind, Lane, PortMap, Profile, parse_cpus, parse_size,
};

/// Runs the same application in a container and in a virtual machine, and
/// measures both.
#[derive(Debug, Parser)]
#[command(name = "tandem", version, max_term_width = 100, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Folder that holds everything [default: $XDG_DATA_HOME/tandem]
    #[arg(long, global = true, env = "TANDEM_HOME", value_name = "DIR", hide_env_values = true)]
    pub(crate) home: Option<PathBuf>,
    /// Say nothing but results and errors
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Say more
    #[arg(long, global = true, conflicts_with = "quiet")]
    pub(crate) verbose: bool,
    /// No colours (as NO_COLOR does)
    #[arg(long, global = true)]
    pub(crate) no_color: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show what this machine can do, why not, and how to mend it
    Doctor(Json),
    /// Build an image from a Dockerfile
    Build(Build),
    /// List the local images
    Images(Json),
    /// Work with images
    #[command(subcommand)]
    Image(Image),
    /// Fetch an image from a registry
    Pull {
        /// The image, e.g. python:3.12-slim
        reference: String,
    },
    /// Make and start an instance of an image
    Run(Run),
    /// Make an instance without starting it
    Create(Run),
    /// Start instances that exist
    Start {
        /// Names or ids
        #[arg(required = true)]
        instances: Vec<String>,
    },
    /// Stop instances
    Stop {
        /// Seconds to wait before killing [default: the instance's own, usually 10]
        #[arg(short = 't', long = "time", value_name = "SECONDS")]
        time: Option<u32>,
        /// Names or ids
        #[arg(required = true)]
        instances: Vec<String>,
    },
    /// Wait until instances have ended and print their exit codes
    Wait {
        /// Names or ids
        #[arg(required = true)]
        instances: Vec<String>,
    },
    /// Remove instances
    Rm {
        /// Kill those that run
        #[arg(short, long)]
        force: bool,
        /// Names or ids
        #[arg(required = true)]
        instances: Vec<String>,
    },
    /// List instances
    Ps {
        /// Also those that do not run
        #[arg(short, long)]
        all: bool,
        #[command(flatten)]
        json: Json,
    },
    /// Print everything known of instances or images, as JSON
    Inspect {
        /// Names or ids
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Show the output of an instance's app
    Logs {
        /// Go on until the instance ends
        #[arg(short, long)]
        follow: bool,
        /// Only the last lines
        #[arg(long, value_name = "N")]
        tail: Option<usize>,
        /// With times
        #[arg(short, long)]
        timestamps: bool,
        /// Name or id
        instance: String,
    },
    /// Build a subject, launch it in each lane, measure and judge
    Compare(Compare),
    /// Work with the samples
    #[command(subcommand)]
    Sample(Sample),
}

/// Machine-readable output.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Json {
    /// Print one JSON document
    #[arg(long)]
    pub(crate) json: bool,
}

/// How a build reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Progress {
    /// Plain lines
    Auto,
    /// Plain lines
    Plain,
    /// One JSON object a line, on standard error
    Json,
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
    /// Do not give RUN steps the host's certificates and proxy settings
    #[arg(long)]
    pub(crate) no_host_network_settings: bool,
    /// How to report
    #[arg(long, value_enum, default_value = "auto")]
    pub(crate) progress: Progress,
    /// Write the image's digest to a file
    #[arg(long, value_name = "FILE")]
    pub(crate) iidfile: Option<PathBuf>,
    /// Folder with what the Dockerfile copies
    pub(crate) context: PathBuf,
}

/// `tandem image …`.
#[derive(Debug, Subcommand)]
pub(crate) enum Image {
    /// List the local images
    Ls(Json),
    /// Print an image's OCI configuration
    Inspect {
        /// The image
        image: String,
    },
    /// Give an image a further name
    Tag {
        /// The image
        image: String,
        /// The new name
        name: String,
    },
    /// Remove images
    Rm {
        /// The images
        #[arg(required = true)]
        images: Vec<String>,
    },
    /// Make a base image from Debian packages
    Bootstrap {
        /// Which
        #[arg(value_enum, default_value = "python")]
        kind: Base,
    },
}

/// A base image that can be made here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Base {
    /// Debian with Python and pip, stands in for python:…-slim
    Python,
    /// A small Debian
    Debian,
}

/// `tandem run` and `tandem create`.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// What runs it: container, vm or process
    #[arg(long, default_value = "container", value_name = "BACKEND")]
    pub(crate) backend: BackendKind,
    /// Kind of virtual machine: micro
    #[arg(long, value_name = "PROFILE")]
    pub(crate) profile: Option<Profile>,
    /// How QEMU executes: auto, kvm or tcg
    #[arg(long, default_value = "auto", value_name = "ACCELERATOR")]
    pub(crate) accelerator: AcceleratorChoice,
    /// Go to the background and print the id
    #[arg(short, long)]
    pub(crate) detach: bool,
    /// Remove the instance when it ends
    #[arg(long)]
    pub(crate) rm: bool,
    /// Its name [default: made from the image's]
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Publish a port, on 127.0.0.1 unless an address is given
    #[arg(short, long, value_name = "[IP:]HOST:PORT")]
    pub(crate) publish: Vec<PortMap>,
    /// Set a variable; without =V the caller's own
    #[arg(short, long, value_name = "K[=V]")]
    pub(crate) env: Vec<String>,
    /// Read variables from a file, one K=V a line
    #[arg(long, value_name = "FILE")]
    pub(crate) env_file: Vec<PathBuf>,
    /// Working directory
    #[arg(short, long, value_name = "DIR")]
    pub(crate) workdir: Option<String>,
    /// User inside
    #[arg(short, long, value_name = "USER[:GROUP]")]
    pub(crate) user: Option<String>,
    /// Program in place of the image's ENTRYPOINT
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) entrypoint: Option<String>,
    /// Host name inside
    #[arg(long)]
    pub(crate) hostname: Option<String>,
    /// Memory limit, e.g. 256m
    #[arg(short, long, value_parser = parse_size, value_name = "SIZE")]
    pub(crate) memory: Option<u64>,
    /// Number of processors, e.g. 1.5
    #[arg(long, value_parser = parse_cpus, value_name = "N")]
    pub(crate) cpus: Option<u32>,
    /// Largest number of processes
    #[arg(long, value_name = "N")]
    pub(crate) pids_limit: Option<u32>,
    /// Signal that asks the app to stop
    #[arg(long, value_name = "SIGNAL")]
    pub(crate) stop_signal: Option<String>,
    /// Seconds from that signal to SIGKILL
    #[arg(long, value_name = "SECONDS")]
    pub(crate) stop_timeout: Option<u32>,
    /// Label of the instance
    #[arg(long, value_name = "K=V")]
    pub(crate) label: Vec<String>,
    /// The image
    pub(crate) image: String,
    /// Arguments in place of the image's CMD
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) command: Vec<String>,
}

/// `tandem compare`.
#[derive(Debug, Args)]
pub(crate) struct Compare {
    /// A sample, a folder with a Dockerfile, or an image
    #[arg(default_value = "hello-flask")]
    pub(crate) subject: String,
    /// Lanes to compare, e.g. container,vm/micro@tcg,process
    #[arg(long, value_delimiter = ',', default_value = "container,vm", value_name = "LANES")]
    pub(crate) lanes: Vec<Lane>,
    /// Measured trials in each lane
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000), value_name = "N")]
    pub(crate) trials: u32,
    /// Trials before them that do not count; the first of them checks parity,
    /// so there is always one
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100), value_name = "N")]
    pub(crate) warmup: u32,
    /// Seed of the order and of the intervals [default: chosen and recorded]
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Memory of each lane
    #[arg(short, long, value_parser = parse_size, value_name = "SIZE")]
    pub(crate) memory: Option<u64>,
    /// Processors of each lane
    #[arg(long, value_parser = parse_cpus, value_name = "N")]
    pub(crate) cpus: Option<u32>,
    /// Port on which the app answers [default: the lowest that the image exposes]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..), value_name = "PORT")]
    pub(crate) port: Option<u16>,
    /// Seconds in which an app must answer
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u32).range(1..=3600), value_name = "SECONDS")]
    pub(crate) time_limit: u32,
    /// Write the result document to a file; - writes it to standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Write charts and an HTML report to a folder
    #[arg(long, value_name = "DIR")]
    pub(crate) report: Option<PathBuf>,
    /// Leave the last instance of each lane running
    #[arg(long)]
    pub(crate) keep: bool,
}

/// `tandem sample …`.
#[derive(Debug, Subcommand)]
pub(crate) enum Sample {
    /// List the samples
    Ls(Json),
    /// Write a sample's files to a folder
    Copy {
        /// The sample
        name: String,
        /// The folder
        dir: PathBuf,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_grammar_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_stands_behind_the_image_belongs_to_the_app() {
        let cli =
            Cli::try_parse_from(["tandem", "run", "--rm", "alpine", "ls", "-a", "--name"]).unwrap();
        let Command::Run(run) = cli.command else { panic!("not run") };
        assert!(run.rm && run.name.is_none());
        assert_eq!(run.command, ["ls", "-a", "--name"]);
    }
}
