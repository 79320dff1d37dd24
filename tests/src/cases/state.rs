//! Limits that change while an app runs, and what an instance shows of itself.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tandem_probe::{Shot, open_loop};

use super::container::{published_port, row};
use crate::{Case, Need, Start, World, poll};

pub(super) const CASES: &[Case] = &[
    case("state::update_under_load_loses_no_request", under_load),
    case("state::update_is_confirmed_or_refused_whole", confirmed_or_refused),
    case("state::update_cold_measures_the_downtime", cold),
    case("state::stats_and_top_tell_what_is_used", usage),
];

const fn case(name: &'static str, run: fn(&World) -> Result<()>) -> Case {
    Case { name, needs: &[Need::Root], start: Start::Built, run }
}

const ANSWER: Duration = Duration::from_secs(30);

/// Sends 500 requests a second while `work` runs, and a moment longer.
pub(super) fn with_load(port: u16, work: impl FnOnce() -> Result<()>) -> Result<Vec<Shot>> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let load = thread::spawn(move || -> Result<Vec<Shot>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let end = async { drop(stopped.await) };
        Ok(runtime.block_on(open_loop(address, "/", Duration::from_millis(2), ANSWER, end)))
    });
    thread::sleep(Duration::from_millis(300));
    let result = work();
    thread::sleep(Duration::from_millis(300));
    let _ = stop.send(());
    let shots = load.join().map_err(|_| anyhow::anyhow!("the prober panicked"))??;
    result.map(|()| shots)
}

/// Where the kernel keeps the instance's limits.
fn cgroups(world: &World, name: &str) -> Result<Vec<PathBuf>> {
    let record = world.tandem(["inspect", name])?.ok()?.json()?;
    let list = record[0]["runtime"]["cgroups"].as_array().context("no cgroups")?;
    Ok(list.iter().filter_map(Value::as_str).map(PathBuf::from).collect())
}

/// The first of these files that the groups have.
fn held(cgroups: &[PathBuf], names: &[&str]) -> Result<String> {
    let paths = cgroups.iter().flat_map(|dir| names.iter().map(move |name| dir.join(name)));
    let text = paths.into_iter().find_map(|path| fs::read_to_string(path).ok());
    Ok(text.with_context(|| format!("none of {names:?}"))?.trim().to_owned())
}

const MEMORY: [&str; 2] = ["memory.max", "memory.limit_in_bytes"];

fn under_load(world: &World) -> Result<()> {
    world.tandem(["run", "-d", "--name", "busy", "-p", ":8080", "hello-flask"])?.ok()?;
    let port = published_port(&row(world, "busy")?)?;
    poll::first_body(port, ANSWER)?;
    let groups = cgroups(world, "busy")?;
    let shots = with_load(port, || {
        for megabytes in ["300", "200", "400", "256"] {
            let memory = format!("{megabytes}m");
            let arguments = ["update", "--memory", &memory, "--cpus", "1.9", "--json", "busy"];
            let report = world.tandem(arguments)?.ok()?.json()?;
            ensure!(report[0]["how"] == "hot" && report[0]["downtime_ns"] == 0, "{report}");
            let bytes = (megabytes.parse::<u64>()? << 20).to_string();
            ensure!(held(&groups, &MEMORY)? == bytes, "the kernel holds another limit");
        }
        Ok(())
    })?;
    let failed: Vec<_> = shots.iter().filter_map(|shot| shot.error.as_deref()).collect();
    ensure!(failed.is_empty(), "{} of {} failed: {}", failed.len(), shots.len(), failed[0]);
    ensure!(shots.len() >= 300, "only {} requests were sent", shots.len());
    world.tandem(["rm", "-f", "busy"])?.ok()?;
    Ok(())
}

/// Holds 64 MiB that nobody can reclaim.
const HOG: &str = "import time
b = bytearray(64 << 20)
for i in range(0, len(b), 4096): b[i] = 1
print('ready', flush=True)
time.sleep(600)";

fn confirmed_or_refused(world: &World) -> Result<()> {
    let fixed = ["run", "-d", "--name", "hog", "--memory", "256m", "--entrypoint", "python"];
    world.tandem([&fixed[..], &["hello-flask", "-c", HOG]].concat())?.ok()?;
    poll::until("the app to be ready", ANSWER, || {
        let logs = world.tandem(["logs", "hog"]).ok()?;
        logs.stdout.contains("ready").then_some(())
    })?;
    let groups = cgroups(world, "hog")?;
    // Both at once: when the memory is refused, the processes stay too.
    let arguments = ["update", "--pids-limit", "77", "--memory", "20m", "hog"];
    let refused = world.tandem(arguments)?.code_is(125)?;
    refused.is_one_sentence(&["20.0 MiB", "in use"])?;
    ensure!(held(&groups, &MEMORY)? == (256 << 20).to_string(), "the limit was changed");
    ensure!(held(&groups, &["pids.max"])? != "77", "half of the change stayed");
    world.tandem(["update", "--memory", "2m", "hog"])?.code_is(125)?.is_one_sentence(&["6m"])?;

    world.tandem(["update", "--pids-limit", "77", "hog"])?.ok()?;
    ensure!(held(&groups, &["pids.max"])? == "77", "the limit was not set");
    let resources = &row(world, "hog")?["resources"];
    ensure!(resources["pids"] == 77 && resources["memory_bytes"] == 256 << 20, "{resources}");
    world.tandem(["stop", "-t", "0", "hog"])?.ok()?;
    let stored = world.tandem(["update", "--cpus", "0.5", "--json", "hog"])?.ok()?.json()?;
    ensure!(stored[0]["how"] == "next_start", "{stored}");
    world.tandem(["update", "hog"])?.code_is(2)?.is_one_sentence(&["--memory"])?;
    world.tandem(["update", "-m", "64m", "nobody"])?.code_is(125)?.is_one_sentence(&["nobody"])?;
    world.tandem(["rm", "hog"])?.ok()?;
    Ok(())
}

fn cold(world: &World) -> Result<()> {
    let port = world.free_port()?;
    let publish = format!("{port}:8080");
    let fixed = ["run", "-d", "--name", "web", "--stop-timeout", "1", "-p", &publish];
    world.tandem([&fixed[..], &["hello-flask"]].concat())?.ok()?;
    poll::first_body(port, ANSWER)?;
    let arguments = ["update", "--memory", "200m", "--mode", "cold", "--json", "web"];
    let report = world.tandem(arguments)?.ok()?.json()?;
    ensure!(report[0]["how"] == "cold", "{report}");
    ensure!(report[0]["downtime_ns"].as_u64().is_some_and(|ns| ns > 1_000_000), "{report}");
    ensure!(held(&cgroups(world, "web")?, &MEMORY)? == (200 << 20).to_string(), "not changed");
    world.tandem(["rm", "-f", "web"])?.ok()?;
    Ok(())
}

fn usage(world: &World) -> Result<()> {
    let script = "import os, time
open('/file', 'wb').write(b'x' * (4 << 20)); fd = os.open('/file', os.O_RDWR); os.fsync(fd)
if os.fork() == 0: time.sleep(600)
while True: pass";
    let fixed = ["run", "-d", "--name", "worker", "--memory", "128m", "--entrypoint", "python"];
    world.tandem([&fixed[..], &["hello-flask", "-c", script]].concat())?.ok()?;
    let two = |world: &World| {
        let rows = world.tandem(["top", "--json", "worker"]).ok()?.json().ok()?;
        (rows.as_array()?.len() == 2).then_some(rows)
    };
    let processes = poll::until("two processes", ANSWER, || two(world))?;
    ensure!(processes[0]["inside"] == 1 && processes[0]["user"] == "root", "{processes}");
    ensure!(processes[0]["pid"] == row(world, "worker")?["pid"], "{processes}");
    ensure!(processes[1]["command"].as_str().is_some_and(|it| it.contains("fork")), "{processes}");
    let table = world.tandem(["top", "worker"])?.ok()?;
    ensure!(table.stdout.lines().count() >= 3 && table.stdout.contains("INSIDE"), "{table}");

    let stats = world.tandem(["stats", "--json", "worker"])?.ok()?.json()?;
    let figure = |name: &str| stats[0][name].as_f64().with_context(|| format!("{name}: {stats}"));
    ensure!(figure("cpu_percent")? > 5.0, "a busy loop is not seen: {stats}");
    let (memory, pss) = (figure("memory_bytes")?, figure("memory_pss_bytes")?);
    ensure!(memory > 1e6 && pss > 1e6 && memory < f64::from(128 << 20), "{stats}");
    ensure!(stats[0]["memory_limit_bytes"] == 128 << 20, "{stats}");
    ensure!(stats[0]["pids"] == 2 && figure("net_received_bytes")? >= 0.0, "{stats}");
    ensure!(figure("io_written_bytes")? >= 0.0, "{stats}");
    let table = world.tandem(["stats", "--no-stream"])?.ok()?;
    ensure!(table.stdout.contains("worker") && table.stdout.contains("CPU"), "{table}");
    world.tandem(["rm", "-f", "worker"])?.ok()?;
    world.tandem(["stats", "--json", "worker"])?.code_is(125)?.is_one_sentence(&["worker"])
}
