//! The process behind the real window: an ordinary user's, and one that dies.

use std::{fs, os::unix::fs::PermissionsExt as _, time::Duration};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::{Signal, kill};

use super::window::{
    COMPARISON, ENDING, NEEDS, SOON, case, in_lane, launch_once, open, racing, ready, seconds,
    tests, wait_for_stage,
};
use crate::{
    Case, Need, Person, Start, World,
    desktop::{Desktop, Look},
    need::joined,
    poll,
};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "window::an_ordinary_user_races_both_lanes",
        needs: ORDINARY,
        start: Start::Built,
        run: ordinary,
    },
    case("window::the_process_behind_it_may_be_killed", killed),
];

const ORDINARY: &[Need] = &joined::<10>(
    NEEDS,
    &[Need::Program("newuidmap"), Need::Program("unshare"), Need::Program("setpriv")],
);

/// As in a class: nobody opens the window as root.
fn ordinary(world: &World) -> Result<()> {
    let person = Person::with_range(world)?;
    person.take_images()?;
    person.take("kernels")?;
    person.tandem(["tag", "hello-flask", "mine"])?.ok()?;
    let browser = "#!/bin/sh\necho \"$(id -u) $1\" > \"$HOME/opened\"\n";
    let browser = person.write("user/bin/xdg-open", browser)?;
    fs::set_permissions(browser, fs::Permissions::from_mode(0o755))?;
    let desktop = Desktop::open_as(world, &person, Look::Light)?;
    ready(&desktop)?;
    desktop.script(
        "const select = document.querySelector('[data-testid=lab-subject]');
         select.value = select.options[select.options.length - 1].value;
         select.dispatchEvent(new Event('change', { bubbles: true }));",
    )?;
    desktop.fill("lab-subject-other", "mine")?;
    launch_once(&desktop)?;
    wait_for_stage(&desktop, &["finished"], COMPARISON)?;
    desktop.screenshot("ordinary-user-light")?;
    for lane in ["lane-container", "lane-vm"] {
        let first = in_lane(&desktop, lane, "lane-first-response")?;
        ensure!(seconds(&first)? > 0.0, "{lane}: {first}");
    }
    // No control groups were delegated, so the lanes are unequal, and it is said.
    let said = desktop.text("notice-parity")?;
    ensure!(said.contains("memory limit: none in container"), "{said}");
    // The browser is the person's, and not started as root of a namespace.
    desktop.script(
        "document.querySelector('[data-testid=lane-container] [data-testid=lane-open]').click()",
    )?;
    let opened = person.folder().join("user/opened");
    let opened = poll::until("the browser", SOON, || {
        fs::read_to_string(&opened).ok().filter(|text| text.ends_with('\n'))
    })?;
    let expected = format!("{} http://127.0.0.1:", person.uid());
    ensure!(opened.starts_with(&expected), "{opened}");
    // What the window has started is there for the same user's commands.
    let rows = person.tandem(["ps", "--json"])?.ok()?.json()?;
    let rows = rows.as_array().context("no list")?;
    ensure!(rows.len() == 2 && rows.iter().all(|row| row["state"] == "running"), "{rows:?}");
    for row in rows {
        person.tandem(["rm", "-f", row["name"].as_str().unwrap_or_default()])?.ok()?;
    }
    tests(&desktop, "no instances", "return !document.querySelector('[data-testid=instances]')")?;
    desktop.close(ENDING)?;
    person.end()
}

/// The page comes back with what is kept, and says what happened; what the
/// process had begun is cleared away.
fn killed(world: &World) -> Result<()> {
    let kept = "return document.querySelector('[data-testid=instance-row-kept]')?.dataset.state === 'running'";
    let desktop = open(world, Look::Light)?;
    world.tandem(["run", "-d", "--name", "kept", "hello-flask"])?.ok()?;
    tests(&desktop, "the instance", kept)?;
    // Of one that dies at once the page is told, and does not come again.
    std::thread::sleep(Duration::from_secs(11));
    let first = desktop.service()?;
    kill(first, Signal::SIGKILL)?;
    desktop.wait("notice-again", SOON)?;
    tests(&desktop, "the instance again", kept)?;
    desktop.screenshot("service-killed-light")?;
    ready(&desktop)?;

    std::thread::sleep(Duration::from_secs(11));
    launch_once(&desktop)?;
    racing(&desktop)?;
    let second = desktop.service()?;
    ensure!(first != second, "the killed process does the work");
    kill(second, Signal::SIGKILL)?;
    // The page that is there still is the one that goes.
    let idle =
        "return document.querySelector('[data-testid=lab-status]')?.dataset.stage === 'idle'";
    tests(&desktop, "the page to come back", idle)?;
    desktop.wait("notice-again", SOON)?;
    poll::until("the comparison's instances to be gone", ENDING, || {
        let left = world.tandem(["ps", "-a", "--json"]).ok()?.json().ok()?;
        let [only] = &left.as_array()?[..] else { return None };
        (only["name"] == "kept" && only["state"] == "running").then_some(())
    })?;
    world.tandem(["rm", "-f", "kept"])?.ok()?;
    // One that hangs keeps no window open, and does not outlive it.
    let third = desktop.service()?;
    kill(third, Signal::SIGSTOP)?;
    // On a busy machine one of its threads may answer still.
    poll::until("all of its threads to stand still", SOON, || {
        let threads = fs::read_dir(format!("/proc/{third}/task")).ok()?;
        let stats = threads.map(|it| fs::read_to_string(it.ok()?.path().join("stat")).ok());
        let stats = stats.collect::<Option<Vec<_>>>()?;
        stats.iter().all(|stat| stat.contains(") T ")).then_some(())
    })?;
    desktop.close(Duration::from_secs(40))?;
    ensure!(!fs::exists(format!("/proc/{third}"))?, "the process that hung is there still");
    Ok(())
}
