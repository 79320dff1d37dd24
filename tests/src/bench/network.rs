//! A network namespace for a peer that changes the firewall and brings its own
//! bridge: everything it does there goes away with it.

use std::net::Ipv4Addr;

use anyhow::Result;

use super::tool;

/// A namespace joined to the host by a pair of links.
#[derive(Debug)]
pub(crate) struct Namespace {
    name: String,
    link: String,
}

/// The namespace's side of the pair, from a range for benchmarks (RFC 2544).
pub(crate) const INSIDE: Ipv4Addr = Ipv4Addr::new(198, 18, 77, 2);
const OUTSIDE: Ipv4Addr = Ipv4Addr::new(198, 18, 77, 1);

impl Namespace {
    /// Makes the namespace and both links.
    pub(crate) fn make() -> Result<Self> {
        let id = std::process::id();
        let own = Self { name: format!("tandem-bench-{id}"), link: format!("tdmb{id}") };
        let peer = format!("tdmp{id}");
        tool("ip", &["netns", "add", &own.name])?;
        let inside = |arguments: &[&str]| tool("ip", &[&["-n", &own.name][..], arguments].concat());
        tool("ip", &["link", "add", &own.link, "type", "veth", "peer", &peer, "netns", &own.name])?;
        tool("ip", &["addr", "add", &format!("{OUTSIDE}/30"), "dev", &own.link])?;
        tool("ip", &["link", "set", &own.link, "up"])?;
        inside(&["addr", "add", &format!("{INSIDE}/30"), "dev", &peer])?;
        inside(&["link", "set", &peer, "up"])?;
        inside(&["link", "set", "lo", "up"])?;
        inside(&["route", "add", "default", "via", &OUTSIDE.to_string()])?;
        Ok(own)
    }

    /// The file that nsenter(1) enters by.
    pub(crate) fn file(&self) -> String {
        format!("/run/netns/{}", self.name)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // The pair goes with either end; the host's is named for a namespace
        // that something still holds.
        let _ = tool("ip", &["link", "del", &self.link]);
        if let Err(error) = tool("ip", &["netns", "del", &self.name]) {
            eprintln!("remove the network namespace {} by hand: {error:#}", self.name);
        }
    }
}
