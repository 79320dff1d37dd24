//! Networks that a container is on beside the one that it was made with: each
//! is a further pair of links, `eth1` inside and so on.

use std::{
    cell::{Cell, RefCell},
    net::{IpAddr, Ipv4Addr},
    os::fd::OwnedFd,
    path::PathBuf,
};

use tandem_backend::{BackendError, InstanceStore, Joined};
use tandem_home::Home;
use tandem_model::{InstanceId, InstanceRecord, NetworkChoice};

use super::{
    Connected, NetworkStore,
    bridge::{self, Bridge},
    dns::Resolver,
    files, forward,
    ground::{self, Ground},
    leave_way, link_of,
    nat::Nft,
    netlink::hash_of,
};
use crate::task::Task;

/// Name of an instance's link on the host for one of these networks; at most
/// 15 bytes.
fn link_on(id: &InstanceId, network: &str) -> String {
    // Three digits tell the few networks of one instance apart.
    let hash = hash_of(network);
    format!("{}{:03x}", link_of(id), (hash ^ (hash >> 12)) & 0xfff)
}

/// The bridges and the links of these networks, by a record.
pub(super) fn ways(home: &Home, record: &InstanceRecord) -> impl Iterator<Item = (String, String)> {
    let networks = record.spec.options.networks.iter();
    networks.map(|it| (bridge::name_of(home, &it.name), link_on(&record.id, &it.name)))
}

/// Joins one of these networks.
pub(super) async fn join(
    store: &InstanceStore,
    record: &InstanceRecord,
    network: &str,
    namespace: &OwnedFd,
) -> Result<Joined, BackendError> {
    let networks = NetworkStore::new(store.home().clone());
    let wanted = networks.load(network)?;
    let bridge = Bridge::of(store.home(), &wanted);
    let link = link_on(&record.id, network);
    // What the first network lets out goes out there.
    let way_out = match &record.spec.options.network {
        NetworkChoice::Named(name) => networks.load(name).is_ok_and(|first| first.internal),
        _ => false,
    };
    let ground = Ground::take(store.home())?;
    let join = async || bridge::join_too(&bridge, &link, namespace, way_out).await;
    let spot = ground::on(ground.as_ref(), join).await?;
    let mut warnings: Vec<String> = spot.warning.into_iter().collect();
    match spot.nft.map(Nft::finish) {
        Some(Ok(chains)) if !bridge.internal => {
            warnings.extend(forward::open(&bridge.name, &chains));
        }
        Some(Err(e)) => warnings.push(format!("containers cannot reach other networks: {e}")),
        _ => {}
    }
    Ok(Joined { address: spot.address.into(), link, warnings })
}

/// What a container that runs joins and leaves such networks with.
pub(crate) struct Networks {
    store: InstanceStore,
    namespace: OwnedFd,
    /// Its own address on its first network.
    address: Ipv4Addr,
    /// Where its `/etc/resolv.conf` is on the host.
    bundle: PathBuf,
    has_resolver: Cell<bool>,
    tasks: RefCell<Vec<Task>>,
}

impl Networks {
    /// Those of a container that is being connected; `None` where it has no
    /// bridge, and so joins no other.
    pub(crate) fn of(
        connected: &Connected,
        store: &InstanceStore,
        bundle: PathBuf,
    ) -> std::io::Result<Option<Self>> {
        let (Some(namespace), Some(IpAddr::V4(address))) =
            (&connected.namespace, connected.address)
        else {
            return Ok(None);
        };
        let namespace = namespace.try_clone()?;
        let has_resolver = Cell::new(connected.resolver.is_some());
        let (store, tasks) = (store.clone(), RefCell::default());
        Ok(Some(Self { store, namespace, address, bundle, has_resolver, tasks }))
    }

    /// Joins a network. Others on it know the container once its record says
    /// so.
    pub(crate) async fn join(
        &self,
        record: &InstanceRecord,
        network: &str,
    ) -> Result<Joined, BackendError> {
        let joined = join(&self.store, record, network, &self.namespace).await;
        let joined = joined.and_then(|joined| self.know_names(record).map(|()| joined));
        if joined.is_err()
            && let Err(e) = self.leave(record, network).await
        {
            eprintln!("warning: {e}");
        }
        joined
    }

    /// Leaves a network.
    pub(crate) async fn leave(
        &self,
        record: &InstanceRecord,
        network: &str,
    ) -> Result<(), BackendError> {
        let home = self.store.home();
        let way = (bridge::name_of(home, network), link_on(&record.id, network));
        leave_way(home, way).await.map(drop)
    }

    /// Begins to answer questions about names, which the shared bridge does
    /// without.
    fn know_names(&self, record: &InstanceRecord) -> Result<(), BackendError> {
        if self.has_resolver.get() {
            return Ok(());
        }
        let failed = |e| BackendError::engine("the resolver", e);
        let resolver = Resolver::open(&self.namespace, &self.store, record, self.address, false);
        let tasks = resolver.and_then(|it| it.serve(&self.namespace)).map_err(failed)?;
        files::ask_resolver(&self.bundle)
            .map_err(|e| BackendError::io("write into", &self.bundle, e))?;
        self.tasks.borrow_mut().extend(tasks);
        self.has_resolver.set(true);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_network_has_a_link_of_its_own() {
        let id = InstanceId::from_bytes([0xab; 6]);
        let [one, two] = ["back", "front"].map(|network| link_on(&id, network));
        assert_ne!(one, two);
        assert!(one.starts_with("tdmabababab") && one.len() < libc::IFNAMSIZ, "{one}");
    }
}
