use std::net::IpAddr;

use clap::Args;
use tandem_model::NetworkChoice;

/// Options of `run` and `create` about networks.
#[derive(Debug, Args)]
pub(crate) struct NetworkOptions {
    /// Network to join: bridge, none, host or one of `tandem network ls`
    #[arg(long, default_value = "bridge", value_name = "NETWORK")]
    pub(crate) network: NetworkChoice,
    /// Name server in place of the host's
    #[arg(long, value_name = "IP")]
    pub(crate) dns: Vec<IpAddr>,
}
