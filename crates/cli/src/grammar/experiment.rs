use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use tandem_model::Lane;

use super::{
    Json,
    measure::{Conditions, Delivery},
};

/// `tandem experiment …`.
#[derive(Debug, Subcommand)]
pub(crate) enum Experiment {
    /// List the experiments
    Ls(Json),
    /// Tell what an experiment asks, how it measures and what it cannot say
    Describe {
        /// The experiment
        id: String,
        #[command(flatten)]
        json: Json,
    },
    /// Carry experiments out
    Run(Box<RunExperiment>),
    /// Go on with a run that was killed or stopped, up to its result
    Resume(ResumeExperiment),
}

/// `tandem experiment resume`.
#[derive(Debug, Args)]
pub(crate) struct ResumeExperiment {
    /// The beginning of its id, as `tandem result ls` shows it
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) delivery: Delivery,
}

/// `tandem experiment run`.
#[derive(Debug, Args)]
pub(crate) struct RunExperiment {
    /// The experiments, one after the other
    #[arg(required = true, value_name = "ID")]
    pub(crate) ids: Vec<String>,
    /// A sample, a folder with a Dockerfile, or an image
    #[arg(long, default_value = "hello-flask")]
    pub(crate) subject: String,
    /// Lanes to compare; the same one twice is an A/A run
    #[arg(long, value_delimiter = ',', default_value = "container,vm", value_name = "LANES")]
    pub(crate) lanes: Vec<Lane>,
    /// Measured trials in each lane [default: the experiment's own number]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000), value_name = "N")]
    pub(crate) trials: Option<u32>,
    /// The same as --trials 30
    #[arg(long, conflicts_with = "trials")]
    pub(crate) thorough: bool,
    /// Trials before them that do not count
    #[arg(long, value_parser = clap::value_parser!(u32).range(0..=100), value_name = "N")]
    pub(crate) warmup: Option<u32>,
    /// Seed of the order and of the intervals [default: chosen and recorded]
    #[arg(long, value_parser = clap::value_parser!(u64).range(..1 << 53), value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// State of the page cache before each trial
    #[arg(long, value_enum, default_value_t = Cache::Warm)]
    pub(crate) cache: Cache,
    /// Most instances side by side, for density
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=500), value_name = "N")]
    pub(crate) instances: u32,
    #[command(flatten)]
    pub(crate) conditions: Conditions,
    /// What you expect; it is kept in the result, beside what was measured
    #[arg(long, value_name = "TEXT")]
    pub(crate) predict: Option<String>,
    #[command(flatten)]
    pub(crate) delivery: Delivery,
}

/// State of the page cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Cache {
    /// Files were read before
    Warm,
    /// The files of the lanes are dropped from the page cache
    Cold,
}

/// `tandem result …`.
#[derive(Debug, Subcommand)]
pub(crate) enum StoredResult {
    /// List the results of this home
    Ls(Json),
    /// Show a result, or what a run that was stopped had measured
    Show {
        /// The beginning of its id
        id: String,
        #[command(flatten)]
        json: Json,
    },
    /// Write a result to a file
    Export {
        /// The beginning of its id
        id: String,
        /// As what
        #[arg(long, value_enum)]
        format: Format,
        /// The file; - is standard output
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
        /// Draw pictures (svg, png) for a dark ground
        #[arg(long)]
        dark: bool,
    },
    /// Take results in that were exported as JSON
    Import {
        /// The files
        #[arg(required_unless_present = "recorded")]
        files: Vec<PathBuf>,
        /// The results that come with Tandem, recorded on the machine that they name
        #[arg(long, conflicts_with = "files")]
        recorded: bool,
    },
    /// Write down why a result came out as it did, beside what was expected
    Explain {
        /// The beginning of its id
        id: String,
        /// The explanation; an empty one takes an earlier one away
        text: String,
    },
    /// Join runs of one experiment on one machine into a new result
    Merge {
        /// The files
        #[arg(required = true)]
        files: Vec<PathBuf>,
        #[command(flatten)]
        json: Json,
    },
    /// Put results side by side: both medians, and the ratio where it may stand
    Compare {
        /// The beginnings of their ids; the first is what the others are divided by
        #[arg(required = true, num_args = 2.., value_name = "ID")]
        ids: Vec<String>,
        /// Every metric, not only those that the experiment is about
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        json: Json,
    },
    /// Show how a class's results lie over its machines
    Class {
        /// Exported results, or folders whose .json files are taken
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
        /// Runs of one set-up are of one machine: join their trials
        #[arg(long)]
        join: bool,
        /// Every metric, not only those that the experiment is about
        #[arg(long)]
        all: bool,
        /// Write one file to be kept, printed or handed round, as what
        #[arg(long, value_enum, requires = "output", conflicts_with = "json")]
        format: Option<ClassExport>,
        /// That file; - is standard output
        #[arg(short, long, value_name = "FILE", requires = "format")]
        output: Option<PathBuf>,
        #[command(flatten)]
        json: Json,
    },
    /// Remove results
    Rm {
        /// The beginnings of their ids
        #[arg(required = true)]
        ids: Vec<String>,
    },
}

/// Formats of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// The whole document
    Json,
    /// Every raw number, a row each
    Csv,
    /// A report that needs nothing else
    Html,
    /// The whole report as pages for paper
    Pdf,
    /// All charts as one vector picture
    Svg,
    /// All charts as pixels, twice as large as drawn
    Png,
    /// Verdicts and tables as text
    Md,
}

/// Formats of a class's results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ClassExport {
    /// Charts and tables that need nothing else
    Html,
    /// The tables as text
    Md,
    /// Each machine's number, a row each
    Csv,
}
