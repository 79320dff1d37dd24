use clap::Subcommand;
use tandem_app::PruneFilter;

use super::Json;

/// `tandem system …`.
#[derive(Debug, Subcommand)]
pub(crate) enum System {
    /// Show what the home takes on the disk, and what can be given back
    Df {
        /// Show each image, instance and volume
        #[arg(short = 'v')]
        each: bool,
        #[command(flatten)]
        json: Json,
    },
    /// Remove what nothing needs: ended instances, unused images and caches
    Prune {
        /// Also images with a name that no instance was made from, and all
        /// that builds remember
        #[arg(short, long)]
        all: bool,
        /// Also the volumes without a name of yours that no instance has
        #[arg(long)]
        volumes: bool,
        /// Only what fits: until=WHEN, label=NAME[=VALUE] or label!=NAME[=VALUE]; caches stay
        #[arg(long, value_name = "KEY=VALUE")]
        filter: Vec<PruneFilter>,
        /// Do not ask
        #[arg(short, long)]
        force: bool,
        #[command(flatten)]
        json: Json,
    },
    /// Check that images and layers are sound
    Check {
        /// Mend what can be mended
        #[arg(long)]
        repair: bool,
        #[command(flatten)]
        json: Json,
    },
    /// Show what is known of this home and this machine
    Info(Json),
}
