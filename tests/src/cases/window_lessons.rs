//! The lessons of the article's steps, done in the real window from their
//! first step to their last against real containers and a real machine.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::window::{ENDING, NEEDS, SOON, open, tests};
use crate::{
    Case, Need, Start, World,
    desktop::{Desktop, Look},
};

pub(super) const CASES: &[Case] = &[Case {
    name: "window::the_articles_lessons_are_done_step_by_step",
    // The ports are those that the lessons name.
    needs: &[Need::All(NEEDS), Need::TcpPort(8080), Need::TcpPort(8081)],
    start: Start::Built,
    run: all,
}];

/// Building from the cache, and a machine that boots on a busy one.
const RUN: Duration = Duration::from_mins(6);

fn all(world: &World) -> Result<()> {
    let desktop = open(world, Look::Light)?;
    desktop.click("nav-lessons")?;
    with_an_image_of_its_own(world, || {
        ["hello-flask", "containers", "changes", "virtual-machines"]
            .iter()
            .try_for_each(|id| lesson(world, &desktop, id, &[]))
            .and_then(|()| measured(world, &desktop))
    })?;
    desktop.close(ENDING)
}

/// The home is shared, and the lessons build `hello-flask` their own way.
pub(super) fn with_an_image_of_its_own(
    world: &World,
    work: impl FnOnce() -> Result<()>,
) -> Result<()> {
    world.tandem(["image", "tag", "hello-flask", "kept-for-others"])?.ok()?;
    let done = work();
    world.tandem(["image", "tag", "kept-for-others", "hello-flask"])?.ok()?;
    world.tandem(["image", "rm", "kept-for-others"])?.ok()?;
    done
}

/// The lessons that measure: one experiment of each is carried out from the
/// lesson itself, the results of the others are those that come with Tandem.
fn measured(world: &World, desktop: &Desktop) -> Result<()> {
    world.tandem(["result", "import", "--recorded"])?.ok()?;
    lesson(world, desktop, "the-table", &["size"])?;
    lesson(world, desktop, "which-when", &["isolation"])
}

/// Every step of a lesson, as its own text has it, with these of its
/// experiments.
pub(super) fn lesson(
    world: &World,
    desktop: &Desktop,
    id: &str,
    experiments: &[&str],
) -> Result<()> {
    let shown = world.tandem(["lesson", "show", id, "--json"])?.ok()?.json()?;
    let steps = shown["lesson"]["steps"].as_array().context("no steps")?;
    desktop.click(&format!("lesson-card-{id}"))?;
    let mut left_out = 0;
    for (at, step) in steps.iter().enumerate() {
        desktop.click(&format!("lesson-step-{at}"))?;
        let head = format!("{}. {}", at + 1, step["title"].as_str().unwrap_or_default());
        let script = format!(
            "return document.querySelector('[data-testid=lesson-step] h2')?.innerText === {}",
            Value::from(head)
        );
        tests(desktop, "the step", &script)?;
        for (number, block) in step["blocks"].as_array().context("no blocks")?.iter().enumerate() {
            left_out += part(world, desktop, number, block, experiments)
                .with_context(|| format!("{id}, step {}, block {number}", at + 1))?;
        }
    }
    desktop.screenshot(&format!("lesson-{id}-light"))?;
    let row = || -> Option<Value> {
        let rows = world.tandem(["lesson", "ls", "--json"]).ok()?.json().ok()?;
        Some(rows.as_array()?.iter().find(|row| row["id"] == id)?.clone())
    };
    let finished = || {
        let row = row()?;
        let [done, tasks] = ["done", "tasks"].map(|name| row[name].as_u64().unwrap_or(0));
        (tasks > 5 && done + left_out == tasks).then_some(())
    };
    // The last answer may be on its way.
    crate::poll::until("every task done but those left out", SOON, finished)
        .with_context(|| format!("{left_out} were left out: {:?}", row()))?;
    // One click forgets it all.
    desktop.script(
        "document.querySelector('[data-testid=lesson-reset]').closest('details').open = true",
    )?;
    desktop.click("lesson-reset")?;
    let reset = || (row()?["done"] == 0).then_some(());
    crate::poll::until("the lesson begun anew", SOON, reset)?;
    desktop.click("lessons-back")
}

/// Does what a block asks for; how many tasks were left out.
fn part(
    world: &World,
    desktop: &Desktop,
    number: usize,
    block: &Value,
    experiments: &[&str],
) -> Result<u64> {
    match block["type"].as_str().unwrap_or_default() {
        "run" => {
            let commands = block["commands"].as_array().context("no commands")?;
            // Measuring has cases of its own, and takes minutes.
            let measures = |line: &Value| {
                let line = line.as_str().unwrap_or_default();
                line.strip_prefix("tandem experiment run ").map(str::to_owned)
            };
            if let Some(line) = commands.iter().find_map(measures) {
                let name = line.split(' ').next().unwrap_or_default();
                if !experiments.contains(&name) {
                    return Ok(1);
                }
            }
            let ends = (0..commands.len())
                .map(|at| command(desktop, number, at))
                .collect::<Result<Vec<_>>>()?;
            let good = ends.iter().filter(|end| *end == "done").count();
            let enough = if block["any"] == true { 1 } else { commands.len() };
            ensure!(good >= enough, "{ends:?}");
        }
        "check" => {
            // What was started may want a moment: a person presses again.
            let look = format!(
                "const box = document.querySelector('[data-testid=lesson-check-{number}]');
                 const button = box.querySelector('button');
                 if (box.dataset.done !== 'true' && !button.disabled) button.click();
                 return box.dataset.done === 'true'"
            );
            tests(desktop, "what the check looks for", &look)?;
        }
        "quiz" => {
            let right = block["right"].as_u64().context("no answer is right")?;
            choose(desktop, number, right)?;
        }
        "predict" => choose(desktop, number, 0)?,
        "result" => drawn(world, desktop, block)?,
        "picture" => pictured(world, desktop)?,
        _ => {}
    }
    Ok(0)
}

fn choose(desktop: &Desktop, block: usize, choice: u64) -> Result<()> {
    let button = format!("lesson-choice-{block}-{choice}");
    desktop.click(&button)?;
    // The answer is kept, and not only marked by the view itself.
    let kept = format!(
        "return document.querySelector('[data-testid={button}]')
           .closest('fieldset').querySelector('[role=status]') !== null"
    );
    tests(desktop, "that the answer was taken", &kept)
}

/// The picture tells what each layer is on this very machine.
fn pictured(world: &World, desktop: &Desktop) -> Result<()> {
    let found = world.tandem(["doctor", "--json"])?.ok()?.json()?;
    let detail = |id: &str| {
        let all = found.as_array().into_iter().flatten();
        let one = all.clone().find(|one| one["id"] == id);
        one.and_then(|one| one["detail"].as_str()).unwrap_or("nothing").to_owned()
    };
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
    for (layer, wanted) in [
        ("container-kernel", kernel.trim()),
        ("container-engine", &detail("container_engine")),
        ("vm-guest", &detail("vm_kernel")),
        ("vm-hypervisor", &detail("qemu")),
    ] {
        desktop.click(&format!("architecture-{layer}"))?;
        let script = format!(
            "return document.querySelector('[data-testid=architecture-told]')
               .innerText.includes({})",
            Value::from(wanted)
        );
        tests(desktop, &format!("{wanted} in {layer}"), &script)?;
    }
    // More apps are drawn as they are asked for, by the keyboard too.
    desktop.send("architecture-count", "\u{e014}\u{e014}")?;
    tests(
        desktop,
        "four apps of each lane",
        "return document.querySelectorAll('[data-testid=architecture] .one').length === 8",
    )?;
    desktop.screenshot("lesson-picture-light")
}

/// A result stands in its step, with its trials and what they mean, or the
/// step says that there is none yet.
fn drawn(world: &World, desktop: &Desktop, block: &Value) -> Result<()> {
    let experiment = block["experiment"].as_str().context("a result of nothing")?;
    let rows = world.tandem(["result", "ls", "--json"])?.ok()?.json()?;
    let rows = rows.as_array().context("no list")?;
    if !rows.iter().any(|row| row["experiment"] == experiment) {
        return tests(
            desktop,
            &format!("that there is no result of {experiment}"),
            "return document.querySelector('[data-testid=lesson-no-result]') !== null",
        );
    }
    tests(
        desktop,
        &format!("the result of {experiment}"),
        "const step = document.querySelector('[data-testid=lesson-step]');
         return !step.querySelector('[data-testid=lesson-no-result]')
           && step.querySelector('[data-testid=experiment-verdict]')?.innerText.length > 20
           && step.querySelectorAll('[data-testid=result-trials] tbody tr').length > 0",
    )
}

/// Runs a command of a block to its end: `done`, or what was said.
fn command(desktop: &Desktop, block: usize, at: usize) -> Result<String> {
    desktop.click(&format!("lesson-run-{block}-{at}"))?;
    ended(desktop, block, at)
}

/// How a command ended: `done`, or what was said.
pub(super) fn ended(desktop: &Desktop, block: usize, at: usize) -> Result<String> {
    let button = format!("lesson-run-{block}-{at}");
    let state = format!(
        "const button = document.querySelector('[data-testid={button}]');
         const row = button?.closest('.command');
         if (!button || button.disabled) return null;
         if (row.querySelector('.mark').innerText === '✓') return 'done';
         // What follows up to the next command is this one's.
         for (let it = row.nextElementSibling; it && it.className !== row.className; it = it.nextElementSibling)
           if (it.matches('[role=status].bad')) return row.parentElement.innerText;
         return null"
    );
    desktop.until("the command's end", RUN, async |page| {
        let state = page.execute(&state, Vec::new()).await?;
        Ok(state.as_str().map(str::to_owned))
    })
}
