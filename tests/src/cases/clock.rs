//! The clock that measures commands, beside another one.

use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use tandem_stats::median;

use crate::{Case, Need, Start, World, bench::Stage};

pub(super) const CASES: &[Case] = &[Case {
    name: "clock::agrees_with_hyperfine",
    needs: &[Need::Program("hyperfine")],
    start: Start::Empty,
    run: agrees,
}];

/// How often each times the command.
const RUNS: &str = "9";

/// By how much the medians may differ: a part, and what it costs either to
/// start and to reap a process, nanoseconds.
const PART: f64 = 0.03;
const START: f64 = 3e6;

/// A command whose time is known is timed by both, one after the other; the
/// machine may be busy with one of them, so some tries are allowed.
fn agrees(world: &World) -> Result<()> {
    let stage = Stage::new()?;
    let mut seen = Vec::new();
    for _ in 0..4 {
        let (ours, theirs) = (ours(&stage)?, theirs(world)?);
        if (ours - theirs).abs() <= PART * theirs + START {
            return Ok(());
        }
        seen.push((ours, theirs));
    }
    bail!("ours and hyperfine's medians in nanoseconds: {seen:.0?}")
}

fn ours(stage: &Stage) -> Result<f64> {
    let time = |_| {
        let mut command = Command::new("sleep");
        command.arg("0.1");
        stage.time(command)
    };
    let times: Vec<f64> = (0..RUNS.parse()?).map(time).collect::<Result<_>>()?;
    Ok(median(&times)?)
}

fn theirs(world: &World) -> Result<f64> {
    let file = world.scratch().join("hyperfine.json");
    let mut command = Command::new("hyperfine");
    command.args(["-N", "--warmup", "1", "--runs", RUNS, "--export-json"]).arg(&file);
    command.arg("sleep 0.1");
    crate::process::run(command, std::time::Duration::from_mins(1))?.ok()?;
    let found: Value = serde_json::from_str(&std::fs::read_to_string(file)?)?;
    let seconds = found["results"][0]["median"].as_f64().context("no median")?;
    Ok(seconds * 1e9)
}
