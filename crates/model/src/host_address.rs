use std::{fmt, net::IpAddr, str::FromStr};

use serde::{Deserialize, Serialize};

/// Where a line of `/etc/hosts` leads: an address, or `host-gateway`, the
/// machine as a container sees it, which is known once it is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum HostAddress {
    /// This one.
    Address(IpAddr),
    /// This machine's, on the instance's network.
    Gateway,
}

/// As Docker writes it.
const GATEWAY: &str = "host-gateway";

impl FromStr for HostAddress {
    type Err = std::net::AddrParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == GATEWAY { Ok(Self::Gateway) } else { text.parse().map(Self::Address) }
    }
}

impl fmt::Display for HostAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Gateway => f.write_str(GATEWAY),
        }
    }
}

impl TryFrom<String> for HostAddress {
    type Error = std::net::AddrParseError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<HostAddress> for String {
    fn from(address: HostAddress) -> Self {
        address.to_string()
    }
}
