//! How every page looks: in every theme, at small and large sizes, with large
//! text. axe looks at each, and nothing may be cut off sideways.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::{
    window::{ENDING, SOON, case, open},
    window_class::two_runs,
};
use crate::{
    Case, World, axe,
    desktop::{Desktop, Look},
};

pub(super) const CASES: &[Case] = &[
    case("window::axe_finds_nothing_serious_in_any_theme", accessible),
    case("window::no_page_is_cut_off_at_any_size", sizes),
];

const PAGES: [&str; 8] =
    ["lab", "workbench", "images", "experiments", "lessons", "results", "doctor", "settings"];
const THEMES: [&str; 4] = ["light", "dark", "contrast-light", "contrast-dark"];

fn accessible(world: &World) -> Result<()> {
    let runs = two_runs(world)?;
    let desktop = open(world, Look::Light)?;
    axe::install(&desktop)?;
    let mut found = Vec::new();
    for theme in THEMES {
        set_theme(&desktop, theme)?;
        every_view(&desktop, &runs, |view| {
            for one in axe::serious(&desktop)? {
                found.push(format!("{view} in {theme}: {one}"));
            }
            desktop.screenshot(&format!("look-{view}-{theme}"))
        })?;
    }
    ensure!(found.is_empty(), "axe found {}:\n{}", found.len(), found.join("\n"));
    desktop.close(ENDING)
}

fn sizes(world: &World) -> Result<()> {
    let runs = two_runs(world)?;
    let desktop = open(world, Look::Light)?;
    let mut found = Vec::new();
    for (width, height, text) in
        [(1024, 700, 100), (1280, 860, 100), (1920, 1080, 100), (1024, 700, 200), (1280, 860, 200)]
    {
        desktop.resize(width, height)?;
        set_text(&desktop, text)?;
        every_view(&desktop, &runs, |view| {
            for one in cut_off(&desktop)? {
                found.push(format!("{view} at {width}x{height}, {text} %: {one}"));
            }
            desktop.screenshot(&format!("size-{view}-{width}-{text}"))
        })?;
    }
    ensure!(found.is_empty(), "{} things are cut off:\n{}", found.len(), found.join("\n"));
    desktop.close(ENDING)
}

/// Goes through the pages and what opens in them.
fn every_view(
    desktop: &Desktop,
    [first, second]: &[String; 2],
    mut look: impl FnMut(&str) -> Result<()>,
) -> Result<()> {
    let script = |script: &str| desktop.script(script).map(drop);
    for page in PAGES {
        desktop.click(&format!("nav-{page}"))?;
        settle();
        look(page)?;
        match page {
            "lab" => {
                desktop.click("lab-options")?;
                settle();
                look("lab-options")?;
                desktop.click("lab-options")?;
            }
            "experiments" => {
                desktop.click("experiment-card-startup")?;
                desktop.wait("experiment-run", SOON)?;
                look("experiment")?;
                desktop.click("experiments-back")?;
            }
            "lessons" => {
                desktop.click("lesson-card-hello-flask")?;
                desktop.wait("lesson-step", SOON)?;
                look("lesson")?;
                desktop.click("lesson-present")?;
                desktop.wait("stage", SOON)?;
                desktop.click("stage-next")?;
                look("stage")?;
                desktop.click("stage-close")?;
                settle();
                desktop.click("lessons-back")?;
                desktop.click("lessons-class")?;
                desktop.wait("class-page", SOON)?;
                look("class")?;
                desktop.click("class-back")?;
            }
            "results" => {
                script(&format!(
                    "document.querySelector('[data-testid=result-row-{first}] button').click()"
                ))?;
                desktop.wait("result-raw", SOON)?;
                script("document.querySelector('[data-testid=result-raw]').open = true")?;
                settle();
                look("result")?;
                desktop.click("result-back")?;
                for id in [first, second] {
                    let box_of =
                        format!("document.querySelector('[data-testid=result-pick-{id}]')");
                    script(&format!("if (!{box_of}.checked) {box_of}.click()"))?;
                }
                desktop.click("results-compare")?;
                desktop.wait("beside-table", SOON)?;
                settle();
                look("beside")?;
                desktop.click("beside-back")?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn settle() {
    std::thread::sleep(Duration::from_millis(400));
}

fn set_theme(desktop: &Desktop, theme: &str) -> Result<()> {
    desktop.click("nav-settings")?;
    desktop.wait("settings-theme", SOON)?;
    let choose = format!(
        "const list = document.querySelector('[data-testid=settings-theme]');
         list.value = '{theme}'; list.dispatchEvent(new Event('change', {{ bubbles: true }}));
         return document.documentElement.dataset.theme"
    );
    let shown = desktop.script(&choose)?;
    ensure!(shown.as_str().is_some_and(|shown| theme.ends_with(shown)), "{theme}: {shown}");
    Ok(())
}

/// Makes the text this large, as Ctrl and + do.
fn set_text(desktop: &Desktop, percent: u32) -> Result<()> {
    let press = |key: &str| {
        let event = format!(
            "window.dispatchEvent(new KeyboardEvent('keydown', {{ key: '{key}', ctrlKey: true, bubbles: true }}))"
        );
        desktop.script(&event).map(drop)
    };
    press("0")?;
    let now = "return Math.round(parseFloat(getComputedStyle(document.documentElement).fontSize) / 16 * 100)";
    for _ in 0..20 {
        if desktop.script(now)?.as_u64().is_some_and(|it| it >= u64::from(percent)) {
            return Ok(());
        }
        press("+")?;
    }
    anyhow::bail!("the text does not grow to {percent} %: {}", desktop.script(now)?)
}

/// What reaches out of the page sideways, or does not fit its own box.
fn cut_off(desktop: &Desktop) -> Result<Vec<String>> {
    let found = desktop.script(
        "const found = [];
         const wide = (box, name) => {
           if (box && box.scrollWidth > box.clientWidth + 1)
             found.push(`${name} is ${box.scrollWidth - box.clientWidth} px too wide`);
         };
         wide(document.documentElement, 'the window');
         wide(document.querySelector('.content'), 'the page');
         wide(document.querySelector('.sidebar'), 'the side bar');
         for (const box of document.querySelectorAll('button, label, h1, h2, h3, select, th')) {
           const place = box.getBoundingClientRect();
           if (place.width === 0 || box.closest('.unseen, svg, [data-testid=editor]') || box.classList.contains('unseen')) continue;
           if (box.scrollWidth > box.clientWidth + 1 && getComputedStyle(box).display !== 'inline')
             found.push(`${box.tagName} “${box.innerText.slice(0, 40)}” does not fit`);
         }
         return found",
    )?;
    let found = found.as_array().cloned().unwrap_or_default();
    Ok(found.iter().map(|one| one.as_str().unwrap_or_default().to_owned()).collect())
}
