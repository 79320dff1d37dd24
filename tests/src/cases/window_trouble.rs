//! What goes wrong around the real window.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

use super::window::{ENDING, SOON, case, choose, launch_once, open, racing, says, tests};
use crate::{
    Case, World,
    desktop::{Desktop, Look},
    poll,
};

pub(super) const CASES: &[Case] = &[
    case("window::two_windows_see_the_same_and_a_lost_display_cleans_up", two),
    case("window::a_silent_machine_and_one_that_vanishes_are_said", silent),
    case("window::a_line_of_ten_megabytes_does_not_stop_the_window", loud),
];

/// Both windows follow one home; one whose display is gone leaves nothing.
fn two(world: &World) -> Result<()> {
    let (first, second) = (open(world, Look::Light)?, open(world, Look::Dark)?);
    for name in ["shared", "outlives"] {
        world.tandem(["run", "-d", "--name", name, "hello-flask"])?.ok()?;
    }
    let state = "return document.querySelector('[data-testid=instance-row-shared]')?.dataset.state";
    for desktop in [&first, &second] {
        tests(desktop, "it runs in both", &format!("{state} === 'running'"))?;
    }
    let stop = "document.querySelector('[data-testid=instance-row-shared] [data-testid=instance-stop]').click()";
    first.script(stop)?;
    tests(&second, "it is stopped in the other", &format!("{state} === 'exited'"))?;
    first.close(ENDING)?;
    second.script(&stop.replace("instance-stop", "instance-remove"))?;
    tests(&second, "the row to go", &format!("{state} === undefined"))?;

    launch_once(&second)?;
    racing(&second)?;
    second.lose_display(ENDING)?;
    // Each command clears away what a lost owner left, and nothing else.
    poll::until("all but one to be cleared away", ENDING, || {
        let left = world.tandem(["ps", "-a", "--json"]).ok()?.json().ok()?;
        let [only] = &left.as_array()?[..] else { return None };
        (only["name"] == "outlives" && only["state"] == "running").then_some(())
    })?;
    let third = open(world, Look::Light)?;
    tests(
        &third,
        "it runs still",
        &format!("{} === 'running'", state.replace("shared", "outlives")),
    )?;
    world.tandem(["rm", "-f", "outlives"])?.ok()?;
    third.close(ENDING)
}

/// Somebody holds QEMU: the window says so at once and keeps what was typed.
/// Then its supervisor is killed: the row says that nothing runs.
fn silent(world: &World) -> Result<()> {
    let name = "held";
    world.tandem(["run", "-d", "--backend", "vm", "--name", name, "hello-flask"])?.ok()?;
    let desktop = open(world, Look::Light)?;
    desktop.click("nav-workbench")?;
    choose(&desktop, name)?;
    let runtime = world.tandem(["inspect", name])?.ok()?.json()?[0]["runtime"].clone();
    let qemu = process(&runtime["process"])?;
    kill(qemu, Signal::SIGSTOP)?;
    desktop.fill("snapshot-name", "before")?;
    desktop.click("snapshot-take")?;
    let said = says(&desktop, "error-banner", &format!("kill -CONT {qemu}"));
    let typed = "return document.querySelector('[data-testid=snapshot-name]').value";
    let kept = desktop.script(typed)?;
    desktop.screenshot("silent-light")?;
    kill(qemu, Signal::SIGCONT)?;
    said?;
    ensure!(kept == "before", "{kept}");
    // It goes on where it was.
    desktop.click("snapshot-take")?;
    desktop.wait("snapshot-before", SOON)?;
    ensure!(!desktop.has("error-banner")?, "what is over is said still");

    kill(process(&runtime["supervisor"])?, Signal::SIGKILL)?;
    let state = format!(
        "return document.querySelector('[data-testid=instance-row-{name}]')?.dataset.state"
    );
    tests(&desktop, "the machine's end", &format!("{state} === 'exited'"))?;
    desktop.screenshot("vanished-light")?;
    desktop.click("instance-remove")?;
    tests(&desktop, "the row to go", &format!("{state} === undefined"))?;
    desktop.close(ENDING)
}

fn process(record: &Value) -> Result<Pid> {
    let pid = record["pid"].as_i64().with_context(|| format!("no process id in {record}"))?;
    Ok(Pid::from_raw(i32::try_from(pid)?))
}

/// The log is kept, searched and scrolled, and the page answers all the while.
fn loud(world: &World) -> Result<()> {
    let script = "head -c 10000000 /dev/zero | tr '\\0' x; echo; echo after-it; exec sleep 10000";
    let head = ["run", "-d", "--name", "loud", "--entrypoint", "sh", "hello-flask", "-c", script];
    world.tandem(head)?.ok()?;
    let desktop = open(world, Look::Light)?;
    desktop.click("nav-workbench")?;
    choose(&desktop, "loud")?;
    let begin = Instant::now();
    says(&desktop, "instance-log", "after-it")?;
    let shown = begin.elapsed();
    ensure!(shown < Duration::from_secs(30), "the log took {shown:?}");
    answers(&desktop)?;
    desktop.fill("log-search", "after")?;
    let found = "return document.querySelector('[data-testid=instance-log] pre').innerText.trim()";
    tests(&desktop, "what is searched", &format!("{found} === 'after-it'"))?;
    desktop.fill("log-search", "xxxxxxxx")?;
    answers(&desktop)?;
    desktop.script("document.querySelector('[data-testid=instance-log]').scrollTo(0, 0)")?;
    answers(&desktop)?;
    desktop.screenshot("loud-light")?;
    let page = "return document.querySelector('[data-testid=instance-log]').innerText.length";
    let letters = desktop.script(page)?.as_u64().unwrap_or(0);
    ensure!((1..100_000).contains(&letters), "{letters} letters of the log are in the page");
    world.tandem(["rm", "-f", "loud"])?.ok()?;
    desktop.close(ENDING)
}

fn answers(desktop: &Desktop) -> Result<()> {
    let begin = Instant::now();
    ensure!(desktop.script("return 1 + 1")? == 2);
    let taken = begin.elapsed();
    ensure!(taken < Duration::from_secs(10), "the page takes {taken:?} to answer");
    Ok(())
}
