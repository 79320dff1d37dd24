//! Sockets of an app that need the address that they are bound to.

use std::{fmt::Write as _, fs, net::Ipv4Addr};

/// State of a socket that listens, in `/proc/net/tcp`.
const LISTENS: &str = "0A";

/// Whether a socket in the network namespace of this process listens at the
/// address itself, or receives there.
pub(super) fn bound_to(pid: i32, address: Ipv4Addr) -> bool {
    let table =
        |name: &str| fs::read_to_string(format!("/proc/{pid}/net/{name}")).unwrap_or_default();
    ["tcp", "tcp6"].iter().any(|name| in_table(&table(name), address, Some(LISTENS)))
        || ["udp", "udp6"].iter().any(|name| in_table(&table(name), address, None))
}

/// Looks for the address in a table of the kernel's (proc_net(5)); words of
/// addresses are in the machine's byte order, mapped ones have it last.
fn in_table(table: &str, address: Ipv4Addr, state: Option<&str>) -> bool {
    let word = u32::from_ne_bytes(address.octets());
    let mut mapped = "0000000000000000FFFF0000".to_owned();
    let _ = write!(mapped, "{word:08X}");
    table.lines().skip(1).any(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let local = fields.next().and_then(|text| text.split_once(':')).map(|(it, _)| it);
        let there = local.is_some_and(|local| local == mapped || local == &mapped[24..]);
        there && state.is_none_or(|wanted| fields.nth(1) == Some(wanted))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_listens_at_the_address_itself_counts() {
        let address = Ipv4Addr::new(10, 200, 0, 2);
        let head = "  sl  local_address rem_address   st tx_queue rx_queue\n";
        let line = |local: &str, state: &str| {
            format!("{head}   0: {local}:1F40 00000000:0000 {state} 00000000:00000000\n")
        };
        assert!(in_table(&line("0200C80A", "0A"), address, Some(LISTENS)));
        assert!(!in_table(&line("0200C80A", "01"), address, Some(LISTENS)), "a connection");
        assert!(!in_table(&line("00000000", "0A"), address, Some(LISTENS)), "any address");
        assert!(in_table(&line("0200C80A", "07"), address, None));
        let mapped = "0000000000000000FFFF00000200C80A";
        assert!(in_table(&line(mapped, "0A"), address, Some(LISTENS)));
        assert!(!in_table(head, address, None));
    }
}
