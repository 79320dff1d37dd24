use std::{
    cell::RefCell,
    io,
    net::{SocketAddr, TcpStream as StdStream, UdpSocket as StdSocket},
    os::fd::OwnedFd,
    rc::Rc,
    sync::mpsc,
    thread,
};

use nix::sched::{CloneFlags, setns};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use tokio::{
    net::{TcpSocket, TcpStream, UdpSocket},
    sync::oneshot,
};

/// The way to an app: its address, and the network namespace to connect from.
#[derive(Debug, Clone)]
pub(crate) struct Way {
    address: SocketAddr,
    from: Option<Rc<Elsewhere>>,
}

impl Way {
    /// From the namespace behind the descriptor; without one from the present
    /// namespace.
    pub(crate) fn new(address: SocketAddr, from: Option<OwnedFd>) -> Self {
        let elsewhere = |namespace| Elsewhere { namespace, opener: RefCell::default() };
        Self { address, from: from.map(elsewhere).map(Rc::new) }
    }

    /// A connection to the app.
    pub(super) async fn connect(&self) -> io::Result<TcpStream> {
        let Some(from) = &self.from else { return TcpStream::connect(self.address).await };
        let socket = from.socket(self.address, SocketType::STREAM).await?;
        TcpSocket::from_std_stream(StdStream::from(socket)).connect(self.address).await
    }

    /// A socket for datagrams to the app and back.
    pub(super) async fn datagrams(&self) -> io::Result<UdpSocket> {
        let socket = match &self.from {
            Some(from) => from.socket(self.address, SocketType::DGRAM).await?,
            None => open(self.address, SocketType::DGRAM)?,
        };
        let socket = UdpSocket::from_std(StdSocket::from(socket))?;
        socket.connect(self.address).await?;
        Ok(socket)
    }
}

/// Another network namespace. A socket belongs for ever to that in which it
/// was opened, so one thread that stays there opens them for everybody.
#[derive(Debug)]
struct Elsewhere {
    namespace: OwnedFd,
    /// The thread is started by the first who wants a socket: the app is up
    /// then, and whoever makes a container has no other threads.
    opener: RefCell<Option<mpsc::Sender<Order>>>,
}

/// A socket that is wanted.
struct Order {
    address: SocketAddr,
    kind: SocketType,
    answer: oneshot::Sender<io::Result<OwnedFd>>,
}

impl Elsewhere {
    async fn socket(&self, address: SocketAddr, kind: SocketType) -> io::Result<OwnedFd> {
        let lost = || io::Error::other("the thread that opens sockets is gone");
        let (answer, opened) = oneshot::channel();
        let sent = self.opener()?.send(Order { address, kind, answer });
        sent.map_err(|_| lost())?;
        opened.await.map_err(|_| lost())?
    }

    fn opener(&self) -> io::Result<mpsc::Sender<Order>> {
        if let Some(sender) = &*self.opener.borrow() {
            return Ok(sender.clone());
        }
        let (sender, orders) = mpsc::channel::<Order>();
        let namespace = self.namespace.try_clone()?;
        let work = move || {
            let gone = setns(namespace, CloneFlags::CLONE_NEWNET);
            while let Ok(Order { address, kind, answer }) = orders.recv() {
                let opened = gone.map_err(Into::into).and_then(|()| open(address, kind));
                // Whoever wanted it may have gone.
                let _ = answer.send(opened);
            }
        };
        thread::Builder::new().name("sockets".to_owned()).spawn(work)?;
        *self.opener.borrow_mut() = Some(sender.clone());
        Ok(sender)
    }
}

/// Opens a socket in the thread's network namespace.
fn open(address: SocketAddr, kind: SocketType) -> io::Result<OwnedFd> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    Ok(socket_with(family, kind, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?)
}
