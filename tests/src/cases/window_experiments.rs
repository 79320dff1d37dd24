//! The twelve experiments in the real window: each opens and says what it is,
//! and some are run, cancelled, and found again.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::window::{ENDING, SOON, case, open, tests};
use crate::{
    Case, World,
    desktop::{Desktop, Look},
};

pub(super) const CASES: &[Case] =
    &[case("window::experiments_open_run_and_are_found_again", experiments)];

/// A few launches on a busy machine.
const MEASURED: Duration = Duration::from_mins(4);

fn experiments(world: &World) -> Result<()> {
    let desktop = open(world, Look::Light)?;
    desktop.click("nav-experiments")?;
    every_card(world, &desktop)?;

    // One that is cancelled leaves a run that says so, and a picture of it.
    set(&desktop, "startup", &["container", "process"], 60)?;
    desktop.click("experiment-run")?;
    desktop.wait("experiment-live", MEASURED)?;
    desktop.screenshot("experiment-live-light")?;
    desktop.click("experiment-cancel")?;
    desktop.wait("experiment-run", MEASURED)?;
    ensure!(!desktop.has("error-banner")?, "a cancel is no error");
    let stopped = latest(world, "startup")?;
    ensure!(!stopped["stopped"].is_null(), "{stopped}");
    desktop.click("experiments-back")?;

    let mut kept = vec![id(&stopped)?];
    for (experiment, lanes) in
        [("startup", &["container", "process"][..]), ("size", &["container"])]
    {
        set(&desktop, experiment, lanes, 2)?;
        desktop.fill("experiment-prediction", "<i>twice</i>")?;
        let command = desktop.text("cli-equivalent")?;
        let wanted = format!(
            "tandem experiment run {experiment} --subject hello-flask --lanes {} --trials 2 --predict '<i>twice</i>'",
            lanes.join(",")
        );
        ensure!(command == wanted, "{command}");
        desktop.click("experiment-run")?;
        desktop.wait("experiment-verdict", MEASURED)?;
        desktop.wait("experiment-chart", SOON)?;
        let shown = desktop.text("result-predictions")?;
        ensure!(shown.contains("<i>twice</i>"), "{shown}");
        let row = latest(world, experiment)?;
        let run = id(&row)?;
        ensure!(row["stopped"].is_null() && !row["finished_at"].is_null(), "{row}");
        desktop.wait(&format!("experiment-earlier-{run}"), SOON)?;
        desktop.screenshot(&format!("experiment-{experiment}-light"))?;
        kept.push(run);
        desktop.click("experiments-back")?;
    }
    for run in kept {
        world.tandem(["result", "rm", &run])?.ok()?;
    }
    desktop.close(ENDING)
}

/// Each has a question, a claim, a method, something to predict, and a command
/// to copy.
fn every_card(world: &World, desktop: &Desktop) -> Result<()> {
    let listed = world.tandem(["experiment", "ls", "--json"])?.ok()?.json()?;
    let listed = listed.as_array().context("no list")?;
    ensure!(listed.len() == 12, "{} experiments", listed.len());
    for one in listed {
        let [name, question, claim, method] = ["id", "question", "claim", "method"]
            .map(|field| one[field].as_str().unwrap_or_default());
        desktop.click(&format!("experiment-card-{name}"))?;
        desktop.wait("experiment-trials", SOON)?;
        let script = "return document.querySelector('.content').innerText";
        let page = desktop.script(script)?;
        let page = page.as_str().unwrap_or_default();
        for words in [question, claim, method, one["prediction"].as_str().unwrap_or("?")] {
            ensure!(page.contains(words), "{name} does not say `{words}`: {page}");
        }
        let command = desktop.text("cli-equivalent")?;
        let start = format!("tandem experiment run {name} --subject hello-flask --lanes ");
        ensure!(command.starts_with(&start), "{command}");
        desktop.click("experiments-back")?;
    }
    Ok(())
}

/// Opens an experiment and sets its lanes and trials.
fn set(desktop: &Desktop, experiment: &str, lanes: &[&str], trials: u32) -> Result<()> {
    desktop.click(&format!("experiment-card-{experiment}"))?;
    for lane in ["container", "vm", "vm-full", "process"] {
        let wanted = lanes.contains(&lane);
        let script = format!(
            "const tick = document.querySelector('[data-testid=experiment-lane-{lane}]');
             if (!tick) return false;
             if (tick.checked !== {wanted}) tick.click();
             return true"
        );
        tests(desktop, "a lane to choose", &script)?;
    }
    desktop.fill("experiment-trials", &trials.to_string())
}

/// The latest run of an experiment, as the command lists it.
fn latest(world: &World, experiment: &str) -> Result<serde_json::Value> {
    let rows = world.tandem(["result", "ls", "--json"])?.ok()?.json()?;
    let rows = rows.as_array().context("no rows")?;
    rows.iter().find(|row| row["experiment"] == experiment).cloned().context("it is not listed")
}

fn id(row: &serde_json::Value) -> Result<String> {
    row["id"].as_str().map(str::to_owned).context("no id")
}
