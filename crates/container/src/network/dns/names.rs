use std::net::{IpAddr, Ipv4Addr};

use tandem_backend::InstanceStore;
use tandem_model::{InstanceRecord, NetworkChoice};

use super::message::Names;

/// The instances of one network as their records tell: nothing is kept, so
/// nothing can be out of date.
pub(super) struct Neighbours {
    pub(super) store: InstanceStore,
    pub(super) network: NetworkChoice,
    /// The instance that asks, known before its record says that it runs.
    pub(super) own: (Vec<String>, Ipv4Addr),
}

impl Neighbours {
    fn running(&self) -> impl Iterator<Item = (InstanceRecord, Ipv4Addr)> {
        let records = self.store.list().unwrap_or_default();
        records.into_iter().filter_map(|record| match record.runtime.ip {
            Some(IpAddr::V4(address)) if self.has(&record) => Some((record, address)),
            _ => None,
        })
    }

    fn has(&self, record: &InstanceRecord) -> bool {
        record.state.is_up()
            && record.spec.options.network == self.network
            && record.runtime.supervisor.is_some_and(tandem_probe::alive)
    }
}

/// What an instance is called on its network, the best name first.
pub(super) fn names_of(record: &InstanceRecord) -> Vec<String> {
    let spec = &record.spec;
    let own = [&spec.name].into_iter().chain(&spec.options.aliases).chain(&spec.hostname).cloned();
    own.chain([record.id.to_string()]).map(|name| name.to_ascii_lowercase()).collect()
}

/// A name without the network's behind it, which may be written (`web.net`).
fn bare<'n>(name: &'n str, network: &NetworkChoice) -> &'n str {
    let NetworkChoice::Named(network) = network else { return name };
    let network = network.to_ascii_lowercase();
    let rest = name.strip_suffix(network.as_str()).and_then(|rest| rest.strip_suffix('.'));
    rest.filter(|rest| !rest.is_empty()).unwrap_or(name)
}

impl Names for Neighbours {
    fn address(&self, name: &str) -> Option<Ipv4Addr> {
        let name = bare(name, &self.network);
        let (own, address) = &self.own;
        if own.iter().any(|it| it == name) {
            return Some(*address);
        }
        // A name goes before somebody else's host name.
        let found = self.running().filter_map(|(record, address)| {
            let rank = names_of(&record).iter().position(|it| it == name)?;
            Some((rank, address))
        });
        found.min_by_key(|(rank, _)| *rank).map(|(_, address)| address)
    }

    fn name(&self, address: Ipv4Addr) -> Option<String> {
        let (own, own_address) = &self.own;
        if *own_address == address {
            return own.first().cloned();
        }
        let found = self.running().find(|(_, its)| *its == address);
        found.and_then(|(record, _)| names_of(&record).into_iter().next())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_network_may_stand_behind_a_name() {
        let network = NetworkChoice::Named("Front.net".to_owned());
        for (name, expected) in [
            ("web.front.net", "web"),
            ("web", "web"),
            ("front.net", "front.net"),
            (".front.net", ".front.net"),
            ("web.afront.net", "web.afront.net"),
        ] {
            assert_eq!(bare(name, &network), expected);
        }
        assert_eq!(bare("web.bridge", &NetworkChoice::Bridge), "web.bridge");
    }
}
