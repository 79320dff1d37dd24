//! What a supervisor does beside the app: starting again, checking, logging.

use std::{fs, thread, time::Duration};

use anyhow::{Context as _, Result, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

use super::{attach::lines, container::row};
use crate::{Case, Need, Start, World, poll};

pub(super) const CASES: &[Case] = &[
    case("restart::so_often_and_no_more", on_failure),
    case("restart::always_until_a_person_says_stop", always),
    case("restart::a_wish_during_the_pause_is_final", pause),
    case("health::a_sick_app_is_seen_and_seen_well_again", health),
    case("health::a_hanging_check_ends_with_its_children", hanging_check),
    case("health::an_image_brings_its_own_check", image_check),
    case("logs::old_ones_go_and_followers_miss_nothing", rotation),
    case("logs::between_two_moments", moments),
    case("logs::whoever_waits_sleeps_until_something_happens", asleep),
    case("supervision::what_the_caller_has_open_stays_with_it", descriptors),
];

const fn case(name: &'static str, run: fn(&World) -> Result<()>) -> Case {
    Case { name, needs: &[Need::Root], start: Start::Built, run }
}

const SOON: Duration = Duration::from_mins(1);

/// Starts a shell script in the background.
fn start(world: &World, name: &str, options: &[&str], script: &str) -> Result<()> {
    let fixed = ["run", "-d", "--name", name, "--entrypoint", "sh"];
    world.tandem([&fixed[..], options, &["hello-flask", "-c", script]].concat())?.ok()?;
    Ok(())
}

fn record(world: &World, name: &str) -> Result<Value> {
    Ok(world.tandem(["inspect", name])?.ok()?.json()?[0].clone())
}

fn until_state(world: &World, name: &str, state: &str) -> Result<Value> {
    poll::until(&format!("{name} to be {state}"), SOON, || {
        row(world, name).ok().filter(|row| row["state"] == state)
    })
}

fn on_failure(world: &World) -> Result<()> {
    start(world, "unlucky", &["--restart", "on-failure:2"], "echo life; exit 3")?;
    let ended = until_state(world, "unlucky", "exited")?;
    ensure!(ended["exit_code"] == 3 && ended["restarts"] == 2, "{ended}");
    let log = world.tandem(["logs", "unlucky"])?.ok()?;
    ensure!(log.stdout == "life\nlife\nlife\n", "{log}");
    world.tandem(["rm", "unlucky"])?.ok()?;
    start(world, "lucky", &["--restart", "on-failure"], "exit 0")?;
    let ended = until_state(world, "lucky", "exited")?;
    ensure!(ended["restarts"] == 0, "{ended}");
    world.tandem(["rm", "lucky"])?.ok()?;
    let both = ["run", "--rm", "--restart", "always", "hello-flask"];
    world.tandem(both)?.code_is(2)?.says(&["--rm", "--restart"])?;
    Ok(())
}

fn always(world: &World) -> Result<()> {
    let options = ["--restart", "unless-stopped", "-p", "0:80", "-m", "64m"];
    start(world, "phoenix", &options, "trap 'exit 0' TERM; while :; do sleep 0.1; done")?;
    let before = row(world, "phoenix")?["pid"].clone();
    let pid = i32::try_from(before.as_i64().context("no pid")?)?;
    kill(Pid::from_raw(pid), Signal::SIGKILL)?;
    let after = poll::until("a new life", SOON, || {
        let row = row(world, "phoenix").ok()?;
        (row["state"] == "running" && row["pid"] != before).then_some(row)
    })?;
    ensure!(after["restarts"] == 1, "{after}");
    let (told, supervisor) = (record(world, "phoenix")?, "runtime");
    ensure!(told[supervisor]["cgroups"].as_array().is_some_and(|it| !it.is_empty()), "{told}");
    world.tandem(["stop", "phoenix"])?.ok()?;
    let ended = row(world, "phoenix")?;
    ensure!(ended["state"] == "exited" && ended["exit_code"] == 0, "{ended}");
    world.tandem(["start", "phoenix"])?.ok()?;
    ensure!(row(world, "phoenix")?["restarts"] == 0, "a start by a person counts anew");
    // Without a policy the next end is the last.
    world.tandem(["update", "--restart", "no", "phoenix"])?.ok()?;
    world.tandem(["kill", "phoenix"])?.ok()?;
    let ended = until_state(world, "phoenix", "exited")?;
    ensure!(ended["restarts"] == 0, "{ended}");
    world.tandem(["rm", "-f", "phoenix"])?.ok()?;
    Ok(())
}

fn pause(world: &World) -> Result<()> {
    // After a few lives the pause is long enough to be met.
    for (name, wish) in [("a", "stop"), ("b", "kill"), ("c", "rm")] {
        start(world, name, &["--restart", "always"], "exit 4")?;
        let seen = poll::until("a long pause", SOON, || {
            let row = row(world, name).ok()?;
            (row["state"] == "restarting" && row["restarts"].as_u64() >= Some(3)).then_some(row)
        })?;
        ensure!(seen["exit_code"] == 4 && seen["pid"].is_null(), "{seen}");
        let shown = world.tandem(["ps"])?.ok()?;
        ensure!(shown.stdout.contains("restarting (4)"), "{shown}");
        let error = world.tandem(["exec", name, "true"])?.code_is(125)?;
        error.says(&["not running"])?;
        match wish {
            "rm" => drop(world.tandem(["rm", "-f", name])?.ok()?),
            wish => {
                world.tandem([wish, name])?.ok()?;
                ensure!(row(world, name)?["state"] == "exited");
                world.tandem(["rm", name])?.ok()?;
            }
        }
    }
    Ok(())
}

fn health(world: &World) -> Result<()> {
    let options = [
        "--health-cmd",
        "test -e /tmp/well || { echo no file; exit 1; }",
        "--health-interval",
        "200ms",
        "--health-retries",
        "2",
        "-u",
        "nobody",
    ];
    start(world, "patient", &options, "sleep 1000")?;
    let is = |wanted: &str| {
        poll::until(wanted, SOON, || {
            row(world, "patient").ok().filter(|row| row["health"] == wanted)
        })
    };
    is("unhealthy")?;
    let shown = world.tandem(["ps"])?.ok()?;
    ensure!(shown.stdout.contains("(unhealthy)"), "{shown}");
    let told = record(world, "patient")?;
    let last = told["health"]["log"].as_array().and_then(|log| log.last()).cloned();
    ensure!(last.is_some_and(|it| it["exit_code"] == 1 && it["output"] == "no file\n"), "{told}");
    world.tandem(["exec", "patient", "touch", "/tmp/well"])?.ok()?;
    is("healthy")?;
    poll::until("five results and no more", SOON, || {
        let told = record(world, "patient").ok()?;
        (told["health"]["log"].as_array()?.len() == 5).then_some(())
    })?;
    world.tandem(["rm", "-f", "patient"])?.ok()?;
    let error = world.tandem(["run", "--health-retries", "2", "hello-flask"])?.code_is(2)?;
    error.says(&["--health-cmd"])?;
    Ok(())
}

fn hanging_check(world: &World) -> Result<()> {
    let check = "(sleep 1234 &); sleep 1234";
    let options = ["--health-cmd", check, "--health-interval", "100ms", "--health-timeout", "1s"];
    start(world, "slow", &[&options[..], &["--health-retries", "1"]].concat(), "sleep 1000")?;
    poll::until("unhealthy", SOON, || {
        row(world, "slow").ok().filter(|row| row["health"] == "unhealthy")
    })?;
    let told = record(world, "slow")?;
    let output = told["health"]["log"][0]["output"].as_str().unwrap_or_default().to_owned();
    ensure!(output.contains("longer than"), "{told}");
    // Another one may run by now: never more than one check's three processes.
    for _ in 0..20 {
        let top = world.tandem(["top", "slow"])?.ok()?;
        let sleepers = top.stdout.lines().filter(|line| line.ends_with("sleep 1234")).count();
        ensure!(sleepers <= 3, "{top}");
    }
    world.tandem(["rm", "-f", "slow"])?.ok()?;
    Ok(())
}

fn image_check(world: &World) -> Result<()> {
    let text = "FROM hello-flask\nHEALTHCHECK --interval=200ms CMD [\"true\"]\n";
    let dockerfile = world.write("checked/Dockerfile", text)?;
    let folder = dockerfile.parent().context("no folder")?.display().to_string();
    world.tandem(["build", "-t", "checked", &folder])?.ok()?;
    world.tandem(["run", "-d", "--name", "fine", "checked"])?.ok()?;
    poll::until("healthy", SOON, || {
        row(world, "fine").ok().filter(|row| row["health"] == "healthy")
    })?;
    world.tandem(["rm", "-f", "fine"])?.ok()?;
    world.tandem(["run", "-d", "--name", "fine", "--no-healthcheck", "checked"])?.ok()?;
    ensure!(row(world, "fine")?["health"].is_null());
    world.tandem(["rm", "-f", "fine"])?.ok()?;
    world.tandem(["image", "rm", "checked"])?.ok()?;
    Ok(())
}

fn rotation(world: &World) -> Result<()> {
    let limits = ["--log-opt", "max-size=20k", "--log-opt", "max-file=2"];
    let script = "i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done; read end";
    start(world, "talker", &[&limits[..], &["-i"]].concat(), script)?;
    let kept = poll::until("the last line", SOON, || {
        let log = world.tandem(["logs", "talker"]).ok()?;
        log.stdout.ends_with("line 1999\n").then_some(log)
    })?;
    let numbers: Vec<u32> =
        kept.stdout.lines().filter_map(|line| line.strip_prefix("line ")?.parse().ok()).collect();
    ensure!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "a gap: {kept}");
    ensure!(numbers.len() > 100 && numbers.len() < 1000, "{} lines are kept", numbers.len());
    let tail = world.tandem(["logs", "--tail", "2", "talker"])?.ok()?;
    ensure!(tail.stdout == "line 1998\nline 1999\n", "{tail}");
    world.tandem(["rm", "-f", "talker"])?.ok()?;
    // Slowly enough for somebody who looks on.
    let script = "i=0; while [ $i -lt 300 ]; do echo line $i; i=$((i+1)); sleep 0.01; done";
    start(world, "talker", &["--log-opt", "max-size=4k", "--log-opt", "max-file=20"], script)?;
    let followed = world.tandem(["logs", "-f", "talker"])?.ok()?;
    let all = lines(300);
    ensure!(followed.stdout == all, "{followed}");
    world.tandem(["rm", "talker"])?.ok()?;
    Ok(())
}

/// How often the threads of a process have gone to sleep so far.
fn sleeps(pid: u32) -> Result<u64> {
    let mut count = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))?.flatten() {
        let status = fs::read_to_string(task.path().join("status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        count += line.and_then(|it| it.trim().parse::<u64>().ok()).unwrap_or(0);
    }
    Ok(count)
}

fn asleep(world: &World) -> Result<()> {
    start(world, "quiet", &[], "echo up; sleep 1000")?;
    let waiting = [&["logs", "-f", "quiet"][..], &["wait", "quiet"], &["attach", "quiet"]];
    let mut waiting =
        waiting.into_iter().map(|it| world.background(it)).collect::<Result<Vec<_>>>()?;
    thread::sleep(Duration::from_secs(2));
    let before = waiting.iter().map(|it| sleeps(it.pid())).collect::<Result<Vec<_>>>()?;
    thread::sleep(Duration::from_secs(3));
    for (one, before) in waiting.iter().zip(before) {
        // Whoever looks fifty times a second would have 150 of them.
        let woken = sleeps(one.pid())? - before;
        ensure!(woken < 60, "woken {woken} times in three seconds of silence");
    }
    // The end of a supervisor that says nothing more is heard as well.
    let supervisor = record(world, "quiet")?["runtime"]["supervisor"]["pid"].as_i64();
    let supervisor = i32::try_from(supervisor.context("no supervisor")?)?;
    kill(Pid::from_raw(supervisor), Signal::SIGKILL)?;
    for one in &mut waiting {
        one.wait(SOON)?;
    }
    world.tandem(["rm", "-f", "quiet"])?.ok()?;
    Ok(())
}

fn moments(world: &World) -> Result<()> {
    start(world, "clock", &[], "echo early; sleep 1; echo late")?;
    until_state(world, "clock", "exited")?;
    let stamped = world.tandem(["logs", "-t", "clock"])?.ok()?;
    let late = stamped.stdout.lines().last().and_then(|line| line.split(' ').next());
    let late = late.context("no line")?.to_owned();
    let since = world.tandem(["logs", "--since", &late, "clock"])?.ok()?;
    ensure!(since.stdout == "late\n", "{since}");
    let until = world.tandem(["logs", "--until", &late, "clock"])?.ok()?;
    ensure!(until.stdout == "early\n", "{until}");
    let all = world.tandem(["logs", "--since", "1h", "clock"])?.ok()?;
    ensure!(all.stdout == "early\nlate\n", "{all}");
    world.tandem(["logs", "--since", "soon", "clock"])?.code_is(2)?.says(&["no moment"])?;
    world.tandem(["rm", "clock"])?.ok()?;
    Ok(())
}

/// A script's lock, and a pipe that somebody waits at, would be held as long
/// as the app runs.
fn descriptors(world: &World) -> Result<()> {
    let lock = world.scratch().join("lock");
    let [path, program] = [&lock, &world.program("tandem")].map(|it| it.display().to_string());
    let script = "exec 7>\"$0\"; exec \"$@\"";
    let run = ["run", "-d", "--name", "held", "--entrypoint", "sleep", "hello-flask", "600"];
    let words = [&["-c", script, &path, &program], &run[..]].concat();
    world.run("sh", &words)?.ok()?;
    let record = record(world, "held")?;
    for who in ["supervisor", "process"] {
        let pid = &record["runtime"][who]["pid"];
        let open = std::fs::read_dir(format!("/proc/{pid}/fd"))?.flatten();
        let held = open.filter_map(|it| std::fs::read_link(it.path()).ok()).any(|it| it == lock);
        ensure!(!held, "the {who} has the caller's lock open");
    }
    world.tandem(["rm", "-f", "held"])?.ok().map(drop)
}
