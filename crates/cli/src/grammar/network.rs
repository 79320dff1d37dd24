use std::net::IpAddr;

use clap::{Args, Subcommand};
use tandem_app::PruneFilter;
use tandem_model::{
    HostAddress, NetworkChoice, PortMaps, Subnet, parse_address, parse_alias, parse_host,
};

use super::{Filtered, Json};
use crate::format::Template;

/// Options of `run` and `create` about networks.
#[derive(Debug, Args)]
pub(crate) struct NetworkOptions {
    /// Publish a port, on 127.0.0.1 unless an address is given; without HOST on any free one, and
    /// of a range of HOST (8000-8010:80) on the first free one
    #[arg(short, long, value_name = "[[IP:]HOST:]PORT[/udp]")]
    pub(crate) publish: Vec<PortMaps>,
    /// Publish every port that the image exposes, each on any free one
    #[arg(short = 'P', long)]
    pub(crate) publish_all: bool,
    /// Network to join: bridge, none, host or one of `tandem network ls`; the first of several has
    /// its ports and its way out
    #[arg(long, alias = "net", default_value = "bridge", value_parser = choice, value_name = "NETWORK")]
    pub(crate) network: Vec<NetworkChoice>,
    /// A further name that others on its first network know it by
    #[arg(long, value_parser = parse_alias, value_name = "NAME")]
    pub(crate) network_alias: Vec<String>,
    /// A line of its /etc/hosts; with host-gateway for this machine as it is seen from its network
    #[arg(long, value_parser = parse_host, value_name = "NAME:IP")]
    pub(crate) add_host: Vec<(HostAddress, String)>,
    /// Name server in place of the host's
    #[arg(long, value_parser = parse_address, value_name = "IP")]
    pub(crate) dns: Vec<IpAddr>,
}

/// A network of the person's choice; another instance's is none.
fn choice(text: &str) -> Result<NetworkChoice, String> {
    if text.starts_with("container:") {
        let text = "no instance is in another's network namespace: make a network with `tandem \
                    network create NAME` and give it to both with --network NAME, where they \
                    know each other by name";
        return Err(text.to_owned());
    }
    text.parse().map_err(|e: tandem_model::ParseNetworkError| e.to_string())
}

/// Commands about networks.
#[derive(Debug, Subcommand)]
pub(crate) enum Networking {
    /// Show where the published ports of an instance are
    Port {
        /// Name or id
        instance: String,
        /// Only this port inside, e.g. 80 or 53/udp
        port: Option<String>,
        #[command(flatten)]
        json: Json,
    },
    /// Work with networks, on which containers know each other by name
    #[command(subcommand)]
    Network(Network),
}

/// `tandem network …`.
#[derive(Debug, Subcommand)]
pub(crate) enum Network {
    /// Make a network
    Create {
        /// How its instances are connected: only bridge
        #[arg(short, long, default_value = "bridge", hide_default_value = true, value_parser = ["bridge"])]
        driver: String,
        /// Its addresses, e.g. 10.1.0.0/24 [default: any that are free]
        #[arg(long, value_name = "CIDR")]
        subnet: Option<Subnet>,
        /// Let nothing out of it
        #[arg(long)]
        internal: bool,
        /// Label of the network
        #[arg(long, value_name = "K=V")]
        label: Vec<String>,
        /// Its name
        name: String,
    },
    /// List the networks
    #[command(alias = "list")]
    Ls(Filtered),
    /// Print everything known of networks, as JSON
    Inspect {
        /// A template of Go's for each, e.g. {{.Driver}}, or json
        #[arg(short, long, value_name = "TEMPLATE")]
        format: Option<Template>,
        /// Names
        #[arg(required = true)]
        networks: Vec<String>,
    },
    /// Remove the networks that no instance uses
    Prune {
        /// Only those that fit: until=WHEN, label=NAME[=VALUE] or label!=NAME[=VALUE]
        #[arg(long, value_name = "KEY=VALUE")]
        filter: Vec<PruneFilter>,
        /// As Docker's, which asks without it; nobody is asked here
        #[arg(short, long)]
        force: bool,
    },
    /// Put a container on a further network, at once where it runs
    Connect {
        /// A further name that others on the network know it by
        #[arg(long, value_parser = parse_alias, value_name = "NAME")]
        alias: Vec<String>,
        /// The network
        network: String,
        /// Name or id
        instance: String,
    },
    /// Take a container off a network that it was connected to
    Disconnect {
        /// As Docker's; nothing more is done with it
        #[arg(short, long)]
        force: bool,
        /// The network
        network: String,
        /// Name or id
        instance: String,
    },
    /// Remove networks
    #[command(alias = "remove")]
    Rm {
        /// Names
        #[arg(required = true)]
        networks: Vec<String>,
    },
}
