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
    // The home is shared, and the lessons build `hello-flask` their own way.
    world.tandem(["image", "tag", "hello-flask", "kept-for-others"])?.ok()?;
    let desktop = open(world, Look::Light)?;
    desktop.click("nav-lessons")?;
    let done = ["hello-flask", "containers", "changes", "virtual-machines"]
        .iter()
        .try_for_each(|id| lesson(world, &desktop, id));
    world.tandem(["image", "tag", "kept-for-others", "hello-flask"])?.ok()?;
    world.tandem(["image", "rm", "kept-for-others"])?.ok()?;
    done?;
    desktop.close(ENDING)
}

/// Every step of a lesson, as its own text has it.
fn lesson(world: &World, desktop: &Desktop, id: &str) -> Result<()> {
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
            left_out += part(desktop, number, block)
                .with_context(|| format!("{id}, step {}, block {number}", at + 1))?;
        }
    }
    desktop.screenshot(&format!("lesson-{id}-light"))?;
    let rows = world.tandem(["lesson", "ls", "--json"])?.ok()?.json()?;
    let row = rows.as_array().and_then(|rows| rows.iter().find(|row| row["id"] == id));
    let row = row.context("the lesson is not listed")?;
    let [done, tasks] = ["done", "tasks"].map(|name| row[name].as_u64().unwrap_or(0));
    ensure!(tasks > 5 && done + left_out == tasks, "{left_out} were left out: {row}");
    // One click forgets it all.
    desktop.script(
        "document.querySelector('[data-testid=lesson-reset]').closest('details').open = true",
    )?;
    desktop.click("lesson-reset")?;
    let reset = || {
        let rows = world.tandem(["lesson", "ls", "--json"]).ok()?.json().ok()?;
        let row = rows.as_array()?.iter().find(|row| row["id"] == id)?.clone();
        (row["done"] == 0).then_some(())
    };
    crate::poll::until("the lesson begun anew", SOON, reset)?;
    desktop.click("lessons-back")
}

/// Does what a block asks for; how many tasks were left out.
fn part(desktop: &Desktop, number: usize, block: &Value) -> Result<u64> {
    match block["type"].as_str().unwrap_or_default() {
        "run" => {
            let commands = block["commands"].as_array().context("no commands")?;
            // Measuring has a case of its own, and takes minutes.
            if commands.iter().any(|it| it.as_str().is_some_and(|it| it.contains("experiment"))) {
                return Ok(1);
            }
            (0..commands.len()).try_for_each(|at| command(desktop, number, at))?;
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
            desktop.click(&format!("lesson-choice-{number}-{right}"))?;
        }
        "predict" => desktop.click(&format!("lesson-choice-{number}-0"))?,
        _ => {}
    }
    Ok(0)
}

/// Runs a command of a block to its good end.
fn command(desktop: &Desktop, block: usize, at: usize) -> Result<()> {
    let button = format!("lesson-run-{block}-{at}");
    desktop.click(&button)?;
    let state = format!(
        "const button = document.querySelector('[data-testid={button}]');
         const row = button?.closest('.command');
         if (!button || button.disabled) return null;
         if (row.querySelector('.mark').innerText === '✓') return 'done';
         const said = row.parentElement.querySelector('[role=status].bad');
         return said ? row.parentElement.innerText : null"
    );
    let end = desktop.until("the command's end", RUN, async |page| {
        let state = page.execute(&state, Vec::new()).await?;
        Ok(state.as_str().map(str::to_owned))
    })?;
    ensure!(end == "done", "{end}");
    Ok(())
}
