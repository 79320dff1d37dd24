//! The files that tell an app its name and who answers its questions about
//! names.

use tandem_model::HostAddress;

use super::dns;
use std::{
    fmt::Write as _,
    fs, io,
    net::IpAddr,
    path::{Path, PathBuf},
};

/// Names that every container knows (moby `libnetwork/etchosts`).
const HOSTS: &str = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n\
fe00::\tip6-localnet\nff00::\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n";

/// Contents of `/etc/hosts` for a container.
pub(crate) fn hosts(address: Option<IpAddr>, hostname: &str) -> String {
    match address {
        Some(address) => format!("{HOSTS}{address}\t{hostname}\n"),
        None => format!("{HOSTS}127.0.1.1\t{hostname}\n"),
    }
}

/// Contents of the host's `/etc/hosts` for a container that shares its
/// network, so that it knows its own name.
fn hosts_of_host(host: &str, hostname: &str) -> String {
    let words = |line: &str| {
        let bare = line.split('#').next().unwrap_or_default();
        bare.split_whitespace().skip(1).any(|word| word.eq_ignore_ascii_case(hostname))
    };
    let end = if host.is_empty() || host.ends_with('\n') { "" } else { "\n" };
    if host.lines().any(words) {
        return host.to_owned();
    }
    format!("{host}{end}127.0.1.1\t{hostname}\n")
}

/// What a line of `resolv.conf` sets.
fn keyword(line: &str) -> &str {
    line.split_whitespace().next().unwrap_or_default()
}

/// Contents of `/etc/resolv.conf` for a container in a network of its own:
/// the host's without name servers on loopback, which answer the host only.
/// `None` when no name server is left.
pub(crate) fn resolv_conf(host: &str) -> Option<String> {
    let is_server = |line: &&str| keyword(line) == "nameserver";
    let loopback = |line: &&str| {
        let address = line.split_whitespace().nth(1).and_then(|text| text.parse::<IpAddr>().ok());
        address.is_none_or(|address| address.is_loopback())
    };
    let kept: Vec<&str> =
        host.lines().filter(|line| !(is_server(line) && loopback(line))).collect();
    let served = kept.iter().any(is_server);
    served.then(|| kept.join("\n") + "\n")
}

/// The same with these name servers in place of the host's.
pub(crate) fn resolv_conf_with(host: &str, servers: &[IpAddr]) -> String {
    let servers = servers.iter().map(|server| format!("nameserver {server}"));
    let kept = host.lines().filter(|line| keyword(line) != "nameserver").map(str::to_owned);
    servers.chain(kept).map(|line| line + "\n").collect()
}

/// The name servers that a `resolv.conf` names.
pub(crate) fn name_servers(text: &str) -> impl Iterator<Item = IpAddr> {
    let servers = text.lines().filter(|line| keyword(line) == "nameserver");
    servers.filter_map(|line| line.split_whitespace().nth(1)?.parse().ok())
}

/// The same with the resolver inside, which knows names without a dot: those
/// are not looked for in the host's domains first.
fn resolv_conf_inside(host: &str) -> String {
    let text = resolv_conf_with(host, &[dns::ADDRESS.into()]);
    let has_dots = |line: &str| keyword(line) == "options" && line.contains("ndots:");
    if text.lines().any(has_dots) { text } else { text + "options ndots:0\n" }
}

/// The host's name servers: `/etc/resolv.conf`, or what systemd-resolved
/// really asks when that file names only its own loopback service.
pub(crate) fn host_resolv_conf() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let first = read("/etc/resolv.conf");
    if resolv_conf(&first).is_some() {
        return first;
    }
    let upstream = read("/run/systemd/resolve/resolv.conf");
    if resolv_conf(&upstream).is_some() { upstream } else { first }
}

/// The host's own name.
pub(super) fn host_name() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    if name.trim().is_empty() { "localhost".to_owned() } else { name.trim().to_owned() }
}

/// The files that stand in for a container's.
#[derive(Debug)]
pub(crate) struct EtcFiles {
    hosts: String,
    resolv_conf: String,
    hostname: String,
}

impl EtcFiles {
    /// Those of a container with an address on a bridge. `None` in place of
    /// them when none of the host's name servers can be reached from there.
    pub(crate) fn on_bridge(address: IpAddr, hostname: &str, dns: &[IpAddr]) -> Option<Self> {
        let host = host_resolv_conf();
        let resolv_conf =
            if dns.is_empty() { resolv_conf(&host)? } else { resolv_conf_with(&host, dns) };
        let hosts = hosts(Some(address), hostname);
        Some(Self { hosts, resolv_conf, hostname: hostname.to_owned() })
    }

    /// Those of a container with a resolver of ours.
    pub(crate) fn with_resolver(address: IpAddr, hostname: &str) -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let resolv_conf = resolv_conf_inside(&read("/etc/resolv.conf"));
        let hosts = hosts(Some(address), hostname);
        Self { hosts, resolv_conf, hostname: hostname.to_owned() }
    }

    /// Those of a container that reaches nobody.
    pub(crate) fn alone(hostname: &str, dns: &[IpAddr]) -> Self {
        let host = host_resolv_conf();
        let resolv_conf = if dns.is_empty() { host } else { resolv_conf_with(&host, dns) };
        Self { hosts: hosts(None, hostname), resolv_conf, hostname: hostname.to_owned() }
    }

    /// Those of a container that shares the host's network.
    pub(crate) fn of_host(hostname: &str, dns: &[IpAddr]) -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let host = read("/etc/resolv.conf");
        let resolv_conf = if dns.is_empty() { host } else { resolv_conf_with(&host, dns) };
        let hosts = hosts_of_host(&read("/etc/hosts"), hostname);
        Self { hosts, resolv_conf, hostname: hostname.to_owned() }
    }

    /// With further lines of names. `gateway` is this machine as the container
    /// sees it; `None` when a name for it is wanted and it does not.
    pub(crate) fn knowing(
        mut self,
        more: &[(HostAddress, String)],
        gateway: Option<IpAddr>,
    ) -> Option<Self> {
        for (address, name) in more {
            let address = match address {
                HostAddress::Address(address) => *address,
                HostAddress::Gateway => gateway?,
            };
            let _ = writeln!(self.hosts, "{address}\t{name}");
        }
        Some(self)
    }

    /// Writes them into `dir`; pairs of a file and its place inside.
    pub(crate) fn write(&self, dir: &Path) -> io::Result<Vec<(PathBuf, &'static str)>> {
        let contents = [
            ("hosts", "/etc/hosts", self.hosts.clone()),
            (RESOLV_CONF, "/etc/resolv.conf", self.resolv_conf.clone()),
            ("hostname", "/etc/hostname", format!("{}\n", self.hostname)),
        ];
        let mut files = Vec::new();
        for (name, target, text) in contents {
            let path = dir.join(name);
            fs::write(&path, text)?;
            files.push((path, target));
        }
        Ok(files)
    }
}

/// Makes the resolver of ours the one that a container asks from now on. The
/// file stays the same one, which is mounted there.
pub(crate) fn ask_resolver(dir: &Path) -> io::Result<()> {
    let host = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    fs::write(dir.join(RESOLV_CONF), resolv_conf_inside(&host))
}

/// Name of a container's `/etc/resolv.conf` among its files.
const RESOLV_CONF: &str = "resolv.conf";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_name_servers_are_left_out() {
        let host = "# comment\nsearch example.org\nnameserver 127.0.0.53\nnameserver 192.0.2.1\noptions edns0\n";
        let inside = resolv_conf(host).unwrap();
        assert_eq!(inside, "# comment\nsearch example.org\nnameserver 192.0.2.1\noptions edns0\n");
        assert_eq!(resolv_conf("nameserver 127.0.0.1\nnameserver ::1\n"), None);
        assert_eq!(resolv_conf(""), None);
    }

    #[test]
    fn chosen_name_servers_replace_the_hosts() {
        let host = "search example.org\nnameserver 192.0.2.1\n";
        let servers = ["192.0.2.7".parse().unwrap(), "::1".parse().unwrap()];
        let inside = resolv_conf_with(host, &servers);
        assert_eq!(inside, "nameserver 192.0.2.7\nnameserver ::1\nsearch example.org\n");
    }

    #[test]
    fn a_container_knows_its_own_name() {
        let text = hosts(Some("10.200.0.2".parse().unwrap()), "web");
        assert!(text.ends_with("10.200.0.2\tweb\n"));
        assert!(text.starts_with("127.0.0.1\tlocalhost\n"));
        let more = ["::1", "host-gateway"].map(|it| (it.parse().unwrap(), "db".to_owned()));
        let knowing = |gateway| EtcFiles::alone("web", &[]).knowing(&more, gateway);
        let text = knowing("10.1.0.1".parse().ok()).unwrap().hosts;
        assert!(text.ends_with("\tweb\n::1\tdb\n10.1.0.1\tdb\n"), "{text}");
        assert!(knowing(None).is_none());
        assert_eq!(hosts_of_host("::1 Web # x", "web"), "::1 Web # x");
        assert_eq!(hosts_of_host("::1 a # web", "web"), "::1 a # web\n127.0.1.1\tweb\n");
    }
}
