use std::net::{SocketAddr, TcpListener, UdpSocket};

use tandem_model::{PortMap, Protocol};

/// Ports behind one that is taken that are tried.
const TRIED: u16 = 64;

/// What may be written behind `-p` in place of a port that is taken: the next
/// one that is free, or any.
pub(crate) fn other_port(taken: &PortMap) -> String {
    let free = |port: &u16| {
        let place = SocketAddr::new(taken.host_ip, *port);
        match taken.protocol {
            Protocol::Tcp => TcpListener::bind(place).is_ok(),
            Protocol::Udp => UdpSocket::bind(place).is_ok(),
        }
    };
    let last = *taken.candidates().end();
    let next = last.saturating_add(1)..=last.saturating_add(TRIED);
    let host = next.clone().find(free).map(|port| port.to_string()).unwrap_or_default();
    let ip = match taken.host_ip {
        ip if ip.to_string() == "127.0.0.1" => String::new(),
        ip if ip.is_ipv6() => format!("[{ip}]:"),
        ip => format!("{ip}:"),
    };
    let protocol = if taken.protocol == Protocol::Udp { "/udp" } else { "" };
    format!("{ip}{host}:{}{protocol}", taken.port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_proposed_is_free_and_otherwise_the_same() {
        // Two neighbours that are taken.
        let (first, second, taken) = (20_000..60_000)
            .find_map(|port| {
                let bind = |port: u16| UdpSocket::bind(("127.0.0.2", port)).ok();
                Some((bind(port)?, bind(port + 1)?, port))
            })
            .unwrap();
        let host_ip = "127.0.0.2".parse().unwrap();
        let map = PortMap { host_ip, ..PortMap::anywhere(53, Protocol::Udp) }.at(taken);
        let text = other_port(&map);
        let proposed: u16 = text
            .strip_prefix("127.0.0.2:")
            .and_then(|rest| rest.strip_suffix(":53/udp")?.parse().ok())
            .unwrap_or_else(|| panic!("{text}"));
        assert!(proposed > taken + 1, "{text}");
        drop((first, second));
        let last = PortMap::anywhere(80, Protocol::Tcp).at(u16::MAX);
        let _held = TcpListener::bind(("127.0.0.1", u16::MAX));
        assert_eq!(other_port(&last), ":80");
    }
}
