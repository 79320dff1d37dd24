use clap::Args;
use tandem_app::InstanceFilter;

use super::Json;
use crate::format::Template;

/// `tandem ps`.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub(crate) struct Ps {
    /// Also those that do not run
    #[arg(short, long)]
    pub(crate) all: bool,
    /// Only those that fit: id, name, label, status, exited, ancestor, before, since, volume, network, publish or health
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub(crate) filter: Vec<InstanceFilter>,
    /// Only the N that were made last, also those that do not run
    #[arg(short = 'n', long, value_name = "N")]
    pub(crate) last: Option<usize>,
    /// Only the one that was made last
    #[arg(short, long, conflicts_with = "last")]
    pub(crate) latest: bool,
    /// Show what each wrote, and how much that is with its image
    #[arg(short, long)]
    pub(crate) size: bool,
    /// Show commands and digests whole
    #[arg(long)]
    pub(crate) no_trunc: bool,
    /// A template of Go's for each, e.g. {{.Names}}, below headings behind `table `, or json
    #[arg(long, value_name = "TEMPLATE", conflicts_with = "json")]
    pub(crate) format: Option<Template>,
    #[command(flatten)]
    pub(crate) json: Json,
}
