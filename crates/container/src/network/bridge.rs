//! A bridge of ours with a pair of links for each container on it.
//!
//! The kernel is the only record. Ports on a bridge tell which addresses are
//! taken (their hardware addresses hold them), so nothing on disk can be out
//! of date, and any number of homes share the default bridge. A lock on the
//! network namespace itself keeps two commands from making or removing one at
//! once.

use std::{
    fs, io,
    net::Ipv4Addr,
    os::fd::{AsRawFd as _, OwnedFd},
    path::PathBuf,
};

use tandem_backend::BackendError;

use super::{
    address::{self, Subnet},
    failed, namespace,
    nat::{self, Nft},
    netlink::Netlink,
};

/// Name of the default bridge on the host.
pub(crate) const BRIDGE: &str = "tandem0";

/// A container's place on a bridge.
pub(super) struct Place {
    pub(super) namespace: OwnedFd,
    pub(super) address: Ipv4Addr,
    pub(super) nft: Option<Nft>,
    pub(super) warning: Option<String>,
}

/// Makes a namespace and connects it to the bridge with a pair of links, of
/// which `link` stays on the host. Makes the bridge where it is missing.
pub(super) async fn join(bridge: &str, link: &str) -> Result<Place, BackendError> {
    let host = Netlink::open().map_err(failed)?;
    let (namespace, inside) = namespace::make().map_err(failed)?;
    let lock = namespace::lock().map_err(failed)?;
    let Made { index, subnet, nft, warning } = find_or_make(&host, bridge).await?;
    let ports = host.ports(index).await.map_err(failed)?;
    let taken = ports.into_iter().flatten().collect();
    let address = subnet
        .free_address(&taken)
        .ok_or_else(|| failed(format!("all addresses of {subnet} are taken")))?;
    host.add_pair(link, index, address, namespace.as_raw_fd()).await.map_err(failed)?;
    drop(lock);
    inside.configure_inside(address, subnet).await.map_err(failed)?;
    Ok(Place { namespace, address, nft, warning })
}

/// A bridge that is there.
struct Made {
    index: u32,
    subnet: Subnet,
    nft: Option<Nft>,
    warning: Option<String>,
}

async fn find_or_make(host: &Netlink, bridge: &str) -> Result<Made, BackendError> {
    let Some(index) = host.index(bridge).await.map_err(failed)? else {
        return make(host, bridge).await;
    };
    if let Some(subnet) = host.subnet(index).await.map_err(failed)? {
        return Ok(Made { index, subnet, nft: None, warning: None });
    }
    if !host.ports(index).await.map_err(failed)?.is_empty() {
        return Err(failed(format!(
            "the link {bridge} has no address: remove it with `ip link del {bridge}`"
        )));
    }
    // Its maker was killed half-way.
    host.remove(bridge).await.map_err(failed)?;
    make(host, bridge).await
}

async fn make(host: &Netlink, bridge: &str) -> Result<Made, BackendError> {
    let routes = host.routes().await.map_err(failed)?;
    let subnet = address::free_subnet(&routes)
        .ok_or_else(|| failed("the host has routes to every network that Tandem could use"))?;
    // Started first: it takes longest and needs nothing of the rest.
    let nft = Nft::add(bridge, subnet);
    let forwarding = nat::enable_forwarding();
    if matches!(forwarding, Ok(true)) {
        eprintln!("note: forwarding between networks was off; it is on while containers run");
        // Should this fail, forwarding stays on; nothing else depends on it.
        let _ = forwarding_note().and_then(|note| fs::write(note, ""));
    }
    let index = host.add_bridge(bridge, subnet).await.map_err(failed)?;
    let warn = |e: io::Error| format!("containers cannot reach other networks: {e}");
    let warning = forwarding.err().map(warn);
    Ok(match nft {
        Ok(nft) => Made { index, subnet, nft: Some(nft), warning },
        Err(e) => Made { index, subnet, nft: None, warning: warning.or(Some(warn(e))) },
    })
}

/// Removes a container's link and, when it was the bridge's last one, the
/// bridge and everything else that came with it. Returns what was there.
pub(super) async fn leave(bridge: &str, link: &str) -> Result<Vec<String>, BackendError> {
    let host = Netlink::open().map_err(failed)?;
    let lock = namespace::lock().map_err(failed)?;
    let mut removed = Vec::new();
    if host.remove(link).await.map_err(failed)? {
        removed.push(format!("network link {link}"));
    }
    let Some(index) = host.index(bridge).await.map_err(failed)? else { return Ok(removed) };
    if host.ports(index).await.map_err(failed)?.is_empty() {
        let nft = Nft::remove(bridge);
        host.remove(bridge).await.map_err(failed)?;
        removed.push(format!("bridge {bridge}"));
        let left = host.bridges().await.map_err(failed)?;
        if !left.iter().any(|name| is_ours(name)) {
            let ours = forwarding_note().and_then(fs::remove_file).is_ok();
            // Another engine's bridge may count on it by now.
            if ours && left.is_empty() {
                nat::disable_forwarding().map_err(failed)?;
            }
        }
        if nat::find().is_some() {
            nft.and_then(Nft::finish).map_err(failed)?;
        }
    }
    drop(lock);
    Ok(removed)
}

/// Whether a bridge is one that Tandem makes.
fn is_ours(name: &str) -> bool {
    name == BRIDGE
}

/// Present while forwarding in this network namespace is our doing.
fn forwarding_note() -> io::Result<PathBuf> {
    Ok(format!("/run/tandem-forwarding-{}", namespace::number()?).into())
}
