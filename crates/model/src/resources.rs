use std::{fmt, net::IpAddr, net::Ipv4Addr, str::FromStr};

use serde::{Deserialize, Serialize};

/// Limits of an instance. `None` means no limit for a process or container,
/// and the backend's default size for a virtual machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Resources {
    /// Memory in bytes.
    #[cfg_attr(feature = "ts", ts(type = "number | null"))]
    pub memory_bytes: Option<u64>,
    /// Processors, in thousandths: 1500 is one and a half.
    pub milli_cpus: Option<u32>,
    /// Largest number of processes.
    pub pids: Option<u32>,
}

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
    /// Port inside.
    pub port: u16,
    /// Transport.
    pub protocol: Protocol,
}

/// The text is not a port mapping.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a port mapping: write [IP:]HOST:PORT, e.g. 8080:8080 or 127.0.0.1:80:8080")]
pub struct ParsePortError(String);

impl FromStr for PortMap {
    type Err = ParsePortError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || ParsePortError(text.to_owned());
        let bare = text.strip_suffix("/tcp").unwrap_or(text);
        let (outside, port) = bare.rsplit_once(':').ok_or_else(wrong)?;
        let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(wrong)?;
        let (host_ip, host_port) = match outside.rsplit_once(':') {
            Some((ip, host)) => {
                let ip = ip.strip_prefix('[').and_then(|ip| ip.strip_suffix(']')).unwrap_or(ip);
                (ip.parse().map_err(|_| wrong())?, host)
            }
            None => (IpAddr::V4(Ipv4Addr::LOCALHOST), outside),
        };
        let host_port =
            if host_port.is_empty() { 0 } else { host_port.parse().map_err(|_| wrong())? };
        Ok(Self { host_ip, host_port, port, protocol: Protocol::Tcp })
    }
}

impl fmt::Display for PortMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host_ip {
            IpAddr::V4(ip) => {
                write!(f, "{ip}:{}->{}/{}", self.host_port, self.port, self.protocol)
            }
            IpAddr::V6(ip) => {
                write!(f, "[{ip}]:{}->{}/{}", self.host_port, self.port, self.protocol)
            }
        }
    }
}

/// The text is not an amount of memory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a size: write a whole number with b, k, m or g, e.g. 256m")]
pub struct ParseSizeError(String);

/// Reads an amount such as `256m`; units are powers of 1024, as Docker's are.
pub fn parse_size(text: &str) -> Result<u64, ParseSizeError> {
    let wrong = || ParseSizeError(text.to_owned());
    let lower = text.to_ascii_lowercase();
    let trimmed = lower.strip_suffix("ib").or_else(|| lower.strip_suffix('b')).unwrap_or(&lower);
    let (digits, shift) = match trimmed.as_bytes().last().ok_or_else(wrong)? {
        b'k' => (&trimmed[..trimmed.len() - 1], 10),
        b'm' => (&trimmed[..trimmed.len() - 1], 20),
        b'g' => (&trimmed[..trimmed.len() - 1], 30),
        b't' => (&trimmed[..trimmed.len() - 1], 40),
        _ => (trimmed, 0),
    };
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(wrong());
    }
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    number.checked_mul(1 << shift).filter(|bytes| *bytes > 0).ok_or_else(wrong)
}

/// Reads a number of processors such as `1.5` into thousandths.
pub fn parse_cpus(text: &str) -> Result<u32, String> {
    let wrong = || format!("`{text}` is not a number of processors: write e.g. 1 or 1.5");
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) || fraction.len() > 3 {
        return Err(wrong());
    }
    let whole: u32 = whole.parse().map_err(|_| wrong())?;
    let thousandths: u32 = format!("{fraction:0<3}").parse().map_err(|_| wrong())?;
    whole
        .checked_mul(1000)
        .and_then(|milli| milli.checked_add(thousandths))
        .filter(|milli| *milli >= 10)
        .ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_stay_on_loopback_unless_asked() {
        let port: PortMap = "80:8080".parse().unwrap();
        assert_eq!(port.to_string(), "127.0.0.1:80->8080/tcp");
        assert_eq!(
            "0.0.0.0:80:8080/tcp".parse::<PortMap>().unwrap().host_ip.to_string(),
            "0.0.0.0"
        );
        assert_eq!("[::1]:80:8080".parse::<PortMap>().unwrap().host_ip.to_string(), "::1");
        for bad in ["", "80", "80:", "80:0", "80:70000", "x:80:80", "80:80/sctp"] {
            assert!(bad.parse::<PortMap>().is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_are_powers_of_1024() {
        assert_eq!(parse_size("256m").unwrap(), 256 << 20);
        assert_eq!(parse_size("1GiB").unwrap(), 1 << 30);
        assert_eq!(parse_size("7").unwrap(), 7);
        for bad in ["", "m", "0", "-1m", "1.5g", "99999999999g", "1x"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn processors_are_read_in_thousandths() {
        assert_eq!(parse_cpus("1.5").unwrap(), 1500);
        assert_eq!(parse_cpus("2").unwrap(), 2000);
        for bad in ["", "0", ".5x", "-1", "1.0001", "0.001"] {
            assert!(parse_cpus(bad).is_err(), "{bad}");
        }
    }
}
