//! Every experiment with a result of its own, and every step of every lesson,
//! in both languages, at usual and large text: nothing is cut off sideways.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{
    window::{ENDING, SOON, case, open},
    window_look::{cut_off, set_language, set_text, settle},
};
use crate::{
    Case, World,
    desktop::{Desktop, Look},
};

pub(super) const CASES: &[Case] =
    &[case("window::every_experiment_and_every_step_of_a_lesson_fits", everything)];

fn everything(world: &World) -> Result<()> {
    world.tandem(["result", "import", "--recorded"])?.ok()?;
    let desktop = open(world, Look::Light)?;
    let mut found = Vec::new();
    for (tongue, width, height, text) in
        [("en", 1920, 1080, 100), ("de", 1024, 700, 100), ("de", 1024, 700, 200)]
    {
        desktop.resize(width, height)?;
        set_text(&desktop, text)?;
        set_language(&desktop, tongue)?;
        let mut look = |view: &str| -> Result<()> {
            settle(&desktop)?;
            for one in cut_off(&desktop)? {
                found.push(format!("{view} in {tongue} at {width}, {text} %: {one}"));
            }
            desktop.screenshot(&format!("fit-{view}-{tongue}-{text}"))
        };
        experiments(world, &desktop, &mut look)?;
        lessons(world, &desktop, &mut look)?;
    }
    ensure!(found.is_empty(), "{} things are cut off:\n{}", found.len(), found.join("\n"));
    desktop.close(ENDING)
}

/// Each card, and the recorded run of each.
fn experiments(
    world: &World,
    desktop: &Desktop,
    look: &mut dyn FnMut(&str) -> Result<()>,
) -> Result<()> {
    let all = list(world, &["experiment", "ls", "--json"])?;
    ensure!(all.len() == 12, "{} experiments", all.len());
    desktop.click("nav-experiments")?;
    for one in &all {
        let id = one["id"].as_str().context("no id")?;
        press(desktop, &format!("experiment-card-{id}"))?;
        desktop.wait("experiment-history", SOON)?;
        look(&format!("experiment-{id}"))?;
        desktop.script("document.querySelector('[data-testid^=experiment-earlier-]').click()")?;
        desktop.wait("experiment-verdict", SOON)?;
        desktop.wait("experiment-chart", SOON)?;
        desktop.script("document.querySelector('[data-testid=result-raw]').open = true")?;
        desktop.script(
            "document.querySelector('[data-testid=experiment-verdict]').scrollIntoView()",
        )?;
        look(&format!("experiment-{id}-result"))?;
        press(desktop, "experiments-back")?;
    }
    Ok(())
}

fn lessons(
    world: &World,
    desktop: &Desktop,
    look: &mut dyn FnMut(&str) -> Result<()>,
) -> Result<()> {
    desktop.click("nav-lessons")?;
    for one in &list(world, &["lesson", "ls", "--json"])? {
        let id = one["id"].as_str().context("no id")?;
        let shown = world.tandem(["lesson", "show", id, "--json"])?.ok()?.json()?;
        let steps = shown["lesson"]["steps"].as_array().context("no steps")?;
        press(desktop, &format!("lesson-card-{id}"))?;
        for at in 0..steps.len() {
            press(desktop, &format!("lesson-step-{at}"))?;
            look(&format!("lesson-{id}-{}", at + 1))?;
        }
        press(desktop, "lessons-back")?;
    }
    Ok(())
}

/// Presses what may be far below what is seen.
fn press(desktop: &Desktop, id: &str) -> Result<()> {
    desktop.wait(id, SOON)?;
    desktop.script(&format!("document.querySelector('[data-testid={id}]').click()")).map(drop)
}

fn list(world: &World, command: &[&str]) -> Result<Vec<Value>> {
    let all = world.tandem(command)?.ok()?.json()?;
    all.as_array().cloned().context("no list")
}
