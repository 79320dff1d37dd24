//! Networks: published ports, names, isolation, the way out.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream, UdpSocket},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};

use super::container::GREETING;
use crate::{Case, Need, Start, World, poll};

pub(super) const CASES: &[Case] = &[
    case("network::udp_goes_both_ways", udp),
    case("network::ranges_and_free_ports_are_published", ranges),
    case("network::the_first_free_port_of_a_range_is_published", first_free),
    case("network::none_and_host", none_and_host),
    case("network::containers_know_each_other_by_name", names),
    case("network::networks_are_apart", apart),
    case("network::a_container_joins_and_leaves_networks", joined),
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

fn first_free(world: &World) -> Result<()> {
    // A port that is taken, with a few behind it.
    let held = TcpListener::bind("127.0.0.1:0")?;
    let base = held.local_addr()?.port();
    ensure!(base < u16::MAX - 8, "no room behind {base}");
    let range = format!("{base}-{}:8080", base + 8);
    let port_of = |name: &str| -> Result<u16> {
        let shown = world.tandem(["port", name, "8080"])?.ok()?;
        let port = shown.line().rsplit_once(':').context("no port")?.1.parse()?;
        ensure!((base + 1..=base + 8).contains(&port), "{shown}");
        Ok(port)
    };
    let mut taken = Vec::new();
    for name in ["range-one", "range-two"] {
        world.tandem(["run", "-d", "--name", name, "-p", &range, "hello-flask"])?.ok()?;
        taken.push(port_of(name)?);
    }
    ensure!(taken[0] != taken[1], "{taken:?}");
    ensure!(poll::first_body(taken[1], LIMIT)? == GREETING);
    // Each start asks anew.
    world.tandem(["stop", "range-one"])?.ok()?;
    world.tandem(["start", "range-one"])?.ok()?;
    ensure!(port_of("range-one")? != taken[1]);
    world.tandem(["rm", "-f", "range-one", "range-two"])?.ok()?;
    // None is free.
    let held: Vec<_> =
        (base + 1..=base + 2).map(|port| TcpListener::bind(("127.0.0.1", port))).collect();
    let range = format!("{base}-{}:8080", base + 2);
    let refused = world.tandem(["run", "--rm", "-p", &range, "hello-flask"])?.code_is(125)?;
    refused.is_one_sentence(&["all ports from", &base.to_string(), "-p "])?;
    drop(held);
    // The other address family, and the port that somebody certain wants.
    if TcpListener::bind("[::1]:0").is_ok() {
        let sure = world.free_port()?;
        let range = format!("{sure}-{}:8080", sure.saturating_add(8));
        let words = ["-p", "[::1]::8080", "-p", &range, "-p", &format!("{sure}:8081")];
        let run = [&["run", "-d", "--name", "range-six"], &words[..], &["hello-flask"]].concat();
        world.tandem(run)?.ok()?;
        let shown = world.tandem(["port", "range-six"])?.ok()?;
        ensure!(shown.stdout.contains(&format!("8081/tcp -> 127.0.0.1:{sure}\n")), "{shown}");
        let six = shown.stdout.lines().find_map(|line| line.strip_prefix("8080/tcp -> [::1]:"));
        let mut stream = poll::until("a listener", LIMIT, || {
            let stream = TcpStream::connect(("::1", six?.parse().ok()?)).ok()?;
            (&stream).write_all(b"GET / HTTP/1.0\r\n\r\n").ok()?;
            let mut first = [0; 4];
            (&stream).read_exact(&mut first).ok().map(|()| stream)
        })?;
        let mut rest = String::new();
        stream.read_to_string(&mut rest)?;
        ensure!(rest.contains(GREETING), "{rest}");
        world.tandem(["rm", "-f", "range-six"])?.ok()?;
    }
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

/// A container on the shared bridge joins a network while it runs, is known
/// there, keeps it over a restart, and leaves it.
fn joined(world: &World) -> Result<()> {
    for name in ["join-back", "join-front"] {
        world.tandem(["network", "create", name])?.ok()?;
    }
    world.tandem(["run", "-d", "--name", "join-web", "-p", "8080", "hello-flask"])?.ok()?;
    let sleep = "import time; time.sleep(600)";
    let back = python(&["-d", "--name", "join-db", "--network", "join-back"], sleep);
    world.tandem(back)?.ok()?;
    let ask = |of: &str, url: &str| -> Result<String> {
        let words = ["exec", of, "python", "-c", &fetch(url)];
        Ok(world.tandem(words)?.ok()?.line().to_owned())
    };
    let unknown =
        "import socket\ntry: socket.gethostbyname('{}')\nexcept OSError: print('unknown')";
    let is_unknown = |of: &str, name: &str| -> Result<bool> {
        let words = ["exec", of, "python", "-c", &unknown.replace("{}", name)];
        Ok(world.tandem(words)?.ok()?.line() == "unknown")
    };
    ensure!(is_unknown("join-db", "join-web")?);
    world.tandem(["network", "connect", "--alias", "www", "join-back", "join-web"])?.ok()?;
    ensure!(ask("join-db", "http://www:8080/")? == GREETING);
    ensure!(ask("join-db", "http://join-web.join-back:8080/")? == GREETING);
    ensure!(!is_unknown("join-web", "join-db")?, "it knows the others too");
    // Its first network is as it was.
    let port = world.tandem(["port", "join-web", "8080"])?.ok()?;
    let port = port.line().rsplit_once(':').context("no port")?.1.parse()?;
    ensure!(poll::first_body(port, LIMIT)? == GREETING);
    let shown = world.tandem(["network", "inspect", "join-back"])?.ok()?.json()?;
    let members = shown[0]["instances"].as_array().context("no members")?;
    ensure!(members.len() == 2 && members.iter().all(|it| it["address"].is_string()), "{shown}");
    let all =
        "{{range $name, $at := .NetworkSettings.Networks}}{{$name}}={{$at.IPAddress}} {{end}}";
    let all = world.tandem(["inspect", "-f", all, "join-web"])?.ok()?;
    ensure!(all.stdout.matches("=10.").count() == 2, "{all}");

    // What makes no sense is one sentence, and changes nothing.
    for (words, code, says) in [
        (["network", "connect", "join-back", "join-web"], 125, "already"),
        (["network", "connect", "join-back", "join-db"], 125, "already"),
        (["network", "connect", "host", "join-web"], 2, "from its beginning"),
        (["network", "connect", "join-none", "join-web"], 125, "join-none"),
        (["network", "disconnect", "join-front", "join-web"], 125, "is not on"),
        (["network", "disconnect", "bridge", "join-web"], 2, "was made on"),
    ] {
        world.tandem(words)?.code_is(code)?.is_one_sentence(&[says])?;
    }
    world.tandem(["network", "rm", "join-back"])?.code_is(125)?.is_one_sentence(&["is used by"])?;

    // It is there again after a start, and what joined meanwhile too.
    world.tandem(["stop", "-t", "1", "join-web"])?.ok()?;
    world.tandem(["network", "connect", "join-front", "join-web"])?.ok()?;
    world.tandem(["start", "join-web"])?.ok()?;
    ensure!(ask("join-db", "http://www:8080/")? == GREETING);
    let front = python(&["--rm", "--network", "join-front"], &fetch("http://join-web:8080/"));
    ensure!(world.tandem(front)?.ok()?.line() == GREETING);

    world.tandem(["network", "disconnect", "join-back", "join-web"])?.ok()?;
    ensure!(is_unknown("join-db", "www")? && is_unknown("join-web", "join-db")?);
    world.tandem(["network", "disconnect", "join-front", "join-web"])?.ok()?;
    world.tandem(["rm", "-f", "join-web", "join-db"])?.ok()?;
    world.tandem(["network", "rm", "join-back", "join-front"])?.ok()?;
    let alone = python(&["-d", "--name", "join-none", "--network", "none"], sleep);
    world.tandem(alone)?.ok()?;
    world.tandem(["network", "create", "join-back"])?.ok()?;
    let refused = world.tandem(["network", "connect", "join-back", "join-none"])?.code_is(2)?;
    refused.is_one_sentence(&["--network none"])?;
    world.tandem(["rm", "-f", "join-none"])?.ok()?;
    world.tandem(["network", "rm", "join-back"])?.ok()?;
    Ok(())
}
