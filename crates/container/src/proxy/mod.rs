//! Published ports: a small proxy inside the supervisor.

mod tcp;
mod udp;
mod way;

use std::{
    io,
    net::{SocketAddr, TcpListener as StdListener, UdpSocket as StdSocket},
    os::fd::OwnedFd,
};

use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with, sockopt};
use tandem_backend::BackendError;
use tandem_model::{PortMap, Protocol};
use tokio::net::{TcpListener, UdpSocket};

pub(crate) use self::way::Way;
use crate::task::Task;

/// A bound host port. Nobody else can take it from now on.
#[derive(Debug)]
pub(crate) struct Published {
    socket: Bound,
    /// The mapping with the port that was really taken.
    pub(crate) port: PortMap,
}

#[derive(Debug)]
enum Bound {
    Tcp(TcpListener),
    Udp(UdpSocket),
}

impl Published {
    /// Binds the host's side; port zero takes any free one, and a range the
    /// first of its own.
    pub(crate) fn bind(wanted: PortMap) -> Result<Self, BackendError> {
        let bound = wanted.first_free(|port| {
            let address = SocketAddr::new(port.host_ip, port.host_port);
            match port.protocol {
                Protocol::Tcp => listen(address),
                Protocol::Udp => receive(address),
            }
        });
        let (socket, address) = bound.map_err(|source| match source.kind() {
            io::ErrorKind::AddrInUse => BackendError::in_use(wanted),
            io::ErrorKind::PermissionDenied => BackendError::Unavailable {
                what: format!("port {}", wanted.host_port),
                why: "only root may publish so low a port here".into(),
                fix: format!(
                    "choose one from 1024 on, or run `sudo sysctl \
                     net.ipv4.ip_unprivileged_port_start={}`",
                    wanted.host_port
                ),
            },
            _ => BackendError::PortRefused { port: wanted, source },
        })?;
        Ok(Self { socket, port: wanted.at(address.port()) })
    }

    /// Passes what comes on to the app.
    pub(crate) fn serve(self, app: Way) -> Task {
        match self.socket {
            Bound::Tcp(listener) => Task::spawn(tcp::serve(listener, app)),
            Bound::Udp(socket) => Task::spawn(udp::serve(socket, app, udp::IDLE_LIMIT)),
        }
    }
}

/// Connections that wait for the proxy, as many as of the standard library's.
const BACKLOG: i32 = 128;

/// A socket at this very address: one of version 6 has none of version 4, which
/// may be published beside it (ipv6(7)).
fn socket_at(address: SocketAddr, kind: SocketType) -> io::Result<OwnedFd> {
    let family = if address.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let socket = socket_with(family, kind, SocketFlags::CLOEXEC, None)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    if kind == SocketType::STREAM {
        // Connections that are over need not be waited for.
        sockopt::set_socket_reuseaddr(&socket, true)?;
    }
    rustix::net::bind(&socket, &address)?;
    Ok(socket)
}

fn listen(address: SocketAddr) -> io::Result<(Bound, SocketAddr)> {
    let socket = socket_at(address, SocketType::STREAM)?;
    rustix::net::listen(&socket, BACKLOG)?;
    let listener = StdListener::from(socket);
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    Ok((Bound::Tcp(TcpListener::from_std(listener)?), address))
}

fn receive(address: SocketAddr) -> io::Result<(Bound, SocketAddr)> {
    let socket = StdSocket::from(socket_at(address, SocketType::DGRAM)?);
    socket.set_nonblocking(true)?;
    let address = socket.local_addr()?;
    Ok((Bound::Udp(UdpSocket::from_std(socket)?), address))
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::{TcpListener, TcpStream},
        task::LocalSet,
    };

    use super::*;

    fn map(host_port: u16) -> PortMap {
        PortMap::anywhere(80, Protocol::Tcp).at(host_port)
    }

    fn proxy_to(app: SocketAddr) -> (Task, SocketAddr) {
        let published = Published::bind(map(0)).unwrap();
        let address = SocketAddr::new(published.port.host_ip, published.port.host_port);
        (published.serve(Way::new(app, None)), address)
    }

    #[test]
    fn a_port_in_use_is_named() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _inside = runtime.enter();
        let first = Published::bind(map(0)).unwrap();
        assert_ne!(first.port.host_port, 0);
        let error = Published::bind(first.port).unwrap_err();
        assert!(matches!(error, BackendError::PortInUse(port) if port == first.port), "{error}");
    }

    #[test]
    fn both_versions_have_the_same_port() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _inside = runtime.enter();
        let at = |ip: &str, port| {
            let host_ip = ip.parse().unwrap();
            Published::bind(PortMap { host_ip, ..map(port) })
        };
        let four = at("0.0.0.0", 0).unwrap();
        match at("::", four.port.host_port) {
            // A machine without version 6.
            Err(BackendError::PortRefused { .. }) => {}
            six => assert_eq!(six.unwrap().port.host_port, four.port.host_port),
        }
        assert!(at("0.0.0.0", four.port.host_port).is_err());
    }

    #[test]
    fn of_a_range_the_first_free_port_is_bound() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _inside = runtime.enter();
        // Two neighbours, of which the first is taken.
        let (held, range) = std::iter::repeat_with(|| Published::bind(map(0)).unwrap())
            .take(100)
            .find_map(|held| {
                let first = held.port.host_port;
                let last = first.checked_add(1)?;
                StdListener::bind(("127.0.0.1", last)).ok()?;
                Some((held, PortMap { host_last: Some(last), ..map(first) }))
            })
            .unwrap();
        let second = Published::bind(range).unwrap();
        assert_eq!(second.port, map(held.port.host_port + 1));
        let error = Published::bind(range).unwrap_err();
        assert!(matches!(error, BackendError::PortsInUse { port, .. } if port == range), "{error}");
        let told = error.to_string();
        assert!(
            told.starts_with("all ports from 127.0.0.1:") && told.contains(" are in "),
            "{told}"
        );
    }

    #[tokio::test]
    async fn half_closed_connections_go_on() {
        LocalSet::new()
            .run_until(async {
                let app = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let (_proxy, address) = proxy_to(app.local_addr().unwrap());
                let mut client = TcpStream::connect(address).await.unwrap();
                client.write_all(b"question").await.unwrap();
                client.shutdown().await.unwrap();
                let (mut served, _) = app.accept().await.unwrap();
                let mut question = String::new();
                served.read_to_string(&mut question).await.unwrap();
                assert_eq!(question, "question");
                served.write_all(b"answer").await.unwrap();
                drop(served);
                let mut answer = String::new();
                client.read_to_string(&mut answer).await.unwrap();
                assert_eq!(answer, "answer");
            })
            .await;
    }

    #[tokio::test]
    async fn a_client_is_reset_until_the_app_listens() {
        LocalSet::new()
            .run_until(async {
                let place = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
                let (_proxy, address) = proxy_to(place);
                let mut early = TcpStream::connect(address).await.unwrap();
                let error = early.read(&mut [0]).await.unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
                let app = TcpListener::bind(place).await.unwrap();
                let mut client = TcpStream::connect(address).await.unwrap();
                client.write_all(b"x").await.unwrap();
                app.accept().await.unwrap().0.write_all(b"y").await.unwrap();
                assert_eq!(client.read_u8().await.unwrap(), b'y');
                drop(app);
                let mut late = TcpStream::connect(address).await.unwrap();
                let error = late.read(&mut [0]).await.unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
            })
            .await;
    }

    #[tokio::test]
    async fn dropping_the_proxy_closes_the_port_and_its_connections() {
        LocalSet::new()
            .run_until(async {
                let app = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let (proxy, address) = proxy_to(app.local_addr().unwrap());
                let mut client = TcpStream::connect(address).await.unwrap();
                let (mut served, _) = app.accept().await.unwrap();
                drop(proxy);
                assert!(matches!(served.read(&mut [0]).await, Ok(0) | Err(_)));
                assert!(matches!(client.read(&mut [0]).await, Ok(0) | Err(_)));
                assert!(TcpStream::connect(address).await.is_err());
            })
            .await;
    }
}
