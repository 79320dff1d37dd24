use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr},
    ops::RangeInclusive,
    str::FromStr,
};

use serde::{Deserialize, Serialize};

/// Transport of a published port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

/// A published port: the host's side and the instance's side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct PortMap {
    /// Address on the host; loopback unless asked otherwise.
    pub host_ip: IpAddr,
    /// Port on the host; zero asks for any free one when an instance starts.
    pub host_port: u16,
    /// The last of a range of the host's ports, of which the first free one
    /// from `host_port` on is taken at a start; none where only that one will
    /// do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_last: Option<u16>,
    /// Port inside.
    pub port: u16,
    /// Transport.
    pub protocol: Protocol,
}

impl PortMap {
    /// A port inside on any free port of the host, for the host alone.
    pub fn anywhere(port: u16, protocol: Protocol) -> Self {
        let host_ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Self { host_ip, host_port: 0, host_last: None, port, protocol }
    }

    /// The same on exactly this port of the host; on any free one for zero.
    #[must_use]
    pub fn at(self, host_port: u16) -> Self {
        Self { host_port, host_last: None, ..self }
    }

    /// The ports of the host that will do, the one to try first in front.
    pub fn candidates(&self) -> RangeInclusive<u16> {
        self.host_port..=self.host_last.unwrap_or(self.host_port)
    }

    /// Takes the first port of the host that `take` finds free, which gets each
    /// candidate in turn.
    ///
    /// # Errors
    /// Those of `take`: the first that is no `AddrInUse`, else the last.
    pub fn first_free<T>(&self, mut take: impl FnMut(Self) -> io::Result<T>) -> io::Result<T> {
        let mut result = Err(io::ErrorKind::AddrInUse.into());
        for port in self.candidates() {
            result = take(self.at(port));
            if !matches!(&result, Err(e) if e.kind() == io::ErrorKind::AddrInUse) {
                break;
            }
        }
        result
    }

    /// In which order ports are taken: first those that want one certain port
    /// of the host, then ranges, then those that any will do for. Positions in
    /// `ports`.
    pub fn order(ports: &[Self]) -> Vec<usize> {
        let mut order: Vec<usize> = (0..ports.len()).collect();
        order.sort_by_key(|at| (ports[*at].host_port == 0, ports[*at].host_last.is_some()));
        order
    }

    /// Whether both want the same port of the host, and no other will do.
    pub fn collides(&self, other: &Self) -> bool {
        let everywhere = self.host_ip.is_unspecified() || other.host_ip.is_unspecified();
        self.protocol == other.protocol
            && self.host_port == other.host_port
            && self.host_last.is_none()
            && other.host_last.is_none()
            && self.host_port != 0
            && self.host_ip.is_ipv4() == other.host_ip.is_ipv4()
            && (everywhere || self.host_ip == other.host_ip)
    }
}

impl fmt::Display for PortMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host_ip {
            IpAddr::V4(ip) => write!(f, "{ip}:{}", self.host_port)?,
            IpAddr::V6(ip) => write!(f, "[{ip}]:{}", self.host_port)?,
        }
        if let Some(last) = self.host_last {
            write!(f, "-{last}")?;
        }
        write!(f, "->{}/{}", self.port, self.protocol)
    }
}

/// The text is not a port mapping.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a port mapping: {why}")]
pub struct ParsePortError {
    text: String,
    why: &'static str,
}

const FORM: &str = "write [IP:]HOST:PORT[/udp], e.g. 8080:80, 127.0.0.1:8080:80 or 8000-8005:80-85";

impl FromStr for PortMap {
    type Err = ParsePortError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let PortMaps(maps) = text.parse()?;
        match maps[..] {
            [map] => Ok(map),
            _ => Err(ParsePortError { text: text.to_owned(), why: "only one port can stand here" }),
        }
    }
}

/// What stands behind one `-p`: a port mapping, or one for each port of a
/// range. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortMaps(pub Vec<PortMap>);

impl FromStr for PortMaps {
    type Err = ParsePortError;

    /// Reads `[[IP:][HOST]:]PORT[/tcp|/udp]`, where HOST and PORT may be ranges
    /// of the same length. Of a range of the host for one PORT the first free
    /// port is taken; without HOST any.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = |why| ParsePortError { text: text.chars().take(64).collect(), why };
        let (bare, protocol) = match text.rsplit_once('/') {
            None => (text, Protocol::Tcp),
            Some((bare, "tcp")) => (bare, Protocol::Tcp),
            Some((bare, "udp")) => (bare, Protocol::Udp),
            Some((_, "sctp")) => return Err(wrong("sctp cannot be published, only tcp and udp")),
            Some(_) => return Err(wrong("behind the slash stands tcp or udp")),
        };
        let (outside, inside) = match bare.rsplit_once(':') {
            Some((outside, inside)) => (outside, inside),
            None => ("", bare),
        };
        let (ip, host) = match outside.rsplit_once(':') {
            Some((ip, host)) => (Some(ip), host),
            None => (None, outside),
        };
        let host_ip = ip.map_or(Ok(IpAddr::V4(Ipv4Addr::LOCALHOST)), address).map_err(wrong)?;
        let inside = range(inside).map_err(wrong)?;
        let host = if host.is_empty() { None } else { Some(range_or_any(host).map_err(wrong)?) };
        let ports = inside.clone();
        let host: Vec<u16> = match host {
            None => ports.map(|_| 0).collect(),
            // `0:80` takes any free one.
            Some(host) if host == (0..=0) => ports.map(|_| 0).collect(),
            Some(host) if inside.len() == 1 && host.len() > 1 => {
                let (host_port, host_last) = (*host.start(), Some(*host.end()));
                let port = *inside.start();
                return Ok(Self(vec![PortMap { host_ip, host_port, host_last, port, protocol }]));
            }
            Some(host) => host.collect(),
        };
        if host.len() != inside.len() {
            return Err(wrong("both ranges must have the same length"));
        }
        let map =
            |(host_port, port)| PortMap { host_ip, host_port, host_last: None, port, protocol };
        Ok(Self(host.into_iter().zip(inside).map(map).collect()))
    }
}

fn address(text: &str) -> Result<IpAddr, &'static str> {
    let six = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    match six {
        Some(six) => {
            six.parse().map(IpAddr::V6).map_err(|_| "between the brackets stands no IPv6 address")
        }
        None if text.contains(':') => Err("write an IPv6 address in brackets, e.g. [::1]:8080:80"),
        None => text.parse().map(IpAddr::V4).map_err(
            |_| "the part before the ports is no address: write one of the host's, e.g. 127.0.0.1",
        ),
    }
}

fn range(text: &str) -> Result<RangeInclusive<u16>, &'static str> {
    let range = range_or_any(text)?;
    if *range.start() == 0 { Err("ports are numbers from 1 to 65535") } else { Ok(range) }
}

/// Also `0`, which asks for a free port.
fn range_or_any(text: &str) -> Result<RangeInclusive<u16>, &'static str> {
    if text.is_empty() {
        return Err(FORM);
    }
    let port = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !digits {
            return Err(FORM);
        }
        text.parse::<u16>().map_err(|_| "ports are numbers from 1 to 65535")
    };
    let Some((first, last)) = text.split_once('-') else {
        let port = port(text)?;
        return Ok(port..=port);
    };
    let (first, last) = (port(first)?, port(last)?);
    if first == 0 {
        return Err("ports are numbers from 1 to 65535");
    }
    if first > last { Err("a range begins with its lower port") } else { Ok(first..=last) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn maps(text: &str) -> Vec<String> {
        let PortMaps(maps) = text.parse().unwrap_or_else(|e| panic!("{e}"));
        maps.iter().map(ToString::to_string).collect()
    }

    fn why(text: &str) -> String {
        text.parse::<PortMaps>().unwrap_err().to_string()
    }

    #[test]
    fn ports_stay_on_loopback_unless_asked() {
        assert_eq!(maps("80:8080"), ["127.0.0.1:80->8080/tcp"]);
        assert_eq!(maps("0.0.0.0:80:8080/tcp"), ["0.0.0.0:80->8080/tcp"]);
        assert_eq!(maps("[::1]:80:8080/udp"), ["[::1]:80->8080/udp"]);
        assert_eq!(maps("8080"), ["127.0.0.1:0->8080/tcp"]);
        assert_eq!(maps(":53/udp"), ["127.0.0.1:0->53/udp"]);
        assert_eq!(maps("10.1.2.3::80"), ["10.1.2.3:0->80/tcp"]);
        assert_eq!(maps("0:80"), ["127.0.0.1:0->80/tcp"]);
    }

    #[test]
    fn ranges_go_side_by_side() {
        assert_eq!(maps("8000-8001:80-81"), ["127.0.0.1:8000->80/tcp", "127.0.0.1:8001->81/tcp"]);
        assert_eq!(maps("80-81/udp"), ["127.0.0.1:0->80/udp", "127.0.0.1:0->81/udp"]);
        assert_eq!(maps("0:80-81"), ["127.0.0.1:0->80/tcp", "127.0.0.1:0->81/tcp"]);
        assert_eq!(maps("8000-8005:80"), ["127.0.0.1:8000-8005->80/tcp"]);
        assert_eq!(maps("[::1]:8000-8005:80/udp"), ["[::1]:8000-8005->80/udp"]);
        assert_eq!(maps("8000-8000:80"), ["127.0.0.1:8000->80/tcp"]);
        assert!(why("8000-8005:80-81").contains("same length"));
        assert!(why("8005-8000:80-85").contains("lower port"));
        assert!("8000-8001:80-81".parse::<PortMap>().is_err());
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, part) in [
            ("", "write [IP:]HOST"),
            ("80:", "write [IP:]HOST"),
            ("80:0", "from 1 to 65535"),
            ("80:70000", "from 1 to 65535"),
            ("x:80:80", "no address"),
            ("::1:80:80", "in brackets"),
            ("[::g]:80:80", "no IPv6"),
            ("80:80/sctp", "sctp"),
            ("80:80/TCP", "tcp or udp"),
            ("-80", "write [IP:]HOST"),
            ("0-5:80-85", "from 1"),
            ("+1:80", "write [IP:]HOST"),
        ] {
            assert!(why(text).contains(part), "{text}: {}", why(text));
        }
    }

    #[test]
    fn the_same_port_of_the_host_collides() {
        let collide = |a: &str, b: &str| {
            a.parse::<PortMap>().unwrap().collides(&b.parse::<PortMap>().unwrap())
        };
        assert!(collide("80:1", "80:2"));
        assert!(collide("80:1", "0.0.0.0:80:2"));
        assert!(!collide("80:1", "80:1/udp"));
        assert!(!collide("80:1", "127.0.0.2:80:1"));
        assert!(!collide("0:1", "0:1"));
        assert!(!collide("80:1", "[::]:80:1"));
        assert!(!collide("80:1", "80-81:2"), "another of the range will do");
    }

    #[test]
    fn the_first_free_port_of_a_range_is_taken() {
        let range: PortMap = "8000-8003:80".parse().unwrap();
        let take = |busy: &[u16], other: &[u16]| {
            let mut asked = Vec::new();
            let taken = range.first_free(|map| {
                asked.push(map.host_port);
                assert_eq!((map.port, map.host_last), (80, None));
                let port = map.host_port;
                if busy.contains(&port) {
                    Err(io::ErrorKind::AddrInUse.into())
                } else if other.contains(&port) {
                    Err(io::ErrorKind::PermissionDenied.into())
                } else {
                    Ok(port)
                }
            });
            (taken.map_err(|e| e.kind()), asked)
        };
        assert_eq!(take(&[], &[]), (Ok(8000), vec![8000]));
        assert_eq!(take(&[8000, 8001], &[]), (Ok(8002), vec![8000, 8001, 8002]));
        let all: Vec<u16> = (8000..=8003).collect();
        assert_eq!(take(&all, &[]), (Err(io::ErrorKind::AddrInUse), all.clone()));
        let denied = Err(io::ErrorKind::PermissionDenied);
        assert_eq!(take(&[8000], &[8001]), (denied, vec![8000, 8001]));
    }

    #[test]
    fn who_is_choosy_comes_first() {
        let ports: Vec<PortMap> =
            ["0:1", "80-90:2", "80:3", "81:4"].map(|text| text.parse().unwrap()).into();
        assert_eq!(PortMap::order(&ports), [2, 3, 1, 0]);
    }

    #[test]
    fn a_record_of_an_earlier_version_is_one_port() {
        let text = r#"{"host_ip":"127.0.0.1","host_port":80,"port":81,"protocol":"tcp"}"#;
        let map: PortMap = serde_json::from_str(text).unwrap();
        assert_eq!(map, "80:81".parse().unwrap());
        assert_eq!(serde_json::to_string(&map).unwrap(), text);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[0-9a-f:.\\[\\]/tcpud-]{0,24}") {
            if let Ok(PortMaps(maps)) = text.parse() {
                prop_assert!(!maps.is_empty() && maps.iter().all(|map| map.port != 0));
            }
        }

        #[test]
        fn a_mapping_survives_its_own_form(
            ip in prop_oneof![any::<u32>().prop_map(|ip| IpAddr::V4(ip.into())),
                              any::<u128>().prop_map(|ip| IpAddr::V6(ip.into()))],
            host_port in any::<u16>(), port in 1u16.., udp in any::<bool>(),
        ) {
            let protocol = if udp { Protocol::Udp } else { Protocol::Tcp };
            let map = PortMap { host_ip: ip, host_port, host_last: None, port, protocol };
            let ip = if ip.is_ipv6() { format!("[{ip}]") } else { ip.to_string() };
            prop_assert_eq!(format!("{ip}:{host_port}:{port}/{protocol}").parse(), Ok(map));
        }
    }
}
