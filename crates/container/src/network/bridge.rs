//! A bridge of ours with a pair of links for each container on it.
//!
//! The kernel is the only record. Ports on a bridge tell which addresses are
//! taken (their hardware addresses hold them), so nothing on disk can be out
//! of date, and any number of homes share the default bridge. A lock on the
//! network namespace itself keeps two commands from making or removing one at
//! once.

use std::{
    fs,
    fs::File,
    io,
    net::Ipv4Addr,
    os::{
        fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::PathBuf,
};

use sha2::{Digest as _, Sha256};
use tandem_backend::BackendError;
use tandem_home::Home;
use tandem_model::{NetworkRecord, Subnet};

use super::{
    address::{self, free_address, is_free},
    failed, forward, namespace,
    nat::{self, Nft},
    netlink::Netlink,
};

/// Name of the default bridge on the host.
pub(crate) const BRIDGE: &str = "tandem0";

/// Which bridge, and how it is made where it is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bridge {
    pub(super) name: String,
    subnet: Option<Subnet>,
    pub(super) internal: bool,
    /// The address that a container would like to have on it.
    wish: Option<Ipv4Addr>,
}

impl Bridge {
    /// The same with such an address.
    pub(super) fn wishing(self, wish: Option<Ipv4Addr>) -> Self {
        Self { wish, ..self }
    }

    /// The one that all instances share.
    pub(super) fn shared() -> Self {
        Self { name: BRIDGE.to_owned(), subnet: None, internal: false, wish: None }
    }

    /// That of a network of a home.
    pub(super) fn of(home: &Home, network: &NetworkRecord) -> Self {
        let (subnet, internal) = (network.subnet, network.internal);
        Self { name: name_of(home, &network.name), subnet, internal, wish: None }
    }
}

/// Name of the bridge of a home's network: of two homes each has its own. At
/// most 15 bytes.
pub(super) fn name_of(home: &Home, network: &str) -> String {
    use std::fmt::Write as _;
    let root = home.root().canonicalize().unwrap_or_else(|_| home.root().to_owned());
    let text = [root.as_os_str().as_bytes(), b"\0", network.as_bytes()].concat();
    let mut name = OWN.to_owned();
    for byte in &Sha256::digest(&text)[..5] {
        let _ = write!(name, "{byte:02x}");
    }
    name
}

/// How names of bridges of networks begin.
const OWN: &str = "tdmn";

/// A container's place on a bridge.
pub(super) struct Place {
    pub(super) namespace: OwnedFd,
    pub(super) address: Ipv4Addr,
    /// The host's on it.
    pub(super) gateway: Ipv4Addr,
    pub(super) nft: Option<Nft>,
    pub(super) warning: Option<String>,
}

/// Makes a namespace and connects it to the bridge with a pair of links, of
/// which `link` stays on the host. Makes the bridge where it is missing.
pub(super) async fn join(bridge: &Bridge, link: &str) -> Result<Place, BackendError> {
    let host = Netlink::open().map_err(failed)?;
    let (namespace, inside) = namespace::make().map_err(failed)?;
    let inside = Inside { namespace: namespace.as_fd(), netlink: &inside, link: FIRST };
    let spot = hang(&host, bridge, link, &inside, !bridge.internal).await?;
    let Spot { address, gateway, nft, warning } = spot;
    Ok(Place { namespace, address, gateway, nft, warning })
}

/// Connects a namespace that has a bridge already to another one. With
/// `way_out` packets go out there, unless the network is closed.
pub(super) async fn join_too(
    bridge: &Bridge,
    link: &str,
    namespace: &OwnedFd,
    way_out: bool,
) -> Result<Spot, BackendError> {
    let host = Netlink::open().map_err(failed)?;
    let inside = namespace::inside(namespace, Netlink::open).map_err(failed)?;
    let name = inside.free_name().await.map_err(failed)?;
    let inside = Inside { namespace: namespace.as_fd(), netlink: &inside, link: &name };
    hang(&host, bridge, link, &inside, way_out && !bridge.internal).await
}

/// Name of a container's first link as it sees it.
pub(super) const FIRST: &str = "eth0";

/// The inner end of a pair of links.
struct Inside<'a> {
    namespace: BorrowedFd<'a>,
    netlink: &'a Netlink,
    link: &'a str,
}

/// Where a pair of links hangs.
pub(super) struct Spot {
    pub(super) address: Ipv4Addr,
    gateway: Ipv4Addr,
    pub(super) nft: Option<Nft>,
    pub(super) warning: Option<String>,
}

async fn hang(
    host: &Netlink,
    bridge: &Bridge,
    link: &str,
    inside: &Inside<'_>,
    way_out: bool,
) -> Result<Spot, BackendError> {
    let lock = namespace::lock().map_err(failed)?;
    let Made { index, subnet, ports, nft, warning } = find_or_make(host, bridge).await?;
    let taken = ports.into_iter().flatten().collect();
    let wish = bridge.wish.filter(|it| is_free(subnet, &taken, *it));
    let address = wish
        .or_else(|| free_address(subnet, &taken))
        .ok_or_else(|| failed(format!("all addresses of {subnet} are taken")))?;
    let end = (inside.link, inside.namespace.as_raw_fd());
    host.add_pair(link, (&bridge.name, index), address, end).await.map_err(failed)?;
    drop(lock);
    let configured = inside.netlink.configure_inside(inside.link, address, subnet, way_out).await;
    configured.map_err(failed)?;
    Ok(Spot { address, gateway: subnet.gateway(), nft, warning })
}

/// A bridge that is there.
struct Made {
    index: u32,
    subnet: Subnet,
    /// The addresses that hang on it.
    ports: Vec<Option<Ipv4Addr>>,
    nft: Option<Nft>,
    warning: Option<String>,
}

async fn find_or_make(host: &Netlink, bridge: &Bridge) -> Result<Made, BackendError> {
    let name = &bridge.name;
    let Some(index) = host.index(name).await.map_err(failed)? else {
        return make(host, bridge).await;
    };
    let ports = host.ports(index).await.map_err(failed)?;
    if !ports.is_empty() {
        let subnet = host.subnet(index).await.map_err(failed)?;
        return match subnet {
            Some(subnet) => {
                let closed = (!bridge.internal).then(nat::missing).flatten();
                Ok(Made { index, subnet, ports, nft: None, warning: closed.map(cut_off) })
            }
            None => Err(failed(format!(
                "the link {name} has no address: remove it with `ip link del {name}`"
            ))),
        };
    }
    // Whoever made or removed it was killed half-way.
    host.remove(name).await.map_err(failed)?;
    make(host, bridge).await
}

async fn make(host: &Netlink, bridge: &Bridge) -> Result<Made, BackendError> {
    let routes = host.routes().await.map_err(failed)?;
    let subnet = match bridge.subnet {
        Some(wanted) => check_free(wanted, &routes).map(|()| wanted)?,
        None => address::free_subnet(&routes)
            .ok_or_else(|| failed("the host has routes to every network that Tandem could use"))?,
    };
    // Started first: it takes longest and needs nothing of the rest.
    let nft = Nft::add(&bridge.name, subnet, bridge.internal);
    let forwarding = nat::enable_forwarding();
    if matches!(forwarding, Ok(true)) {
        eprintln!("note: forwarding between networks was off; it is on while containers run");
        // Should this fail, forwarding stays on; nothing else depends on it.
        let _ = forwarding_note().and_then(|note| fs::write(note, ""));
    }
    let index = host.add_bridge(&bridge.name, subnet).await.map_err(failed)?;
    let warning = forwarding.err().map(cut_off);
    let (nft, warning) = match nft {
        Ok(nft) => (Some(nft), warning),
        Err(e) => (None, warning.or(Some(cut_off(e)))),
    };
    Ok(Made { index, subnet, ports: Vec::new(), nft, warning })
}

fn cut_off(why: io::Error) -> String {
    format!("containers cannot reach other networks: {why}")
}

/// A container that leaves its bridge. While this lives nobody else changes
/// bridges, so that what is made under the same name comes after it.
pub(crate) struct Leaving {
    bridge: String,
    link: String,
    _lock: File,
}

impl Leaving {
    pub(super) fn begin(bridge: String, link: String) -> Result<Self, BackendError> {
        Ok(Self { bridge, link, _lock: namespace::lock().map_err(failed)? })
    }

    /// Removes the container's link and, when it was the bridge's last one, the
    /// bridge and everything else that came with it. Returns what was there.
    pub(crate) async fn finish(self) -> Result<Vec<String>, BackendError> {
        let host = Netlink::open().map_err(failed)?;
        let (bridge, link) = (&self.bridge, &self.link);
        let mut removed = Vec::new();
        // As a rule the last one: then everything goes at once.
        let alone = host.is_alone(bridge, link).await.map_err(failed)?;
        let nft = alone.then(|| Nft::remove(bridge));
        let both = alone && host.remove_group(bridge).await.map_err(failed)?;
        if both || host.remove(link).await.map_err(failed)? {
            removed.push(format!("network link {link}"));
        }
        if both || is_empty(&host, bridge).await? {
            let nft = nft.unwrap_or_else(|| Nft::remove(bridge));
            if !both {
                host.remove(bridge).await.map_err(failed)?;
            }
            removed.push(format!("bridge {bridge}"));
            close(&host, bridge, nft).await?;
        }
        Ok(removed)
    }
}

/// Removes bridges of ours that nothing hangs on: a supervisor was killed while
/// it removed its own. Returns what was there.
pub(super) async fn sweep() -> Result<Vec<String>, BackendError> {
    let mut removed = Vec::new();
    for bridge in bare_bridges() {
        // Whoever holds it may be making or removing just that one.
        let Some(_lock) = namespace::try_lock().map_err(failed)? else { break };
        let host = Netlink::open().map_err(failed)?;
        if is_empty(&host, &bridge).await? {
            let nft = Nft::remove(&bridge);
            host.remove(&bridge).await.map_err(failed)?;
            close(&host, &bridge, nft).await?;
            removed.push(format!("bridge {bridge}"));
        }
    }
    Ok(removed)
}

/// Bridges of ours without a port.
fn bare_bridges() -> Vec<String> {
    let links = fs::read_dir("/sys/class/net").into_iter().flatten().flatten();
    links
        .filter(|link| link.file_name().to_str().is_some_and(is_ours))
        .filter(|link| {
            let ports = fs::read_dir(link.path().join("brif"));
            ports.is_ok_and(|mut ports| ports.next().is_none())
        })
        .filter_map(|link| link.file_name().into_string().ok())
        .collect()
}

/// Whether there is such a bridge and nothing hangs on it.
async fn is_empty(host: &Netlink, bridge: &str) -> Result<bool, BackendError> {
    match host.index(bridge).await.map_err(failed)? {
        Some(index) => Ok(host.ports(index).await.map_err(failed)?.is_empty()),
        None => Ok(false),
    }
}

/// Takes back what was opened for a bridge that is gone. `nft` is removing its
/// table.
async fn close(host: &Netlink, bridge: &str, nft: io::Result<Nft>) -> Result<(), BackendError> {
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
    forward::close(bridge).map_err(failed)
}

/// Whether a bridge is one that Tandem makes.
fn is_ours(name: &str) -> bool {
    name == BRIDGE || name.starts_with(OWN)
}

/// Refuses a network that the host has a route to.
fn check_free(wanted: Subnet, routes: &[Subnet]) -> Result<(), BackendError> {
    let taken = routes.iter().find(|route| route.prefix() > 0 && route.overlaps(wanted));
    taken.map_or(Ok(()), |other| {
        Err(BackendError::SubnetTaken {
            wanted,
            other: *other,
            holder: "a route of this host".into(),
        })
    })
}

/// Refuses a network that cannot be made beside those that the host knows.
pub(super) async fn check_subnet(wanted: Subnet) -> Result<(), BackendError> {
    let host = Netlink::open().map_err(failed)?;
    check_free(wanted, &host.routes().await.map_err(failed)?)
}

/// The addresses of a bridge that is up.
pub(super) async fn subnet_of(bridge: &str) -> Result<Option<Subnet>, BackendError> {
    let host = Netlink::open().map_err(failed)?;
    match host.index(bridge).await.map_err(failed)? {
        Some(index) => host.subnet(index).await.map_err(failed),
        None => Ok(None),
    }
}

/// Present while forwarding in this network namespace is our doing.
fn forwarding_note() -> io::Result<PathBuf> {
    Ok(format!("/run/tandem-forwarding-{}", namespace::number()?).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_without_a_route_are_free() {
        let subnet = |text: &str| text.parse::<Subnet>().unwrap();
        // What goes everywhere is nobody's.
        let routes = [Subnet::new(Ipv4Addr::UNSPECIFIED, 0), subnet("198.18.4.0/24")];
        check_free(subnet("198.18.5.0/24"), &routes).unwrap();
        for taken in ["198.18.0.0/16", "198.18.4.0/24", "198.18.4.128/25"] {
            let error = check_free(subnet(taken), &routes).unwrap_err();
            assert!(error.to_string().contains("a route of this host"), "{error}");
        }
    }

    #[test]
    fn each_home_and_network_has_a_bridge_of_its_own() {
        let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let [one, two] = dirs.each_ref().map(|dir| Home::open(Some(dir.path())).unwrap());
        let name = name_of(&one, "back");
        assert_eq!(name, name_of(&one, "back"));
        assert_ne!(name, name_of(&one, "front"));
        assert_ne!(name, name_of(&two, "back"));
        assert!(name.len() < libc::IFNAMSIZ && is_ours(&name), "{name}");
        assert!(!is_ours("tdm0123abcd") && !is_ours("docker0"));
    }
}
