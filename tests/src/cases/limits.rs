//! Memory, processor and process limits that really hold.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::{Case, Need, Start, World, poll};

pub(super) const CASES: &[Case] = &[
    case("limits::are_those_of_the_kernel", kernel_limits),
    case("limits::memory_kills_and_says_so", out_of_memory),
    case("limits::pids_stop_a_fork_bomb", fork_bomb),
    case("limits::an_update_under_load_loses_no_request", under_load),
];

const fn case(name: &'static str, run: fn(&World) -> Result<()>) -> Case {
    Case { name, needs: &[Need::Root], start: Start::Built, run }
}

const SLEEP: [&str; 3] = ["hello-flask", "-c", "import time; time.sleep(600)"];

/// The first of these files that is in one of the instance's cgroups.
fn limit(cgroups: &[&Path], names: &[&str]) -> Result<String> {
    let found = cgroups
        .iter()
        .flat_map(|dir| names.iter().map(move |name| dir.join(name)))
        .find_map(|path| fs::read_to_string(path).ok());
    let text = found.with_context(|| format!("none of {names:?} in {cgroups:?}"))?;
    Ok(text.trim().to_owned())
}

fn kernel_limits(world: &World) -> Result<()> {
    let fixed = ["run", "-d", "--name", "small", "--entrypoint", "python"];
    let limits = ["--memory", "64m", "--cpus", "0.5", "--pids-limit", "50"];
    world.tandem([&fixed[..], &limits, &SLEEP].concat())?.ok()?;
    let record = world.tandem(["inspect", "small"])?.ok()?.json()?;
    let list = record[0]["runtime"]["cgroups"].as_array().context("no cgroups")?;
    let cgroups: Vec<&Path> = list.iter().filter_map(Value::as_str).map(Path::new).collect();

    let memory = limit(&cgroups, &["memory.max", "memory.limit_in_bytes"])?;
    ensure!(memory == (64 << 20).to_string(), "memory limit {memory}");
    ensure!(limit(&cgroups, &["pids.max"])? == "50", "another pids limit");
    // v2 has quota and period in one file.
    let quota = limit(&cgroups, &["cpu.max", "cpu.cfs_quota_us"])?;
    let mut words = quota.split(' ').map(str::parse::<f64>);
    let quota = words.next().context("no quota")??;
    let period = match words.next() {
        Some(period) => period?,
        None => limit(&cgroups, &["cpu.cfs_period_us"])?.parse()?,
    };
    ensure!((quota / period - 0.5).abs() < 0.001, "{quota} of {period} is not half a processor");
    world.tandem(["rm", "-f", "small"])?.ok()?;
    Ok(())
}

fn out_of_memory(world: &World) -> Result<()> {
    let hog =
        "b = bytearray(256 << 20)\nfor i in range(0, len(b), 4096): b[i] = 1\nprint('survived')";
    let fixed = ["run", "--name", "hog", "--memory", "64m", "--entrypoint", "python"];
    let output = world.tandem([&fixed[..], &["hello-flask", "-c", hog]].concat())?.code_is(137)?;
    ensure!(!output.stdout.contains("survived"), "{output}");
    let record = world.tandem(["inspect", "hog"])?.ok()?.json()?;
    ensure!(record[0]["exit"]["out_of_memory"] == true, "{}", record[0]["exit"]);
    world.tandem(["rm", "hog"])?.ok()?;
    Ok(())
}

fn fork_bomb(world: &World) -> Result<()> {
    let bomb = "import os, time
made = 0
try:
    while made < 100:
        if os.fork() == 0:
            time.sleep(600)
        made += 1
except OSError:
    print('stopped at', made)";
    let fixed = ["run", "--rm", "--pids-limit", "30", "--entrypoint", "python"];
    let output = world.tandem([&fixed[..], &["hello-flask", "-c", bomb]].concat())?.ok()?;
    let made: u32 = output.line().trim_start_matches("stopped at ").parse().unwrap_or(100);
    ensure!((20..30).contains(&made), "{output}");
    Ok(())
}

/// Answers quickly and closes each connection.
const SERVER: &str = "
import asyncio
async def serve(reader, writer):
    await reader.readuntil(b'\\r\\n\\r\\n')
    writer.write(b'HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\nConnection: close\\r\\n\\r\\nok')
    await writer.drain()
    writer.close()
async def main():
    server = await asyncio.start_server(serve, '0.0.0.0', 8080, backlog=4096)
    await server.serve_forever()
asyncio.run(main())
";

/// Requests at 500 a second from their intended times on, while limits change.
fn under_load(world: &World) -> Result<()> {
    const EVERY: Duration = Duration::from_millis(2);
    // Long enough for a machine that does other things besides.
    const ANSWER: Duration = Duration::from_secs(30);
    let port = world.free_port()?;
    let publish = format!("{port}:8080");
    let fixed = ["run", "-d", "--name", "busy", "-m", "200m", "--cpus", "2", "-p", &publish];
    let server = ["--entrypoint", "python", "hello-flask", "-c", SERVER];
    world.tandem([&fixed[..], &server].concat())?.ok()?;
    poll::first_body(port, Duration::from_mins(1))?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let (over, ended) = tokio::sync::oneshot::channel::<()>();
    let prober = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let end = async { drop(ended.await) };
        let shots = tandem_probe::open_loop(address, "/", EVERY, ANSWER, end);
        anyhow::Ok(runtime.block_on(shots))
    });
    let mut told = Vec::new();
    for (memory, cpus) in [("150m", "1"), ("300m", "1.5"), ("120m", "2"), ("250m", "1.2")] {
        let update = ["update", "--memory", memory, "--cpus", cpus, "busy"];
        told.push(world.tandem(update).and_then(crate::Output::ok));
        std::thread::sleep(Duration::from_millis(300));
    }
    drop(over);
    let shots = prober.join().map_err(|_| anyhow::anyhow!("the prober panicked"))??;
    for output in told {
        output?;
    }
    let failed: Vec<_> = shots.iter().filter_map(|shot| shot.error.as_deref()).collect();
    ensure!(shots.len() > 300, "only {} requests were sent", shots.len());
    ensure!(failed.is_empty(), "{} of {} failed: {}", failed.len(), shots.len(), failed[0]);
    world.tandem(["rm", "-f", "busy"])?.ok()?;
    Ok(())
}
