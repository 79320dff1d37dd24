//! A run that was killed, and what fits on this machine, in the real window.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;

use super::{
    experiment::begun,
    window::{SOON, says, tests},
};
use crate::{World, desktop::Desktop, poll};

/// The rest of the trials, on a busy machine.
const RESUMED: Duration = Duration::from_mins(4);

/// Writes the result that is shown in every format, each as the command does.
pub(super) fn exported(world: &World, desktop: &Desktop, id: &str) -> Result<()> {
    let formats = [
        ("html", "html", &b"<!"[..]),
        ("pdf", "pdf", b"%PDF"),
        ("png", "png", b"\x89PNG"),
        ("svg", "svg", b"<svg"),
        ("json", "json", b"{"),
        ("csv", "csv", b""),
        ("markdown", "md", b"#"),
    ];
    for (format, ending, head) in formats {
        let [file, same] = ["window", "command"].map(|by| {
            let path = world.scratch().join(format!("result-by-{by}.{ending}"));
            path.display().to_string()
        });
        desktop.script(&format!(
            "const list = document.querySelector('[data-testid=export-format]');
             list.value = '{format}'; list.dispatchEvent(new Event('change', {{ bubbles: true }}));"
        ))?;
        if format == "svg" {
            desktop.click("export-dark")?;
        }
        desktop.fill("export-file", &file)?;
        let command = desktop.text("cli-equivalent")?;
        let start = format!("tandem result export {id} --format {ending}");
        ensure!(command.starts_with(&start), "{command}");
        ensure!(command.contains("--dark") == (format == "svg"), "{command}");
        desktop.click("export-start")?;
        says(desktop, "results-note", &file)?;
        let typed = command.replace(&file, &same);
        world.tandem(typed.split(' ').skip(1))?.ok()?;
        let [made, wanted] = [std::fs::read(&file)?, std::fs::read(&same)?];
        ensure!(made.starts_with(head) && !made.is_empty(), "{file} does not begin as it should");
        ensure!(made == wanted, "{file} is not what `{command}` writes");
        if format == "svg" {
            desktop.click("export-dark")?;
        }
    }
    Ok(())
}

/// Kills a run in its middle and goes on with it by the window's button.
pub(super) fn resumed(world: &World, desktop: &Desktop) -> Result<()> {
    let words = ["experiment", "run", "size", "--lanes", "container", "--trials", "25"];
    let mut running = world.background(words)?;
    let id = poll::until("its second trial", RESUMED, || begun(world).ok().flatten())?;
    running.signal(Signal::SIGKILL)?;
    running.wait(SOON)?;

    desktop.click("nav-lab")?;
    desktop.click("nav-results")?;
    let row = format!("document.querySelector('[data-testid=result-row-{id}] button')");
    tests(desktop, "the run that was killed", &format!("return !!{row}"))?;
    desktop.script(&format!("{row}.click()"))?;
    desktop.click("result-resume")?;
    desktop.wait("experiment-verdict", RESUMED)?;
    desktop.screenshot("resumed-light")?;
    let stored = world.tandem(["result", "show", &id, "--json"])?.ok()?.json()?;
    ensure!(stored["warnings"].to_string().contains("resumed after"), "{}", stored["warnings"]);
    let counted = stored["trials"].as_array().context("no trials")?.iter();
    ensure!(counted.filter(|it| it["warmup"] == false).count() == 25, "{}", stored["trials"]);
    desktop.click("nav-results")?;
    // The page shows what has become of it.
    let whole = "return !document.querySelector('[data-testid=result-resume]')
        && !!document.querySelector('[data-testid=experiment-verdict]')";
    tests(desktop, "the result of the resumed run", whole)?;
    desktop.click("result-back")
}

/// Asks what fits here, as the command does.
pub(super) fn fits(world: &World, desktop: &Desktop) -> Result<()> {
    let scrolled = "const guide = document.querySelector('[data-testid=fit-guide]');
        guide?.scrollIntoView();
        return guide !== null";
    tests(desktop, "the guide", scrolled)?;
    desktop.fill("fit-class", "12")?;
    desktop.click("fit-reckon")?;
    says(desktop, "fit-table", "container")?;
    let command = desktop.text("cli-equivalent")?;
    ensure!(command == "tandem guide --subject hello-flask --class 12", "{command}");
    let words: Vec<&str> = command.split(' ').skip(1).chain(["--json"]).collect();
    let guide = world.tandem(&words)?.ok()?.json()?;
    let lanes = guide["lanes"].as_array().context("no lanes")?;
    let rows = "return document.querySelectorAll('[data-testid=fit-table] tbody tr').length";
    ensure!(desktop.script(rows)?.as_u64() == Some(lanes.len() as u64), "{guide}");
    // What is free changes; that something fits does not.
    let fit = "return Number(document.querySelector('[data-testid=fit-table] tbody td').innerText)";
    ensure!(desktop.script(fit)?.as_f64() > Some(0.0), "nothing fits: {guide}");
    desktop.screenshot("fit-light")?;
    desktop.fill("fit-subject", "no-such-thing")?;
    desktop.click("fit-reckon")?;
    says(desktop, "error-banner", "no-such-thing")
}
