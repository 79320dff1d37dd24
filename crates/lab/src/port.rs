use std::{
    fs, io,
    net::{IpAddr, TcpListener},
    ops::RangeInclusive,
};

/// A port that is free now, outside the range from which the kernel takes
/// ports for outgoing connections.
///
/// A trial must know its port before anything listens on it. A port from the
/// kernel's own range would not do: the prober's many connections would sooner
/// or later be given it as their own and meet themselves
/// (`ip_local_port_range`, `Documentation/networking/ip-sysctl.rst`).
pub(crate) fn free_port(ip: IpAddr) -> io::Result<u16> {
    let range = usable(&fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")?);
    let mut last = None;
    for _ in 0..1000 {
        let port = rand::random_range(range.clone());
        match TcpListener::bind((ip, port)) {
            Ok(_) => return Ok(port),
            Err(e) => last = Some(e),
        }
    }
    Err(last.unwrap_or_else(|| io::Error::from(io::ErrorKind::AddrInUse)))
}

/// The longer one of the ranges below and above the kernel's.
fn usable(text: &str) -> RangeInclusive<u16> {
    let mut numbers = text.split_ascii_whitespace().filter_map(|word| word.parse::<u16>().ok());
    let (low, high) = (numbers.next().unwrap_or(32768), numbers.next().unwrap_or(60999));
    let below = LOWEST..=low.saturating_sub(1);
    let above = high.saturating_add(1).max(LOWEST)..=u16::MAX;
    match (below.len(), above.len()) {
        (0, 0) => LOWEST..=u16::MAX,
        (below_len, above_len) if below_len >= above_len => below,
        _ => above,
    }
}

/// Below are ports that people give to their own services.
const LOWEST: u16 = 10_240;

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn the_kernels_own_range_is_avoided() {
        assert_eq!(usable("32768\t60999\n"), LOWEST..=32767);
        assert_eq!(usable("1024 60999"), 61000..=65535);
        assert_eq!(usable("1024 65535"), 65535..=65535);
        assert_eq!(usable(""), LOWEST..=32767);
    }

    #[test]
    fn a_free_port_can_be_bound() {
        let ip = Ipv4Addr::LOCALHOST.into();
        let port = free_port(ip).unwrap();
        TcpListener::bind((ip, port)).unwrap();
    }
}
