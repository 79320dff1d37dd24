use std::path::PathBuf;

use clap::Args;
use tandem_model::{Lane, parse_cpus, parse_size};

/// `tandem compare`.
#[derive(Debug, Args)]
pub(crate) struct Compare {
    /// A sample, a folder with a Dockerfile, or an image
    #[arg(default_value = "hello-flask")]
    pub(crate) subject: String,
    /// Lanes to compare, e.g. container,vm/micro@tcg,vm/full,process
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
