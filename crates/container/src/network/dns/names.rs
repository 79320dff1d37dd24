use std::net::{IpAddr, Ipv4Addr};

use tandem_backend::InstanceStore;
use tandem_model::{InstanceId, InstanceRecord, NetworkChoice};

use super::message::Names;

/// The instances of an instance's networks as their records tell: nothing is kept, so
/// nothing can be out of date.
pub(super) struct Neighbours {
    pub(super) store: InstanceStore,
    /// The one that it was started on.
    pub(super) network: NetworkChoice,
    /// The instance that asks, known before its record says that it runs.
    pub(super) own: Own,
}

/// Whose resolver this is.
pub(super) struct Own {
    pub(super) id: InstanceId,
    /// As it was started; it may be renamed.
    pub(super) called: Called,
    pub(super) address: Ipv4Addr,
}

/// What an instance is called on its network, in lower case.
#[derive(Clone, Default)]
pub(super) struct Called {
    /// Its name and what else a person has called it on the network.
    given: Vec<String>,
    /// Its host name and its id.
    other: Vec<String>,
}

impl Called {
    /// What an instance is called on one of its networks.
    pub(super) fn on(network: &NetworkChoice, record: &InstanceRecord) -> Self {
        let (spec, options) = (&record.spec, &record.spec.options);
        let aliases = match network {
            own if *own == options.network => &options.aliases[..],
            NetworkChoice::Named(name) => {
                let further = options.networks.iter().find(|it| it.name == *name);
                further.map_or(&[][..], |it| &it.aliases)
            }
            _ => &[],
        };
        let lower = |name: &String| name.to_ascii_lowercase();
        Self {
            given: [&spec.name].into_iter().chain(aliases).map(lower).collect(),
            other: spec.hostname.iter().chain([&record.id.to_string()]).map(lower).collect(),
        }
    }
}

/// A network with those that are on it, each as it is called there.
type Known = (NetworkChoice, Vec<(Called, Ipv4Addr)>);

impl Neighbours {
    /// The networks that this one is on, with all that run there, this one
    /// first.
    fn networks(&self) -> Vec<Known> {
        let Ok(own) = self.store.load(&self.own.id) else {
            let own = (self.own.called.clone(), self.own.address);
            return vec![(self.network.clone(), vec![own])];
        };
        let others: Vec<_> = self.store.list().unwrap_or_default();
        let others: Vec<_> = others.iter().filter(|record| self.is_other(record)).collect();
        let known = |network: NetworkChoice| {
            let called =
                |record| Some((Called::on(&network, record), address_on(&network, record)?));
            // Its record does not say at first that it runs.
            let first = (network == self.network).then_some(self.own.address);
            let address = first.or_else(|| address_on(&network, &own));
            let own = address.map(|address| (Called::on(&network, &own), address));
            let members = own.into_iter().chain(others.iter().copied().filter_map(called));
            (network.clone(), members.collect())
        };
        own.spec.options.all_networks().map(known).collect()
    }

    fn is_other(&self, record: &InstanceRecord) -> bool {
        record.id != self.own.id
            && record.state.is_up()
            && record.runtime.supervisor.is_some_and(tandem_probe::alive)
    }
}

/// The address of an instance on one of its networks; `None` when it is not
/// there.
fn address_on(network: &NetworkChoice, record: &InstanceRecord) -> Option<Ipv4Addr> {
    let address = match network {
        own if *own == record.spec.options.network => record.runtime.ip,
        NetworkChoice::Named(name) => record.runtime.addresses.get(name).copied(),
        _ => None,
    };
    match address {
        Some(IpAddr::V4(address)) => Some(address),
        _ => None,
    }
}

/// The addresses of a name on several networks, each once.
fn on_all(networks: &[Known], name: &str) -> Vec<Ipv4Addr> {
    let mut found = Vec::new();
    for (network, members) in networks {
        for address in addresses(members, bare(name, network)) {
            if !found.contains(&address) {
                found.push(address);
            }
        }
    }
    found
}

/// A name without the network's behind it, which may be written (`web.net`).
fn bare<'n>(name: &'n str, network: &NetworkChoice) -> &'n str {
    let NetworkChoice::Named(network) = network else { return name };
    let network = network.to_ascii_lowercase();
    let rest = name.strip_suffix(network.as_str()).and_then(|rest| rest.strip_suffix('.'));
    rest.filter(|rest| !rest.is_empty()).unwrap_or(name)
}

/// The addresses of those with a name: several may share one that they were
/// given, and that goes before somebody's host name.
fn addresses(members: &[(Called, Ipv4Addr)], name: &str) -> Vec<Ipv4Addr> {
    let those = |list: fn(&Called) -> &Vec<String>| -> Vec<Ipv4Addr> {
        let have = members.iter().filter(|(called, _)| list(called).iter().any(|it| it == name));
        have.map(|(_, address)| *address).collect()
    };
    let given = those(|called| &called.given);
    if given.is_empty() { those(|called| &called.other) } else { given }
}

impl Names for Neighbours {
    fn addresses(&self, name: &str) -> Vec<Ipv4Addr> {
        on_all(&self.networks(), name)
    }

    fn name(&self, address: Ipv4Addr) -> Option<String> {
        let members = self.networks().into_iter().flat_map(|(_, members)| members);
        let found = members.into_iter().find(|(_, its)| *its == address);
        found.and_then(|(called, _)| called.given.into_iter().next())
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

    #[test]
    fn a_name_is_looked_for_on_every_network() {
        let on = |network: &str, name: &str, last| {
            let called = Called { given: vec![name.to_owned()], other: Vec::new() };
            let address = Ipv4Addr::new(10, 0, 0, last);
            (NetworkChoice::Named(network.to_owned()), vec![(called, address)])
        };
        let networks = [on("front", "web", 2), on("back", "db", 3), on("far", "web", 4)];
        let found = |name| -> Vec<u8> {
            on_all(&networks, name).iter().map(|address| address.octets()[3]).collect()
        };
        assert_eq!(found("db"), [3]);
        assert_eq!(found("web"), [2, 4]);
        assert_eq!(found("web.far"), [4], "the network behind it chooses");
        assert_eq!(found("web.back"), [] as [u8; 0]);
    }

    #[test]
    fn a_given_name_is_all_of_theirs_and_goes_before_a_host_name() {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect();
        let member = |given: &str, other: &str, last| {
            (Called { given: words(given), other: words(other) }, Ipv4Addr::new(10, 0, 0, last))
        };
        let members = [
            member("one web", "host 1a", 2),
            member("two web", "one 2b", 3),
            member("x", "host", 4),
        ];
        let found = |name| -> Vec<u8> {
            addresses(&members, name).iter().map(|address| address.octets()[3]).collect()
        };
        assert_eq!(found("web"), [2, 3]);
        assert_eq!(found("one"), [2]);
        assert_eq!(found("host"), [2, 4]);
        assert_eq!(found("2b"), [3]);
        assert_eq!(found("none"), [] as [u8; 0]);
    }
}
