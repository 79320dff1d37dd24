//! The main job, whole: build, launch in every lane, measure, judge, report.

use std::{collections::BTreeSet, fs, time::Duration};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::build::{BASE, build};
use crate::{
    Case, Need, Start, World,
    ledger::{charge_adds_up, disk_adds_up, memory_adds_up},
    validate_result,
};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "compare::all_lanes_are_measured_and_judged",
        needs: &[Need::Root, Need::Program("qemu-system-x86_64"), Need::Program("mke2fs")],
        start: Start::Built,
        run: all_lanes,
    },
    Case {
        name: "compare::an_app_that_never_answers_is_a_failed_trial",
        needs: &[Need::Root],
        start: Start::Built,
        run: never_answers,
    },
    Case {
        name: "compare::an_unknown_subject_is_one_sentence",
        needs: &[],
        start: Start::Empty,
        run: unknown_subject,
    },
];

const TRIALS: usize = 2;

fn list<'a>(value: &'a Value, field: &str) -> Result<&'a Vec<Value>> {
    value[field].as_array().with_context(|| format!("`{field}` is not a list"))
}

fn all_lanes(world: &World) -> Result<()> {
    let arguments = [
        "compare",
        "hello-flask",
        "--lanes",
        "container,vm/micro@tcg,process",
        "--trials",
        "2",
        "--warmup",
        "1",
        "--seed",
        "7",
        "--json",
        "out.json",
        "--report",
        "report",
    ];
    let output = world.tandem_within(Duration::from_mins(8), arguments)?.ok()?;
    let document: Value =
        serde_json::from_str(&fs::read_to_string(world.scratch().join("out.json"))?)?;
    validate_result(&document)?;

    let lanes = ["container", "vm/micro@tcg", "process"];
    for lane in lanes {
        let trials: Vec<&Value> = list(&document, "trials")?
            .iter()
            .filter(|trial| trial["lane"] == lane && trial["warmup"] == false)
            .collect();
        ensure!(trials.len() == TRIALS, "{lane}: {} trials", trials.len());
        for trial in trials {
            ensure!(trial["outcome"] == "measured", "{lane}: {trial}");
            phases_are_whole(lane, trial)?;
            disk_adds_up(&trial["metrics"])?;
            if lane == "container" {
                charge_adds_up(&trial["metrics"])?;
            }
        }
        memory_adds_up(&document, lane)?;
        let row = format!("{lane} has no summary of its first response\n{output}");
        let summary = list(&document, "summary")?
            .iter()
            .find(|row| row["lane"] == lane && row["metric"] == "first_response");
        let summary = summary.context(row)?;
        ensure!(summary["n"] == TRIALS && summary["unit"] == "ns", "{summary}");
    }
    for lane in list(&document, "lanes")? {
        // The baseline has no limits, and must say so.
        let fair = lane["backend"] != "process";
        ensure!(lane["parity"]["fair"] == fair, "{lane}");
    }
    let machine = list(&document, "lanes")?.iter().find(|lane| lane["backend"] == "vm");
    ensure!(machine.is_some_and(|lane| lane["accelerator"] == "tcg"), "emulation is not marked");
    ensure!(document["design"]["seed"] == 7, "the seed is not recorded");
    verdicts_name_the_emulation(&document)?;
    report_has_charts(world)?;

    for word in ["container", "vm/micro", "first_response", "95 %"] {
        ensure!(output.stdout.contains(word), "no `{word}` in the table\n{output}");
    }
    Ok(())
}

/// The phases lie within the trial, one after the other, and end with the
/// first response.
fn phases_are_whole(lane: &str, trial: &Value) -> Result<()> {
    let expected: BTreeSet<&str> = match lane {
        "process" => ["app"].into(),
        "container" => ["rootfs", "network", "create", "app"].into(),
        _ => ["disk", "spawn", "firmware", "kernel", "userspace", "app"].into(),
    };
    let phases = list(trial, "phases")?;
    let names: BTreeSet<&str> = phases.iter().filter_map(|phase| phase["name"].as_str()).collect();
    ensure!(names.is_superset(&expected), "{lane}: phases {names:?} lack some of {expected:?}");
    let total = trial["metrics"]["first_response"].as_f64().context("no first_response")?;
    for phase in phases {
        let (begin, end) = (phase["start_ns"].as_f64(), phase["end_ns"].as_f64());
        let inside = begin <= end && end.is_some_and(|end| end <= total * 1.001);
        ensure!(inside, "{lane}: {phase} is not within {total} ns");
    }
    let last = phases.iter().filter_map(|phase| phase["end_ns"].as_f64()).fold(0.0, f64::max);
    ensure!(last > total * 0.95, "{lane}: the phases end at {last} of {total} ns");
    Ok(())
}

fn verdicts_name_the_emulation(document: &Value) -> Result<()> {
    let verdicts = list(document, "verdicts")?;
    ensure!(!verdicts.is_empty(), "no verdict");
    let text = serde_json::to_string(verdicts)?;
    ensure!(text.contains("emulat"), "no verdict says that the machine was emulated: {text}");
    let ratio = list(document, "comparisons")?.iter().find(|c| c["metric"] == "first_response");
    let interval = &ratio.context("no ratio of first responses")?["ci95"];
    ensure!(interval[0].as_f64() <= interval[1].as_f64(), "{interval}");
    Ok(())
}

fn report_has_charts(world: &World) -> Result<()> {
    let mut charts = 0;
    for entry in fs::read_dir(world.scratch().join("report"))? {
        let path = entry?.path();
        let text = fs::read_to_string(&path)?;
        if path.extension().is_some_and(|ending| ending == "svg") {
            charts += 1;
            ensure!(
                text.trim_start().starts_with('<') && text.contains("<svg"),
                "{}",
                path.display()
            );
            ensure!(text.trim_end().ends_with("</svg>"), "{} is cut off", path.display());
        }
    }
    ensure!(charts >= 1, "no chart in the report");
    Ok(())
}

fn never_answers(world: &World) -> Result<()> {
    let text = format!(
        "FROM {BASE}\nEXPOSE 8080\nCMD [\"sh\", \"-c\", \"echo I sleep; exec sleep 600\"]\n"
    );
    world.write("mute/Dockerfile", &text)?;
    build(world, "sleeper", "mute")?;
    let arguments = [
        "compare",
        "sleeper",
        "--lanes",
        "container",
        "--trials",
        "1",
        "--time-limit",
        "3",
        "--json",
        "out.json",
    ];
    let output = world.tandem(arguments)?.code_is(125)?;
    output.says(&["I sleep"])?;
    ensure!(output.stderr.contains("3 s"), "the limit is not named\n{output}");
    world.tandem(["image", "rm", "sleeper"])?.ok()?;

    // One that ends early is not waited for: neither by a launch nor by a
    // course, whose limit here is two minutes.
    let text = format!("FROM {BASE}\nEXPOSE 8080\nCMD [\"sh\", \"-c\", \"echo bye; exit 3\"]\n");
    world.write("brief/Dockerfile", &text)?;
    build(world, "brief", "brief")?;
    for (id, said) in [("size", "exit code 3"), ("persistence", "ended before it answered")] {
        let words = ["experiment", "run", id, "--subject", "brief", "--lanes", "container"];
        let output = world.tandem([&words[..], &["--trials", "1"]].concat())?.code_is(125)?;
        ensure!(output.stderr.contains(said), "{output}");
        ensure!(output.elapsed < Duration::from_mins(1), "it was waited for\n{output}");
    }
    world.tandem(["image", "rm", "brief"])?.ok()?;
    Ok(())
}

fn unknown_subject(world: &World) -> Result<()> {
    let output = world.tandem(["compare", "no-such-thing"])?.code_is(125)?;
    output.is_one_sentence(&["no-such-thing", "tandem sample ls"])
}
