//! Networks: published ports, names, isolation, the way out.

use std::{
    net::UdpSocket,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};

use super::container::GREETING;
use crate::{Case, Need, Start, World, poll};

pub(super) const CASES: &[Case] = &[
    case("network::udp_goes_both_ways", udp),
    case("network::ranges_and_free_ports_are_published", ranges),
    case("network::none_and_host", none_and_host),
    case("network::containers_know_each_other_by_name", names),
    case("network::networks_are_apart", apart),
    case("network::a_network_in_use_stays", in_use),
    case("network::name_servers_can_be_chosen", dns),
    Case {
        name: "network::a_closed_firewall_is_passed",
        needs: &[
            Need::Root,
            Need::Program("ip"),
            Need::Program("nft"),
            Need::Program("unshare"),
            Need::Program("python3"),
            Need::Program("iptables-nft"),
        ],
        start: Start::Built,
        run: firewall,
    },
];

const fn case(name: &'static str, run: fn(&World) -> Result<()>) -> Case {
    Case { name, needs: &[Need::Root], start: Start::Built, run }
}

const LIMIT: Duration = Duration::from_secs(30);

/// Sends whatever comes by UDP back in capitals.
const ECHO: &str = "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('', 7000))
while True:
    data, peer = s.recvfrom(2000)
    s.sendto(data.upper(), peer)
";

/// Runs Python in hello-flask's image with these options.
fn python(options: &[&str], script: &str) -> Vec<String> {
    let fixed = ["run", "--entrypoint", "python"];
    let words = [&fixed[..], options, &["hello-flask", "-c", script]].concat();
    words.into_iter().map(str::to_owned).collect()
}

/// Asks until there is an answer.
fn ask(port: u16, question: &str) -> Result<String> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.set_read_timeout(Some(Duration::from_millis(100)))?;
    socket.connect(("127.0.0.1", port))?;
    let begin = Instant::now();
    loop {
        let mut answer = [0; 2000];
        socket.send(question.as_bytes())?;
        if let Ok(length) = socket.recv(&mut answer) {
            return Ok(String::from_utf8_lossy(&answer[..length]).into_owned());
        }
        ensure!(begin.elapsed() < LIMIT, "nobody answers");
    }
}

fn udp(world: &World) -> Result<()> {
    for backend in ["container", "process"] {
        let options = ["-d", "--name", "echo", "--backend", backend, "-p", "7000/udp"];
        world.tandem(python(&options, ECHO))?.ok()?;
        let place = world.tandem(["port", "echo", "7000/udp"])?.ok()?.line().to_owned();
        let (_, port) = place.rsplit_once(':').with_context(|| place.clone())?;
        let port = port.parse()?;
        ensure!(ask(port, "first")? == "FIRST" && ask(port, "second")? == "SECOND");
        world.tandem(["rm", "-f", "echo"])?.ok()?;
    }
    Ok(())
}

fn ranges(world: &World) -> Result<()> {
    let base = world.free_port()?;
    let range = format!("{base}-{}:8080-8081", base + 1);
    let publish = ["run", "-d", "--name", "web", "-p", &range, "-p", "8080", "-P", "hello-flask"];
    let output = world.tandem(publish)?;
    if output.code == Some(125) && output.stderr.contains("in use") {
        // Somebody took the second port: the refusal is as good.
        return Ok(());
    }
    output.ok()?;
    let shown = world.tandem(["port", "web"])?.ok()?;
    let first = format!("8080/tcp -> 127.0.0.1:{base}\n8081/tcp -> 127.0.0.1:{}\n", base + 1);
    ensure!(shown.stdout.starts_with(&first), "{shown}");
    ensure!(shown.stdout.lines().count() == 3, "-P adds nothing that is published\n{shown}");
    ensure!(poll::first_body(base, LIMIT)? == GREETING);
    let rows = world.tandem(["port", "--json", "web", "8081"])?.ok()?.json()?;
    ensure!(rows[0]["port"] == "8081/tcp", "{rows}");
    let missing = world.tandem(["port", "web", "99"])?;
    ensure!(missing.code == Some(125) && missing.stderr.contains("port 99"), "{missing}");
    world.tandem(["rm", "-f", "web"])?.ok()?;
    let twice = world.tandem(["run", "-p", "81:1", "-p", "81:2", "hello-flask"])?;
    ensure!(twice.code == Some(2) && twice.stderr.contains("twice"), "{twice}");
    Ok(())
}

fn none_and_host(world: &World) -> Result<()> {
    let links = "import socket; print(sorted(n for _, n in socket.if_nameindex()))";
    let alone = world.tandem(python(&["--rm", "--network", "none"], links))?.ok()?;
    ensure!(alone.line() == "['lo']", "{alone}");
    let refused = world.tandem(["run", "--network", "none", "-p", "80", "hello-flask"])?;
    ensure!(refused.code == Some(2) && refused.stderr.contains("--network none"), "{refused}");
    let settings = "/proc/sys/net/ipv4/ip_unprivileged_port_start";
    let before = std::fs::read_to_string(settings)?;
    let name = "import socket; print(socket.gethostname(), socket.gethostbyname('localhost'))";
    let host = world.tandem(python(&["--rm", "--network", "host", "-p", "1:1"], name))?.ok()?;
    let own = std::fs::read_to_string("/proc/sys/kernel/hostname")?;
    ensure!(host.line() == format!("{} 127.0.0.1", own.trim()), "{host}");
    ensure!(host.stderr.contains("-p does nothing"), "{host}");
    ensure!(std::fs::read_to_string(settings)? == before, "a setting of the host was changed");
    Ok(())
}

/// Prints what the page at an address says.
fn fetch(url: &str) -> String {
    format!(
        "
import time, urllib.request
for attempt in range(60):
    try:
        print(urllib.request.urlopen('{url}', timeout=2).read().decode())
        break
    except OSError as error:
        print(error) if attempt == 59 else time.sleep(0.2)
"
    )
}

fn names(world: &World) -> Result<()> {
    world.tandem(["network", "create", "--label", "for=test", "back"])?.ok()?;
    world
        .tandem([
            "run",
            "-d",
            "--name",
            "web",
            "--hostname",
            "front",
            "--network",
            "back",
            "hello-flask",
        ])?
        .ok()?;
    for name in ["web", "front"] {
        let page = fetch(&format!("http://{name}:8080/"));
        let got = world.tandem(python(&["--rm", "--network", "back"], &page))?.ok()?;
        ensure!(got.line() == GREETING, "{name}: {got}");
    }
    let script = "
import socket
address = socket.gethostbyname('web')
print(socket.gethostbyaddr(address)[0], open('/etc/resolv.conf').read().split()[1])
# Port 53 is free for the app, by either transport.
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).bind(('', 53))
socket.socket().bind(('', 53))
";
    let reversed = world.tandem(python(&["--rm", "--network", "back"], script))?.ok()?;
    ensure!(reversed.line() == "web 127.0.0.11", "{reversed}");
    let seen = world.tandem(["network", "inspect", "back"])?.ok()?.json()?;
    ensure!(
        seen[0]["labels"]["for"] == "test" && seen[0]["instances"][0]["name"] == "web",
        "{seen}"
    );
    world.tandem(["rm", "-f", "web"])?.ok()?;
    let gone = "
import socket
try:
    print(socket.gethostbyname('web'))
except OSError:
    print('unknown')
";
    let options = ["--rm", "--network", "back", "--dns", "127.0.0.1"];
    let after = world.tandem(python(&options, gone))?.ok()?;
    ensure!(after.line() == "unknown", "{after}");
    world.tandem(["network", "rm", "back"])?.ok()?;
    Ok(())
}

fn apart(world: &World) -> Result<()> {
    world.tandem(["network", "create", "--internal", "one"])?.ok()?;
    world.tandem(["network", "create", "two"])?.ok()?;
    world.tandem(["run", "-d", "--name", "web", "--network", "one", "hello-flask"])?.ok()?;
    let inside = world.tandem(["network", "inspect", "one"])?.ok()?.json()?;
    let address = inside[0]["instances"][0]["address"].as_str().context("no address")?.to_owned();
    let try_once = format!(
        "
import socket
try:
    socket.create_connection(('{address}', 8080), timeout=2)
    print('reached')
except OSError:
    print('apart')
"
    );
    // The app listens: its neighbour says so.
    let page = fetch(&format!("http://{address}:8080/"));
    let near = world.tandem(python(&["--rm", "--network", "one"], &page))?.ok()?;
    ensure!(near.line() == GREETING, "{near}");
    for network in ["two", "bridge"] {
        let far = world.tandem(python(&["--rm", "--network", network], &try_once))?.ok()?;
        ensure!(far.line() == "apart", "{network}: {far}");
    }
    let routes = "print(len(open('/proc/net/route').readlines()) - 1)";
    let out = world.tandem(python(&["--rm", "--network", "one"], routes))?.ok()?;
    ensure!(out.line() == "1", "an internal network has no way out\n{out}");
    world.tandem(["rm", "-f", "web"])?.ok()?;
    world.tandem(["network", "rm", "one", "two"])?.ok()?;
    Ok(())
}

fn in_use(world: &World) -> Result<()> {
    let unknown = world.tandem(["run", "--network", "nowhere", "hello-flask"])?;
    ensure!(
        unknown.code == Some(125) && unknown.stderr.contains("no network `nowhere`"),
        "{unknown}"
    );
    world.tandem(["network", "create", "--subnet", "198.19.7.0/24", "kept"])?.ok()?;
    let again = world.tandem(["network", "create", "kept"])?;
    ensure!(again.code == Some(125) && again.stderr.contains("already"), "{again}");
    let overlap = world.tandem(["network", "create", "--subnet", "198.19.0.0/16", "other"])?;
    ensure!(overlap.code == Some(125) && overlap.stderr.contains("`kept`"), "{overlap}");
    let bad = world.tandem(["network", "create", "--subnet", "198.19.7.1/24", "other"])?;
    ensure!(bad.code == Some(2) && bad.stderr.contains("198.19.7.0/24"), "{bad}");
    world.tandem(["create", "--name", "user", "--network", "kept", "hello-flask"])?.ok()?;
    let refused = world.tandem(["network", "rm", "kept"])?;
    ensure!(refused.code == Some(125) && refused.stderr.contains("`user`"), "{refused}");
    world.tandem(["start", "user"])?.ok()?;
    let seen = world.tandem(["network", "inspect", "kept"])?.ok()?.json()?;
    ensure!(seen[0]["gateway"] == "198.19.7.1", "{seen}");
    ensure!(seen[0]["instances"][0]["address"] == "198.19.7.2", "{seen}");
    world.tandem(["rm", "-f", "user"])?.ok()?;
    world.tandem(["network", "rm", "kept"])?.ok()?;
    let listed = world.tandem(["network", "ls", "--json"])?.ok()?.json()?;
    let names: Vec<_> =
        listed.as_array().into_iter().flatten().map(|it| it["name"].clone()).collect();
    ensure!(names == ["bridge", "host", "none"], "{names:?}");
    Ok(())
}

fn dns(world: &World) -> Result<()> {
    let script =
        "print([l.split()[1] for l in open('/etc/resolv.conf') if l.startswith('nameserver')])";
    let options = ["--rm", "--dns", "192.0.2.1", "--dns", "192.0.2.2"];
    let output = world.tandem(python(&options, script))?.ok()?;
    ensure!(output.line() == "['192.0.2.1', '192.0.2.2']", "{output}");
    Ok(())
}

/// In a network namespace with Docker's closed chain and a server behind it,
/// a container gets out, and takes its rules away again.
fn firewall(world: &World) -> Result<()> {
    let page = fetch("http://198.51.100.2:8000/");
    let run = python(&["--rm"], &page);
    let script = r#"
set -e
ip link set lo up
unshare -n sleep 1000 & outside=$!
trap "kill $outside" EXIT
until [ "$(readlink /proc/$outside/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do :; done
ip link add out type veth peer name eth0 netns $outside
ip addr add 198.51.100.1/30 dev out
ip link set out up
nsenter -t $outside -n ip addr add 198.51.100.2/30 dev eth0
nsenter -t $outside -n ip link set eth0 up
nsenter -t $outside -n ip link set lo up
cd "$SERVED"
nsenter -t $outside -n python3 -m http.server 8000 --bind 198.51.100.2 >/dev/null 2>&1 & server=$!
trap "kill $server $outside" EXIT
iptables-nft -P FORWARD DROP
"$@"
# They go a moment after the end was told.
for i in $(seq 100); do iptables-nft -S FORWARD | grep -q tandem || break; sleep 0.1; done
iptables-nft -S FORWARD >&2
ls /run >&2
"#;
    let served = world.scratch().join("served");
    std::fs::create_dir_all(&served)?;
    std::fs::write(served.join("index.html"), "from outside")?;
    let mut command = Command::new("unshare");
    command.args(["-n", "sh", "-c", script, "sh"]).arg(world.program("tandem"));
    command.args(run).env("SERVED", &served);
    world.prepare(&mut command);
    let output = world.finish(command)?.ok()?;
    ensure!(output.line() == "from outside", "{output}");
    ensure!(!output.stderr.contains("-A FORWARD"), "a rule of ours stayed\n{output}");
    ensure!(!output.stderr.contains("tandem-forward"), "a note of ours stayed\n{output}");
    Ok(())
}
