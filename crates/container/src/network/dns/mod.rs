//! The resolver of a container: a part of its supervisor that listens inside
//! the container's network namespace, at 127.0.0.11 as in Docker.
//!
//! ```text
//! app ─ 127.0.0.11:53 ─(translated)─ 127.0.0.11:PORT ─ supervisor
//!          names of the network ── the instances' records
//!          other names ─────────── name servers, asked from the host
//! ```
//!
//! Port 53 itself stays free for an app that is a name server.

pub mod fuzz;
mod message;
mod names;
mod upstream;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener as StdListener, UdpSocket as StdSocket},
    os::fd::OwnedFd,
    rc::Rc,
    time::Duration,
};

use tandem_backend::InstanceStore;
use tandem_model::InstanceRecord;
use tokio::{
    net::{TcpListener, TcpStream, UdpSocket},
    sync::Semaphore,
    task::JoinSet,
    time::timeout,
};

use self::{
    message::{Verdict, judge},
    names::{Called, Neighbours, Own},
    upstream::{Upstream, read_framed, write_framed},
};
use super::{namespace, nat::Nft};
use crate::task::Task;

/// Where it listens.
pub(super) const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);

const PORT: u16 = 53;

/// Questions at a time; what comes beyond is dropped, and asked again.
const MOST_QUESTIONS: usize = 128;

/// Connections at a time; more wait in the kernel's queue.
const MOST_STREAMS: usize = 32;

/// How long a connection may be silent.
const STREAM_LIMIT: Duration = Duration::from_secs(10);

/// A resolver that is about to serve.
pub(super) struct Resolver {
    sockets: Sockets,
    translation: Option<Nft>,
    server: Server,
}

struct Sockets {
    datagrams: UdpSocket,
    streams: TcpListener,
}

#[derive(Clone)]
struct Server {
    names: Rc<Neighbours>,
    upstream: Upstream,
}

impl Resolver {
    /// Opens its sockets in a container's namespace, whose loopback is up.
    /// With `cut_off` only containers are known.
    pub(super) fn open(
        namespace: &OwnedFd,
        store: &InstanceStore,
        record: &InstanceRecord,
        address: Ipv4Addr,
        cut_off: bool,
    ) -> io::Result<Self> {
        let options = &record.spec.options;
        let names = Neighbours {
            store: store.clone(),
            network: options.network.clone(),
            own: Own {
                id: record.id.clone(),
                called: Called::on(&options.network, record),
                address,
            },
        };
        let upstream = if cut_off { Upstream::Nobody } else { Upstream::new(&options.dns) };
        let (sockets, translation) = namespace::inside(namespace, || {
            let (sockets, port) = bind(0)?;
            let translation = translate(port);
            if translation.is_ok() {
                return Ok((sockets, translation.ok()));
            }
            drop(sockets);
            Ok((bind(PORT)?.0, None))
        })?;
        let server = Server { names: Rc::new(names), upstream };
        Ok(Self { sockets, translation, server })
    }

    /// Waits until questions come in, and begins to answer them.
    pub(super) fn serve(self, namespace: &OwnedFd) -> io::Result<[Task; 2]> {
        let Self { mut sockets, translation, server } = self;
        if let Some(Err(_)) = translation.map(Nft::finish) {
            // This kernel cannot translate: then the port itself.
            sockets = namespace::inside(namespace, || bind(PORT))?.0;
        }
        let Sockets { datagrams, streams } = sockets;
        let by_datagram = Task::spawn(serve_datagrams(datagrams, server.clone()));
        Ok([by_datagram, Task::spawn(serve_streams(streams, server))])
    }
}

/// Binds both sockets to the same port; zero takes any.
fn bind(port: u16) -> io::Result<(Sockets, u16)> {
    let streams = StdListener::bind((ADDRESS, port))?;
    let address: SocketAddr = streams.local_addr()?;
    let datagrams = StdSocket::bind(address)?;
    streams.set_nonblocking(true)?;
    datagrams.set_nonblocking(true)?;
    let sockets = Sockets {
        datagrams: UdpSocket::from_std(datagrams)?,
        streams: TcpListener::from_std(streams)?,
    };
    Ok((sockets, address.port()))
}

/// Begins to lead the resolver's port to where it really listens, in the
/// present namespace.
fn translate(port: u16) -> io::Result<Nft> {
    Nft::start(&format!(
        "table ip tandem_dns {{
           chain output {{
             type nat hook output priority -100; policy accept;
             ip daddr {ADDRESS} udp dport {PORT} dnat to {ADDRESS}:{port}
             ip daddr {ADDRESS} tcp dport {PORT} dnat to {ADDRESS}:{port}
           }}
         }}"
    ))
}

async fn serve_datagrams(socket: UdpSocket, server: Server) {
    let socket = Rc::new(socket);
    let mut questions = JoinSet::new();
    let mut message = vec![0; usize::from(u16::MAX)];
    loop {
        let received = tokio::select! {
            received = socket.recv_from(&mut message) => received,
            Some(_) = questions.join_next() => continue,
        };
        let Ok((length, client)) = received else {
            tokio::time::sleep(Duration::from_millis(5)).await;
            continue;
        };
        match judge(&message[..length], server.names.as_ref()) {
            Verdict::Answer(answer) => drop(socket.send_to(&answer, client).await),
            Verdict::Forward if questions.len() < MOST_QUESTIONS => {
                let question = message[..length].to_vec();
                let (socket, upstream) = (socket.clone(), server.upstream.clone());
                questions.spawn_local(async move {
                    let answer = upstream.ask(&question, false).await;
                    let _ = socket.send_to(&answer, client).await;
                });
            }
            Verdict::Forward | Verdict::Drop => {}
        }
    }
}

async fn serve_streams(listener: TcpListener, server: Server) {
    let room = std::sync::Arc::new(Semaphore::new(MOST_STREAMS));
    let mut streams = JoinSet::new();
    loop {
        let accepted = async {
            let permit = room.clone().acquire_owned().await;
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            accepted = accepted => accepted,
            Some(_) = streams.join_next() => continue,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(Duration::from_millis(5)).await;
            continue;
        };
        let server = server.clone();
        streams.spawn_local(async move {
            let _ = serve_stream(stream, &server).await;
            drop(permit);
        });
    }
}

async fn serve_stream(mut stream: TcpStream, server: &Server) -> io::Result<()> {
    loop {
        let question = timeout(STREAM_LIMIT, read_framed(&mut stream)).await??;
        let answer = match judge(&question, server.names.as_ref()) {
            Verdict::Answer(answer) => answer,
            Verdict::Forward => server.upstream.ask(&question, true).await,
            Verdict::Drop => return Ok(()),
        };
        timeout(STREAM_LIMIT, write_framed(&mut stream, &answer)).await??;
    }
}

#[cfg(test)]
mod tests {
    use tandem_home::Home;
    use tandem_model::NetworkChoice;
    use tokio::task::LocalSet;

    use super::*;

    /// A resolver that nobody answers, and where it asks.
    async fn resolver(dir: &std::path::Path) -> (Server, UdpSocket) {
        let store = InstanceStore::new(Home::open(Some(dir)).unwrap());
        let own = Own {
            id: "0123456789ab".parse().unwrap(),
            called: Called::default(),
            address: Ipv4Addr::new(10, 200, 0, 2),
        };
        let names = Rc::new(Neighbours { store, network: NetworkChoice::Bridge, own });
        let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let upstream = Upstream::Given(vec![silent.local_addr().unwrap()]);
        (Server { names, upstream }, silent)
    }

    /// `example` with a number, of type A.
    fn question(number: u8) -> Vec<u8> {
        let mut bytes = vec![0, number, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 7];
        bytes.extend_from_slice(b"example\0\0\x01\0\x01");
        bytes
    }

    #[tokio::test]
    async fn a_flood_of_questions_is_not_passed_on() {
        let dir = tempfile::tempdir().unwrap();
        let work = async {
            let (server, silent) = resolver(dir.path()).await;
            let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            let place = socket.local_addr().unwrap();
            let _task = Task::spawn(serve_datagrams(socket, server));
            let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            for number in 0..200 {
                client.send_to(&question(number), place).await.unwrap();
            }
            let mut passed = 0;
            let mut bytes = [0; 512];
            while timeout(Duration::from_millis(700), silent.recv(&mut bytes)).await.is_ok() {
                passed += 1;
            }
            // Each goes on for seconds, so hardly a place comes free meanwhile.
            assert!((1..200).contains(&passed), "{passed} were");
        };
        LocalSet::new().run_until(work).await;
    }
}
