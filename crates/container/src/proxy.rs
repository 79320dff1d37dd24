//! Published ports: a small TCP proxy inside the supervisor.

use std::{
    io,
    net::{SocketAddr, TcpListener as StdListener},
    sync::Arc,
    time::Duration,
};

use tandem_backend::BackendError;
use tandem_model::PortMap;
use tokio::{
    io::copy_bidirectional_with_sizes,
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinHandle,
};

/// Connections through one published port at a time. More wait in the
/// kernel's queue, so descriptors never run out.
const MOST_CONNECTIONS: usize = 400;

/// Bytes copied at once, each way.
const BUFFER: usize = 32 * 1024;

/// How long the app's side may take to accept a connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// A bound host port. Nobody else can take it from now on.
#[derive(Debug)]
pub(crate) struct Published {
    listener: TcpListener,
    /// The mapping with the port that was really taken.
    pub(crate) port: PortMap,
}

impl Published {
    /// Binds the host's side; port zero takes any free one.
    pub(crate) fn bind(wanted: PortMap) -> Result<Self, BackendError> {
        let refused = |source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => BackendError::PortInUse(wanted),
            _ => BackendError::PortRefused { port: wanted, source },
        };
        let address = SocketAddr::new(wanted.host_ip, wanted.host_port);
        let listener = StdListener::bind(address).map_err(refused)?;
        listener.set_nonblocking(true).map_err(refused)?;
        let host_port = listener.local_addr().map_err(refused)?.port();
        let listener = TcpListener::from_std(listener).map_err(refused)?;
        Ok(Self { listener, port: PortMap { host_port, ..wanted } })
    }

    /// Passes connections on to the app's address. While nothing listens
    /// there, clients are reset at once, so that whoever waits for the app
    /// learns quickly that it is not ready yet.
    pub(crate) fn serve(self, app: SocketAddr) -> Proxy {
        Proxy(tokio::task::spawn_local(accept(self.listener, app)))
    }
}

/// A proxy at work. Dropping it closes the port and every connection.
#[derive(Debug)]
pub(crate) struct Proxy(JoinHandle<()>);

impl Drop for Proxy {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn accept(listener: TcpListener, app: SocketAddr) {
    let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    // Ends every connection with the proxy.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok(permit) = room.clone().acquire_owned().await else { return };
        let client = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let Ok((client, _)) = client else {
            // The client left again, or descriptors are short for a moment.
            tokio::time::sleep(Duration::from_millis(5)).await;
            continue;
        };
        connections.spawn_local(async move {
            pass_on(client, app).await;
            drop(permit);
        });
    }
}

/// Serves one client to its end.
async fn pass_on(mut client: TcpStream, app: SocketAddr) {
    let connected = tokio::time::timeout(CONNECT_LIMIT, TcpStream::connect(app)).await;
    let Ok(Ok(mut app)) = connected else {
        reset(&client);
        return;
    };
    let _ = client.set_nodelay(true);
    let _ = app.set_nodelay(true);
    // The end of one direction is passed on and the other goes on.
    if copy_bidirectional_with_sizes(&mut client, &mut app, BUFFER, BUFFER).await.is_err() {
        reset(&client);
        reset(&app);
    }
}

/// Makes the close that follows a reset.
fn reset(stream: &TcpStream) {
    let _ = stream.set_zero_linger();
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use tandem_model::Protocol;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        task::LocalSet,
    };

    use super::*;

    fn map(host_port: u16) -> PortMap {
        let host_ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        PortMap { host_ip, host_port, port: 80, protocol: Protocol::Tcp }
    }

    fn proxy_to(app: SocketAddr) -> (Proxy, SocketAddr) {
        let published = Published::bind(map(0)).unwrap();
        let address = SocketAddr::new(published.port.host_ip, published.port.host_port);
        (published.serve(app), address)
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
