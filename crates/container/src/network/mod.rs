//! The networks of containers.
//!
//! [`connect`] makes what an instance asks for and says how to reach its app;
//! [`leave`] takes it away again, also after a crash: names follow from the
//! instance's id.
//!
//! ```text
//! bridge   namespace ── eth0 ═ tdm0123abcd ── tandem0 ── translation ── out
//! NAME     the same on a bridge of its own, with a resolver that knows names
//! further  beside a bridge: eth1 and so on, each on a bridge of its own ([`further`])
//! none     namespace with loopback only
//! host     no namespace: the host's own
//! ```
//!
//! An ordinary user's bridges hang in a namespace of the home's own ([`ground`]).

mod address;
mod bridge;
mod dns;
mod files;
mod forward;
mod further;
mod ground;
mod keeper;
mod namespace;
mod nat;
mod netlink;
mod outbound;
mod probe;
mod store;
mod table;

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};

use crate::{proxy::Way, task::Task};
use tandem_backend::{BackendError, InstanceStore};
use tandem_home::Home;
use tandem_model::{InstanceId, InstanceRecord, NetworkChoice};
use tandem_rootless::Standing;

pub(crate) use bridge::BRIDGE;
use bridge::Bridge;
pub(crate) use bridge::Leaving;
use dns::Resolver;
pub use dns::fuzz as dns_fuzz;
use files::EtcFiles;
pub(crate) use files::name_servers;
pub(crate) use further::Networks;
pub(crate) use ground::Ground;
use ground::Place;
pub use keeper::{NETWORK, network_main};
pub(crate) use namespace::loopback_up;
use nat::Nft;
pub(crate) use outbound::probe_outbound;
pub(crate) use probe::{probe_bridge, probe_nat};
pub use store::NetworkStore;

fn failed(e: impl std::fmt::Display) -> BackendError {
    BackendError::engine("the bridge network", e)
}

/// Name of an instance's link on the host; at most 15 bytes.
fn link_of(id: &InstanceId) -> String {
    format!("tdm{}", &id.as_str()[..8])
}

/// The name that an instance knows itself by: what was asked for, the host's
/// own when it shares its network (as in Docker), or its id.
pub(crate) fn hostname(record: &InstanceRecord) -> String {
    match (&record.spec.hostname, &record.spec.options.network) {
        (Some(name), _) => name.clone(),
        (None, NetworkChoice::Host) => files::host_name(),
        (None, _) => record.id.to_string(),
    }
}

/// What an instance got of the network that it asked for.
pub(crate) struct Connected {
    namespace: Option<OwnedFd>,
    /// Its address, where it has one of its own.
    pub(crate) address: Option<IpAddr>,
    /// This machine as it sees it.
    gateway: Option<IpAddr>,
    /// Where published ports are passed on to; `None` when none can be.
    reach: Option<IpAddr>,
    /// Links on the host that are its own.
    pub(crate) links: Vec<String>,
    /// Its addresses on further networks, by their names.
    pub(crate) addresses: BTreeMap<String, IpAddr>,
    /// Its name, for itself.
    pub(crate) hostname: String,
    files: EtcFiles,
    /// The bridge, when it was made for this instance.
    bridge: Option<String>,
    nft: Option<Nft>,
    resolver: Option<Resolver>,
    /// The home's own namespace, held by whoever takes it.
    ground: Option<Ground>,
    warnings: Vec<String>,
}

/// Connects the instance of a record to the network of its choice, at the
/// address `wish` where that is free. The calling thread is in another network namespace for a moment, so the
/// process must have no other threads.
pub(crate) async fn connect(
    store: &InstanceStore,
    record: &InstanceRecord,
    wish: Option<Ipv4Addr>,
) -> Result<Connected, BackendError> {
    let mut connected = connect_to(store, record, wish).await?;
    for network in &record.spec.options.networks {
        let Some(namespace) = &connected.namespace else { break };
        let joined = further::join(store, record, &network.name, namespace).await?;
        connected.addresses.insert(network.name.clone(), joined.address);
        connected.links.push(joined.link);
        connected.warnings.extend(joined.warnings);
    }
    let files = connected.files.knowing(&record.spec.options.hosts, connected.gateway);
    let files = files.ok_or_else(|| {
        let text = "--add-host with host-gateway needs a network that this machine is on: with \
                    --network none there is none, and an ordinary user's networks are apart; \
                    write an address instead";
        BackendError::BadSetting(text.to_owned())
    })?;
    Ok(Connected { files, ..connected })
}

async fn connect_to(
    store: &InstanceStore,
    record: &InstanceRecord,
    wish: Option<Ipv4Addr>,
) -> Result<Connected, BackendError> {
    let hostname = hostname(record);
    let dns = &record.spec.options.dns;
    match &record.spec.options.network {
        NetworkChoice::Bridge => {
            on_bridge(store, record, &Bridge::shared().wishing(wish), hostname).await
        }
        NetworkChoice::Named(name) => {
            let home = store.home();
            let network = NetworkStore::new(home.clone()).load(name)?;
            let bridge = Bridge::of(home, &network).wishing(wish);
            on_bridge(store, record, &bridge, hostname).await
        }
        NetworkChoice::None => {
            let (namespace, inside) = namespace::make().map_err(failed)?;
            inside.loopback_up().await.map_err(failed)?;
            let files = EtcFiles::alone(&hostname, dns);
            Ok(Connected { namespace: Some(namespace), ..Connected::bare(hostname, files) })
        }
        NetworkChoice::Host => {
            let files = EtcFiles::of_host(&hostname, dns);
            let gateway = Some(Ipv4Addr::LOCALHOST.into());
            Ok(Connected { gateway, ..Connected::bare(hostname, files) })
        }
    }
}

async fn on_bridge(
    store: &InstanceStore,
    record: &InstanceRecord,
    bridge: &Bridge,
    hostname: String,
) -> Result<Connected, BackendError> {
    let link = link_of(&record.id);
    let ground = Ground::take(store.home())?;
    let place = ground::on(ground.as_ref(), async || bridge::join(bridge, &link).await).await?;
    let address = IpAddr::V4(place.address);
    let options = &record.spec.options;
    let named = matches!(options.network, NetworkChoice::Named(_)) || !options.networks.is_empty();
    // The shared bridge does without a resolver of ours where it can: names
    // are not known there, as in Docker, and a start is quicker.
    let files = (!named)
        .then(|| EtcFiles::on_bridge(address, &hostname, &record.spec.options.dns))
        .flatten();
    let (files, resolver) = match files {
        Some(files) => (files, None),
        None => {
            let cut_off = bridge.internal;
            let resolver = Resolver::open(&place.namespace, store, record, place.address, cut_off);
            let resolver = resolver.map_err(|e| BackendError::engine("the resolver", e))?;
            (EtcFiles::with_resolver(address, &hostname), Some(resolver))
        }
    };
    let cut_off = ground.as_ref().filter(|_| !bridge.internal).and_then(|own| own.cut_off.clone());
    let cut_off = cut_off.map(|why| format!("containers cannot reach other networks: {why}"));
    Ok(Connected {
        namespace: Some(place.namespace),
        address: Some(address),
        gateway: ground.is_none().then_some(place.gateway.into()),
        reach: Some(address),
        links: vec![link],
        // In a network that is cut off there is no way to open.
        bridge: (!bridge.internal).then(|| bridge.name.clone()),
        nft: place.nft,
        resolver,
        warnings: place.warning.into_iter().chain(cut_off).collect(),
        ground,
        ..Connected::bare(hostname, files)
    })
}

/// Name of the bridge that an instance hangs on.
fn bridge_of(home: &Home, record: &InstanceRecord) -> Option<String> {
    match &record.spec.options.network {
        NetworkChoice::Bridge => Some(BRIDGE.to_owned()),
        NetworkChoice::Named(name) => Some(bridge::name_of(home, name)),
        NetworkChoice::None | NetworkChoice::Host => None,
    }
}

impl Connected {
    /// Connected to nothing.
    fn bare(hostname: String, files: EtcFiles) -> Self {
        Self {
            namespace: None,
            address: None,
            gateway: None,
            reach: None,
            links: Vec::new(),
            addresses: BTreeMap::new(),
            hostname,
            files,
            bridge: None,
            nft: None,
            resolver: None,
            ground: None,
            warnings: Vec::new(),
        }
    }

    /// Where the app is connected to from, for a published port; `None` when
    /// it cannot be.
    pub(crate) fn way_to(&self, port: u16) -> io::Result<Option<Way>> {
        let Some(reach) = self.reach else { return Ok(None) };
        let from = self.ground.as_ref().map(Ground::try_clone).transpose()?;
        Ok(Some(Way::new(SocketAddr::new(reach, port), from)))
    }

    /// The home's own namespace, to be held as long as the app is connected.
    pub(crate) fn take_ground(&mut self) -> Option<Ground> {
        self.ground.take()
    }

    /// The namespace to join, where another process finds it while this value
    /// lives; `None` for the host's own.
    pub(crate) fn namespace_path(&self) -> Option<PathBuf> {
        let number = self.namespace.as_ref()?.as_raw_fd();
        Some(format!("/proc/{}/fd/{number}", std::process::id()).into())
    }

    /// The namespace; `None` for the host's own.
    pub(crate) fn namespace(&self) -> Option<BorrowedFd<'_>> {
        self.namespace.as_ref().map(OwnedFd::as_fd)
    }

    /// Writes the files that tell the app its name and who answers questions
    /// about names into `dir`. Returns pairs of a file and its place inside.
    pub(crate) fn write_files(
        &self,
        dir: &Path,
    ) -> Result<Vec<(PathBuf, &'static str)>, BackendError> {
        self.files.write(dir).map_err(|e| BackendError::io("write into", dir, e))
    }

    /// Waits until packets get out.
    pub(crate) fn ready(&mut self) {
        match (self.nft.take().map(Nft::finish), &self.bridge) {
            (Some(Ok(chains)), Some(bridge)) => {
                self.warnings.extend(forward::open(bridge, &chains));
            }
            (Some(Err(e)), _) => {
                self.warnings.push(format!("containers cannot reach other networks: {e}"));
            }
            _ => {}
        }
    }

    /// What is to be said about it.
    pub(crate) fn take_warnings(&mut self) -> Vec<String> {
        std::mem::take(&mut self.warnings)
    }

    /// Begins what goes on beside the app: its resolver, where it has one.
    pub(crate) fn serve(&mut self) -> Result<Vec<Task>, BackendError> {
        let (Some(resolver), Some(namespace)) = (self.resolver.take(), &self.namespace) else {
            return Ok(Vec::new());
        };
        let tasks = resolver.serve(namespace);
        Ok(tasks.map_err(|e| BackendError::engine("the resolver", e))?.into())
    }
}

/// Takes away what [`connect`] made for the instance of a record, and what
/// nobody needs any more with it. Returns what was there.
pub(crate) async fn leave(
    home: &Home,
    record: &InstanceRecord,
) -> Result<Vec<String>, BackendError> {
    let mut removed = leave_further(home, record).await?;
    if let Some(bridge) = bridge_of(home, record) {
        removed.extend(leave_way(home, (bridge, link_of(&record.id))).await?);
    }
    Ok(removed)
}

async fn leave_further(home: &Home, record: &InstanceRecord) -> Result<Vec<String>, BackendError> {
    let mut removed = Vec::new();
    for way in further::ways(home, record) {
        removed.extend(leave_way(home, way).await?);
    }
    Ok(removed)
}

/// The same for one bridge and the link to it.
async fn leave_way(
    home: &Home,
    (bridge, link): (String, String),
) -> Result<Vec<String>, BackendError> {
    match Place::of(home)? {
        Place::Present => Leaving::begin(bridge, link)?.finish().await,
        Place::Own(ground) => {
            ground::on(Some(&ground), async || Leaving::begin(bridge, link)?.finish().await).await
        }
        Place::Gone => Ok(Vec::new()),
    }
}

/// Begins to [`leave`], for who has no time to wait: the kernel takes tens of
/// milliseconds to forget a link. Until the rest is done nobody else changes
/// bridges; [`sweep`] finds what a kill leaves of it. On a home's own ground
/// all is done at once, as the ground must not go before.
pub(crate) async fn begin_to_leave(
    home: &Home,
    record: &InstanceRecord,
) -> Result<Option<Leaving>, BackendError> {
    match (bridge_of(home, record), Place::of(home)?) {
        (Some(bridge), Place::Present) => {
            leave_further(home, record).await?;
            Leaving::begin(bridge, link_of(&record.id)).map(Some)
        }
        _ => leave(home, record).await.map(|_| None),
    }
}

/// Takes away bridges that a killed supervisor left.
pub(crate) async fn sweep() -> Result<Vec<String>, BackendError> {
    if Standing::of_process().is_machine_root() { bridge::sweep().await } else { Ok(Vec::new()) }
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
}
