//! Containers on several networks from their beginning, and what cuts them off.

use std::{net::UdpSocket, path::PathBuf, process::Command, time::Duration};

use anyhow::{Context as _, Result, ensure};

use super::{archive::elsewhere, container::GREETING};
use crate::{Case, Need, Start, World};

const NEEDS: &[Need] = &[Need::Root, Need::Program("nft"), Need::Program("unshare")];

pub(super) const CASES: &[Case] = &[
    super::case("network::several_at_once", NEEDS, Start::Built, several),
    super::case("network::what_cuts_containers_off_is_told", NEEDS, Start::Built, cut_off),
    super::case("network::questions_of_a_closed_network_stay_inside", NEEDS, Start::Built, closed),
];

const LIMIT: Duration = Duration::from_secs(30);

const NETWORKS: [&str; 2] = ["several-one", "several-two"];

/// Asks the page at an address until there is one.
fn ask(world: &World, network: &str, page: &str) -> Result<String> {
    let script = format!(
        "import time, urllib.request
for attempt in range(60):
    try:
        print(urllib.request.urlopen('{page}', timeout=2).read().decode())
        break
    except OSError as error:
        print(error) if attempt == 59 else time.sleep(0.2)"
    );
    let words = ["run", "--rm", "--network", network, "--entrypoint", "python", "hello-flask"];
    let output = world.tandem([&words[..], &["-c", &script]].concat())?.ok()?;
    Ok(output.line().to_owned())
}

fn several(world: &World) -> Result<()> {
    for name in NETWORKS {
        world.tandem(["network", "create", name])?.ok()?;
    }
    let both = ["--network", NETWORKS[0], "--network", NETWORKS[1]];
    let run = [&["run", "-d", "--name", "several"], &both[..], &["hello-flask"]].concat();
    world.tandem(run)?.ok()?;
    let all_know_it = || {
        NETWORKS.iter().try_for_each(|network| {
            let page = ask(world, network, "http://several:8080/")?;
            ensure!(page == GREETING, "{network}: {page}");
            Ok(())
        })
    };
    all_know_it()?;
    // They were given IPv4 alone.
    let settings = "/proc/sys/net/ipv6/conf";
    let script = format!("cat {settings}/eth0/disable_ipv6 {settings}/eth1/disable_ipv6");
    let six = world.tandem(["exec", "several", "sh", "-c", &script])?.ok()?;
    ensure!(six.stdout == "1\n1\n", "{six}");
    world.tandem(["restart", "-t", "1", "several"])?.ok()?;
    all_know_it()?;
    for name in NETWORKS {
        let used = world.tandem(["network", "rm", name])?.code_is(125)?;
        used.is_one_sentence(&["is used by"])?;
    }
    // The shared bridge goes first, whatever the order.
    let words = ["create", "--name", "several-shared", "--network", NETWORKS[0], "--network"];
    world.tandem([&words[..], &["bridge", "hello-flask"]].concat())?.ok()?;
    let mode = ["inspect", "-f", "{{.HostConfig.NetworkMode}}", "several-shared"];
    ensure!(world.tandem(mode)?.ok()?.line() == "bridge");
    world.tandem(["rm", "several-shared"])?.ok()?;
    for (second, code, says) in [
        (NETWORKS[0], 2, "given twice"),
        ("none", 2, "beside `--network none` there is no other"),
        ("several-three", 125, "no network `several-three`"),
    ] {
        let words = ["run", "--rm", "--network", NETWORKS[0], "--network", second, "hello-flask"];
        world.tandem(words)?.code_is(code)?.is_one_sentence(&[says])?;
    }
    moved(world)?;
    world.tandem(["rm", "-f", "several"])?.ok()?;
    world.tandem([&["network", "rm"], &NETWORKS[..]].concat())?.ok()?;
    Ok(())
}

/// In another home the networks are missing, which is told at once.
fn moved(world: &World) -> Result<()> {
    let home: PathBuf = world.scratch().join("other");
    let file = world.scratch().join("several.tandem").display().to_string();
    world.tandem(["export", "-o", &file, "several"])?.ok()?;
    let came = elsewhere(world, &home, &["import", &file])?.ok()?;
    for name in NETWORKS {
        let says = format!("`tandem network create {name}`");
        ensure!(came.stderr.matches(&says).count() == 1, "{came}");
    }
    let early = elsewhere(world, &home, &["start", "several"])?.code_is(125)?;
    early.is_one_sentence(&["no network `several-one`"])?;
    for name in NETWORKS {
        elsewhere(world, &home, &["network", "create", name])?.ok()?;
    }
    elsewhere(world, &home, &["start", "several"])?.ok()?;
    elsewhere(world, &home, &["rm", "-f", "several"])?.ok()?;
    elsewhere(world, &home, &[&["network", "rm"], &NETWORKS[..]].concat())?.ok()?;
    Ok(())
}

/// On a machine without the program that translates addresses.
fn cut_off(world: &World) -> Result<()> {
    let script = r#"
set -e
mount --bind /dev/null "$(readlink -f "$(command -v nft)")"
ip link set lo up
for name in one two; do
  "$1" run -d --name cut-$name --entrypoint sleep hello-flask 600
done
"$1" stop -t 0 cut-two
"$1" start cut-two
"$1" run --rm --network none --entrypoint true hello-flask
"$1" network create --internal cut-in
"$1" run -d --name cut-three --network cut-in --entrypoint sleep hello-flask 600
for name in out more; do
  "$1" network create cut-$name
  "$1" network connect cut-$name cut-three
done
"$1" network disconnect cut-out cut-three
"$1" exec cut-three cat /proc/net/route
"$1" run -d --name cut-four --network cut-in --network cut-out --network cut-more \
  --entrypoint sleep hello-flask 600
"$1" rm -f cut-one cut-two cut-three cut-four
"$1" network rm cut-in cut-out cut-more
"#;
    let mut command = Command::new("unshare");
    command.args(["--net", "--mount", "--propagation", "private", "sh", "-c", script, "sh"]);
    command.arg(world.program("tandem"));
    world.prepare(&mut command);
    let output = crate::process::run(command, 4 * LIMIT)?.ok()?;
    let warning = "warning: containers cannot reach other networks: the program `nft` is not \
                   installed: `sudo apt-get install nftables`";
    let told = output.stderr.lines().filter(|line| *line == warning).count();
    // At each start, and at the first network that would lead out.
    ensure!(told == 5, "it was told {told} times\n{output}");
    let first = output.stdout.lines().next().context("no id")?;
    ensure!(first.len() == 12, "{output}");
    // The network that is left leads out, where the first is closed.
    let columns = output.stdout.lines().map(|line| line.split_whitespace().take(2));
    let ways_out: Vec<&str> = columns
        .filter_map(|mut two| two.next().filter(|_| two.next() == Some("00000000")))
        .collect();
    ensure!(ways_out == ["eth2"], "{output}");
    Ok(())
}

/// A name server that nobody but a resolver of ours can ask hears what comes
/// from an open network, and nothing from a closed one.
fn closed(world: &World) -> Result<()> {
    const SERVER: &str = "127.77.0.1";
    let server = UdpSocket::bind((SERVER, 53))?;
    server.set_read_timeout(Some(Duration::from_secs(3)))?;
    let script = "import socket, time
try: socket.gethostbyname('canary.example')
except OSError as error: print(error, flush=True)
time.sleep(600)";
    for (name, more, hears) in [("asks-out", None, true), ("asks-in", Some("--internal"), false)] {
        world.tandem(["network", "create"].into_iter().chain(more).chain([name]))?.ok()?;
        let run = ["run", "-d", "--name", name, "--network", name, "--dns", SERVER];
        let app = ["--entrypoint", "python", "hello-flask", "-c", script];
        world.tandem([&run[..], &app].concat())?.ok()?;
        if !hears {
            crate::poll::until("the answer that there is no such name", LIMIT, || {
                let said = world.tandem(["logs", name]).ok()?;
                (!said.stdout.is_empty()).then_some(())
            })?;
        }
        let mut question = [0; 512];
        let heard = server.recv(&mut question).is_ok();
        ensure!(heard == hears, "{name}: it heard {heard}");
        world.tandem(["rm", "-f", name])?.ok()?;
        world.tandem(["network", "rm", name])?.ok()?;
        // What was on its way.
        server.set_nonblocking(true)?;
        while server.recv(&mut question).is_ok() {}
        server.set_nonblocking(false)?;
    }
    Ok(())
}
