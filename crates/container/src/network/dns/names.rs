use std::net::{IpAddr, Ipv4Addr};

use tandem_backend::InstanceStore;
use tandem_model::{InstanceId, InstanceRecord, NetworkChoice};

use super::message::Names;

/// The instances of one network as their records tell: nothing is kept, so
/// nothing can be out of date.
pub(super) struct Neighbours {
    pub(super) store: InstanceStore,
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
    pub(super) fn of(record: &InstanceRecord) -> Self {
        let spec = &record.spec;
        let lower = |name: &String| name.to_ascii_lowercase();
        Self {
            given: [&spec.name].into_iter().chain(&spec.options.aliases).map(lower).collect(),
            other: spec.hostname.iter().chain([&record.id.to_string()]).map(lower).collect(),
        }
    }
}

impl Neighbours {
    /// All that run, this one first.
    fn members(&self) -> Vec<(Called, Ipv4Addr)> {
        let own = match self.store.load(&self.own.id) {
            Ok(record) => Called::of(&record),
            Err(_) => self.own.called.clone(),
        };
        let records = self.store.list().unwrap_or_default().into_iter();
        let others = records.filter_map(|record| match record.runtime.ip {
            Some(IpAddr::V4(address)) if self.has(&record) => Some((Called::of(&record), address)),
            _ => None,
        });
        [(own, self.own.address)].into_iter().chain(others).collect()
    }

    fn has(&self, record: &InstanceRecord) -> bool {
        record.id != self.own.id
            && record.state.is_up()
            && record.spec.options.network == self.network
            && record.runtime.supervisor.is_some_and(tandem_probe::alive)
    }
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
        addresses(&self.members(), bare(name, &self.network))
    }

    fn name(&self, address: Ipv4Addr) -> Option<String> {
        let found = self.members().into_iter().find(|(_, its)| *its == address);
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
