//! The files that tell an app its name and who answers its questions about
//! names.

use std::{
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

/// Contents of `/etc/resolv.conf` for a container in a network of its own:
/// the host's without name servers on loopback, which answer the host only.
/// `None` when no name server is left.
pub(crate) fn resolv_conf(host: &str) -> Option<String> {
    let is_server = |line: &&str| line.split_whitespace().next() == Some("nameserver");
    let loopback = |line: &&str| {
        let address = line.split_whitespace().nth(1).and_then(|text| text.parse::<IpAddr>().ok());
        address.is_none_or(|address| address.is_loopback())
    };
    let kept: Vec<&str> =
        host.lines().filter(|line| !(is_server(line) && loopback(line))).collect();
    let served = kept.iter().any(is_server);
    served.then(|| kept.join("\n") + "\n")
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

/// The files on the host that stand in for a container's.
#[derive(Debug)]
pub(crate) struct EtcFiles {
    /// Pairs of the file and its place inside.
    pub(crate) files: Vec<(PathBuf, &'static str)>,
    /// Set when the host's name servers cannot be reached from inside.
    pub(crate) warning: Option<String>,
}

impl EtcFiles {
    /// Writes the files into `dir`.
    pub(crate) fn write(dir: &Path, address: Option<IpAddr>, hostname: &str) -> io::Result<Self> {
        let host = host_resolv_conf();
        let inside = resolv_conf(&host);
        let warning = inside.is_none().then(|| {
            "names do not resolve in containers: the host's only name servers listen on its \
             loopback address; add another `nameserver` to /etc/resolv.conf"
                .to_owned()
        });
        let contents = [
            ("hosts", "/etc/hosts", hosts(address, hostname)),
            ("resolv.conf", "/etc/resolv.conf", inside.unwrap_or(host)),
            ("hostname", "/etc/hostname", format!("{hostname}\n")),
        ];
        let mut files = Vec::new();
        for (name, target, text) in contents {
            let path = dir.join(name);
            fs::write(&path, text)?;
            files.push((path, target));
        }
        Ok(Self { files, warning })
    }
}

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
    fn a_container_knows_its_own_name() {
        let text = hosts(Some("10.200.0.2".parse().unwrap()), "web");
        assert!(text.ends_with("10.200.0.2\tweb\n"));
        assert!(text.starts_with("127.0.0.1\tlocalhost\n"));
    }
}
