//! What stands before a registry: a proxy that cuts connections, and those
//! that are the only way to it.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::Result;

/// A proxy that hands bytes through, late, and cuts the first connections
/// that bring a lot.
#[derive(Debug)]
pub struct CuttingProxy {
    address: SocketAddr,
    cut: Arc<AtomicUsize>,
}

impl CuttingProxy {
    /// Before `target`; the first `cuts` answers longer than `after` bytes
    /// break off there.
    pub fn start(target: SocketAddr, cuts: usize, after: usize) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let cut = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&cut);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let counter = Arc::clone(&counter);
                thread::spawn(move || between(client, target, &counter, cuts, after));
            }
        });
        Ok(Self { address, cut })
    }

    /// Host and port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections that it has cut so far.
    pub fn cut(&self) -> usize {
        self.cut.load(Ordering::Relaxed)
    }
}

fn between(
    client: TcpStream,
    target: SocketAddr,
    cut: &AtomicUsize,
    cuts: usize,
    after: usize,
) -> std::io::Result<()> {
    thread::sleep(Duration::from_millis(50));
    let server = TcpStream::connect(target)?;
    let (mut from_client, mut to_server) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || {
        let _ = std::io::copy(&mut from_client, &mut to_server);
        let _ = to_server.shutdown(Shutdown::Both);
    });
    let (mut server, mut client) = (server, client);
    let mut buffer = vec![0; 64 << 10];
    let mut passed = 0;
    loop {
        let count = server.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        client.write_all(&buffer[..count])?;
        passed += count;
        let turn = |done| (done < cuts).then_some(done + 1);
        if passed > after && cut.fetch_update(Ordering::Relaxed, Ordering::Relaxed, turn).is_ok() {
            break;
        }
    }
    let _ = server.shutdown(Shutdown::Both);
    client.shutdown(Shutdown::Both)
}

/// A proxy as schools have it: it knows hosts that nobody else here does, all
/// of which are one registry.
#[derive(Debug)]
pub struct ForwardProxy {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
}

impl ForwardProxy {
    /// Before `target`.
    pub fn start(target: SocketAddr) -> Result<Self> {
        Self::with(target, None)
    }

    /// One that wants to know who one is: `NAME:PASSWORD` in base64.
    pub fn guarded(target: SocketAddr, proof: &'static str) -> Result<Self> {
        Self::with(target, Some(proof))
    }

    fn with(target: SocketAddr, proof: Option<&'static str>) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                counter.fetch_add(1, Ordering::Relaxed);
                thread::spawn(move || forward(client, target, proof));
            }
        });
        Ok(Self { address, asked })
    }

    /// Host and port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections so far.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

/// A SOCKS proxy (RFC 1928) that looks names up itself: each of them is one
/// registry.
#[derive(Debug)]
pub struct SocksProxy {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl SocksProxy {
    /// Before `target`; with a login (RFC 1929) `me` and this password are
    /// wanted.
    pub fn start(target: SocketAddr, password: Option<&'static str>) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let asked = Arc::new(Mutex::new(Vec::new()));
        let names = Arc::clone(&asked);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let names = Arc::clone(&names);
                thread::spawn(move || socks(client, target, password, &names));
            }
        });
        Ok(Self { address, asked })
    }

    /// Host and port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The hosts that were asked for.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn socks(
    mut client: TcpStream,
    target: SocketAddr,
    password: Option<&str>,
    asked: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let take = |count: usize| -> std::io::Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        (&client).read_exact(&mut bytes)?;
        Ok(bytes)
    };
    let methods = take(2)?[1];
    let methods = take(methods.into())?;
    let wanted = if password.is_some() { 2 } else { 0 };
    if !methods.contains(&wanted) {
        return (&client).write_all(&[5, 0xff]);
    }
    (&client).write_all(&[5, wanted])?;
    if let Some(password) = password {
        let name = take(2)?[1];
        let name = take(name.into())?;
        let length = take(1)?[0];
        let right = name == b"me" && take(length.into())? == password.as_bytes();
        (&client).write_all(&[1, u8::from(!right)])?;
        if !right {
            return Ok(());
        }
    }
    // A name is of the kind 3; an address would mean that it was looked up
    // where the client is.
    let kind = take(4)?[3];
    let host = match kind {
        3 => {
            let length = take(1)?[0];
            String::from_utf8_lossy(&take(length.into())?).into_owned()
        }
        other => format!("an address of the kind {other}"),
    };
    take(if kind == 3 { 2 } else { 6 })?;
    asked.lock().unwrap_or_else(PoisonError::into_inner).push(host);
    let server = TcpStream::connect(target)?;
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0])?;
    relay(client, server)
}

/// Tunnels a CONNECT (RFC 9110, section 9.3.6); other requests name their
/// whole target, which any server understands.
fn forward(mut client: TcpStream, target: SocketAddr, proof: Option<&str>) -> std::io::Result<()> {
    let mut server = TcpStream::connect(target)?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if client.read(&mut byte)? == 0 || head.len() > 64 << 10 {
            return Ok(());
        }
        head.push(byte[0]);
    }
    if let Some(proof) = proof {
        let head = String::from_utf8_lossy(&head).to_lowercase();
        let line = format!("proxy-authorization: basic {proof}\r\n").to_lowercase();
        if !head.contains(&line) {
            let refusal = "HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic realm=\"way\"\r\n\
                Content-Length: 0\r\nConnection: close\r\n\r\n";
            return client.write_all(refusal.as_bytes());
        }
    }
    if head.starts_with(b"CONNECT ") {
        client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
    } else {
        server.write_all(&head)?;
    }
    relay(client, server)
}

/// Carries bytes both ways until both sides have ended.
fn relay(mut client: TcpStream, mut server: TcpStream) -> std::io::Result<()> {
    let (mut from_client, mut to_server) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || {
        let _ = std::io::copy(&mut from_client, &mut to_server);
        let _ = to_server.shutdown(Shutdown::Both);
    });
    let _ = std::io::copy(&mut server, &mut client);
    client.shutdown(Shutdown::Both)
}
