use std::path::PathBuf;

use clap::Args;
use tandem_model::{Resources, parse_cpus, parse_size};

/// What the lanes of a measurement get.
#[derive(Debug, Args)]
pub(crate) struct Conditions {
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
}

impl Conditions {
    /// The usual resources, but for what was asked.
    pub(crate) fn resources(&self, usual: Resources) -> Resources {
        Resources {
            memory_bytes: self.memory.or(usual.memory_bytes),
            milli_cpus: self.cpus.or(usual.milli_cpus),
            ..usual
        }
    }
}

/// How many measured trials `--thorough` means.
pub(crate) const THOROUGH: u32 = 30;

/// Where a result goes besides the terminal.
#[derive(Debug, Clone, Args)]
pub(crate) struct Delivery {
    /// Write the result document to a file; - writes it to standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Write charts and an HTML report to a folder
    #[arg(long, value_name = "DIR")]
    pub(crate) report: Option<PathBuf>,
}
