use clap::Args;
use tandem_model::Lane;

use super::measure::{Conditions, Delivery};

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
    /// The same as --trials 30
    #[arg(long, conflicts_with = "trials")]
    pub(crate) thorough: bool,
    /// Trials before them that do not count; the first of them checks parity,
    /// so there is always one
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100), value_name = "N")]
    pub(crate) warmup: u32,
    /// Seed of the order and of the intervals [default: chosen and recorded]
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    #[command(flatten)]
    pub(crate) conditions: Conditions,
    #[command(flatten)]
    pub(crate) delivery: Delivery,
    /// Leave the last instance of each lane running
    #[arg(long)]
    pub(crate) keep: bool,
}
