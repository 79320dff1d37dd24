//! Published ports. QEMU listens on them itself; here they are checked first,
//! so that the answer to a taken port is a clear one.

use std::{
    io,
    net::{SocketAddr, TcpListener, UdpSocket},
    os::fd::OwnedFd,
};

use tandem_backend::BackendError;
use tandem_model::{PortMap, Protocol};

/// Refuses addresses that QEMU's user network cannot listen on.
pub(super) fn check(ports: &[PortMap]) -> Result<(), BackendError> {
    match ports.iter().find(|port| port.host_ip.is_ipv6()) {
        None => Ok(()),
        Some(port) => Err(BackendError::Unavailable {
            what: format!("publishing on {}", port.host_ip),
            why: "QEMU's user network listens on IPv4 addresses only".to_owned(),
            fix: "publish on 127.0.0.1 or 0.0.0.0".to_owned(),
        }),
    }
}

/// Tries every port, and puts a free one for zero and for a range. QEMU takes
/// them right afterwards.
pub(super) fn choose(wanted: &[PortMap]) -> Result<Vec<PortMap>, BackendError> {
    let refused = |port: PortMap| {
        move |source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => BackendError::in_use(port),
            _ => BackendError::PortRefused { port, source },
        }
    };
    let mut held = Vec::new();
    let mut chosen = wanted.to_vec();
    for at in PortMap::order(wanted) {
        let port = wanted[at];
        let (socket, address) = port.first_free(bind).map_err(refused(port))?;
        chosen[at] = port.at(address.port());
        // Held until all are chosen, so that two zeros get two ports.
        held.push(socket);
    }
    Ok(chosen)
}

fn bind(port: PortMap) -> io::Result<(OwnedFd, SocketAddr)> {
    let address = SocketAddr::new(port.host_ip, port.host_port);
    match port.protocol {
        Protocol::Tcp => {
            let listener = TcpListener::bind(address)?;
            let address = listener.local_addr()?;
            Ok((listener.into(), address))
        }
        Protocol::Udp => {
            let socket = UdpSocket::bind(address)?;
            let address = socket.local_addr()?;
            Ok((socket.into(), address))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_found_and_zero_means_any() {
        let holder = TcpListener::bind("127.0.0.1:0").unwrap();
        let taken: PortMap = format!("{}:80", holder.local_addr().unwrap().port()).parse().unwrap();
        assert!(matches!(choose(&[taken]), Err(BackendError::PortInUse(port)) if port == taken));
        let last = taken.host_port.saturating_add(20);
        let range = PortMap { host_last: Some(last), ..taken };
        let port = choose(&[range]).unwrap()[0];
        assert!(port.host_port > taken.host_port && port.host_port <= last, "{port}");
        assert_eq!(port.host_last, None);
        let any: PortMap = "0:80".parse().unwrap();
        let chosen = choose(&[any, any]).unwrap();
        assert!(chosen[0].host_port != 0 && chosen[0].host_port != chosen[1].host_port);
        assert!(check(&["[::1]:80:80".parse().unwrap()]).is_err());
    }
}
