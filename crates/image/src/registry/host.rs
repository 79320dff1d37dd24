//! Names of registries.

use std::net::IpAddr;

/// Docker Hub as image names write it.
pub(crate) const HUB: &str = "docker.io";
/// Where Docker Hub's registry answers.
const HUB_ENDPOINT: &str = "registry-1.docker.io";
/// Docker Hub's name in configuration files and credential helpers.
pub(crate) const HUB_KEY: &str = "https://index.docker.io/v1/";

/// The registry that a name means: it may be written as a URL, and Docker Hub
/// has several names.
pub(crate) fn normal(name: &str) -> &str {
    let name = name.trim();
    let name =
        name.strip_prefix("https://").or_else(|| name.strip_prefix("http://")).unwrap_or(name);
    match name.split('/').next().unwrap_or_default() {
        "index.docker.io" | HUB_ENDPOINT => HUB,
        host => host,
    }
}

/// Host and port to ask for a registry.
pub(crate) fn endpoint(registry: &str) -> &str {
    if registry == HUB { HUB_ENDPOINT } else { registry }
}

/// What configuration files and credential helpers call a registry.
pub(crate) fn key(registry: &str) -> &str {
    if registry == HUB { HUB_KEY } else { registry }
}

/// Whether a host, with or without a port, is this machine itself, so that
/// nobody can listen in.
pub(crate) fn is_loopback(host: &str) -> bool {
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Host and port of a URL, the port left out when the scheme implies it.
pub(crate) fn of_url(url: &reqwest::Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_loopback() {
        for near in ["localhost:5000", "127.0.0.1:5000", "127.3.2.1", "[::1]:5000"] {
            assert!(is_loopback(near), "{near}");
        }
        for far in ["localhost.example.org", "10.0.0.1:5000", "docker.io", "127.0.0.1.nip.io"] {
            assert!(!is_loopback(far), "{far}");
        }
    }

    #[test]
    fn docker_hub_has_many_names() {
        for name in ["docker.io", "https://index.docker.io/v1/", "registry-1.docker.io"] {
            assert_eq!(normal(name), HUB);
        }
        assert_eq!(normal("http://a.example:5000/v2/"), "a.example:5000");
        assert_eq!((endpoint(HUB), key(HUB)), (HUB_ENDPOINT, HUB_KEY));
    }
}
