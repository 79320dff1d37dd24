use super::{
    Context, inspect,
    instances::Each,
    run::{labels, warn},
};
use crate::{
    format::views,
    grammar::{Filtered, Kind, Network, Networking},
    output::{json, line, raw, table},
};

/// `tandem port` and `tandem network …`.
pub(super) async fn run(context: &Context, command: Networking) -> anyhow::Result<u8> {
    match command {
        Networking::Port { instance, port, json: wanted } => {
            let ports = context.app.ports(&instance, port.as_deref())?;
            if wanted.json {
                json(&ports)?;
                return Ok(0);
            }
            for found in ports {
                match port {
                    Some(_) => line(&found.host),
                    None => line(&format!("{} -> {}", found.port, found.host)),
                }
            }
        }
        Networking::Network(Network::Create { subnet, internal, label, name, .. }) => {
            context.app.create_network(&name, subnet, internal, labels(&label)?).await?;
            line(&name);
        }
        Networking::Network(Network::Ls(Filtered { filter, listing: wanted })) => {
            let networks = context.app.networks_where(&filter).await?;
            if wanted.json.json {
                json(&networks)?;
                return Ok(0);
            }
            if context.quiet {
                for network in &networks {
                    line(&network.name);
                }
                return Ok(0);
            }
            if let Some(template) = &wanted.format {
                raw(&template.text(&networks, views::network_row)?);
                return Ok(0);
            }
            let row = |network: tandem_app::NetworkRow| {
                vec![
                    network.name,
                    network.kind.to_owned(),
                    network.subnet.map_or_else(|| "-".to_owned(), |subnet| subnet.to_string()),
                    if network.internal { "yes" } else { "no" }.to_owned(),
                    network.instances.len().to_string(),
                ]
            };
            let rows: Vec<_> = networks.into_iter().map(row).collect();
            table(&["NAME", "KIND", "SUBNET", "INTERNAL", "INSTANCES"], &rows);
        }
        Networking::Network(Network::Inspect { format, networks }) => {
            return inspect::of_kind(context, Kind::Network, format.as_ref(), &networks).await;
        }
        Networking::Network(Network::Prune { filter, .. }) => {
            context.app.prune_networks(&filter)?.iter().for_each(|name| line(name));
        }
        Networking::Network(Network::Connect { alias, network, instance }) => {
            warn(context, &context.app.connect_network(&network, &instance, alias).await?);
        }
        Networking::Network(Network::Disconnect { network, instance, .. }) => {
            context.app.disconnect_network(&network, &instance).await?;
        }
        Networking::Network(Network::Rm { networks }) => {
            let mut each = Each::default();
            for name in &networks {
                each.note(name, context.app.remove_network(name));
            }
            return each.end();
        }
    }
    Ok(0)
}
