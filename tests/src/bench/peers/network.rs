//! A network namespace for a peer that changes the firewall and brings its own
//! bridge: everything it does there goes away with it.

use std::{
    net::Ipv4Addr,
    process::Command,
    sync::atomic::{AtomicU8, Ordering},
};

use anyhow::Result;

use crate::bench::ground::tool;

/// A namespace joined to the host by a pair of links.
#[derive(Debug)]
pub(crate) struct Namespace {
    name: String,
    link: String,
    inside: Ipv4Addr,
}

/// How many there have been; each has four addresses of its own.
static MADE: AtomicU8 = AtomicU8::new(0);

impl Namespace {
    /// Makes the namespace and both links, with addresses from a range for
    /// benchmarks (RFC 2544).
    pub(crate) fn make() -> Result<Self> {
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let address = |last: u8| Ipv4Addr::new(198, 18, 77, 4 * number + last);
        let (outside, inside) = (address(1), address(2));
        let id = std::process::id();
        let name = format!("tandem-bench-{id}-{number}");
        let own = Self { name, link: format!("tdmb{id}{number}"), inside };
        let peer = format!("tdmp{id}{number}");
        tool("ip", &["netns", "add", &own.name])?;
        let inner = |arguments: &[&str]| tool("ip", &[&["-n", &own.name][..], arguments].concat());
        tool("ip", &["link", "add", &own.link, "type", "veth", "peer", &peer, "netns", &own.name])?;
        tool("ip", &["addr", "add", &format!("{outside}/30"), "dev", &own.link])?;
        tool("ip", &["link", "set", &own.link, "up"])?;
        inner(&["addr", "add", &format!("{inside}/30"), "dev", &peer])?;
        inner(&["link", "set", &peer, "up"])?;
        inner(&["link", "set", "lo", "up"])?;
        inner(&["route", "add", "default", "via", &outside.to_string()])?;
        Ok(own)
    }

    /// The namespace's side of the pair.
    pub(crate) fn address(&self) -> Ipv4Addr {
        self.inside
    }

    /// A program that runs inside.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/run/netns/{}", self.name)).arg(program);
        command
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
