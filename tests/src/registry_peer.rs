//! Debian's `docker-registry` on a free port of loopback, with or without TLS
//! and a password, a proxy before it that cuts connections, and one that is
//! the only way to it.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Result, ensure};

use crate::{World, poll};

/// A host of a reserved name (RFC 6761): nobody but a proxy knows it.
pub const NAME: &str = "registry.test";

/// A registry that ends with the value.
#[derive(Debug)]
pub struct RegistryPeer {
    child: Child,
    address: SocketAddr,
    ca: PathBuf,
}

impl RegistryPeer {
    /// Plain HTTP, open to everybody.
    pub fn plain(world: &World) -> Result<Self> {
        Self::start(world, "plain", "")
    }

    /// TLS with a certificate of a CA of its own, and one user, `ann` with
    /// this password.
    pub fn guarded(world: &World, password: &str) -> Result<Self> {
        let dir = world.scratch().join("guarded");
        fs::create_dir_all(&dir)?;
        certificates(world, &dir)?;
        let path = dir.join("htpasswd").display().to_string();
        world.run("htpasswd", &["-Bbc", &path, "ann", password])?.ok()?;
        let dir = dir.display();
        let more = format!(
            "  tls: {{certificate: {dir}/server.crt, key: {dir}/server.key}}\n\
             auth: {{htpasswd: {{realm: test, path: {dir}/htpasswd}}}}\n"
        );
        Self::start(world, "guarded", &more)
    }

    fn start(world: &World, name: &str, more: &str) -> Result<Self> {
        let dir = world.scratch().join(name);
        fs::create_dir_all(&dir)?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, world.free_port()?));
        let config = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n\
             storage: {{filesystem: {{rootdirectory: {}/data}}}}\n\
             http:\n  addr: {address}\n{more}",
            dir.display()
        );
        let path = dir.join("config.yml");
        fs::write(&path, config)?;
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(dir.join("log"))?)
            .spawn()?;
        let peer = Self { child, address, ca: dir.join("ca.crt") };
        poll::until("the registry", Duration::from_secs(20), || TcpStream::connect(address).ok())?;
        Ok(peer)
    }

    /// Host and port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The certificate that signs the registry's.
    pub fn ca(&self) -> &Path {
        &self.ca
    }
}

impl Drop for RegistryPeer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A CA, and a certificate of it for 127.0.0.1 and [`NAME`].
fn certificates(world: &World, dir: &Path) -> Result<()> {
    let openssl = |arguments: &str| {
        let words: Vec<_> = arguments.split(' ').collect();
        let mut command = Command::new("openssl");
        command.args(words);
        world.prepare(&mut command);
        command.current_dir(dir);
        world.finish(command)?.ok()
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(&format!("req -x509 {key} -days 2 -subj /CN=ca -keyout ca.key -out ca.crt"))?;
    openssl(&format!("req {key} -subj /CN=registry -keyout server.key -out server.csr"))?;
    fs::write(dir.join("names"), format!("subjectAltName=IP:127.0.0.1,DNS:{NAME}\n"))?;
    openssl(
        "x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile names -out server.crt",
    )?;
    ensure!(dir.join("server.crt").is_file(), "openssl made no certificate");
    Ok(())
}

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
    let (mut from_client, mut to_server) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || {
        let _ = std::io::copy(&mut from_client, &mut to_server);
        let _ = to_server.shutdown(Shutdown::Both);
    });
    let _ = std::io::copy(&mut server, &mut client);
    client.shutdown(Shutdown::Both)
}
