//! Who listens at which port.

use std::{collections::BTreeSet, fs};

use anyhow::Result;
use nix::unistd::Pid;

/// The TCP ports at which a process listens, in order.
pub(super) fn of(process: Pid) -> Result<Vec<u16>> {
    let mut sockets = BTreeSet::new();
    for entry in fs::read_dir(format!("/proc/{process}/fd"))?.flatten() {
        let target = fs::read_link(entry.path()).unwrap_or_default();
        let inode = target.to_str().and_then(|text| text.strip_prefix("socket:["));
        sockets.extend(inode.and_then(|text| text.strip_suffix(']')).map(str::to_owned));
    }
    let mut ports = BTreeSet::new();
    for table in ["tcp", "tcp6"] {
        let text = fs::read_to_string(format!("/proc/{process}/net/{table}")).unwrap_or_default();
        ports.extend(text.lines().filter_map(|line| listening(line, &sockets)));
    }
    Ok(ports.into_iter().collect())
}

/// A line of proc_pid_net(5): local address in field 2, state 0A in field 4,
/// inode in field 10.
fn listening(line: &str, sockets: &BTreeSet<String>) -> Option<u16> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let is_theirs = fields.get(3) == Some(&"0A") && sockets.contains(*fields.get(9)?);
    let (_, port) = fields.get(1)?.rsplit_once(':')?;
    is_theirs.then(|| u16::from_str_radix(port, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_own_listener_is_found() {
        let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = holder.local_addr().unwrap().port();
        assert!(of(Pid::this()).unwrap().contains(&port));
    }
}
