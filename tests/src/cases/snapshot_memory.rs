//! Snapshots of running containers with their memory, through CRIU.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::container::{published_port, row};
use crate::{Case, Need, Output, Start, World, need::path_to_criu, poll};

pub(super) const CASES: &[Case] = &[
    case("snapshot_memory::a_counter_goes_on_in_place_and_as_another", counter),
    case("snapshot_memory::what_cannot_be_kept_is_refused_first", refused),
    case("snapshot_memory::a_killed_command_lets_the_app_go_on", killed),
];

const fn case(name: &'static str, run: fn(&World) -> Result<()>) -> Case {
    Case { name, needs: &[Need::Root, Need::Checkpoint], start: Start::Built, run }
}

/// The app: it counts what it is asked at `/count` in memory (a snapshot sends
/// requests of its own to `/`), says the count in its log, keeps it on a
/// volume, and has a file open that is gone from the disk.
const APP: &str = "import http.server
held = open('/gone', 'w+'); held.write('held'); held.flush()
import os; os.remove('/gone')
count, ballast = 0, bytearray(os.urandom(BALLAST))
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def do_GET(self):
        global count
        if self.path == '/count': count += 1
        held.seek(0)
        body = f'{count} {held.read()} {os.getpid()} {os.uname().nodename}'.encode()
        open('/data/count', 'w').write(str(count))
        if self.path == '/count': print('count', count, flush=True)
        self.send_response(200)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *words): pass
http.server.ThreadingHTTPServer(('', 8000), Handler).serve_forever()";

/// A command with a CRIU that works on its PATH.
fn tandem(world: &World, words: &[&str]) -> Result<Output> {
    let mut command = world.command(words);
    command.env("PATH", path_to_criu());
    world.finish(command)
}

fn launch(world: &World, ballast: usize, options: &[&str]) -> Result<()> {
    let fixed = ["run", "-d", "--name", "web", "-p", "8000", "-v", "memory-data:/data"];
    let script = APP.replace("BALLAST", &ballast.to_string());
    let tail = ["--entrypoint", "python", "hello-flask", "-c", &script];
    tandem(world, &[&fixed[..], options, &tail].concat())?.ok()?;
    Ok(())
}

fn port(world: &World, name: &str) -> Result<u16> {
    published_port(&row(world, name)?)
}

/// The words that the app answers; the first is its count. Asked once: what
/// gets no answer would be counted twice.
fn answer(port: u16) -> Result<Vec<String>> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    // It listens a moment after its process was made.
    poll::first_body(port, ANSWER)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let body = runtime.block_on(tandem_probe::get(address, "/count", ANSWER))?;
    let body = String::from_utf8_lossy(&body.bytes).into_owned();
    Ok(body.split(' ').map(str::to_owned).collect())
}

/// How long the app may take to answer.
const ANSWER: Duration = Duration::from_secs(20);

fn count(port: u16) -> Result<u64> {
    answer(port)?.first().and_then(|word| word.parse().ok()).context("no count")
}

/// Mounts of the app that can be written to, by their places.
fn writable(world: &World, name: &str) -> Result<Vec<String>> {
    let pid = row(world, name)?["pid"].as_u64().context("no pid")?;
    let table = fs::read_to_string(format!("/proc/{pid}/mountinfo"))?;
    let mounts = table.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(4);
        let (place, options) = (fields.next()?, fields.next()?);
        options.split(',').any(|it| it == "rw").then(|| place.to_owned())
    });
    let mut found: Vec<_> = mounts.collect();
    found.sort();
    Ok(found)
}

/// What the app's processes are confined by.
fn confined(world: &World, name: &str) -> Result<Vec<String>> {
    let pid = row(world, name)?["pid"].as_u64().context("no pid")?;
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let wanted = ["Uid:", "CapPrm:", "CapEff:", "CapBnd:", "Seccomp:", "NoNewPrivs:"];
    let mut found: Vec<_> = status
        .lines()
        .filter(|line| wanted.iter().any(|it| line.starts_with(it)))
        .map(str::to_owned)
        .collect();
    let record = world.tandem(["inspect", name])?.ok()?.json()?;
    for folder in folders(&record) {
        for file in ["devices.list", "memory.limit_in_bytes", "memory.max", "pids.max"] {
            let text = fs::read_to_string(folder.join(file)).unwrap_or_default();
            let mut lines: Vec<_> = text.lines().collect();
            lines.sort_unstable();
            found.push(format!("{file} {}", lines.join(", ")));
        }
    }
    let own = |kind: &str| -> Result<bool> {
        let link = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/{kind}"));
        Ok(link(&pid.to_string())? != link("self")?)
    };
    for kind in ["pid", "mnt", "net", "uts", "ipc", "cgroup"] {
        found.push(format!("{kind} of its own: {}", own(kind)?));
    }
    Ok(found)
}

fn folders(record: &Value) -> Vec<PathBuf> {
    let folders = record[0]["runtime"]["cgroups"].as_array().cloned().unwrap_or_default();
    folders.iter().filter_map(Value::as_str).map(PathBuf::from).collect()
}

fn counter(world: &World) -> Result<()> {
    launch(world, 1 << 20, &["-m", "200m", "--pids-limit", "64"])?;
    let first = port(world, "web")?;
    for wanted in 1..=3 {
        ensure!(count(first)? == wanted, "it counts wrong");
    }
    let (before, rights) = (writable(world, "web")?, confined(world, "web")?);
    let taken = tandem(world, &["snapshot", "create", "--memory", "--json", "web", "warm"])?;
    let taken = taken.ok()?.json()?;
    ensure!(taken["pause_ns"].as_u64().is_some_and(|ns| ns > 0), "{taken}");
    // It went on, and the next answers are not in the snapshot.
    ensure!((count(first)?, count(first)?) == (4, 5), "the dump was not without trace");
    let rows = world.tandem(["snapshot", "ls", "--json", "web"])?.ok()?.json()?;
    ensure!(rows[0]["memory"] == true, "{rows}");
    ensure!(rows[0]["size_bytes"].as_u64().is_some_and(|it| it > 1 << 20), "{rows}");
    let shown = world.tandem(["snapshot", "tree", "web"])?.ok()?;
    ensure!(shown.stdout.contains("with memory"), "{shown}");

    // As another instance, while the first one runs.
    let new = tandem(world, &["snapshot", "restore", "--json", "web", "warm", "--as", "twin"])?;
    ensure!(new.ok()?.json()?["memory"] == true, "the memory is not to come back");
    tandem(world, &["start", "twin"])?.ok()?;
    let second = port(world, "twin")?;
    let said = answer(second)?;
    ensure!(said[..3] == ["4", "held", "1"], "{said:?}");
    ensure!(said.get(3) == answer(first)?.get(3), "it knows itself by another name: {said:?}");
    ensure!(count(first)? == 7 && count(second)? == 5, "the two are not apart");
    let logs = world.tandem(["logs", "twin"])?.ok()?;
    ensure!(logs.stdout.contains("count 5"), "its log was lost\n{logs}");
    let inside = world.tandem(["exec", "twin", "cat", "/data/count"])?.ok()?;
    ensure!(inside.stdout == "5", "{inside}");
    ensure!(writable(world, "twin")? == before, "other mounts can be written");
    ensure!(confined(world, "twin")? == rights, "it is confined in another way");
    let ip = |name: &str| -> Result<Value> {
        Ok(world.tandem(["inspect", name])?.ok()?.json()?[0]["runtime"]["ip"].clone())
    };
    ensure!(ip("web")? != ip("twin")?, "both have one address");

    // The twin's own snapshot, of a process that came back once already.
    tandem(world, &["snapshot", "create", "--memory", "twin", "again"])?.ok()?;
    ensure!(count(second)? == 6, "the second dump left a trace");
    tandem(world, &["snapshot", "restore", "twin", "again"])?.ok()?;
    ensure!(count(port(world, "twin")?)? == 6, "the second generation is lost");
    world.tandem(["stop", "-t", "0", "twin"])?.ok()?;
    tandem(world, &["start", "twin"])?.ok()?;
    ensure!(count(port(world, "twin")?)? == 1, "a second start is one anew");
    world.tandem(["rm", "-f", "twin"])?.ok()?;
    world.tandem(["volume", "rm", "twin-memory-data"])?.ok()?;

    // In place; it dies with its supervisor as any other.
    let back = tandem(world, &["snapshot", "restore", "--json", "web", "warm"])?.ok()?.json()?;
    ensure!(back == json!({"instance": "web", "started": true, "memory": true}), "{back}");
    ensure!(count(port(world, "web")?)? == 4, "another count came back");
    let record = world.tandem(["inspect", "web"])?.ok()?.json()?;
    let pid = |which: &str| record[0]["runtime"][which]["pid"].as_i64().context("no pid");
    let (app, supervisor) = (pid("process")?, pid("supervisor")?);
    let supervisor = nix::unistd::Pid::from_raw(i32::try_from(supervisor)?);
    nix::sys::signal::kill(supervisor, Signal::SIGKILL)?;
    poll::until("the app to end with its supervisor", Duration::from_secs(30), || {
        let state = fs::read_to_string(format!("/proc/{app}/stat")).unwrap_or_default();
        (state.is_empty() || state.contains(") Z ")).then_some(())
    })?;
    ensure!(row(world, "web")?["state"] == "exited", "its state is not true");

    // Its files go to another home, its memory does not.
    let exported = world.tandem(["export", "web", "-o", "web.tar"])?.ok()?;
    ensure!(exported.stderr.contains("warm stays here"), "{exported}");
    // Without the memory it starts anew.
    let words = ["snapshot", "restore", "--without-memory", "--json", "web", "warm"];
    ensure!(tandem(world, &words)?.ok()?.json()?["memory"] == false, "it was left out");
    tandem(world, &["start", "web"])?.ok()?;
    ensure!(count(port(world, "web")?)? == 1, "memory came back unasked");
    world.tandem(["rm", "-f", "web"])?.ok()?;
    world.tandem(["volume", "rm", "memory-data"])?.ok()?;
    Ok(())
}

fn refused(world: &World) -> Result<()> {
    launch(world, 1, &[])?;
    let refuse = |words: &[&str], parts: &[&str]| -> Result<()> {
        tandem(world, words)?.code_is(125)?.is_one_sentence(parts)?;
        let rows = world.tandem(["snapshot", "ls", "--json", "web"])?.ok()?.json()?;
        ensure!(rows == json!([]), "something was left: {rows}");
        Ok(())
    };
    let create = ["snapshot", "create", "--memory", "web", "warm"];
    let command = world.background(["exec", "web", "sleep", "60"])?;
    poll::until("the command to run", Duration::from_secs(30), || {
        let top = world.tandem(["top", "web"]).ok()?;
        top.stdout.contains("sleep").then_some(())
    })?;
    refuse(&create, &["tandem exec", "--memory"])?;
    ensure!(count(port(world, "web")?)? == 1, "the refused is not let go");
    drop(command);
    // Held still until the process of a command that was killed has gone.
    let dump = tandem(world, &create)?.ok()?;
    ensure!(dump.line() == "warm", "{dump}");
    // One that fails leaves the instance stopped, and says CRIU's reason.
    let id = row(world, "web")?["id"].as_str().context("no id")?.to_owned();
    let images = world.home().join("instances").join(&id).join("snapshots/warm/memory");
    fs::write(images.join("pstree.img"), "no image")?;
    let failed = tandem(world, &["snapshot", "restore", "web", "warm"])?.code_is(125)?;
    failed.is_one_sentence(&["CRIU", "without the memory"])?;
    ensure!(row(world, "web")?["state"] == "exited", "its state is not true");
    tandem(world, &["start", "web"])?.ok()?;
    ensure!(count(port(world, "web")?)? == 1, "it does not start without its memory");
    world.tandem(["snapshot", "rm", "web", "warm"])?.ok()?;
    world.tandem(["pause", "web"])?.ok()?;
    refuse(&create, &["paused", "tandem unpause web"])?;
    world.tandem(["stop", "-t", "0", "web"])?.ok()?;
    refuse(&create, &["not running", "--memory"])?;
    world.tandem(["rm", "-f", "web"])?.ok()?;
    world.tandem(["volume", "rm", "memory-data"])?.ok()?;
    Ok(())
}

fn killed(world: &World) -> Result<()> {
    launch(world, 200 << 20, &[])?;
    let port = port(world, "web")?;
    ensure!(count(port)? == 1, "it counts wrong");
    let record = world.tandem(["inspect", "web"])?.ok()?.json()?;
    let folders = folders(&record);
    let stands = || {
        folders.iter().any(|dir| {
            let read = |name: &str| fs::read_to_string(dir.join(name)).unwrap_or_default();
            read("freezer.state").trim() == "FROZEN" || read("cgroup.events").contains("frozen 1")
        })
    };
    let mut command = world.command(["snapshot", "create", "--memory", "web", "cut"]);
    command.env("PATH", path_to_criu());
    let command = world.start(command)?;
    let begin = Instant::now();
    while !stands() {
        ensure!(begin.elapsed() < Duration::from_secs(30), "it was never held still");
    }
    command.signal(Signal::SIGKILL)?;
    ensure!(count(port)? == 2, "the app did not go on");
    drop(command);
    let rows = world.tandem(["snapshot", "ls", "--json", "web"])?.ok()?.json()?;
    ensure!(rows == json!([]), "half a snapshot is listed: {rows}");
    ensure!(row(world, "web")?["state"] == "running" && !stands(), "it is held still");
    world.tandem(["rm", "-f", "web"])?.ok()?;
    world.tandem(["volume", "rm", "memory-data"])?.ok()?;
    Ok(())
}
