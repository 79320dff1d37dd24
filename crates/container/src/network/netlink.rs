//! The few rtnetlink(7) requests that the bridge network needs.

use std::net::Ipv4Addr;

use futures_util::TryStreamExt as _;
use rtnetlink::{
    Handle, LinkBridge, LinkDelRequest, LinkMessageBuilder, LinkUnspec, LinkVeth,
    RouteMessageBuilder,
    packet_route::{
        address::AddressAttribute,
        link::{InfoData, InfoKind, InfoVeth, LinkAttribute, LinkInfo, LinkMessage},
        route::{RouteAddress, RouteAttribute},
    },
};

use tandem_model::Subnet;

use super::{
    address::{address_in, hardware_address},
    bridge::FIRST,
};

type Result<T> = std::result::Result<T, rtnetlink::Error>;

/// A netlink connection to the network namespace in which it was opened.
/// Its task ends when this is dropped.
pub(crate) struct Netlink {
    handle: Handle,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Netlink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Netlink {
    /// Opens it in the thread's present network namespace.
    pub(crate) fn open() -> std::io::Result<Self> {
        let (connection, handle, _) = rtnetlink::new_connection()?;
        Ok(Self { handle, task: tokio::spawn(connection) })
    }

    /// The number of a link; `None` when there is none of that name.
    pub(crate) async fn index(&self, name: &str) -> Result<Option<u32>> {
        let mut links = self.handle.link().get().match_name(name).execute();
        match links.try_next().await {
            Ok(link) => Ok(link.map(|link| link.header.index)),
            Err(e) if is(&e, libc::ENODEV) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Addresses of the links that hang on a bridge, as their hardware
    /// addresses tell them; `None` for a link that is not ours.
    pub(crate) async fn ports(&self, bridge: u32) -> Result<Vec<Option<Ipv4Addr>>> {
        let links: Vec<LinkMessage> = self.handle.link().get().execute().try_collect().await?;
        let port =
            |link: &LinkMessage| link.attributes.contains(&LinkAttribute::Controller(bridge));
        Ok(links.iter().filter(|link| port(link)).map(address_of).collect())
    }

    /// Names of all bridges, whoever made them.
    pub(crate) async fn bridges(&self) -> Result<Vec<String>> {
        let links: Vec<LinkMessage> = self.handle.link().get().execute().try_collect().await?;
        let is_bridge = |link: &&LinkMessage| {
            link.attributes.iter().any(|attribute| match attribute {
                LinkAttribute::LinkInfo(info) => info.contains(&LinkInfo::Kind(InfoKind::Bridge)),
                _ => false,
            })
        };
        let names = links.iter().filter(is_bridge).filter_map(name_of);
        Ok(names.map(ToOwned::to_owned).collect())
    }

    /// The IPv4 network of a link.
    pub(crate) async fn subnet(&self, index: u32) -> Result<Option<Subnet>> {
        let mut addresses = self.handle.address().get().set_link_index_filter(index).execute();
        while let Some(message) = addresses.try_next().await? {
            for attribute in &message.attributes {
                if let AddressAttribute::Address(std::net::IpAddr::V4(address)) = attribute {
                    return Ok(Some(Subnet::new(*address, message.header.prefix_len)));
                }
            }
        }
        Ok(None)
    }

    /// The IPv4 networks that the host has routes to.
    pub(crate) async fn routes(&self) -> Result<Vec<Subnet>> {
        let request = RouteMessageBuilder::<Ipv4Addr>::new().build();
        let mut routes = self.handle.route().get(request).execute();
        let mut subnets = Vec::new();
        while let Some(route) = routes.try_next().await? {
            let prefix = route.header.destination_prefix_length;
            subnets.extend(route.attributes.iter().find_map(|attribute| match attribute {
                RouteAttribute::Destination(RouteAddress::Inet(address)) => {
                    Some(Subnet::new(*address, prefix))
                }
                _ => None,
            }));
        }
        Ok(subnets)
    }

    /// Makes a bridge with the subnet's first address, and returns its number.
    /// Its links all are in one group.
    pub(crate) async fn add_bridge(&self, name: &str, subnet: Subnet) -> Result<u32> {
        let gateway = subnet.gateway();
        // With an address of its own the bridge does not take the lowest of
        // its ports', and so never changes it.
        let bridge = LinkBridge::new(name)
            .address(hardware_address(0x0a, gateway).to_vec())
            .link_group(group_of(name))
            .build();
        self.handle.link().add(bridge).execute().await?;
        let index = self.index(name).await?.ok_or(rtnetlink::Error::RequestFailed)?;
        self.handle.address().add(index, gateway.into(), subnet.prefix()).execute().await?;
        Ok(index)
    }

    /// Makes a pair of links: `name` here, up, on the bridge and in its group;
    /// `inside.0`, down (the kernel cannot make it up), in the network namespace
    /// behind the descriptor `inside.1`.
    pub(crate) async fn add_pair(
        &self,
        name: &str,
        bridge: (&str, u32),
        address: Ipv4Addr,
        inside: (&str, i32),
    ) -> Result<()> {
        let (inside, namespace) = inside;
        let (bridge, index) = bridge;
        let mut peer = LinkMessage::default();
        peer.attributes = vec![
            LinkAttribute::IfName(inside.into()),
            LinkAttribute::Address(hardware_address(0x02, address).to_vec()),
            LinkAttribute::NetNsFd(namespace),
        ];
        peer.attributes.extend(ONE_QUEUE);
        let pair = LinkMessageBuilder::<LinkVeth>::new(name, inside)
            .set_info_data(InfoData::Veth(InfoVeth::Peer(peer)))
            .address(hardware_address(0x06, address).to_vec())
            .controller(index)
            .link_group(group_of(bridge))
            .up()
            .append_extra_attribute(ONE_QUEUE[0].clone())
            .append_extra_attribute(ONE_QUEUE[1].clone())
            .build();
        self.handle.link().add(pair).execute().await
    }

    /// Inside a container's namespace: a name that none of its links has.
    pub(crate) async fn free_name(&self) -> Result<String> {
        for number in 0..MOST_LINKS {
            let name = format!("eth{number}");
            if self.index(&name).await?.is_none() {
                return Ok(name);
            }
        }
        Err(rtnetlink::Error::RequestFailed)
    }

    /// Inside a container's namespace: address of the link `name`, links up,
    /// default route where there is a `way_out`.
    pub(crate) async fn configure_inside(
        &self,
        name: &str,
        address: Ipv4Addr,
        subnet: Subnet,
        way_out: bool,
    ) -> Result<()> {
        let index = self.index(name).await?.ok_or(rtnetlink::Error::RequestFailed)?;
        self.handle.address().add(index, address.into(), subnet.prefix()).execute().await?;
        let mut route = RouteMessageBuilder::<Ipv4Addr>::new()
            .gateway(subnet.gateway())
            .output_interface(index);
        if name != FIRST {
            // Several may lead out: the one that was joined first does, and
            // the next one when that is left.
            route = route.priority(index);
        }
        self.up(index).await?;
        if !way_out {
            return self.loopback_up().await;
        }
        let route = self.handle.route().add(route.build()).execute();
        let (route, loopback) = futures_util::join!(route, self.loopback_up());
        route.and(loopback)
    }

    /// Inside a container's namespace: loopback up.
    pub(crate) async fn loopback_up(&self) -> Result<()> {
        // Always the first link of a namespace.
        self.up(1).await
    }

    async fn up(&self, index: u32) -> Result<()> {
        let link = LinkUnspec::new_with_index(index).up().build();
        self.handle.link().set(link).execute().await
    }

    /// Whether a bridge has this port only, and its group nothing but the two.
    pub(crate) async fn is_alone(&self, bridge: &str, port: &str) -> Result<bool> {
        let links: Vec<LinkMessage> = self.handle.link().get().execute().try_collect().await?;
        let Some(found) = links.iter().find(|link| name_of(link) == Some(bridge)) else {
            return Ok(false);
        };
        let marks =
            [LinkAttribute::Controller(found.header.index), LinkAttribute::Group(group_of(bridge))];
        let belongs = |link: &&LinkMessage| marks.iter().any(|mark| link.attributes.contains(mark));
        let mut names: Vec<&str> = links.iter().filter(belongs).filter_map(name_of).collect();
        let mut both = [bridge, port];
        names.sort_unstable();
        both.sort_unstable();
        Ok(names == both)
    }

    /// Removes a bridge and all of its group at once, which costs the kernel
    /// one wait instead of one for each; `false` when nothing was there.
    pub(crate) async fn remove_group(&self, bridge: &str) -> Result<bool> {
        let mut message = LinkMessage::default();
        message.attributes = vec![LinkAttribute::Group(group_of(bridge))];
        match LinkDelRequest::new_with_message(self.handle.clone(), message).execute().await {
            Ok(()) => Ok(true),
            Err(e) if is(&e, libc::ENODEV) => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Removes a link; `false` when there was none of that name.
    pub(crate) async fn remove(&self, name: &str) -> Result<bool> {
        let Some(index) = self.index(name).await? else { return Ok(false) };
        match self.handle.link().del(index).execute().await {
            Ok(()) => Ok(true),
            // Its other end went away at the same time.
            Err(e) if is(&e, libc::ENODEV) => Ok(false),
            Err(e) => Err(e),
        }
    }
}

/// What a pair of links uses anyway. Unasked the kernel makes a queue for each
/// processor, takes all but one back and waits until nobody looks at them any
/// more, for each end (`veth_init_queues` in drivers/net/veth.c).
const ONE_QUEUE: [LinkAttribute; 2] =
    [LinkAttribute::NumTxQueues(1), LinkAttribute::NumRxQueues(1)];

/// Links that one container is given at most.
const MOST_LINKS: u32 = 1024;

/// The number of the group of a bridge's links: any but 0, which is that of
/// all others.
fn group_of(bridge: &str) -> u32 {
    hash_of(bridge) | 1 << 31
}

/// A number for a name, by FNV-1a.
pub(super) fn hash_of(name: &str) -> u32 {
    name.bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

fn name_of(link: &LinkMessage) -> Option<&str> {
    link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::IfName(name) => Some(name.as_str()),
        _ => None,
    })
}

fn address_of(link: &LinkMessage) -> Option<Ipv4Addr> {
    link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::Address(hardware) => address_in(hardware),
        _ => None,
    })
}

fn is(error: &rtnetlink::Error, errno: i32) -> bool {
    matches!(error, rtnetlink::Error::NetlinkError(message) if message.raw_code() == -errno)
}
