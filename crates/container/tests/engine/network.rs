//! Published ports and the bridge.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::{Completion, Trial};
use tandem_model::{BackendKind, ErrorCode, InstanceRecord};

use crate::{
    trial,
    world::{self, World, port, wait_for},
};

pub(crate) fn all() -> Vec<Trial> {
    vec![
        trial("network::a_published_port_answers", published),
        trial("network::a_port_in_use_is_refused_early", in_use),
        trial("network::containers_reach_each_other", each_other),
        trial("network::the_bridge_goes_with_the_last", last_leaves),
        with_tools("network::a_bridge_that_nothing_hangs_on_is_swept", bare_bridge),
        with_tools("network::what_goes_out_is_translated", outbound),
    ]
}

/// A test that needs more than the engine does.
fn with_tools(name: &str, test: fn() -> Result<()>) -> Trial {
    Trial::ignorable_test(name, move || match tools() {
        Some(reason) => Ok(Completion::ignored_with(reason)),
        None => match test() {
            Ok(()) => Ok(Completion::Completed),
            Err(e) => Err(format!("{e:?}").into()),
        },
    })
}

const SERVER: [&str; 6] = ["httpd", "-f", "-p", "8080", "-h", "/srv"];

/// The body of `/page` at the instance's first published port.
fn get(record: &InstanceRecord) -> Result<String> {
    let port = record.ports.first().context("nothing is published")?;
    let address = SocketAddr::new(port.host_ip, port.host_port);
    wait_for("an answer", || {
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(b"GET /page HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        let read = stream.read_to_string(&mut answer);
        Ok((read.is_ok() && answer.contains("200 OK")).then_some(answer))
    })
}

fn published() -> Result<()> {
    let world = World::new()?;
    for lane in [BackendKind::Container, BackendKind::Process] {
        let mut spec = world.spec(lane, &SERVER);
        spec.ports = vec![port(8080)];
        let record = world.start(spec)?;
        ensure!(record.ports[0].host_port != 0, "{:?}", record.ports);
        ensure!(get(&record)?.ends_with("a page\n"));
        world.stop(&record, Duration::ZERO)?;
        let port = record.ports[0];
        let after = TcpStream::connect(SocketAddr::new(port.host_ip, port.host_port));
        ensure!(after.is_err(), "{lane}: the port is still open");
    }
    Ok(())
}

fn in_use() -> Result<()> {
    let world = World::new()?;
    let holder = TcpListener::bind("127.0.0.1:0")?;
    let taken = holder.local_addr()?.port();
    for lane in [BackendKind::Container, BackendKind::Process] {
        let mut spec = world.spec(lane, &SERVER);
        spec.ports = vec![format!("{taken}:8080").parse()?];
        let error = world.start(spec).err().context("it started")?;
        ensure!(error.code() == ErrorCode::PortInUse, "{error}");
        ensure!(error.to_string().contains(&taken.to_string()), "{error}");
    }
    for record in world.store.list()? {
        ensure!(world.traces(&record).is_empty(), "{:?}", world.traces(&record));
    }
    Ok(())
}

fn each_other() -> Result<()> {
    let world = World::new()?;
    let server = world.start(world.container(&SERVER))?;
    let address = server.runtime.ip.context("it has no address")?;
    let url = format!("http://{address}:8080/page");
    let script =
        format!("for i in $(seq 50); do wget -q -O - {url} && exit 0; sleep 0.1; done; exit 1");
    let (code, log) = world.run(world.container(&["sh", "-c", &script]))?;
    world.stop(&server, Duration::ZERO)?;
    ensure!(code == 0 && log.contains("a page"), "{code} {log}");
    Ok(())
}

fn last_leaves() -> Result<()> {
    let world = World::new()?;
    let first = world.start(world.container(&["sleep", "1000"]))?;
    let second = world.start(world.container(&["sleep", "1000"]))?;
    ensure!(first.runtime.ip != second.runtime.ip, "{:?}", first.runtime.ip);
    ensure!(Path::new("/sys/class/net/tandem0").exists());
    world.stop(&first, Duration::ZERO)?;
    ensure!(Path::new("/sys/class/net/tandem0").exists(), "the other one still needs it");
    world.stop(&second, Duration::ZERO)?;
    wait_for("the end of the bridge", || {
        // Somebody else's containers may be on it.
        let others = std::fs::read_dir("/sys/class/net")?
            .flatten()
            .any(|link| link.file_name().to_string_lossy().starts_with("tdm"));
        Ok((others || !Path::new("/sys/class/net/tandem0").exists()).then_some(()))
    })
}

/// As a supervisor leaves it that is killed after it told of its app's end.
fn bare_bridge() -> Result<()> {
    let world = World::new()?;
    let name = format!("tdmn{}", std::process::id());
    ip(&format!("link add {name} type bridge"))?;
    let path = format!("/sys/class/net/{name}");
    let swept = wait_for("the sweep", || {
        // Somebody may hold the lock on bridges at the moment.
        let lines = world.sweep()?;
        Ok((!Path::new(&path).exists()).then_some(lines))
    });
    if swept.is_err() {
        ip(&format!("link del {name}"))?;
    }
    ensure!(swept?.contains(&format!("bridge {name}")));
    Ok(())
}

/// What the test of the way out lacks.
fn tools() -> Option<String> {
    let there = |name: &str| {
        ["/usr/sbin", "/sbin", "/usr/bin", "/bin"]
            .iter()
            .any(|dir| Path::new(dir).join(name).exists())
    };
    world::lacking().or_else(|| (!there("ip") || !there("nft")).then(|| "needs ip and nft".into()))
}

/// A machine outside: a network namespace with one link to this one and no
/// way to the containers' addresses.
struct Outside {
    name: String,
    server: Option<std::process::Child>,
}

impl Outside {
    const ADDRESS: &str = "198.51.100.2";

    fn new(dir: &Path) -> Result<Self> {
        let mut outside = Self { name: format!("tdx{}", std::process::id()), server: None };
        let name = outside.name.clone();
        ip(&format!("netns add {name}"))?;
        ip(&format!("link add {name} type veth peer name eth0 netns {name}"))?;
        ip(&format!("addr add 198.51.100.1/30 dev {name}"))?;
        ip(&format!("link set {name} up"))?;
        ip(&format!("-n {name} addr add {}/30 dev eth0", Self::ADDRESS))?;
        ip(&format!("-n {name} link set eth0 up"))?;
        let server = std::process::Command::new("ip")
            .args(["netns", "exec", &name])
            .arg(world::busybox().context("busybox")?)
            .args(["httpd", "-f", "-p", "8080", "-h"])
            .arg(dir)
            .spawn()?;
        outside.server = Some(server);
        Ok(outside)
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        if let Some(server) = &mut self.server {
            let _ = server.kill().and_then(|()| server.wait());
        }
        let _ = ip(&format!("link del {}", self.name));
        let _ = ip(&format!("netns del {}", self.name));
    }
}

fn ip(arguments: &str) -> Result<()> {
    let status = std::process::Command::new("ip").args(arguments.split(' ')).status()?;
    ensure!(status.success(), "ip {arguments}");
    Ok(())
}

fn outbound() -> Result<()> {
    let world = World::new()?;
    let served = world.dir.path().join("served");
    std::fs::create_dir(&served)?;
    std::fs::write(served.join("page"), "from outside\n")?;
    let outside = Outside::new(&served)?;
    let url = format!("http://{}:8080/page", Outside::ADDRESS);
    let script =
        format!("for i in $(seq 50); do wget -q -O - {url} && exit 0; sleep 0.1; done; exit 1");
    let (code, log) = world.run(world.container(&["sh", "-c", &script]))?;
    ensure!(code == 0 && log.contains("from outside"), "{code} {log}");
    out_of_reach(&world, &outside)
}

/// Connects from within a network namespace.
fn connect_from(namespace: &str, to: SocketAddr) -> Result<std::io::Result<TcpStream>> {
    let namespace = std::fs::File::open(Path::new("/run/netns").join(namespace))?;
    let connecting = std::thread::spawn(move || {
        nix::sched::setns(namespace, nix::sched::CloneFlags::CLONE_NEWNET)?;
        TcpStream::connect_timeout(&to, Duration::from_secs(2))
    });
    connecting.join().map_err(|_| anyhow::anyhow!("the connecting thread panicked"))
}

/// A machine outside that sends packets for a container our way is not let
/// through, though this machine passes packets on.
fn out_of_reach(world: &World, outside: &Outside) -> Result<()> {
    let server = world.start(world.container(&SERVER))?;
    let address = server.runtime.ip.context("it has no address")?;
    let name = &outside.name;
    wait_for("the app", || Ok(TcpStream::connect((address, 8080)).ok()))?;
    ip(&format!("-n {name} route add {address}/32 via 198.51.100.1"))?;
    let reached = connect_from(name, SocketAddr::new(address, 8080))?;
    world.stop(&server, Duration::ZERO)?;
    let error = reached.err().context("it got in")?;
    // Dropped without a word, and not for want of a way.
    ensure!(error.kind() == std::io::ErrorKind::TimedOut, "{error}");
    Ok(())
}
