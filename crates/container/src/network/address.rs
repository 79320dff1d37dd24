use std::{collections::BTreeSet, net::Ipv4Addr};

use tandem_model::Subnet;

/// The lowest address that a container may have and none has.
pub(crate) fn free_address(subnet: Subnet, taken: &BTreeSet<Ipv4Addr>) -> Option<Ipv4Addr> {
    subnet.hosts().find(|address| !taken.contains(address))
}

/// Whether a container may have this address and none has.
pub(crate) fn is_free(subnet: Subnet, taken: &BTreeSet<Ipv4Addr>, wish: Ipv4Addr) -> bool {
    subnet.hosts().any(|address| address == wish) && !taken.contains(&wish)
}

/// Addresses in each network of ours: 1,021 for containers.
const PREFIX: u8 = 22;

/// The first of our candidates that no route of the host touches: private
/// networks (RFC 1918) that Docker (172.17 and up) and Podman (10.88 and up)
/// do not take. The default route does not count.
pub(crate) fn free_subnet(routes: &[Subnet]) -> Option<Subnet> {
    let candidates = (200..=255).flat_map(|second| {
        (0..=255u8)
            .step_by(4)
            .map(move |third| Subnet::new(Ipv4Addr::new(10, second, third, 0), PREFIX))
    });
    let mut routes = routes.iter().filter(|route| route.prefix() > 0);
    let mut candidates = candidates;
    let routes: Vec<_> = routes.by_ref().collect();
    candidates.find(|candidate| !routes.iter().any(|route| route.overlaps(*candidate)))
}

/// A hardware address that holds an IPv4 address. The container's end of a
/// link begins with 02, the host's with 06 (both locally administered), so
/// that a later container with the same address has the same hardware address
/// and the host's ports tell which addresses are taken.
pub(crate) fn hardware_address(first: u8, address: Ipv4Addr) -> [u8; 6] {
    let [a, b, c, d] = address.octets();
    [first, MARK, a, b, c, d]
}

/// The address in a hardware address that [`hardware_address`] made.
pub(crate) fn address_in(hardware: &[u8]) -> Option<Ipv4Addr> {
    let [_, MARK, a, b, c, d] = *hardware else { return None };
    Some(Ipv4Addr::new(a, b, c, d))
}

const MARK: u8 = 0x7d;

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet(text: &str) -> Subnet {
        let (address, prefix) = text.split_once('/').unwrap();
        Subnet::new(address.parse().unwrap(), prefix.parse().unwrap())
    }

    #[test]
    fn a_network_in_use_is_passed_over() {
        let routes = |texts: &[&str]| texts.iter().map(|text| subnet(text)).collect::<Vec<_>>();
        let first = free_subnet(&routes(&["0.0.0.0/0", "172.17.0.0/16"])).unwrap();
        assert_eq!(first.to_string(), "10.200.0.0/22");
        let next = free_subnet(&routes(&["10.200.1.0/24"])).unwrap();
        assert_eq!(next.to_string(), "10.200.4.0/22");
        let after = free_subnet(&routes(&["10.200.0.0/15", "10.202.0.1/32"])).unwrap();
        assert_eq!(after.to_string(), "10.202.4.0/22");
        assert_eq!(free_subnet(&routes(&["10.0.0.0/8"])), None);
    }

    #[test]
    fn addresses_are_handed_out_from_the_lowest() {
        let subnet = subnet("10.200.0.0/30");
        assert_eq!(subnet.gateway(), Ipv4Addr::new(10, 200, 0, 1));
        let mut taken = BTreeSet::new();
        let only = free_address(subnet, &taken).unwrap();
        assert_eq!(only, Ipv4Addr::new(10, 200, 0, 2));
        assert!(is_free(subnet, &taken, only));
        assert!(!is_free(subnet, &taken, Ipv4Addr::new(10, 200, 0, 9)), "another network's");
        taken.insert(only);
        assert!(!is_free(subnet, &taken, only));
        assert_eq!(free_address(subnet, &taken), None);
    }

    #[test]
    fn a_hardware_address_tells_the_address() {
        let address = Ipv4Addr::new(10, 200, 3, 4);
        assert_eq!(address_in(&hardware_address(6, address)), Some(address));
        assert_eq!(address_in(&[2, 0x42, 10, 200, 3, 4]), None);
        assert_eq!(address_in(&[]), None);
    }
}
