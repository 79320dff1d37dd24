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
    let names =
        [Some(record.spec.name.clone()), record.spec.hostname.clone(), Some(record.id.to_string())];
    names.into_iter().flatten().map(|name| name.to_ascii_lowercase()).collect()
}

impl Names for Neighbours {
    fn address(&self, name: &str) -> Option<Ipv4Addr> {
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
