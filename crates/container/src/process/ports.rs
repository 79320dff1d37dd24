use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
};

use tandem_backend::BackendError;
use tandem_model::{InstanceRecord, PortMap, Protocol};

use crate::{
    proxy::{Published, Way},
    task::Task,
};

/// Publishes the ports of an app that shares the host's network. Where both
/// sides are the same the app binds the port itself; otherwise connections are
/// passed on.
pub(super) fn publish(record: &mut InstanceRecord) -> Result<Vec<Task>, BackendError> {
    let mut proxies = Vec::new();
    let mut taken = Vec::new();
    for wanted in record.spec.ports.clone() {
        free(wanted)?;
        if wanted.candidates().contains(&wanted.port) {
            taken.push(wanted.at(wanted.port));
            continue;
        }
        let published = Published::bind(wanted)?;
        taken.push(published.port);
        let app = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), wanted.port);
        proxies.push(published.serve(Way::new(app, None)));
    }
    record.ports = taken;
    Ok(proxies)
}

/// Refuses a port that the app could not bind, lest somebody else's program
/// be taken for it.
fn free(wanted: PortMap) -> Result<(), BackendError> {
    let inside = wanted.at(wanted.port);
    let place = (Ipv4Addr::UNSPECIFIED, wanted.port);
    let bound = match wanted.protocol {
        Protocol::Tcp => TcpListener::bind(place).map(drop),
        Protocol::Udp => UdpSocket::bind(place).map(drop),
    };
    match bound {
        Err(e) if e.kind() == io::ErrorKind::AddrInUse => Err(BackendError::PortInUse(inside)),
        // A privileged port, say: the app itself will learn it.
        _ => Ok(()),
    }
}
