use std::{collections::BTreeMap, fmt, net::Ipv4Addr, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::NetworkChoice;

/// A network that a person made, as it stands in `networks/NAME.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkRecord {
    /// Version of this format.
    pub version: u32,
    /// Its name, unique in its home.
    pub name: String,
    /// Its addresses; chosen when its first container starts where `None`.
    pub subnet: Option<Subnet>,
    /// Nothing goes out of it.
    pub internal: bool,
    /// Free-form labels.
    pub labels: BTreeMap<String, String>,
    /// Wall-clock time, for people.
    pub created_at: jiff::Timestamp,
}

impl NetworkRecord {
    /// The current version of the format.
    pub const VERSION: u32 = 1;
}

/// An IPv4 network, written `10.1.0.0/24`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Subnet {
    network: u32,
    prefix: u8,
}

/// The text is not a network that containers can live in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a network for containers: {why}")]
pub struct ParseSubnetError {
    text: String,
    why: String,
}

impl Subnet {
    /// The network that holds `address`, with this many leading bits, 32 at
    /// most.
    pub fn new(address: Ipv4Addr, prefix: u8) -> Self {
        let prefix = prefix.min(32);
        Self { network: address.to_bits() & mask(prefix), prefix }
    }

    /// How many leading bits its addresses have in common.
    pub fn prefix(self) -> u8 {
        self.prefix
    }

    /// Its first address, the bridge's and so the gateway of containers.
    pub fn gateway(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.network.saturating_add(1))
    }

    /// Whether an address is in it.
    pub fn contains(self, address: Ipv4Addr) -> bool {
        address.to_bits() & mask(self.prefix) == self.network
    }

    /// Whether both have an address in common.
    pub fn overlaps(self, other: Self) -> bool {
        let shared = mask(self.prefix.min(other.prefix));
        self.network & shared == other.network & shared
    }

    /// The addresses that containers may have, lowest first.
    pub fn hosts(self) -> impl Iterator<Item = Ipv4Addr> {
        let last = self.network | !mask(self.prefix);
        (self.network.saturating_add(2)..last).map(Ipv4Addr::from_bits)
    }
}

fn mask(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0)
}

const FORM: &str = "write an IPv4 network, e.g. 10.1.0.0/24";

impl FromStr for Subnet {
    type Err = ParseSubnetError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = |why: &str| ParseSubnetError {
            text: text.chars().take(64).collect(),
            why: why.to_owned(),
        };
        let (address, prefix) = text.split_once('/').ok_or_else(|| wrong(FORM))?;
        let address: Ipv4Addr = address.parse().map_err(|_| wrong(FORM))?;
        let digits = prefix.bytes().all(|b| b.is_ascii_digit());
        let prefix: u8 = prefix.parse().ok().filter(|_| digits).ok_or_else(|| wrong(FORM))?;
        if !(8..=30).contains(&prefix) {
            return Err(wrong("its prefix must be from /8 to /30"));
        }
        if matches!(address.octets()[0], 0 | 127 | 224..) {
            return Err(wrong("these addresses have a meaning of their own"));
        }
        let subnet = Self::new(address, prefix);
        if address.to_bits() == subnet.network {
            Ok(subnet)
        } else {
            Err(wrong(&format!("its first address is another one, write {subnet}")))
        }
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", Ipv4Addr::from_bits(self.network), self.prefix)
    }
}

impl TryFrom<String> for Subnet {
    type Error = ParseSubnetError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Subnet> for String {
    fn from(subnet: Subnet) -> Self {
        subnet.to_string()
    }
}

/// The text cannot name a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` cannot name a network: use letters, digits, `_`, `.` and `-`, beginning with a letter or digit, or one of bridge, none and host"
)]
pub struct ParseNetworkError(String);

impl FromStr for NetworkChoice {
    type Err = ParseNetworkError;

    /// Reads what stands behind `--network`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "bridge" | "default" => Ok(Self::Bridge),
            "none" => Ok(Self::None),
            "host" => Ok(Self::Host),
            name if is_network_name(name) => Ok(Self::Named(name.to_owned())),
            _ => Err(ParseNetworkError(text.chars().take(64).collect())),
        }
    }
}

impl fmt::Display for NetworkChoice {
    /// As it is written behind `--network`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bridge => "bridge",
            Self::None => "none",
            Self::Host => "host",
            Self::Named(name) => name,
        })
    }
}

/// Whether a network may be called so.
fn is_network_name(text: &str) -> bool {
    let first = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    let rest = text.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
    first && rest && text.len() <= 64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_subnet_is_read_as_it_is_written() {
        let subnet: Subnet = "10.1.4.0/22".parse().unwrap();
        assert_eq!(subnet.to_string(), "10.1.4.0/22");
        assert_eq!(subnet.gateway().to_string(), "10.1.4.1");
        assert_eq!(subnet.hosts().next().unwrap().to_string(), "10.1.4.2");
        assert_eq!(subnet.hosts().count(), 1021);
        assert!(subnet.contains([10, 1, 7, 9].into()) && !subnet.contains([10, 1, 8, 0].into()));
        for (text, part) in [
            ("10.1.4.0", "write an IPv4"),
            ("10.1.4.0/+8", "write an IPv4"),
            ("10.1.4.0/31", "from /8 to /30"),
            ("10.1.5.0/22", "write 10.1.4.0/22"),
            ("127.0.0.0/8", "of their own"),
            ("::/64", "write an IPv4"),
        ] {
            let error = text.parse::<Subnet>().unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_subnet_or_refused(text in "[0-9./]{0,20}") {
            if let Ok(subnet) = text.parse::<Subnet>() {
                prop_assert_eq!(subnet.to_string().parse(), Ok(subnet));
                prop_assert!(subnet.hosts().next().is_some_and(|host| subnet.contains(host)));
            }
        }
    }

    #[test]
    fn the_networks_that_are_always_there_have_names() {
        for (text, choice) in [
            ("bridge", NetworkChoice::Bridge),
            ("none", NetworkChoice::None),
            ("host", NetworkChoice::Host),
            ("back-end", NetworkChoice::Named("back-end".into())),
        ] {
            assert_eq!(text.parse(), Ok(choice));
        }
        for bad in ["", "-x", "../x", "container:web", "a b", &"x".repeat(65)] {
            assert!(bad.parse::<NetworkChoice>().is_err(), "{bad}");
        }
    }
}
