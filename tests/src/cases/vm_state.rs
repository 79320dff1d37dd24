//! What is kept of a virtual machine and comes back: its disk, its memory, on
//! this home and on another; and its size while it runs. Under software
//! emulation, so that it is the same everywhere, and with few boots.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

use super::{
    container::{published_port, row},
    vm::case,
};
use crate::{Case, Output, World, poll};

pub(super) const CASES: &[Case] = &[
    case("vm_state::snapshots_bring_disk_and_memory_back", snapshots),
    case("vm_state::a_template_starts_many", template),
    case("vm_state::a_machine_grows_and_shrinks_while_it_runs", resize),
];

/// An emulated boot on a busy machine.
const LIMIT: Duration = Duration::from_mins(4);

/// Counts in memory and on the disk, and says who it is.
const COUNTER: &str = "import http.server, os, socket, time
ram = 0
class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args): pass
    def do_GET(self):
        global ram
        disk = int(open('/count').read()) if os.path.exists('/count') else 0
        if self.path == '/hit':
            ram, disk = ram + 1, disk + 1
            with open('/count', 'w') as f:
                f.write(str(disk)); f.flush(); os.fsync(f.fileno())
        memory = int(open('/proc/meminfo').readline().split()[1]) // 1024
        mac = open('/sys/class/net/eth0/address').read().strip()
        try: own = socket.gethostbyname(socket.gethostname())
        except OSError as e: own = type(e).__name__
        text = f'{ram} {disk} {socket.gethostname()} {mac} {os.cpu_count()} {memory} {int(time.time())} {os.urandom(8).hex()} {own}'
        self.send_response(200); self.end_headers(); self.wfile.write(text.encode())
http.server.ThreadingHTTPServer(('', 8000), Handler).serve_forever()";

/// What the counter says.
#[derive(Debug)]
struct Said {
    counts: (u32, u32),
    name: String,
    mac: String,
    cpus: u32,
    memory: u32,
    time: u64,
    random: String,
    /// The address that its own name has inside.
    address: String,
}

fn start(world: &World, name: &str, options: &[&str]) -> Result<Output> {
    let fixed = ["run", "-d", "--backend", "vm", "--accelerator", "tcg", "--memory", "256m"];
    let more = ["--name", name, "-p", ":8000", "--entrypoint", "python"];
    let tail = ["hello-flask", "-c", COUNTER];
    world.tandem_within(LIMIT, [&fixed[..], &more, options, &tail].concat())?.ok()
}

fn ask(world: &World, name: &str, path: &str) -> Result<Said> {
    let port = published_port(&row(world, name)?)?;
    let body = poll::until("the counter's answer", LIMIT, || get(port, path).ok())?;
    let words: Vec<&str> = body.split(' ').collect();
    ensure!(words.len() == 9, "{body}");
    Ok(Said {
        counts: (words[0].parse()?, words[1].parse()?),
        name: words[2].to_owned(),
        mac: words[3].to_owned(),
        cpus: words[4].parse()?,
        memory: words[5].parse()?,
        time: words[6].parse()?,
        random: words[7].to_owned(),
        address: words[8].to_owned(),
    })
}

fn get(port: u16, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no answer")?;
    ensure!(head.contains(" 200 "), "{head}");
    Ok(body.to_owned())
}

/// Its clock is the host's.
fn on_time(said: &Said) -> Result<()> {
    let clock = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    ensure!(said.time.abs_diff(clock) < 60, "its clock stands at {}, ours at {clock}", said.time);
    Ok(())
}

fn machine(world: &World, words: &[&str]) -> Result<Output> {
    world.tandem_within(LIMIT, words)?.ok()
}

fn listed(world: &World) -> Result<Vec<Value>> {
    let rows = machine(world, &["snapshot", "ls", "--json", "box"])?.json()?;
    rows.as_array().cloned().context("no list")
}

fn snapshots(world: &World) -> Result<()> {
    start(world, "box", &[])?;
    for _ in 0..3 {
        ask(world, "box", "/hit")?;
    }
    let taken = machine(world, &["snapshot", "create", "--memory", "--json", "box", "warm"])?;
    let (whole, taken) = (taken.elapsed.as_nanos(), taken.json()?);
    // Most of it is written while the guest runs.
    let pause = u128::from(taken["pause_ns"].as_u64().context("no pause")?);
    ensure!(pause > 0 && pause < whole, "{pause} of {whole} ns: {taken}");
    ensure!(taken["longest_wait_ns"].as_u64().is_some_and(|ns| ns > 0), "{taken}");
    ask(world, "box", "/hit")?;
    let after = ask(world, "box", "/hit")?;
    ensure!(after.counts == (5, 5), "it did not go on: {after:?}");
    machine(world, &["snapshot", "create", "box", "cold"])?;
    let rows = listed(world)?;
    ensure!(rows[0]["memory"] == true && rows[1]["memory"] == false, "{rows:?}");
    ensure!(rows[1]["parent"] == "warm" && rows[1]["current"] == true, "{rows:?}");
    ensure!(rows[0]["unique_bytes"].as_u64() > rows[1]["unique_bytes"].as_u64(), "{rows:?}");
    let tree = machine(world, &["snapshot", "tree", "box"])?;
    let lines: Vec<&str> = tree.stdout.lines().collect();
    ensure!(lines.len() == 2 && lines[0].starts_with("warm  with memory, "), "{tree}");
    ensure!(lines[1].contains("cold  ") && lines[1].contains("<- the instance"), "{tree}");
    ensure!(lines.iter().all(|line| line.contains("iB (")), "no sizes: {tree}");

    // In place: memory and disk are of one moment again, the machine the same.
    let back = machine(world, &["snapshot", "restore", "--json", "box", "warm"])?.json()?;
    ensure!(back["started"] == true && back["memory"] == true, "{back}");
    let said = ask(world, "box", "/hit")?;
    ensure!(said.counts == (4, 4) && said.name == after.name, "{said:?}, {after:?}");
    on_time(&said)?;

    // As another one, beside it.
    machine(world, &["snapshot", "restore", "box", "warm", "--as", "copy"])?;
    machine(world, &["start", "copy"])?;
    let copy = ask(world, "copy", "/")?;
    ensure!(copy.counts == (3, 3), "{copy:?}");
    ensure!(copy.name != said.name && copy.mac != said.mac, "the same identity: {copy:?}");
    ensure!(copy.random != said.random, "the same random numbers");
    ensure!(copy.address == said.address, "its name is nobody's: {copy:?}");
    machine(world, &["rm", "-f", "copy"])?;

    // The process is killed: that is told, and the last snapshot goes on.
    let pid = row(world, "box")?["pid"].as_i64().context("no process")?;
    kill(Pid::from_raw(i32::try_from(pid)?), Signal::SIGKILL)?;
    poll::until("the end to be seen", LIMIT, || {
        (row(world, "box").ok()?["state"] == "exited").then_some(())
    })?;
    machine(world, &["snapshot", "restore", "box", "warm"])?;
    machine(world, &["start", "box"])?;
    ensure!(ask(world, "box", "/")?.counts == (3, 3), "another state came back");

    // In another home, from one file, with the memory.
    machine(world, &["export", "box", "-o", "box.tar"])?;
    let home = world.scratch().join("second").to_string_lossy().into_owned();
    let there = |words: &[&str]| machine(world, &[&["--home", &home], words].concat());
    there(&["import", "box.tar", "--name", "moved"])?;
    there(&["snapshot", "restore", "moved", "warm"])?;
    there(&["start", "moved"])?;
    let rows = there(&["ps", "-a", "--json"])?.json()?;
    let port = published_port(&rows[0])?;
    let body = poll::until("the answer elsewhere", LIMIT, || get(port, "/hit").ok())?;
    ensure!(body.starts_with("4 4 "), "another state arrived: {body}");
    there(&["rm", "-f", "moved"])?;

    refusals(world)?;
    // Without the one that it came from, and without memory: from its disk.
    machine(world, &["snapshot", "rm", "box", "warm"])?;
    machine(world, &["snapshot", "restore", "box", "cold"])?;
    machine(world, &["start", "box"])?;
    let said = ask(world, "box", "/")?;
    ensure!(said.counts == (0, 5), "{said:?}");
    machine(world, &["rm", "-f", "box"])?;
    Ok(())
}

/// What cannot be, and that nothing stays of it. Leaves the machine stopped.
fn refusals(world: &World) -> Result<()> {
    let twice = world.tandem(["snapshot", "create", "box", "warm"])?.code_is(125)?;
    twice.is_one_sentence(&["warm", "already"])?;
    let none = world.tandem(["snapshot", "restore", "box", "none"])?.code_is(125)?;
    none.is_one_sentence(&["none", "snapshot ls"])?;
    let growth = ["update", "--mode", "hot", "--memory", "512m", "box"];
    world.tandem(growth)?.code_is(125)?.is_one_sentence(&["--max-memory", "cold"])?;
    machine(world, &["stop", "-t", "1", "box"])?;
    let stopped = world.tandem(["snapshot", "create", "--memory", "box", "late"])?.code_is(125)?;
    stopped.is_one_sentence(&["not running", "tandem start"])?;
    ensure!(listed(world)?.len() == 2, "half a snapshot is listed");
    // A memory that was saved elsewhere does not go on here, and is told.
    let record = world.tandem(["inspect", "box"])?.ok()?.json()?;
    let id = record[0]["id"].as_str().context("no id")?;
    let file = world.home().join("instances").join(id).join("snapshots/warm/snapshot.json");
    let text = std::fs::read_to_string(&file)?;
    let mut snapshot: Value = serde_json::from_str(&text)?;
    snapshot["machine"]["memory"]["qemu"] = "1.0.0".into();
    std::fs::write(&file, snapshot.to_string())?;
    machine(world, &["snapshot", "restore", "box", "warm"])?;
    let other = world.tandem_within(LIMIT, ["start", "box"])?.code_is(125)?;
    other.is_one_sentence(&["QEMU 1.0.0", "--without-memory"])?;
    Ok(())
}

fn template(world: &World) -> Result<()> {
    start(world, "first", &["--template", "auto"])?;
    start(world, "second", &["--template", "auto"])?;
    for name in ["first", "second"] {
        let record = world.tandem(["inspect", name])?.ok()?.json()?;
        let phases = record[0]["phases"].as_array().cloned().unwrap_or_default();
        let names: Vec<_> = phases.iter().filter_map(|phase| phase["name"].as_str()).collect();
        ensure!(names.contains(&"restore") && !names.contains(&"kernel"), "it booted: {names:?}");
    }
    let (first, second) = (ask(world, "first", "/hit")?, ask(world, "second", "/")?);
    ensure!(first.counts == (1, 1) && second.counts == (0, 0), "{first:?}, {second:?}");
    ensure!(first.name != second.name && first.mac != second.mac, "{first:?}, {second:?}");
    ensure!(first.random != second.random, "the same random numbers");
    for (name, said) in [("first", &first), ("second", &second)] {
        // Each is itself, and none lives in the past of the template.
        let id = row(world, name)?["id"].clone();
        ensure!(id == said.name.as_str(), "{name} is called {}, not {id}", said.name);
        ensure!(said.address == "10.0.2.15", "{name} does not know its own name: {said:?}");
        on_time(said)?;
    }
    let left = world.tandem(["ps", "-a", "--json"])?.ok()?.json()?;
    ensure!(left.as_array().is_some_and(|rows| rows.len() == 2), "something was left: {left}");
    let refused = world.tandem(["run", "--rm", "--template", "auto", "hello-flask"])?;
    refused.code_is(2)?.is_one_sentence(&["--template", "--backend vm"])?;
    machine(world, &["rm", "-f", "first", "second"])?;
    Ok(())
}

fn update(world: &World, options: &[&str]) -> Result<Value> {
    let fixed = ["update", "--json", "--mode", "hot"];
    let reports = machine(world, &[&fixed[..], options, &["box"]].concat())?.json()?;
    let report = reports[0].clone();
    ensure!(report["how"] == "hot" && report["downtime_ns"] == 0, "{report}");
    Ok(report)
}

/// Ctrl-C while a snapshot is taken leaves nothing, and is no crash.
fn interrupted(world: &World) -> Result<()> {
    let mut codes = Vec::new();
    for delay in [80, 140, 200, 260, 320, 400] {
        let mut taking = world.background(["snapshot", "create", "--memory", "box", "late"])?;
        std::thread::sleep(Duration::from_millis(delay));
        taking.signal(Signal::SIGINT)?;
        let code = taking.wait(LIMIT)?;
        let rows = world.tandem(["snapshot", "ls", "--json", "box"])?.ok()?;
        ensure!(rows.stderr.is_empty(), "after {delay} ms: {rows}");
        let taken = rows.json()?.as_array().map_or(0, Vec::len);
        // It may have been quicker, and its end told too late.
        ensure!(taken == 0 || code == Some(0) || code == Some(130), "{code:?}: {rows}");
        if taken > 0 {
            machine(world, &["snapshot", "rm", "box", "late"])?;
        }
        codes.push(code);
    }
    ensure!(codes.contains(&Some(130)), "nothing was interrupted: {codes:?}");
    Ok(())
}

fn resize(world: &World) -> Result<()> {
    start(world, "box", &["--max-memory", "640m", "--max-cpus", "2"])?;
    let before = ask(world, "box", "/hit")?;
    let grown = update(world, &["--memory", "512m", "--cpus", "2"])?;
    ensure!(grown["guest"]["cpus"] == 2, "{grown}");
    let now = ask(world, "box", "/hit")?;
    ensure!(now.counts == (2, 2), "it was restarted: {now:?}");
    ensure!(now.memory >= before.memory + 200, "{before:?}, {now:?}");
    interrupted(world)?;
    // It goes on with what has come.
    machine(world, &["snapshot", "create", "--memory", "box", "grown"])?;
    ask(world, "box", "/hit")?;
    machine(world, &["snapshot", "restore", "box", "grown"])?;
    let back = ask(world, "box", "/")?;
    ensure!(back.counts == (2, 2) && back.cpus == 2, "{now:?}, {back:?}");
    ensure!(back.memory == now.memory, "{now:?}, {back:?}");
    let shrunk = update(world, &["--memory", "192m", "--cpus", "1"])?;
    ensure!(shrunk["guest"]["cpus"] == 1, "{shrunk}");
    // The host gives nothing for it, as it does where it makes huge pages of
    // what is left.
    let more = -shrunk["returned_bytes"].as_i64().context("nothing returned")?;
    ensure!(more < 32 << 20, "{more} bytes more: {shrunk}");
    let now = ask(world, "box", "/hit")?;
    ensure!(now.counts == (3, 3) && now.memory < before.memory, "{before:?}, {now:?}");
    let beyond = world.tandem(["update", "--mode", "hot", "--cpus", "3", "box"])?.code_is(125)?;
    beyond.is_one_sentence(&["room for 2 processors", "cold"])?;
    // It is not stopped for what it could not be started with.
    let beyond =
        world.tandem(["update", "--mode", "cold", "--memory", "2g", "box"])?.code_is(125)?;
    beyond.is_one_sentence(&["may grow to", "--max-memory"])?;
    ensure!(ask(world, "box", "/")?.counts == now.counts, "it was restarted");
    // QEMU would wait for the processor that is gone, for ever.
    let late = ["snapshot", "create", "--memory", "box", "less"];
    world.tandem(late)?.code_is(125)?.is_one_sentence(&["processor was taken", "restart it"])?;
    machine(world, &["snapshot", "create", "box", "less"])?;
    machine(world, &["pause", "box"])?;
    let held = world.tandem(["update", "--mode", "hot", "-m", "256m", "box"])?.code_is(125)?;
    held.is_one_sentence(&["is paused", "tandem unpause box"])?;
    machine(world, &["unpause", "box"])?;
    machine(world, &["rm", "-f", "box"])?;
    Ok(())
}
