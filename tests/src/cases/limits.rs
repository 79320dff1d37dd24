//! Memory, processor and process limits that really hold.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::{Case, Need, Start, World};

pub(super) const CASES: &[Case] = &[
    case("limits::are_those_of_the_kernel", kernel_limits),
    case("limits::memory_kills_and_says_so", out_of_memory),
    case("limits::pids_stop_a_fork_bomb", fork_bomb),
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
