use clap::Args;

use super::Json;

/// `tandem guide`.
#[derive(Debug, Args)]
pub(crate) struct WantedGuide {
    /// What would run: a subject that was measured here
    #[arg(long, default_value = "hello-flask")]
    pub(crate) subject: String,
    /// Members of the class
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=10_000), value_name = "N")]
    pub(crate) class: u32,
    #[command(flatten)]
    pub(crate) json: Json,
}
