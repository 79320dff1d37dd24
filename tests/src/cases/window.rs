//! The real window under a virtual display, driven through WebDriver.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::{
    Case, Need, Start, World,
    desktop::{Desktop, Look},
    poll,
};

/// The window's cases.
pub(super) const CASES: &[Case] = &[
    case("window::errors_say_what_to_do_and_keep_what_was_typed", errors),
    case("window::instances_of_the_command_line_show_at_once", instances),
    case("window::a_cancelled_launch_and_a_window_closed_in_one_clean_up", cut_short),
    case("window::pages_work_on_real_projects_images_and_instances", pages),
    case("window::a_lesson_is_done_in_either_theme", lesson),
    case("window::both_lanes_race_to_a_verdict", race),
];

/// What a case with a window and both kinds of instances needs.
pub(super) const NEEDS: &[Need] = &[
    Need::Root,
    Need::Window,
    Need::Program("Xvfb"),
    Need::Program("dbus-run-session"),
    Need::Program("WebKitWebDriver"),
    Need::Program("qemu-system-x86_64"),
    Need::Program("mke2fs"),
];

pub(super) const fn case(name: &'static str, run: fn(&World) -> Result<()>) -> Case {
    Case { name, needs: NEEDS, start: Start::Built, run }
}

pub(super) const SOON: Duration = Duration::from_secs(90);
/// Building (from the cache), checking parity, and a launch in each lane, with
/// the virtual machine emulated on a busy machine.
pub(super) const COMPARISON: Duration = Duration::from_mins(8);
/// Cancelling what runs, cleaning up, and ending.
pub(super) const ENDING: Duration = Duration::from_mins(3);

/// Opens the window and waits until there is something to launch.
pub(super) fn open(world: &World, look: Look) -> Result<Desktop> {
    let desktop = Desktop::open(world, look)?;
    ready(&desktop)?;
    Ok(desktop)
}

/// Waits until there is something to launch.
pub(super) fn ready(desktop: &Desktop) -> Result<()> {
    desktop.wait("lab-launch", SOON)?;
    let ready = "return !document.querySelector('[data-testid=lab-launch]').disabled";
    desktop.until("a subject to launch", SOON, async |page| {
        Ok((page.execute(ready, Vec::new()).await? == true).then_some(()))
    })
}

/// Waits until a script of the page returns true.
pub(super) fn tests(desktop: &Desktop, what: &str, script: &str) -> Result<()> {
    desktop.until(what, SOON, async |page| {
        Ok((page.execute(script, Vec::new()).await? == true).then_some(()))
    })
}

/// Looks at an instance on the Workbench.
pub(super) fn choose(desktop: &Desktop, name: &str) -> Result<()> {
    let row = format!("document.querySelector('[data-testid=instance-row-{name}]')");
    tests(desktop, "the instance", &format!("return {row}?.dataset.state === 'running'"))?;
    let button = format!("{row}.querySelector('[data-testid=instance-choose]').click()");
    desktop.script(&button).map(drop)
}

fn stage(desktop: &Desktop) -> Result<String> {
    desktop.attribute("lab-status", "data-stage")?.context("the status has no stage")
}

/// Waits for one of these stages; any other end of the run is an error.
pub(super) fn wait_for_stage(desktop: &Desktop, wanted: &[&str], limit: Duration) -> Result<()> {
    let ended = desktop.until(&format!("{wanted:?}"), limit, async |page| {
        let script = "return document.querySelector('[data-testid=lab-status]').dataset.stage";
        let stage = page.execute(script, Vec::new()).await?;
        let stage = stage.as_str().unwrap_or_default().to_owned();
        let over = ["finished", "failed", "cancelled"].contains(&stage.as_str());
        Ok((over || wanted.contains(&stage.as_str())).then_some(stage))
    })?;
    if !wanted.contains(&ended.as_str()) {
        let why = if desktop.has("error-banner")? {
            desktop.text("error-banner")?
        } else {
            String::new()
        };
        desktop.screenshot("unexpected")?;
        anyhow::bail!("the run is {ended}, not {wanted:?}: {why}");
    }
    Ok(())
}

/// Waits until a launch is measured.
pub(super) fn racing(desktop: &Desktop) -> Result<()> {
    wait_for_stage(desktop, &["racing"], COMPARISON)
}

/// The text of a test id inside a lane's card.
pub(super) fn in_lane(desktop: &Desktop, lane: &str, id: &str) -> Result<String> {
    let selector = format!("[data-testid={lane}] [data-testid={id}]");
    let script = format!("return document.querySelector('{selector}')?.innerText ?? ''");
    let text = desktop.script(&script)?;
    Ok(text.as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" "))
}

/// `0.34s`, `12 ms` in seconds.
pub(super) fn seconds(text: &str) -> Result<f64> {
    let at =
        text.find(|c: char| c.is_alphabetic()).with_context(|| format!("`{text}`: no unit"))?;
    let number: f64 = text[..at].trim().parse().with_context(|| format!("`{text}`: no number"))?;
    match &text[at..] {
        "s" => Ok(number),
        "ms" => Ok(number / 1e3),
        other => anyhow::bail!("`{other}` is an odd unit for a launch"),
    }
}

pub(super) fn launch_once(desktop: &Desktop) -> Result<()> {
    desktop.click("lab-options")?;
    desktop.fill("option-trials", "1")?;
    desktop.click("lab-options")?;
    desktop.click("lab-launch")
}

fn race(world: &World) -> Result<()> {
    let desktop = open(world, Look::Light)?;
    desktop.screenshot("lab-idle-light")?;
    let command = desktop.text("cli-equivalent")?;
    ensure!(command.starts_with("tandem compare hello-flask"), "{command}");

    launch_once(&desktop)?;
    wait_for_stage(&desktop, &["preparing", "racing"], SOON)?;
    desktop.screenshot("lab-preparing-light")?;
    wait_for_stage(&desktop, &["racing"], COMPARISON)?;
    desktop.until("a race chart", SOON, async |page| {
        let script = "return !!document.querySelector('[data-testid=lab-race-chart] svg rect')";
        Ok((page.execute(script, Vec::new()).await? == true).then_some(()))
    })?;
    desktop.screenshot("lab-racing-light")?;
    wait_for_stage(&desktop, &["finished"], COMPARISON)?;
    desktop.screenshot("lab-finished-light")?;

    let [container, machine] = ["lane-container", "lane-vm"]
        .map(|lane| in_lane(&desktop, lane, "lane-first-response").and_then(|text| seconds(&text)));
    let (container, machine) = (container?, machine?);
    ensure!(container > 0.0 && machine > container, "container {container} s, VM {machine} s");
    for (lane, phases) in [
        ("lane-container", &["rootfs", "network", "create", "app"][..]),
        ("lane-vm", &["disk", "spawn", "firmware", "kernel", "userspace", "app"][..]),
    ] {
        for phase in phases {
            let shown = in_lane(&desktop, lane, &format!("lane-phase-{phase}"))?;
            ensure!(shown.contains(char::is_numeric), "{lane}: `{phase}` shows `{shown}`");
        }
    }
    for chart in ["lab-race-chart", "lab-cpu-chart", "lab-memory-chart"] {
        let script =
            format!("return document.querySelectorAll('[data-testid={chart}] svg *').length");
        let marks = desktop.script(&script)?.as_u64().unwrap_or(0);
        ensure!(marks > 10, "{chart} has only {marks} marks");
    }
    let verdict = desktop.text("lab-verdict")?;
    ensure!(verdict.contains("container") && verdict.contains("sooner"), "{verdict}");

    both_answer_and_stop(&desktop)?;
    doctor(&desktop)?;
    desktop.close(ENDING)
}

/// Both instances were left running, give the same answer, and stop by button.
fn both_answer_and_stop(desktop: &Desktop) -> Result<()> {
    let mut bodies = Vec::new();
    for lane in ["lane-container", "lane-vm"] {
        let words = in_lane(desktop, lane, "lane-open")?;
        let port = words.rsplit_once(':').context("no port on the button")?.1.parse()?;
        bodies.push(poll::first_body(port, SOON)?);
    }
    ensure!(bodies[0] == bodies[1] && !bodies[0].is_empty(), "{bodies:?}");
    for lane in ["lane-container", "lane-vm"] {
        let selector = format!("[data-testid={lane}] [data-testid=lane-stop]");
        desktop.script(&format!("document.querySelector('{selector}').click()"))?;
        desktop.until(&format!("{lane} to stop"), SOON, async |page| {
            let script = format!("return !document.querySelector('{selector}')");
            Ok((page.execute(&script, Vec::new()).await? == true).then_some(()))
        })?;
        ensure!(in_lane(desktop, lane, "lane-state")? == "stopped");
    }
    Ok(())
}

fn doctor(desktop: &Desktop) -> Result<()> {
    desktop.click("nav-doctor")?;
    let found = desktop.until("the doctor's findings", Duration::from_mins(3), async |page| {
        let script = "return [...document.querySelectorAll('[data-testid^=doctor-item-]')].map(e => e.dataset.status)";
        let found = page.execute(script, Vec::new()).await?;
        Ok(found.as_array().filter(|list| list.len() >= 4).cloned())
    })?;
    let known =
        |status: &serde_json::Value| ["ok", "limited", "missing"].iter().any(|word| status == word);
    ensure!(found.iter().all(known), "{found:?}");
    desktop.screenshot("doctor-light")?;
    desktop.click("nav-lab")
}

fn errors(world: &World) -> Result<()> {
    // A name that would run if anybody took it for markup.
    const NAME: &str = "<img src=x onerror=document.title='broken'>";
    let desktop = open(world, Look::Dark)?;
    desktop.screenshot("lab-idle-dark")?;
    desktop.script(
        "const select = document.querySelector('[data-testid=lab-subject]');
         select.value = select.options[select.options.length - 1].value;
         select.dispatchEvent(new Event('change', { bubbles: true }));",
    )?;
    desktop.fill("lab-subject-other", NAME)?;
    desktop.click("lab-launch")?;
    desktop.wait("error-banner", SOON)?;
    let words = desktop.text("error-banner")?;
    ensure!(words.contains(NAME) && words.contains("tandem images"), "{words}");
    ensure!(desktop.script("return document.title")? == "Tandem");
    ensure!(desktop.script("return document.querySelectorAll('img').length")? == 0);
    let kept =
        desktop.script("return document.querySelector('[data-testid=lab-subject-other]').value")?;
    ensure!(kept == NAME, "{kept}");
    desktop.screenshot("lab-error-dark")?;
    ensure!(stage(&desktop)? == "failed");
    desktop.close(ENDING)
}

/// The world checks that nothing is left of either.
fn cut_short(world: &World) -> Result<()> {
    let desktop = open(world, Look::Light)?;
    launch_once(&desktop)?;
    wait_for_stage(&desktop, &["racing"], COMPARISON)?;
    desktop.click("lab-cancel")?;
    wait_for_stage(&desktop, &["cancelled"], ENDING)?;
    let status = desktop.text("lab-status")?;
    ensure!(status.starts_with("Cancelled"), "{status}");
    ensure!(!desktop.has("error-banner")?, "a cancel is no error");
    desktop.screenshot("lab-cancelled-light")?;
    let left = world.tandem(["ps", "-a", "--json"])?.ok()?.json()?;
    ensure!(left.as_array().is_some_and(Vec::is_empty), "{left}");

    desktop.click("lab-launch")?;
    wait_for_stage(&desktop, &["racing"], COMPARISON)?;
    desktop.close(ENDING)
}

/// What a command did shows in the window, and the other way round.
fn instances(world: &World) -> Result<()> {
    let desktop = open(world, Look::Light)?;
    let arguments = ["run", "-d", "--name", "shown", "-p", "0:8080", "hello-flask"];
    world.tandem(arguments)?.ok()?;
    shows(&desktop, "running")?;
    desktop.script("document.querySelector('[data-testid=instances]').scrollIntoView()")?;
    desktop.screenshot("lab-instances-light")?;
    world.tandem(["stop", "-t", "0", "shown"])?.ok()?;
    shows(&desktop, "exited")?;

    desktop.click("instance-start")?;
    shows(&desktop, "running")?;
    let running = world.tandem(["ps"])?.ok()?;
    ensure!(running.stdout.contains("shown"), "{}", running.stdout);
    desktop.click("instance-stop")?;
    shows(&desktop, "exited")?;
    desktop.click("instance-remove")?;
    desktop.until("the row to go", SOON, async |page| {
        let script = "return !document.querySelector('[data-testid=instance-row-shown]')";
        Ok((page.execute(script, Vec::new()).await? == true).then_some(()))
    })?;
    let left = world.tandem(["ps", "-a"])?.ok()?;
    ensure!(!left.stdout.contains("shown"), "{}", left.stdout);
    desktop.close(ENDING)
}

fn shows(desktop: &Desktop, state: &str) -> Result<()> {
    desktop.until(&format!("`{state}` in the window"), SOON, async |page| {
        let script = "return document.querySelector('[data-testid=instance-row-shown]')?.dataset.state ?? ''";
        Ok((page.execute(script, Vec::new()).await? == state).then_some(()))
    })
}

/// The pages beside the Lab, on a real project, image and instance.
fn pages(world: &World) -> Result<()> {
    let desktop = open(world, Look::Light)?;
    let folder = world.scratch().join("bench-app");
    desktop.click("nav-workbench")?;
    desktop.fill("project-folder", &folder.display().to_string())?;
    desktop.click("project-new")?;
    desktop.wait("editor", SOON)?;
    desktop.until("the editor in its shadow", SOON, async |page| {
        let script = "const root = document.querySelector('[data-testid=editor]').shadowRoot;
            return root?.querySelectorAll('.cm-line').length > 3
                && getComputedStyle(root.querySelector('.cm-scroller')).display === 'flex'";
        Ok((page.execute(script, Vec::new()).await? == true).then_some(()))
    })?;
    desktop.click("build-start")?;
    let build = "return document.querySelector('[data-testid=build-log]').dataset.state";
    desktop.until("the build", COMPARISON, async |page| {
        Ok((page.execute(build, Vec::new()).await? == "done").then_some(()))
    })?;
    let command = desktop.text("cli-equivalent")?;
    ensure!(command.starts_with("tandem build -t bench-app "), "{command}");

    world.tandem(["run", "-d", "--name", "shown", "-p", "0:8080", "bench-app"])?.ok()?;
    shows(&desktop, "running")?;
    desktop.click("instance-choose")?;
    desktop.wait("instance-log", SOON)?;
    desktop.screenshot("workbench-light")?;

    desktop.click("nav-images")?;
    desktop.wait("image-row-bench-app", SOON)?;
    let open = "document.querySelector('[data-testid=image-row-bench-app] [data-testid=image-open]').click()";
    desktop.script(open)?;
    desktop.wait("image-layer", SOON)?;
    desktop.screenshot("images-light")?;
    let command = desktop.text("cli-equivalent")?;
    ensure!(command == "tandem image tree bench-app:latest", "{command}");
    // Nobody answers there: the error says so, and what was typed stays.
    desktop.fill("pull-reference", "127.0.0.1:1/none")?;
    desktop.click("pull-start")?;
    desktop.wait("error-banner", SOON)?;
    let typed = "return document.querySelector('[data-testid=pull-reference]').value";
    ensure!(desktop.script(typed)? == "127.0.0.1:1/none");

    desktop.click("nav-experiments")?;
    desktop.wait("experiment-card-startup", SOON)?;
    desktop.screenshot("experiments-light")?;
    desktop.click("experiment-card-startup")?;
    desktop.wait("experiment-run", SOON)?;
    desktop.click("nav-results")?;
    // The home is shared: other cases may have measured something in it.
    let either = "return document.querySelector(
        '[data-testid=results-list], [data-testid=results-empty]') !== null";
    tests(&desktop, "the results, or that there are none", either)?;
    desktop.click("nav-settings")?;
    desktop.wait("settings-disk", SOON)?;
    desktop.screenshot("settings-light")?;
    world.tandem(["rm", "-f", "shown"])?.ok()?;
    desktop.close(ENDING)
}

fn lesson(world: &World) -> Result<()> {
    // One that is broken says where, as text, and stops no other.
    let own = world.home().join("lessons");
    std::fs::create_dir_all(&own)?;
    let broken = own.join("broken.md");
    std::fs::write(
        &broken,
        "# <script>document.title='x'</script>\n\n## S\n\n```run\nrm -rf /\n```\n",
    )?;
    let desktop = open(world, Look::Light)?;
    desktop.click("nav-lessons")?;
    desktop.wait("lesson-card-hello-flask", SOON)?;
    says(&desktop, "lesson-card-broken", "broken, line 6")?;
    ensure!(desktop.script("return document.title")? == "Tandem");
    // What is there may not be painted yet.
    std::thread::sleep(Duration::from_millis(500));
    desktop.screenshot("lessons-light")?;
    desktop.click("lesson-card-hello-flask")?;
    desktop.wait("lesson-step", SOON)?;
    // The file is not there before the command was run.
    desktop.click("lesson-look-2")?;
    says(&desktop, "lesson-check-2", "it is not there")?;
    desktop.click("lesson-run-1-0")?;
    desktop.wait("lesson-output", SOON)?;
    desktop.click("lesson-look-2")?;
    desktop.until("the check", SOON, async |page| {
        let script = "return document.querySelector('[data-testid=lesson-check-2]').dataset.done";
        Ok((page.execute(script, Vec::new()).await? == "true").then_some(()))
    })?;
    desktop.click("lesson-choice-3-1")?;
    says(&desktop, "lesson-step", "no: try again")?;
    desktop.click("lesson-choice-3-0")?;
    says(&desktop, "lesson-step", "A container has a network of its own")?;
    desktop.screenshot("lesson-light")?;
    let command = desktop.text("cli-equivalent")?;
    ensure!(command == "tandem lesson run hello-flask --step 1", "{command}");

    desktop.click("nav-settings")?;
    let dark = "const list = document.querySelector('[data-testid=settings-theme]');
        list.value = 'dark'; list.dispatchEvent(new Event('change', { bubbles: true }));
        return document.documentElement.dataset.theme";
    ensure!(desktop.script(dark)? == "dark", "the theme does not change");
    desktop.screenshot("settings-dark")?;
    desktop.click("nav-lessons")?;
    desktop.wait("lesson-step", SOON)?;
    desktop.screenshot("lesson-dark")?;
    // What was done is there for the command line too.
    let rows = world.tandem(["lesson", "ls", "--json"])?.ok()?.json()?;
    let row = rows.as_array().and_then(|rows| rows.iter().find(|row| row["id"] == "hello-flask"));
    ensure!(row.is_some_and(|row| row["done"] == 3), "{rows}");
    world.tandem(["lesson", "reset", "hello-flask"])?.ok()?;
    std::fs::remove_file(broken)?;
    desktop.close(ENDING)
}

/// Waits until a part of the page says something.
pub(super) fn says(desktop: &Desktop, id: &str, words: &str) -> Result<()> {
    let script = format!("return document.querySelector('[data-testid={id}]')?.innerText ?? ''");
    desktop.until(words, SOON, async |page| {
        let text = page.execute(&script, Vec::new()).await?;
        Ok(text.as_str().is_some_and(|text| text.contains(words)).then_some(()))
    })
}
