//! A lesson by the keyboard alone, in German: every control is reached, what
//! has the focus is in sight, and a dialog holds it and gives it back.

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use super::{
    window::{ENDING, NEEDS, open, tests},
    window_lessons::{ended, with_an_image_of_its_own},
    window_look::set_language,
};
use crate::{
    Case, Need, Start, World,
    desktop::{Desktop, Look},
};

pub(super) const CASES: &[Case] = &[Case {
    name: "window::a_lesson_is_done_in_german_by_the_keyboard_alone",
    // The port is the one that the lesson names.
    needs: &[Need::All(NEEDS), Need::TcpPort(8080)],
    start: Start::Built,
    run: by_keyboard,
}];

/// A lesson with a command, a prediction, a check and a question.
const LESSON: &str = "containers";

/// Keys that have no letter (WebDriver, 17.4.2).
const TAB: &str = "\u{e004}";
const ESCAPE: &str = "\u{e00c}";
const RIGHT: &str = "\u{e014}";
const DOWN: &str = "\u{e015}";

/// More controls than any page has.
const MOST: usize = 80;

const FOCUSED: &str = "(document.activeElement?.closest('[data-testid]')?.dataset.testid ?? '')";

fn by_keyboard(world: &World) -> Result<()> {
    let desktop = open(world, Look::Light)?;
    set_language(&desktop, "de")?;
    with_an_image_of_its_own(world, || lesson(world, &desktop))?;
    world.tandem(["lesson", "reset", LESSON])?.ok()?;
    desktop.close(ENDING)
}

fn lesson(world: &World, desktop: &Desktop) -> Result<()> {
    press(desktop, "nav-lessons", "\n")?;
    press(desktop, &format!("lesson-card-{LESSON}"), "\n")?;
    desktop.wait("lesson-step", ENDING)?;
    presented(desktop)?;
    let shown = world.tandem(["lesson", "show", LESSON, "--json"])?.ok()?.json()?;
    let steps = shown["lesson"]["steps"].as_array().context("no steps")?;
    for (at, step) in steps.iter().enumerate() {
        for (number, block) in step["blocks"].as_array().context("no blocks")?.iter().enumerate() {
            part(desktop, number, block)
                .with_context(|| format!("step {}, block {number}", at + 1))?;
        }
        if at + 1 < steps.len() {
            press(desktop, "lesson-next", "\n")?;
            // Reading goes on at the head of the next step, in sight.
            let head = format!(
                "const head = document.activeElement;
                 const top = head.getBoundingClientRect().top;
                 return head.matches('h2') && head.innerText.startsWith('{}. ')
                   && top >= 0 && top < innerHeight / 2",
                at + 2
            );
            tests(desktop, "the next step's head", &head)?;
        }
    }
    desktop.screenshot("lesson-by-keyboard-light")?;
    let done = || {
        let rows = world.tandem(["lesson", "ls", "--json"]).ok()?.json().ok()?;
        let row = rows.as_array()?.iter().find(|row| row["id"] == LESSON)?.clone();
        (row["done"] == row["tasks"]).then_some(())
    };
    crate::poll::until("every task done", ENDING, done)
}

/// Slides hold the focus while they are shown, and give it back.
fn presented(desktop: &Desktop) -> Result<()> {
    press(desktop, "lesson-present", "\n")?;
    desktop.wait("stage", ENDING)?;
    desktop.keys(RIGHT)?;
    tests(
        desktop,
        "the next slide",
        "return document.querySelector('[data-testid=stage]')?.dataset.at === '1'",
    )?;
    for _ in 0..6 {
        desktop.keys(TAB)?;
        let inside = "const it = document.activeElement;
            return it === document.body || !!it?.closest('[data-testid=stage]')";
        ensure!(desktop.script(inside)? == true, "{} is behind the slides", focused(desktop)?);
    }
    desktop.keys(ESCAPE)?;
    tests(
        desktop,
        "the focus where it was",
        &format!(
            "return !document.querySelector('[data-testid=stage]') && {FOCUSED} === 'lesson-present'"
        ),
    )
}

/// Does what a block asks for.
fn part(desktop: &Desktop, number: usize, block: &Value) -> Result<()> {
    match block["type"].as_str().unwrap_or_default() {
        "run" => {
            for at in 0..block["commands"].as_array().context("no commands")?.len() {
                let button = format!("lesson-run-{number}-{at}");
                press(desktop, &button, "\n")?;
                let said = ended(desktop, number, at)?;
                ensure!(said == "done", "{said}");
                ensure!(focused(desktop)? == button, "it is at {}", focused(desktop)?);
            }
        }
        "check" => {
            let button = format!("lesson-look-{number}");
            let done = format!(
                "const box = document.querySelector('[data-testid=lesson-check-{number}]');
                 const button = box.querySelector('button');
                 if (box.dataset.done !== 'true' && !button.disabled && {FOCUSED} === '{button}') button.click();
                 return box.dataset.done === 'true'"
            );
            press(desktop, &button, "\n")?;
            // What was started may want a moment: a person presses again.
            tests(desktop, "what the check looks for", &done)?;
        }
        "predict" => choose(desktop, number, 1)?,
        "quiz" => choose(desktop, number, block["right"].as_u64().context("no answer")?)?,
        _ => {}
    }
    Ok(())
}

/// Comes to a question and moves to an answer, which chooses it.
fn choose(desktop: &Desktop, block: usize, choice: u64) -> Result<()> {
    let (group, wanted) =
        (format!("lesson-choice-{block}-"), format!("lesson-choice-{block}-{choice}"));
    reach(desktop, &group, |id| id.starts_with(&group))?;
    if focused(desktop)? == wanted {
        desktop.keys(" ")?;
    }
    for _ in 0..6 {
        if focused(desktop)? == wanted {
            break;
        }
        desktop.keys(DOWN)?;
    }
    let kept = format!(
        "const it = document.querySelector('[data-testid={wanted}]');
         return it.checked && it.closest('fieldset').querySelector('[role=status]') !== null"
    );
    tests(desktop, "that the answer was taken", &kept)
}

/// Walks to a control and presses it.
fn press(desktop: &Desktop, id: &str, key: &str) -> Result<()> {
    reach(desktop, id, |it| it == id)?;
    desktop.keys(key)
}

/// Walks on until the focus is there, in sight. Its ring cannot be asked for: a
/// window that no window manager has made the active one draws none.
fn reach(desktop: &Desktop, what: &str, wanted: impl Fn(&str) -> bool) -> Result<()> {
    let mut passed = Vec::new();
    while !wanted(&focused(desktop)?) {
        passed.push(focused(desktop)?);
        if passed.len() > MOST {
            desktop.screenshot("keyboard")?;
            bail!("Tab does not lead to {what}, but to {}", passed.join(", "));
        }
        desktop.keys(TAB)?;
    }
    let seen = "const it = document.activeElement;
        const box = it.getBoundingClientRect();
        const there = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
        return it.contains(there)";
    if desktop.script(seen)? != true {
        desktop.screenshot("keyboard")?;
        bail!("{what} has the focus and nobody sees it");
    }
    Ok(())
}

/// The test id of what has the focus.
fn focused(desktop: &Desktop) -> Result<String> {
    let id = desktop.script(&format!("return {FOCUSED}"))?;
    Ok(id.as_str().unwrap_or_default().to_owned())
}
