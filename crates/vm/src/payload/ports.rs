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

/// Tries every port, and puts a free one for zero. QEMU takes them right
/// afterwards.
pub(super) fn choose(wanted: &[PortMap]) -> Result<Vec<PortMap>, BackendError> {
    let refused = |port: PortMap| {
        move |source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => BackendError::PortInUse(port),
            _ => BackendError::PortRefused { port, source },
        }
    };
    let mut held = Vec::new();
    let mut chosen = Vec::new();
    for port in wanted {
        let address = SocketAddr::new(port.host_ip, port.host_port);
        let (socket, address) = bind(port.protocol, address).map_err(refused(*port))?;
        chosen.push(PortMap { host_port: address.port(), ..*port });
        // Held until all are chosen, so that two zeros get two ports.
        held.push(socket);
    }
    Ok(chosen)
}

fn bind(protocol: Protocol, address: SocketAddr) -> io::Result<(OwnedFd, SocketAddr)> {
    match protocol {
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
        let any: PortMap = "0:80".parse().unwrap();
        let chosen = choose(&[any, any]).unwrap();
        assert!(chosen[0].host_port != 0 && chosen[0].host_port != chosen[1].host_port);
        assert!(check(&["[::1]:80:80".parse().unwrap()]).is_err());
    }
}
