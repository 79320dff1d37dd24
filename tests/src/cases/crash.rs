//! Killed in the middle: the next command clears away what was left.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::container::row;
use crate::{Case, Need, Start, World, poll};

pub(super) const CASES: &[Case] = &[
    case("crash::a_killed_supervisor_is_reaped", supervisor, &[]),
    case("crash::a_killed_supervisor_of_a_paused_app_is_reaped", paused, &[]),
    case("crash::a_killed_app_is_noticed", app, &[]),
    case("crash::a_killed_comparison_is_reaped", comparison, &[]),
    case("crash::a_cancelled_comparison_cleans_up", cancelled, &[]),
    case("crash::a_killed_build_is_reaped", building, &[]),
    case("crash::commands_killed_at_any_moment", any_moment, &[]),
    case("crash::supervisors_and_apps_killed_at_any_moment", any_victim, &[]),
    case("crash::a_killed_vm_supervisor_is_reaped", machine, QEMU),
];

const QEMU: &[Need] = &[Need::Root, Need::Program("qemu-system-x86_64")];

const fn case(name: &'static str, run: fn(&World) -> Result<()>, needs: &'static [Need]) -> Case {
    let needs = if needs.is_empty() { &[Need::Root] } else { needs };
    Case { name, needs, start: Start::Built, run }
}

const LIMIT: Duration = Duration::from_mins(2);

fn kill_hard(pid: &serde_json::Value) -> Result<()> {
    let pid = pid.as_i64().with_context(|| format!("{pid} is not a process id"))?;
    Ok(kill(Pid::from_raw(i32::try_from(pid)?), Signal::SIGKILL)?)
}

/// Launches, kills the supervisor, and expects the next command to say the
/// truth and to leave no trace of what ran.
fn killed_supervisor(world: &World, options: &[&str]) -> Result<()> {
    let fixed = ["run", "-d", "--name", "doomed", "-p", ":8080"];
    world.tandem([&fixed[..], options, &["hello-flask"]].concat())?.ok()?;
    let record = world.tandem(["inspect", "doomed"])?.ok()?.json()?;
    let supervisor = &record[0]["runtime"]["supervisor"];
    kill_hard(if supervisor.is_object() { &supervisor["pid"] } else { supervisor })?;

    let seen = poll::until("the instance to count as ended", LIMIT, || {
        row(world, "doomed").ok().filter(|row| row["state"] == "exited")
    })?;
    ensure!(seen["pid"].is_null(), "{seen}");
    world.tandem(["rm", "doomed"])?.ok()?;
    Ok(())
}

fn supervisor(world: &World) -> Result<()> {
    killed_supervisor(world, &["--backend", "container"])
}

/// Its app stands still, and nobody is left to let it go on.
fn paused(world: &World) -> Result<()> {
    world.tandem(["run", "-d", "--name", "still", "hello-flask"])?.ok()?;
    world.tandem(["pause", "still"])?.ok()?;
    let record = world.tandem(["inspect", "still"])?.ok()?.json()?;
    kill_hard(&record[0]["runtime"]["supervisor"]["pid"])?;
    poll::until("the instance to count as ended", LIMIT, || {
        row(world, "still").ok().filter(|row| row["state"] == "exited")
    })?;
    world.tandem(["rm", "still"])?.ok()?;
    Ok(())
}

fn machine(world: &World) -> Result<()> {
    killed_supervisor(world, &["--backend", "vm", "--accelerator", "tcg"])
}

fn app(world: &World) -> Result<()> {
    world.tandem(["run", "-d", "--name", "victim", "hello-flask"])?.ok()?;
    kill_hard(&row(world, "victim")?["pid"])?;
    let seen = poll::until("the end to be noticed", LIMIT, || {
        row(world, "victim").ok().filter(|row| row["state"] == "exited")
    })?;
    ensure!(seen["exit_code"] == 137, "128 + SIGKILL: {seen}");
    world.tandem(["rm", "victim"])?.ok()?;
    Ok(())
}

const COMPARE: [&str; 6] = ["compare", "hello-flask", "--lanes", "container", "--trials", "1000"];

/// Waits until the comparison has an instance that runs.
fn in_the_middle(world: &World) -> Result<()> {
    poll::until("an instance of the comparison", LIMIT, || {
        let rows = world.tandem(["ps", "--json"]).ok()?.json().ok()?;
        rows.as_array().is_some_and(|rows| !rows.is_empty()).then_some(())
    })
}

fn comparison(world: &World) -> Result<()> {
    let mut running = world.background(COMPARE)?;
    in_the_middle(world)?;
    running.signal(Signal::SIGKILL)?;
    running.wait(LIMIT)?;
    // Any next command; what ran ends with its owner.
    poll::until("no instance to be left", LIMIT, || {
        let rows = world.tandem(["ps", "-a", "--json"]).ok()?.json().ok()?;
        rows.as_array().is_some_and(Vec::is_empty).then_some(())
    })?;
    let output = world.tandem(["run", "--rm", "--entrypoint", "true", "hello-flask"])?.ok()?;
    ensure!(output.stdout.is_empty(), "{output}");
    Ok(())
}

fn cancelled(world: &World) -> Result<()> {
    let mut running = world.background(COMPARE)?;
    in_the_middle(world)?;
    running.signal(Signal::SIGINT)?;
    let code = running.wait(LIMIT)?;
    ensure!(code == Some(130), "a cancelled command ends with 130, not {code:?}");
    let rows = world.tandem(["ps", "-a", "--json"])?.ok()?;
    ensure!(rows.json()? == serde_json::json!([]), "{rows}");
    Ok(())
}

fn building(world: &World) -> Result<()> {
    let base = super::build::BASE;
    let text = format!("FROM {base}\nRUN echo begun; sleep 600\nCMD [\"true\"]\n");
    world.write("long/Dockerfile", &text)?;
    let folder = world.scratch().join("long");
    let arguments = ["build".as_ref(), "-t".as_ref(), "long".as_ref(), folder.as_os_str()];
    let mut running = world.background(arguments)?;
    poll::until("the step to run", LIMIT, || {
        let left = world.differences();
        left.iter().any(|line| line.contains("sleep 600")).then_some(())
    })?;
    running.signal(Signal::SIGKILL)?;
    running.wait(LIMIT)?;
    world.tandem(["images"])?.ok()?;
    let left = world.left_behind();
    ensure!(left.is_empty(), "left behind by a killed build: {left:?}");
    Ok(())
}

/// Moments that look random and are the same in every run (a linear
/// congruential generator, Knuth's MMIX).
struct Moments(u64);

impl Moments {
    fn next(&mut self, limit: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// Waits until what `ps -a` says of an instance agrees with what there is: its
/// supervisor may need a moment to notice an end.
fn is_truthful(world: &World, name: &str) -> Result<()> {
    let alive = |pid: &serde_json::Value| {
        pid.as_u64().is_some_and(|pid| std::path::Path::new(&format!("/proc/{pid}")).exists())
    };
    poll::until("a truthful list", LIMIT, || {
        let rows = world.tandem(["ps", "-a", "--json"]).ok()?.json().ok()?;
        let Some(row) = rows.as_array()?.iter().find(|row| row["name"] == name) else {
            return Some(());
        };
        let truthful = match row["state"].as_str()? {
            "running" | "paused" => alive(&row["pid"]),
            "exited" => row["pid"].is_null() && row["exit_code"].is_i64(),
            "created" | "starting" | "restarting" => true,
            _ => false,
        };
        truthful.then_some(())
    })
}

const SLEEPER: [&str; 7] =
    ["run", "-d", "--name", "target", "--entrypoint", "sleep", "hello-flask"];

fn any_moment(world: &World) -> Result<()> {
    let mut moments = Moments(7);
    let sleeper = [&SLEEPER[..], &["1000"]].concat();
    let commands: [&[&str]; 7] = [
        &["run", "--rm", "--name", "target", "--entrypoint", "sleep", "hello-flask", "0.1"],
        &["run", "-d", "--name", "target", "--entrypoint", "sleep", "hello-flask", "1000"],
        &["stop", "-t", "0", "target"],
        &["rm", "-f", "target"],
        &["exec", "target", "sleep", "0.1"],
        &["update", "--memory", "100m", "--cpus", "0.5", "target"],
        &["restart", "-t", "0", "target"],
    ];
    for round in 0..21 {
        let command = commands[round % commands.len()];
        if command[0] != "run" {
            world.tandem(&sleeper)?.ok()?;
        }
        let mut running = world.background(command)?;
        std::thread::sleep(Duration::from_millis(moments.next(150)));
        // It may have ended already.
        let _ = running.signal(Signal::SIGKILL);
        running.wait(LIMIT)?;
        is_truthful(world, "target").with_context(|| format!("round {round}: {command:?}"))?;
        // A launch whose command is gone is withdrawn at any moment; what ran
        // before can be removed.
        poll::until("the instance to be removed", LIMIT, || {
            let removed = world.tandem(["rm", "-f", "target"]).ok()?;
            (removed.code == Some(0) || row(world, "target").is_err()).then_some(())
        })?;
    }
    let left = world.left_behind();
    ensure!(left.is_empty(), "left behind: {left:?}");
    Ok(())
}

fn any_victim(world: &World) -> Result<()> {
    let mut moments = Moments(11);
    for round in 0..10 {
        let policy = if round % 2 == 0 { "no" } else { "always" };
        let options = ["--restart", policy, "--health-cmd", "true", "--health-interval", "50ms"];
        let image = ["hello-flask", "1000"];
        world.tandem([&SLEEPER[..6], &options, &image].concat())?.ok()?;
        std::thread::sleep(Duration::from_millis(moments.next(200)));
        let record = world.tandem(["inspect", "target"])?.ok()?.json()?;
        let victim = if moments.next(2) == 0 { "supervisor" } else { "process" };
        // It may be between two lives.
        let _ = kill_hard(&record[0]["runtime"][victim]["pid"]);
        is_truthful(world, "target").with_context(|| format!("round {round}, {victim}"))?;
        if victim == "supervisor" {
            // Nobody is there to start it again.
            poll::until("the end to be noticed", LIMIT, || {
                row(world, "target").ok().filter(|row| row["state"] == "exited")
            })?;
        }
        world.tandem(["rm", "-f", "target"])?.ok()?;
    }
    let left = world.left_behind();
    ensure!(left.is_empty(), "left behind: {left:?}");
    Ok(())
}
