use std::collections::BTreeMap;

use serde::Serialize;
use tandem_backend::BackendError;
use tandem_container::NetworkStore;
use tandem_model::{
    BackendKind, ErrorCode, Failure, InstanceOptions, InstanceRecord, InstanceSpec, Membership,
    NetworkChoice, NetworkRecord, PortMap, Protocol, Subnet,
};

use crate::{App, AppError, ListFilter, PruneFilter, RunOptions};

/// A network as `tandem network ls` and `inspect` show it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct NetworkRow {
    /// Its name.
    pub name: String,
    /// `bridge`, `host` or `none`.
    pub kind: &'static str,
    /// Its addresses: those asked for, or those it has while containers run.
    pub subnet: Option<Subnet>,
    /// The host's address on it.
    pub gateway: Option<std::net::Ipv4Addr>,
    /// Nothing goes out of it.
    pub internal: bool,
    /// Its bridge on the host, there while containers run.
    pub bridge: Option<String>,
    /// Free-form labels.
    pub labels: BTreeMap<String, String>,
    /// When it was made; the ones that are always there were not.
    pub created_at: Option<jiff::Timestamp>,
    /// The instances that use it.
    pub instances: Vec<Member>,
}

/// An instance of a network.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Member {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its address, while it runs.
    pub address: Option<std::net::IpAddr>,
}

/// A published port of an instance that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PortRow {
    /// Inside, e.g. `8080/tcp`.
    pub port: String,
    /// On the host, e.g. `127.0.0.1:8080`.
    pub host: String,
}

impl App {
    fn network_store(&self) -> NetworkStore {
        NetworkStore::new(self.home.clone())
    }

    /// Makes a network. The name is checked as behind `--network`.
    pub async fn create_network(
        &self,
        name: &str,
        subnet: Option<Subnet>,
        internal: bool,
        labels: BTreeMap<String, String>,
    ) -> Result<NetworkRecord, AppError> {
        name.parse::<NetworkChoice>().map_err(|e| AppError::Usage(e.to_string()))?;
        Ok(self.network_store().create(name, subnet, internal, labels).await?)
    }

    /// All networks: those that are always there, then a person's own.
    pub async fn networks(&self) -> Result<Vec<NetworkRow>, AppError> {
        let records = self.instances.list()?;
        let mut rows = Vec::new();
        for choice in [NetworkChoice::Bridge, NetworkChoice::Host, NetworkChoice::None] {
            rows.push(self.row(&choice, None, &records).await?);
        }
        for network in self.network_store().list()? {
            let choice = NetworkChoice::Named(network.name.clone());
            rows.push(self.row(&choice, Some(network), &records).await?);
        }
        Ok(rows)
    }

    /// The networks for which all filters hold, in the same order. Those that
    /// are always there are nobody's to remove, and so never dangling.
    pub async fn networks_where(
        &self,
        filters: &[ListFilter],
    ) -> Result<Vec<NetworkRow>, AppError> {
        let mut rows = self.networks().await?;
        rows.retain(|row| {
            let dangling = row.created_at.is_some() && row.instances.is_empty();
            ListFilter::all_hold(filters, &row.name, &row.labels, dangling)
        });
        Ok(rows)
    }

    /// Everything known of a network.
    pub async fn network(&self, name: &str) -> Result<NetworkRow, AppError> {
        let choice: NetworkChoice =
            name.parse().map_err(|_| BackendError::NoNetwork(name.to_owned()))?;
        let made = match &choice {
            NetworkChoice::Named(name) => Some(self.network_store().load(name)?),
            _ => None,
        };
        self.row(&choice, made, &self.instances.list()?).await
    }

    /// Puts a container on a further network, at once where it runs. Others on
    /// it know the container by its name and the aliases. Returns what it does
    /// without there, as far as that was not told before.
    pub async fn connect_network(
        &self,
        network: &str,
        instance: &str,
        aliases: Vec<String>,
    ) -> Result<Vec<String>, AppError> {
        let record = self.instances.find(instance)?;
        let (name, options) = (&record.spec.name, &record.spec.options);
        if record.spec.backend != BackendKind::Container {
            return Err(AppError::Usage(format!(
                "instance `{name}` is no container of Tandem's own, and only those are on several networks: leave it as it is"
            )));
        }
        if let NetworkChoice::None | NetworkChoice::Host = options.network {
            return Err(AppError::Usage(format!(
                "instance `{name}` was made with --network {}, beside which there is no other: make it anew without that",
                options.network
            )));
        }
        let choice = self.choice(network)?;
        if options.all_networks().any(|it| it == choice) {
            let text = format!(
                "instance `{name}` is on the network `{network}` already: leave it as it is"
            );
            return Err(Failure::new(ErrorCode::Conflict, text).into());
        }
        let NetworkChoice::Named(network) = choice else {
            return Err(AppError::Usage(format!(
                "an instance is on the network `{network}` from its beginning or never: make one with `tandem network create NAME`"
            )));
        };
        let store = self.network_store();
        let _held = store.hold()?;
        store.load(&network)?;
        let membership = Membership { name: network, aliases };
        self.backend(record.spec.backend).join_network(&record.id, &membership).await?;
        let mut warnings = self.instances.find(record.id.as_str())?.runtime.warnings;
        warnings.retain(|warning| !record.runtime.warnings.contains(warning));
        Ok(warnings)
    }

    /// Takes a container off a network that it was connected to.
    pub async fn disconnect_network(&self, network: &str, instance: &str) -> Result<(), AppError> {
        let record = self.instances.find(instance)?;
        let (name, options) = (&record.spec.name, &record.spec.options);
        let choice = self.choice(network)?;
        if options.network == choice {
            return Err(AppError::Usage(format!(
                "instance `{name}` was made on the network `{network}`, where its ports and its way out are: make it anew with another --network"
            )));
        }
        if !options.all_networks().any(|it| it == choice) {
            let text = format!(
                "instance `{name}` is not on the network `{network}`: `tandem network inspect {network}` lists those that are"
            );
            return Err(Failure::new(ErrorCode::NotFound, text).into());
        }
        Ok(self.backend(record.spec.backend).leave_network(&record.id, network).await?)
    }

    fn choice(&self, network: &str) -> Result<NetworkChoice, AppError> {
        let choice: NetworkChoice =
            network.parse().map_err(|_| BackendError::NoNetwork(network.to_owned()))?;
        if let NetworkChoice::Named(name) = &choice {
            self.network_store().load(name)?;
        }
        Ok(choice)
    }

    /// Removes a network that no instance uses.
    pub fn remove_network(&self, name: &str) -> Result<(), AppError> {
        if matches!(
            name.parse(),
            Ok(NetworkChoice::Bridge | NetworkChoice::Host | NetworkChoice::None)
        ) {
            let text = format!("the network `{name}` is always there and cannot be removed");
            return Err(AppError::Usage(text));
        }
        let choice = NetworkChoice::Named(name.to_owned());
        let user = || {
            let records = self.instances.list()?;
            let uses = |record: &InstanceRecord| {
                record.spec.options.all_networks().any(|network| network == choice)
            };
            let user = records.into_iter().find(uses);
            Ok(user.map(|record| record.spec.name))
        };
        Ok(self.network_store().remove(name, user)?)
    }

    /// Removes the networks of a person's that no instance uses and for which
    /// the filters hold. Returns their names.
    pub fn prune_networks(&self, filters: &[PruneFilter]) -> Result<Vec<String>, AppError> {
        let mut removed = Vec::new();
        for network in self.network_store().list()? {
            if !PruneFilter::all_hold(filters, Some(network.created_at), &network.labels) {
                continue;
            }
            match self.remove_network(&network.name) {
                // Taken, or removed, in this moment.
                Err(AppError::Backend(
                    BackendError::NetworkInUse { .. } | BackendError::NoNetwork(_),
                )) => {}
                other => {
                    other?;
                    removed.push(network.name);
                }
            }
        }
        Ok(removed)
    }

    /// The published ports of an instance, or those of one port inside.
    pub fn ports(&self, instance: &str, port: Option<&str>) -> Result<Vec<PortRow>, AppError> {
        let record = self.instances.find(instance)?;
        let wanted = port.map(parse_port).transpose()?;
        let published = if record.state.is_up() { record.ports } else { Vec::new() };
        let found: Vec<_> = published
            .iter()
            .filter(|map| wanted.is_none_or(|wanted| wanted == (map.port, map.protocol)))
            .map(row_of)
            .collect();
        match port {
            Some(port) if found.is_empty() => {
                Err(AppError::NotPublished { instance: record.spec.name, port: port.to_owned() })
            }
            _ => Ok(found),
        }
    }

    /// Records a new instance while its networks cannot be removed.
    pub(crate) async fn create_on_network(
        &self,
        spec: InstanceSpec,
    ) -> Result<InstanceRecord, AppError> {
        let store = self.network_store();
        let mut held = None;
        for name in named(&spec.options) {
            if held.is_none() {
                held = Some(store.hold()?);
            }
            store.load(&name)?;
        }
        Ok(self.backend(spec.backend).create(spec).await?)
    }

    /// Refuses a network that is not there.
    pub(crate) fn check_network(&self, options: &RunOptions) -> Result<(), AppError> {
        named(&options.options).try_for_each(|name| self.network_store().load(&name).map(drop))?;
        Ok(())
    }

    /// The networks of an instance that are not here, as after an import from
    /// another home: it cannot start before they are made.
    pub fn missing_networks(&self, record: &InstanceRecord) -> Vec<String> {
        let store = self.network_store();
        named(&record.spec.options)
            .filter(|name| matches!(store.load(name), Err(BackendError::NoNetwork(_))))
            .collect()
    }

    async fn row(
        &self,
        choice: &NetworkChoice,
        made: Option<NetworkRecord>,
        records: &[InstanceRecord],
    ) -> Result<NetworkRow, AppError> {
        let store = self.network_store();
        let (name, kind, bridge) = match choice {
            NetworkChoice::Bridge => ("bridge", "bridge", Some("tandem0".to_owned())),
            NetworkChoice::Host => ("host", "host", None),
            NetworkChoice::None => ("none", "none", None),
            NetworkChoice::Named(name) => (name.as_str(), "bridge", Some(store.bridge(name))),
        };
        let present = match choice {
            NetworkChoice::Bridge => store.present_subnet(None).await?,
            NetworkChoice::Named(name) => store.present_subnet(Some(name)).await?,
            NetworkChoice::Host | NetworkChoice::None => None,
        };
        let subnet = present.or(made.as_ref().and_then(|made| made.subnet));
        let member = |record: &InstanceRecord| Member {
            id: record.id.to_string(),
            name: record.spec.name.clone(),
            address: address_on(choice, record).filter(|_| record.state.is_up()),
        };
        let uses = |record: &&InstanceRecord| {
            record.spec.backend == BackendKind::Container
                && record.spec.options.all_networks().any(|network| network == *choice)
        };
        Ok(NetworkRow {
            name: name.to_owned(),
            kind,
            subnet,
            gateway: subnet.map(Subnet::gateway),
            internal: made.as_ref().is_some_and(|made| made.internal),
            bridge,
            created_at: made.as_ref().map(|made| made.created_at),
            labels: made.map(|made| made.labels).unwrap_or_default(),
            instances: records.iter().filter(uses).map(member).collect(),
        })
    }
}

/// Names of the networks that a person made, of all that an instance is on.
fn named(options: &InstanceOptions) -> impl Iterator<Item = String> {
    options.all_networks().filter_map(|network| match network {
        NetworkChoice::Named(name) => Some(name),
        _ => None,
    })
}

/// What `--network` asks for when it is given several times: the network that
/// the instance is made with, which has its ports and its way out, and those
/// that it joins beside. The shared bridge can only be the first.
pub fn chosen_networks(
    mut choices: Vec<NetworkChoice>,
) -> Result<(NetworkChoice, Vec<Membership>), AppError> {
    for (at, choice) in choices.iter().enumerate() {
        if choices[..at].contains(choice) {
            let text = format!("`--network {choice}` is given twice: leave one of them out");
            return Err(AppError::Usage(text));
        }
        if let NetworkChoice::None | NetworkChoice::Host = choice
            && choices.len() > 1
        {
            let text = format!("beside `--network {choice}` there is no other: leave one out");
            return Err(AppError::Usage(text));
        }
    }
    if let Some(bridge) = choices.iter().position(|it| *it == NetworkChoice::Bridge) {
        choices[..=bridge].rotate_right(1);
    }
    let mut choices = choices.into_iter();
    let first = choices.next().unwrap_or_default();
    let further = choices.filter_map(|choice| match choice {
        NetworkChoice::Named(name) => Some(Membership { name, aliases: Vec::new() }),
        _ => None,
    });
    Ok((first, further.collect()))
}

/// The address of an instance on one of its networks.
fn address_on(network: &NetworkChoice, record: &InstanceRecord) -> Option<std::net::IpAddr> {
    match network {
        NetworkChoice::Named(name) if record.spec.options.network != *network => {
            record.runtime.addresses.get(name).copied()
        }
        _ => record.runtime.ip,
    }
}

fn row_of(map: &PortMap) -> PortRow {
    PortRow {
        port: format!("{}/{}", map.port, map.protocol),
        host: std::net::SocketAddr::new(map.host_ip, map.host_port).to_string(),
    }
}

/// Reads `80`, `80/tcp` or `53/udp`.
fn parse_port(text: &str) -> Result<(u16, Protocol), AppError> {
    let (port, protocol) = match text.rsplit_once('/') {
        None => (text, Protocol::Tcp),
        Some((port, "tcp")) => (port, Protocol::Tcp),
        Some((port, "udp")) => (port, Protocol::Udp),
        Some(_) => ("", Protocol::Tcp),
    };
    let wrong = || AppError::Usage(format!("`{text}` is not a port: write e.g. 80 or 53/udp"));
    port.parse().map(|port| (port, protocol)).map_err(|_| wrong())
}

/// Refuses a network that does not go with the rest of a request, and drops
/// what has no meaning with it. Returns what the person should know.
pub(crate) fn check(options: &mut RunOptions) -> Result<Option<&'static str>, AppError> {
    for (at, port) in options.ports.iter().enumerate() {
        if options.ports[..at].iter().any(|other| other.collides(port)) {
            return Err(AppError::Usage(format!(
                "port {} of the host is published twice: give each its own",
                port.host_port
            )));
        }
    }
    let has_range = options.ports.iter().any(|port| port.host_last.is_some());
    if has_range && options.backend == BackendKind::Podman {
        let text = "Podman takes no range of the host's ports for one inside: write one port, \
                    e.g. -p 8000:80, or leave the choice to it with -p 80";
        return Err(AppError::Usage(text.to_owned()));
    }
    let publishes = !options.ports.is_empty() || options.publish_all;
    match options.options.network {
        NetworkChoice::None if publishes => Err(AppError::Usage(
            "a port cannot be published without a network: leave out -p or --network none"
                .to_owned(),
        )),
        NetworkChoice::Host if publishes => {
            options.ports.clear();
            options.publish_all = false;
            Ok(Some(
                "note: -p does nothing with --network host: the app listens on the host itself",
            ))
        }
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_networks_are_one_and_those_beside_it() {
        let ask = |names: &[&str]| {
            let choices = names.iter().map(|name| name.parse().unwrap()).collect();
            let (first, further) = chosen_networks(choices).map_err(|e| e.to_string())?;
            let further: Vec<_> = further.into_iter().map(|it| it.name).collect();
            Ok::<_, String>(format!("{first}+{}", further.join("+")))
        };
        assert_eq!(ask(&["bridge"]).unwrap(), "bridge+");
        assert_eq!(ask(&["none"]).unwrap(), "none+");
        assert_eq!(ask(&["one", "two", "three"]).unwrap(), "one+two+three");
        assert_eq!(ask(&["one", "two", "bridge"]).unwrap(), "bridge+one+two");
        assert!(
            ask(&["one", "two", "one"]).unwrap_err().contains("`--network one` is given twice")
        );
        assert!(ask(&["one", "host"]).unwrap_err().contains("beside `--network host`"));
        assert!(ask(&["none", "one"]).unwrap_err().contains("beside `--network none`"));
    }

    #[test]
    fn ports_go_with_their_network() {
        let ask = |network, ports: &[&str]| {
            let mut options = RunOptions::new("x", BackendKind::Container);
            options.options.network = network;
            options.ports = ports.iter().map(|port| port.parse().unwrap()).collect();
            check(&mut options).map(|note| (note.is_some(), options.ports.len()))
        };
        assert_eq!(ask(NetworkChoice::Bridge, &["80:80", "80:80/udp"]).unwrap(), (false, 2));
        assert!(ask(NetworkChoice::Bridge, &["80:80", "80:81"]).is_err());
        assert!(ask(NetworkChoice::None, &["80:80"]).is_err());
        assert_eq!(ask(NetworkChoice::Host, &["80:80"]).unwrap(), (true, 0));
        let mut options = RunOptions::new("x", BackendKind::Podman);
        options.ports = vec!["80-90:80".parse().unwrap()];
        assert!(check(&mut options).unwrap_err().to_string().contains("no range"));
    }

    #[test]
    fn a_port_inside_is_tcp_unless_said() {
        assert_eq!(parse_port("80").unwrap(), (80, Protocol::Tcp));
        assert_eq!(parse_port("53/udp").unwrap(), (53, Protocol::Udp));
        for bad in ["", "x", "80/sctp", "70000"] {
            assert!(parse_port(bad).is_err(), "{bad}");
        }
    }
}
