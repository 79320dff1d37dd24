//! The life of a container, and what it may not see.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::{Case, Need, Start, World, poll};

pub(super) const CASES: &[Case] = &[
    case("container::life", life),
    case("container::foreground_passes_output_and_code", foreground),
    case("container::is_confined_as_docker_confines", confined),
    case("container::has_a_network_of_its_own", network),
    case("container::a_stopped_app_gets_its_signal", stop_signal),
    case("container::process_lane_lives_too", process_lane),
];

const fn case(name: &'static str, run: fn(&World) -> Result<()>) -> Case {
    Case { name, needs: &[Need::Root], start: Start::Built, run }
}

/// What hello-flask answers.
pub(super) const GREETING: &str = "Hello flask, it's me Bill!";

const ANSWER: Duration = Duration::from_secs(30);

/// The row of an instance in `ps -a --json`.
pub(super) fn row(world: &World, name: &str) -> Result<Value> {
    let output = world.tandem(["ps", "-a", "--json"])?.ok()?;
    let rows = output.json()?;
    let row = rows.as_array().and_then(|rows| rows.iter().find(|row| row["name"] == name));
    row.cloned().with_context(|| format!("{name} is not listed\n{output}"))
}

/// Runs Python in a container of hello-flask and returns what it printed.
fn python(world: &World, options: &[&str], script: &str) -> Result<String> {
    let fixed = ["run", "--rm", "--entrypoint", "python"];
    let arguments = [&fixed[..], options, &["hello-flask", "-c", script]].concat();
    Ok(world.tandem(arguments)?.ok()?.line().to_owned())
}

fn life(world: &World) -> Result<()> {
    lives(world, &["--backend", "container"], ANSWER)
}

fn process_lane(world: &World) -> Result<()> {
    // Without a network of its own the app's port is the host's.
    let arguments = ["run", "-d", "--backend", "process", "--name", "bare", "-p", ":8080"];
    world.tandem(arguments.into_iter().chain(["hello-flask"]))?.ok()?;
    let seen = row(world, "bare")?;
    ensure!(seen["backend"] == "process" && seen["state"] == "running", "{seen}");
    let port = published_port(&seen)?;
    ensure!(poll::first_body(port, ANSWER)? == GREETING, "another answer than the sample's");
    world.tandem(["rm", "-f", "bare"])?.ok()?;
    Ok(())
}

/// The host's port of the first published one, from a row of the listing.
pub(super) fn published_port(row: &Value) -> Result<u16> {
    let text = row["ports"][0].as_str().with_context(|| format!("no port in {row}"))?;
    let host = text.split("->").next().and_then(|host| host.rsplit_once(':'));
    let (_, port) = host.with_context(|| format!("an odd port: {text}"))?;
    Ok(port.parse()?)
}

/// The same verbs for a container and for a virtual machine.
pub(super) fn lives(world: &World, options: &[&str], limit: Duration) -> Result<()> {
    let port = world.free_port()?;
    let publish = format!("127.0.0.1:{port}:8080");
    let fixed = ["run", "-d", "--name", "web", "-p", &publish];
    let started = world.tandem([&fixed[..], options, &["hello-flask"]].concat())?.ok()?;
    let id = started.line().to_owned();
    ensure!(id.len() == 12, "`run -d` prints the id\n{started}");
    ensure!(poll::first_body(port, limit)? == GREETING, "another answer than the sample's");

    let running = row(world, "web")?;
    ensure!(running["id"] == id.as_str() && running["state"] == "running", "{running}");
    ensure!(running["pid"].as_u64().is_some_and(|pid| pid > 1), "{running}");
    ensure!(running["digest"].as_str().is_some_and(|d| d.starts_with("sha256:")), "{running}");
    ensure!(published_port(&running)? == port, "{running}");
    let everything = world.tandem(["inspect", "web"])?.ok()?.json()?;
    ensure!(everything[0]["id"] == id.as_str(), "{everything}");
    let logs = world.tandem(["logs", "web"])?.ok()?;
    let said = format!("{}{}", logs.stdout, logs.stderr);
    ensure!(said.contains("GET / HTTP/1.1"), "the request is not in the log\n{logs}");

    ensure!(world.tandem(["stop", "web"])?.ok()?.line() == "web", "`stop` prints the name");
    let stopped = row(world, "web")?;
    ensure!(stopped["state"] == "exited" && stopped["pid"].is_null(), "{stopped}");
    let shown = world.tandem(["ps", "--json"])?.ok()?.json()?;
    ensure!(shown == serde_json::json!([]), "`ps` shows what runs only: {shown}");

    world.tandem(["start", "web"])?.ok()?;
    ensure!(poll::first_body(port, limit)? == GREETING, "no answer after the second start");
    let refused = world.tandem(["rm", "web"])?.code_is(125)?;
    refused.is_one_sentence(&["web", "running"])?;
    world.tandem(["rm", "-f", "web"])?.ok()?;
    let gone = world.tandem(["inspect", "web"])?.code_is(125)?;
    gone.is_one_sentence(&["web", "tandem ps -a"])
}

fn foreground(world: &World) -> Result<()> {
    let script = "import sys; print('to out'); print('to err', file=sys.stderr); sys.exit(7)";
    let arguments = ["run", "--rm", "--entrypoint", "python", "hello-flask", "-c", script];
    let output = world.tandem(arguments)?.code_is(7)?;
    ensure!(output.stdout == "to out\n" && output.stderr.contains("to err"), "{output}");
    Ok(())
}

fn confined(world: &World) -> Result<()> {
    let script = "import os
status = dict(line.split(':', 1) for line in open('/proc/self/status'))
print(os.getpid(), status['CapEff'].strip(), status['CapBnd'].strip(), status['Seccomp'].strip(), status['NoNewPrivs'].strip())
print(sorted(os.listdir('/proc/acpi')) if os.path.isdir('/proc/acpi') else [], os.access('/proc/sysrq-trigger', os.W_OK))
print(os.path.exists('/dev/mem'), sorted(set(os.listdir('/dev')) & {'null', 'zero', 'full', 'random', 'urandom', 'tty'}))";
    let said = python(world, &[], script)?;
    let lines: Vec<&str> = said.lines().collect();
    // Docker's default capability set is 0xa80425fb.
    ensure!(lines[0] == "1 00000000a80425fb 00000000a80425fb 2 1", "{said}");
    ensure!(lines[1] == "[] False", "{said}");
    let devices = "False ['full', 'null', 'random', 'tty', 'urandom', 'zero']";
    ensure!(lines[2] == devices, "{said}");
    // A call that Docker's seccomp profile refuses even to root.
    let denied = "import ctypes; c = ctypes.CDLL(None, use_errno=True)
print(c.unshare(0x10000000), ctypes.get_errno())";
    ensure!(python(world, &[], denied)? == "-1 1", "unshare(CLONE_NEWUSER) was not refused");
    Ok(())
}

fn network(world: &World) -> Result<()> {
    let script =
        "import os, socket; print(sorted(os.listdir('/sys/class/net')), socket.gethostname())";
    let said = python(world, &["--hostname", "inside"], script)?;
    ensure!(said == "['eth0', 'lo'] inside", "{said}");
    Ok(())
}

fn stop_signal(world: &World) -> Result<()> {
    let script = "import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (print('asked to stop', flush=True), sys.exit(3)))
print('ready', flush=True)
time.sleep(600)";
    let fixed = ["run", "-d", "--name", "polite", "--entrypoint", "python"];
    let tail = ["hello-flask", "-c", script];
    world.tandem([&fixed[..], &tail[..]].concat())?.ok()?;
    poll::until("the app to be ready", ANSWER, || {
        let logs = world.tandem(["logs", "polite"]).ok()?;
        logs.stdout.contains("ready").then_some(())
    })?;
    let stopped = world.tandem(["stop", "polite"])?.ok()?;
    ensure!(stopped.elapsed < Duration::from_secs(9), "it was killed, not asked\n{stopped}");
    let seen = row(world, "polite")?;
    ensure!(seen["exit_code"] == 3, "{seen}");
    let logs = world.tandem(["logs", "polite"])?.ok()?;
    ensure!(logs.stdout.contains("asked to stop"), "{logs}");
    world.tandem(["rm", "polite"])?.ok()?;
    Ok(())
}
