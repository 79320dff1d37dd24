//! A page that is loaded again while work goes on, and what others do to what
//! is looked at: nothing goes on unseen, and nothing that was typed is lost.

use std::{fs, time::Duration};

use anyhow::{Result, ensure};
use nix::mount::{MntFlags, MsFlags, mount, umount2};

use super::window::{ENDING, NEEDS, SOON, case, choose, open, says, tests};
use crate::{
    Case, Start, World,
    desktop::{Desktop, Look},
};

pub(super) const CASES: &[Case] = &[
    case("window::a_page_loaded_again_shows_what_goes_on_and_what_was_typed", again),
    case("window::what_is_looked_at_follows_the_command_line", followed),
    Case {
        name: "window::a_file_that_cannot_be_written_is_said_where_it_could_be",
        needs: NEEDS,
        start: Start::Empty,
        run: unwritten,
    },
];

/// Waits for a build that goes on.
const BUILD: Duration = Duration::from_mins(3);

/// A build is joined with all it said, and cancelled; text that is not saved is
/// there still, and so is its mistake.
fn again(world: &World) -> Result<()> {
    let folder = world.scratch().join("again");
    fs::create_dir(&folder)?;
    let slow = "FROM hello-flask\nRUN for n in $(seq 1000); do echo line $n; sleep 0.3; done\n";
    fs::write(folder.join("Dockerfile"), slow)?;
    fs::write(folder.join("app.py"), "print('kept')\n")?;
    let desktop = open(world, Look::Light)?;
    desktop.click("nav-workbench")?;
    desktop.fill("project-folder", &folder.display().to_string())?;
    desktop.click("project-open")?;
    desktop.wait("editor", SOON)?;
    desktop.click("build-start")?;
    desktop.until("the build's words", BUILD, async |page| {
        let log = "return document.querySelector('[data-testid=build-log]').innerText";
        let log = page.execute(log, Vec::new()).await?;
        Ok(log.as_str().is_some_and(|log| log.contains("line 2")).then_some(()))
    })?;
    // Editing goes on while it builds.
    desktop.click("file-Dockerfile")?;
    write(&desktop, "RUNN\n")?;
    says(&desktop, "editor-faults", "did you mean RUN?")?;
    desktop.screenshot("fault-light")?;
    desktop.script("window.before = true; location.reload()")?;
    let anew = "return !window.before && !!document.querySelector('[data-testid=build-log]')";
    tests(&desktop, "the page anew", anew)?;

    says(&desktop, "build-log", "line 2")?;
    let state = "return document.querySelector('[data-testid=build-log]').dataset.state";
    ensure!(desktop.script(state)? == "running", "the build is not joined");
    desktop.click("file-Dockerfile")?;
    tests(&desktop, "what was typed", &format!("{CODE}?.startsWith('RUNN')"))?;
    says(&desktop, "editor-faults", "did you mean RUN?")?;
    desktop.screenshot("rejoined-light")?;
    desktop.click("build-cancel")?;
    tests(&desktop, "the build's end", &state.replace("return ", "return 'cancelled' === "))?;
    ensure!(!desktop.has("error-banner")?, "a cancel is no error");
    ensure!(fs::read_to_string(folder.join("Dockerfile"))? == slow, "nobody saved it");

    // Another program writes the file: it is not written over unseen.
    fs::write(folder.join("Dockerfile"), "FROM scratch\n")?;
    desktop.click("project-save")?;
    says(&desktop, "error-banner", "written by another program meanwhile")?;
    ensure!(fs::read_to_string(folder.join("Dockerfile"))? == "FROM scratch\n");
    desktop.click("project-save")?;
    tests(
        &desktop,
        "it to be saved",
        "return document.querySelector('[data-testid=project-save]').disabled",
    )?;
    ensure!(fs::read_to_string(folder.join("Dockerfile"))?.starts_with("RUNN"));
    desktop.close(ENDING)
}

const CODE: &str = "return document.querySelector('[data-testid=editor]')?.shadowRoot?.querySelector('.cm-content')?.innerText";

/// Types at the beginning of the file that is shown.
fn write(desktop: &Desktop, text: &str) -> Result<()> {
    let focus = "const root = document.querySelector('[data-testid=editor]').shadowRoot;
        const content = root?.querySelector('.cm-content');
        content?.focus();
        return root?.activeElement === content && !!content";
    tests(desktop, "the editor's focus", focus)?;
    desktop.keys(text)
}

/// An instance that is looked at is renamed, stopped and started, and removed,
/// and one of its name takes its place.
fn followed(world: &World) -> Result<()> {
    let run = |name: &str, word: &str| {
        let script = format!("echo {word} $$; exec sleep 10000");
        let head = ["run", "-d", "--name", name, "--entrypoint", "sh", "hello-flask", "-c"];
        world.tandem([&head[..], &[script.as_str()]].concat())?.ok().map(drop)
    };
    run("before", "first")?;
    let desktop = open(world, Look::Light)?;
    desktop.click("nav-workbench")?;
    choose(&desktop, "before")?;
    says(&desktop, "instance-log", "first")?;
    // A limit that was set and not applied outlives what others do.
    desktop.send("update-memory", "\u{e014}\u{e014}")?;
    let slider = "return document.querySelector('[data-testid=update-memory]').value";
    let set = desktop.script(slider)?;
    world.tandem(["rename", "before", "after"])?.ok()?;
    let pane = "return !!document.querySelector('section[aria-label=after]')";
    tests(&desktop, "it under its new name", pane)?;
    ensure!(desktop.script(slider)? == set, "the slider went back");
    let command = desktop.text("cli-equivalent")?;
    ensure!(command == "tandem logs -f after", "{command}");

    world.tandem(["restart", "-t", "0", "after"])?.ok()?;
    let twice = "return document.querySelector('[data-testid=instance-log]').innerText.split('first').length === 3";
    tests(&desktop, "the log of the second start", twice)?;
    desktop.click("instance-tab-shell")?;
    let joined =
        "return document.querySelector('[data-testid=terminal]')?.dataset.state === 'open'";
    tests(&desktop, "a terminal", joined)?;
    world.tandem(["rename", "after", "again"])?.ok()?;
    tests(&desktop, "its newest name", &pane.replace("after", "again"))?;
    ensure!(desktop.script(joined)? == true, "the terminal went with the name");

    world.tandem(["rm", "-f", "again"])?.ok()?;
    says(&desktop, "instance-gone", "again was removed by somebody else")?;
    run("again", "second")?;
    tests(
        &desktop,
        "another of its name",
        "return document.querySelector('[data-testid=instance-row-again]')?.dataset.state === 'running'",
    )?;
    ensure!(!desktop.has("instance-log")?, "another one is taken for it");
    choose(&desktop, "again")?;
    says(&desktop, "instance-log", "second")?;
    world.tandem(["rm", "-f", "again"])?.ok()?;
    desktop.close(ENDING)
}

/// A folder that is read-only, as a person and a class's teacher meet it.
fn unwritten(world: &World) -> Result<()> {
    let folder = world.scratch().join("read-only");
    fs::create_dir(&folder)?;
    mount(Some("closed"), &folder, Some("tmpfs"), MsFlags::MS_RDONLY, Some("size=1m"))?;
    let said = in_closed(world, &folder.join("out.html").display().to_string());
    umount2(&folder, MntFlags::MNT_DETACH)?;
    said
}

fn in_closed(world: &World, file: &str) -> Result<()> {
    world.tandem(["result", "import", "--recorded"])?.ok()?;
    let desktop = open(world, Look::Light)?;
    desktop.click("nav-results")?;
    desktop.wait("results-list", SOON)?;
    desktop.script("document.querySelector('[data-testid^=result-row-] .open').click()")?;
    desktop.fill("export-file", file)?;
    desktop.click("export-start")?;
    says(&desktop, "error-banner", "choose a folder that you may write to")?;
    let typed = "return document.querySelector('[data-testid=export-file]').value";
    ensure!(desktop.script(typed)? == file, "what was typed is gone");
    desktop.screenshot("read-only-light")?;
    // The person's own folder is written as on the command line.
    desktop.fill("export-file", "~/out.html")?;
    desktop.click("export-start")?;
    says(&desktop, "results-note", "~/out.html")?;
    let written = fs::read_to_string(world.scratch().join("user/out.html"))?;
    ensure!(written.starts_with("<!doctype html>") || written.starts_with("<!DOCTYPE html>"));

    desktop.click("nav-lessons")?;
    desktop.click("lesson-card-hello-flask")?;
    desktop.script("document.querySelector('details.more').open = true")?;
    desktop.fill("lesson-file", file)?;
    desktop.script("document.querySelector('[data-testid=lesson-file]').closest('.row').querySelector('button').click()")?;
    says(&desktop, "error-banner", "choose a folder that you may write to")?;
    desktop.close(ENDING)
}
