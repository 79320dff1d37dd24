use std::{io, os::fd::AsRawFd as _};

use nix::sched::{CloneFlags, unshare};

use super::{
    bridge::FIRST,
    namespace,
    nat::{NOT_INSTALLED, Nft, find, forwards},
    netlink::Netlink,
};

/// Runs a probe in a network namespace that goes away with its thread.
fn alone<T: Send + 'static>(
    probe: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let thread = std::thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET)?;
        probe()
    });
    thread.join().map_err(|_| io::Error::other("the probing thread panicked"))?
}

/// Makes a bridge and a pair of links into another namespace, out of sight.
pub(crate) fn probe_bridge() -> io::Result<()> {
    alone(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let host = Netlink::open()?;
            let (namespace, inside) = namespace::make()?;
            let subnet = tandem_model::Subnet::new([10, 200, 0, 0].into(), 22);
            let address = [10, 200, 0, 2].into();
            let bridge = host.add_bridge(super::BRIDGE, subnet).await.map_err(io::Error::other)?;
            let end = (FIRST, namespace.as_raw_fd());
            host.add_pair("tdmprobe", (super::BRIDGE, bridge), address, end)
                .await
                .map_err(io::Error::other)?;
            inside.configure_inside(FIRST, address, subnet, true).await.map_err(io::Error::other)
        })
    })
}

/// What the probe of address translation found.
pub(crate) struct Translation {
    /// Whether the host passes packets on already.
    pub(crate) forwards: bool,
}

/// Makes our table in a namespace out of sight.
pub(crate) fn probe_nat() -> io::Result<Translation> {
    if find().is_none() {
        return Err(io::Error::new(io::ErrorKind::NotFound, NOT_INSTALLED));
    }
    alone(|| {
        Nft::add(super::BRIDGE, tandem_model::Subnet::new([10, 200, 0, 0].into(), 22), false)?
            .finish()
            .map(drop)
    })?;
    Ok(Translation { forwards: forwards() })
}
