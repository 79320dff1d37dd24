//! The network of containers: the bridge `tandem0`, a pair of links for each,
//! and translation for what goes out.
//!
//! The kernel is the only record. Ports on the bridge tell which addresses are
//! taken (their hardware addresses hold them), so nothing on disk can be out
//! of date, and any number of homes share the bridge. A lock on the network
//! namespace itself keeps two commands from making or removing it at once.

mod address;
mod files;
mod nat;
mod netlink;
mod probe;

use std::{
    fs::File,
    io,
    net::Ipv4Addr,
    os::fd::{AsRawFd as _, OwnedFd},
    path::PathBuf,
};

use nix::sched::{CloneFlags, setns, unshare};
use rustix::fs::{FlockOperation, flock};
use tandem_backend::BackendError;
use tandem_model::InstanceId;

use address::Subnet;
pub(crate) use files::EtcFiles;
use nat::Nft;
use netlink::Netlink;
pub(crate) use probe::{probe_bridge, probe_nat};

/// Name of the bridge on the host.
pub(crate) const BRIDGE: &str = "tandem0";

/// Present while forwarding on the host is our doing.
const FORWARDING_NOTE: &str = "/run/tandem-forwarding";

/// A network namespace for one container, set up and connected.
#[derive(Debug)]
pub(crate) struct Network {
    namespace: OwnedFd,
    /// The container's address.
    pub(crate) address: Ipv4Addr,
    /// The host's end of the pair.
    pub(crate) link: String,
    nft: Option<Nft>,
    warning: Option<String>,
}

fn failed(e: impl std::fmt::Display) -> BackendError {
    BackendError::engine("the bridge network", e)
}

/// Name of an instance's link on the host; at most 15 bytes.
pub(crate) fn link_of(id: &InstanceId) -> String {
    format!("tdm{}", &id.as_str()[..8])
}

impl Network {
    /// Makes and connects a namespace. The calling thread is in it for a
    /// moment, so the process must have no other threads.
    pub(crate) async fn create(link: String) -> Result<Self, BackendError> {
        let host = Netlink::open().map_err(failed)?;
        let (namespace, inside) = new_namespace().map_err(failed)?;
        let lock = lock().map_err(failed)?;
        let (bridge, subnet, nft, warning) = match host.index(BRIDGE).await.map_err(failed)? {
            Some(index) => {
                let subnet = host.subnet(index).await.map_err(failed)?;
                let subnet = subnet.ok_or_else(|| {
                    failed(format!(
                        "the link {BRIDGE} has no address: remove it with `ip link del {BRIDGE}`"
                    ))
                })?;
                (index, subnet, None, None)
            }
            None => make_bridge(&host).await?,
        };
        let ports = host.ports(bridge).await.map_err(failed)?;
        let taken = ports.into_iter().flatten().collect();
        let address = subnet
            .free_address(&taken)
            .ok_or_else(|| failed(format!("all addresses of {subnet} are taken")))?;
        let number = namespace.as_raw_fd();
        host.add_pair(&link, bridge, address, number).await.map_err(failed)?;
        drop(lock);
        inside.configure_inside(address, subnet).await.map_err(failed)?;
        Ok(Self { namespace, address, link, nft, warning })
    }

    /// Where another process finds the namespace while this value lives.
    pub(crate) fn namespace_path(&self) -> PathBuf {
        format!("/proc/{}/fd/{}", std::process::id(), self.namespace.as_raw_fd()).into()
    }

    /// Waits until packets get out, and returns what is to be said about it.
    pub(crate) fn ready(&mut self) -> Option<String> {
        let result = self.nft.take().map(Nft::finish);
        if let Some(Err(e)) = result {
            self.warning = Some(format!("containers cannot reach other networks: {e}"));
        }
        self.warning.take()
    }
}

async fn make_bridge(
    host: &Netlink,
) -> Result<(u32, Subnet, Option<Nft>, Option<String>), BackendError> {
    let routes = host.routes().await.map_err(failed)?;
    let subnet = address::free_subnet(&routes)
        .ok_or_else(|| failed("the host has routes to every network that Tandem could use"))?;
    // Started first: it takes longest and needs nothing of the rest.
    let nft = Nft::add(subnet);
    let forwarding = nat::enable_forwarding();
    if matches!(forwarding, Ok(true)) {
        eprintln!("note: forwarding between networks was off; it is on while containers run");
        // Should this fail, forwarding stays on; nothing else depends on it.
        let _ = std::fs::write(FORWARDING_NOTE, "");
    }
    let index = host.add_bridge(BRIDGE, subnet).await.map_err(failed)?;
    let warn = |e: io::Error| format!("containers cannot reach other networks: {e}");
    let warning = forwarding.err().map(warn);
    match nft {
        Ok(nft) => Ok((index, subnet, Some(nft), warning)),
        Err(e) => Ok((index, subnet, None, warning.or(Some(warn(e))))),
    }
}

/// Makes a namespace and a connection into it.
fn new_namespace() -> io::Result<(OwnedFd, Netlink)> {
    let host = File::open("/proc/thread-self/ns/net")?;
    unshare(CloneFlags::CLONE_NEWNET)?;
    let made = (|| {
        // No addresses of version 6 on eth0: nothing here routes them, and
        // their detection would only cost time. Loopback keeps its own.
        let _ = std::fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
        // As in Docker: any user may bind any port, and ping.
        let _ = std::fs::write("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0");
        let _ = std::fs::write("/proc/sys/net/ipv4/ping_group_range", "0 2147483647");
        let namespace = File::open("/proc/thread-self/ns/net")?.into();
        Ok((namespace, Netlink::open()?))
    })();
    setns(&host, CloneFlags::CLONE_NEWNET)?;
    made
}

/// Keeps others from changing the bridge until it is dropped. All processes
/// of a network namespace lock the same file, the namespace.
fn lock() -> io::Result<File> {
    let namespace = File::open("/proc/thread-self/ns/net")?;
    flock(&namespace, FlockOperation::LockExclusive)?;
    Ok(namespace)
}

/// Removes an instance's link and, when it was the last one, the bridge and
/// everything else of ours. Returns what was there.
pub(crate) async fn leave(link: &str) -> Result<Vec<String>, BackendError> {
    let host = Netlink::open().map_err(failed)?;
    let lock = lock().map_err(failed)?;
    let mut removed = Vec::new();
    if host.remove(link).await.map_err(failed)? {
        removed.push(format!("network link {link}"));
    }
    let Some(bridge) = host.index(BRIDGE).await.map_err(failed)? else { return Ok(removed) };
    if host.ports(bridge).await.map_err(failed)?.is_empty() {
        let nft = Nft::remove();
        host.remove(BRIDGE).await.map_err(failed)?;
        removed.push(format!("bridge {BRIDGE}"));
        // Another engine's bridge may count on it by now.
        let ours = std::fs::remove_file(FORWARDING_NOTE).is_ok();
        if ours && !nat::other_bridges() {
            nat::disable_forwarding().map_err(failed)?;
        }
        if nat::find().is_some() {
            nft.and_then(Nft::finish).map_err(failed)?;
        }
    }
    drop(lock);
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_name_fits_the_kernel() {
        let id = InstanceId::from_bytes([0xab; 6]);
        assert_eq!(link_of(&id), "tdmabababab");
        assert!(link_of(&id).len() < libc::IFNAMSIZ);
    }

    #[test]
    fn only_one_holds_the_network() {
        let first = lock().unwrap();
        let other = File::open("/proc/thread-self/ns/net").unwrap();
        assert!(flock(&other, FlockOperation::NonBlockingLockExclusive).is_err());
        drop(first);
        // Waits, should another command hold it just now.
        assert!(flock(&other, FlockOperation::LockExclusive).is_ok());
    }
}
