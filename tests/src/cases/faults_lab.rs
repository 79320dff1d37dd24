//! A disk that fills while an experiment measures.

use std::{
    fs::{self, File},
    io::Write as _,
    path::Path,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{archive::elsewhere, engines::build_pages, faults_disk::small_disk};
use crate::{Case, Need, Start, World, poll, validate_result};

pub(super) const CASES: &[Case] = &[Case {
    name: "faults::a_disk_that_fills_in_an_experiment_keeps_its_trials",
    needs: &[Need::Root, Need::Program("busybox")],
    start: Start::Empty,
    run: fills,
}];

const LIMIT: Duration = Duration::from_mins(2);

fn fills(world: &World) -> Result<()> {
    build_pages(world)?;
    world.tandem(["save", "-o", "pages.tar", "pages:1"])?.ok()?;
    let disk = small_disk(world, 64)?;
    let home = disk.path().join("home");
    elsewhere(world, &home, &["load", "-q", "-i", "pages.tar"])?.ok()?;
    let words = ["experiment", "run", "size", "--lanes", "container", "--subject", "pages:1"];
    let mut command =
        world.command([&words[..], &["--trials", "6", "--json", "kept.json"]].concat());
    command.env("TANDEM_HOME", &home);
    let mut running = world.start(command)?;
    let row = || -> Option<Value> {
        let rows = elsewhere(world, &home, &["result", "ls", "--json"]).ok()?.json().ok()?;
        rows.as_array()?.first().cloned()
    };
    poll::until("two trials on disk", LIMIT, || {
        row().filter(|row| row["trials"].as_u64() >= Some(2)).map(drop)
    })?;
    let fill = disk.path().join("fill");
    let ended = AtomicBool::new(false);
    let code = thread::scope(|scope| {
        // Whatever is given back meanwhile is taken too.
        scope.spawn(|| take_all(&fill, &ended));
        let code = running.wait(LIMIT);
        ended.store(true, Relaxed);
        code
    })?;
    // What was measured is delivered, and what could not be kept is said.
    ensure!(code == Some(0), "{code:?}");
    let text = fs::read_to_string(world.scratch().join("kept.json"))?;
    let document: Value = serde_json::from_str(&text)?;
    validate_result(&document)?;
    let warnings = document["warnings"].to_string();
    for said in ["trials are only in memory", "disk is full", "save the result with --json"] {
        ensure!(warnings.contains(said), "{said}: {warnings}");
    }
    let trials = document["trials"].as_array().context("no trials")?;
    let reasons: Vec<&str> = trials.iter().filter_map(|it| it["reason"].as_str()).collect();
    let full = |reason: &&str| reason.to_lowercase().contains("no space");
    ensure!(reasons.iter().all(full), "{reasons:?}");
    // On disk is what was measured before, and with room again the run goes on.
    fs::remove_file(&fill)?;
    let row = row().context("the run is not listed any more")?;
    ensure!(row["trials"].as_u64() >= Some(2) && row["finished_at"].is_null(), "{row}");
    let id = row["id"].as_str().context("no id")?;
    elsewhere(world, &home, &["experiment", "resume", id])?.ok()?;
    let shown = elsewhere(world, &home, &["result", "show", id, "--json"])?.ok()?.json()?;
    let counted = shown["trials"].as_array().context("no trials")?.iter();
    let counted: Vec<_> = counted.filter(|it| it["warmup"] == false).collect();
    // One that failed may have found room to be noted.
    let mut failed = counted.iter().filter_map(|it| it["reason"].as_str());
    ensure!(counted.len() == 6 && failed.all(|reason| full(&reason)), "{shown}");
    ensure!(!shown["warnings"].to_string().contains("only in memory"), "{shown}");
    Ok(())
}

/// Takes every byte of a disk until the end.
fn take_all(path: &Path, ended: &AtomicBool) {
    let Ok(mut file) = File::create(path) else { return };
    let zeros = vec![0; 1 << 20];
    while !ended.load(Relaxed) {
        let mut size = zeros.len();
        while size > 0 {
            if file.write_all(&zeros[..size]).is_err() {
                size /= 2;
            }
        }
        thread::sleep(Duration::from_millis(1));
    }
}
