//! What an instance changed, as a list, as an image and as snapshots.

use std::{
    fs,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::{container::row, copy::sleeper};
use crate::{Case, Need, Start, World, poll};

pub(super) const CASES: &[Case] = &[
    case("snapshot::diff_and_commit_take_what_changed", commit),
    case("snapshot::a_commit_of_an_app_that_writes_is_whole", busy_commit),
    case("snapshot::forms_a_tree_and_comes_back", tree),
    case("snapshot::of_an_app_that_writes_is_one_moment", one_moment),
    case("snapshot::a_killed_command_lets_the_app_go_on", killed),
    case("snapshot::an_instance_moves_to_another_home", moves),
    case("snapshot::a_bad_export_leaves_nothing", bad_export),
    case("snapshot::with_memory_works_or_says_why_not", memory),
];

const fn case(name: &'static str, run: fn(&World) -> Result<()>) -> Case {
    Case { name, needs: &[Need::Root], start: Start::Built, run }
}

/// The text of a file inside; empty when it is not there.
fn file(world: &World, instance: &str, path: &str) -> Result<String> {
    let to = world.scratch().join("read");
    let _ = fs::remove_file(&to);
    world.tandem(["cp", &format!("{instance}:{path}"), "read"])?;
    Ok(fs::read_to_string(to).unwrap_or_default())
}

fn put(world: &World, instance: &str, path: &str, text: &str) -> Result<()> {
    world.write("text", text)?;
    world.tandem(["cp", "text", &format!("{instance}:{path}")])?.ok()?;
    Ok(())
}

fn commit(world: &World) -> Result<()> {
    let script = "import os, shutil
open('/new', 'w').write('made inside'); os.mkdir('/folder'); open('/etc/hostname.old', 'w')
os.remove('/etc/issue'); open('/etc/motd', 'a').write('more')";
    sleeper(world, "box", &["-e", "MODE=test"], script)?;
    let diff = world.tandem(["diff", "box"])?.ok()?;
    for line in ["A /new", "A /folder", "D /etc/issue", "C /etc", "A /etc/hostname.old"] {
        ensure!(diff.stdout.lines().any(|it| it == line), "`{line}` is missing\n{diff}");
    }
    for place in ["/proc", "/sys", "/dev", "/etc/hosts", "/etc/resolv.conf"] {
        ensure!(!diff.stdout.lines().any(|it| it.ends_with(place)), "{place} is ours\n{diff}");
    }
    let fixed = ["commit", "-m", "a note", "-c", "ENV EXTRA=1", "-c", "LABEL by=test", "-c"];
    let tail = [
        "CMD [\"-c\", \"import os; print(open('/new').read(), os.environ['MODE'], os.environ['EXTRA'], os.path.exists('/etc/issue'))\"]",
        "box",
        "committed",
    ];
    world.tandem([&fixed[..], &tail].concat())?.ok()?;
    let config = world.tandem(["image", "inspect", "committed"])?.ok()?.json()?;
    let text = config.to_string();
    ensure!(text.contains("a note") && text.contains("\"by\":\"test\""), "{config}");
    ensure!(row(world, "box")?["state"] == "running", "it is still held");
    let ran = world.tandem(["run", "--rm", "--entrypoint", "python", "committed", "-c",
        "import os; print(open('/new').read(), os.environ['MODE'], os.environ['EXTRA'], os.path.exists('/etc/issue'))"])?.ok()?;
    ensure!(ran.stdout == "made inside test 1 False\n", "{ran}");

    world.tandem(["stop", "-t", "0", "box"])?.ok()?;
    world.tandem(["commit", "box", "stopped:one"])?.ok()?;
    let refused = world.tandem(["commit", "-c", "RUN true", "box", "bad"])?.code_is(2)?;
    refused.is_one_sentence(&["RUN true", "CMD"])?;
    world.tandem(["commit", "nobody", "bad"])?.code_is(125)?.is_one_sentence(&["nobody"])?;
    world.tandem(["rm", "box"])?.ok()?;
    world.tandem(["image", "rm", "committed", "stopped:one"])?.ok()?;
    Ok(())
}

/// Every record has its number at both ends; one cut in the middle would show.
const WRITER: &str = "import os, threading
def work():
    at = 0
    while True:
        at += 1
        for name in ('/log-a', '/log-b'):
            with open(name, 'w') as f: f.write('%d %s %d' % (at, 'x' * 200000, at))
threading.Thread(target=work, daemon=True).start()";

fn busy_commit(world: &World) -> Result<()> {
    sleeper(world, "busy", &[], WRITER)?;
    world.tandem(["commit", "busy", "busy-image"])?.ok()?;
    world.tandem(["commit", "--pause=false", "busy", "unpaused"])?.ok()?;
    for image in ["busy-image", "unpaused"] {
        // Unpaused, a file may be cut anywhere; paused, only between two writes.
        let script = if image == "unpaused" {
            "print(open('/log-a').read().count('x') <= 200000)"
        } else {
            "it = open('/log-a').read().split(); print(it == [] or it[0] == it[2])"
        };
        let run = ["run", "--rm", "--entrypoint", "python", image, "-c", script];
        ensure!(world.tandem(run)?.ok()?.stdout == "True\n", "the image is damaged");
        world.tandem(["image", "rm", image])?.ok()?;
    }
    world.tandem(["rm", "-f", "busy"])?.ok()?;
    Ok(())
}

fn rows(world: &World, instance: &str) -> Result<Vec<Value>> {
    let rows = world.tandem(["snapshot", "ls", "--json", instance])?.ok()?.json()?;
    rows.as_array().cloned().context("no list")
}

fn tree(world: &World) -> Result<()> {
    sleeper(
        world,
        "box",
        &[],
        "open('/big', 'wb').write(os.urandom(8 << 20)) if not os.path.exists('/big') else None"
            .replacen("open", "import os; open", 1)
            .as_str(),
    )?;
    put(world, "box", "/state", "first")?;
    let taken = world.tandem(["snapshot", "create", "--json", "box", "one"])?.ok()?.json()?;
    ensure!(taken["pause_ns"].as_u64().is_some_and(|ns| ns > 0), "{taken}");
    put(world, "box", "/state", "second")?;
    world.tandem(["snapshot", "create", "box", "two"])?.ok()?;
    let listed = rows(world, "box")?;
    ensure!(listed[1]["parent"] == "one" && listed[1]["current"] == true, "{listed:?}");
    let size = |at: usize, key: &str| listed[at][key].as_u64().unwrap_or_default();
    ensure!(size(1, "size_bytes") > 8 << 20, "{listed:?}");
    ensure!(size(1, "unique_bytes") < 1 << 20, "the untouched is not shared: {listed:?}");

    // In place, of an instance that runs: it runs again afterwards.
    let back = world.tandem(["snapshot", "restore", "--json", "box", "one"])?.ok()?.json()?;
    ensure!(back == json!({"instance": "box", "started": true, "memory": false}), "{back}");
    ensure!(file(world, "box", "/state")? == "first", "another state came back");
    put(world, "box", "/state", "third")?;
    world.tandem(["snapshot", "create", "box", "other"])?.ok()?;
    let shown = world.tandem(["snapshot", "tree", "box"])?.ok()?;
    let lines: Vec<_> = shown.stdout.lines().collect();
    ensure!(lines.len() == 3 && lines[0].starts_with("one "), "{shown}");
    ensure!(lines[1].starts_with("├─ two ") && lines[2].contains("<- the instance"), "{shown}");

    world.tandem(["stop", "-t", "0", "box"])?.ok()?;
    let new = world.tandem(["snapshot", "restore", "box", "two", "--as", "copy"])?.ok()?;
    ensure!(new.line() == "copy", "{new}");
    ensure!(file(world, "copy", "/state")? == "second", "another state");
    ensure!(row(world, "copy")?["state"] == "created", "it was not asked to start");
    world.tandem(["snapshot", "restore", "box", "two"])?.ok()?;
    ensure!(file(world, "box", "/state")? == "second", "another state came back");

    // The others are whole without it, and hang below its parent.
    world.tandem(["snapshot", "rm", "box", "one"])?.ok()?;
    world.tandem(["snapshot", "restore", "box", "other"])?.ok()?;
    ensure!(file(world, "box", "/state")? == "third", "another state came back");
    ensure!(rows(world, "box")?.iter().all(|it| it["parent"].is_null()), "an orphan");
    let taken = world.tandem(["snapshot", "create", "box", "two"])?.code_is(125)?;
    taken.is_one_sentence(&["two", "already"])?;
    let missing = world.tandem(["snapshot", "restore", "box", "none"])?.code_is(125)?;
    missing.is_one_sentence(&["none", "snapshot ls"])?;
    world.tandem(["snapshot", "create", "box", "../x"])?.code_is(2)?.is_one_sentence(&["../x"])?;
    world.tandem(["rm", "box", "copy"])?.ok()?;
    Ok(())
}

fn one_moment(world: &World) -> Result<()> {
    sleeper(world, "busy", &[], WRITER)?;
    world.tandem(["snapshot", "create", "busy", "moment"])?.ok()?;
    std::thread::sleep(Duration::from_millis(100));
    world.tandem(["snapshot", "restore", "busy", "moment", "--as", "still"])?.ok()?;
    let (a, b) = (file(world, "still", "/log-a")?, file(world, "still", "/log-b")?);
    let number = |text: &str| text.split(' ').next().and_then(|it| it.parse::<u64>().ok());
    // Both files lie at most one step of the writer apart.
    let (a, b) = (number(&a).unwrap_or_default(), number(&b).unwrap_or_default());
    // One of them may just have been emptied to be written anew.
    ensure!(a > 0 || b > 0, "nothing of the writer came back");
    ensure!(a == 0 || b == 0 || a.abs_diff(b) <= 1, "{a} and {b} are not of one moment");
    goes_on(world, "busy")?;
    world.tandem(["rm", "-f", "busy"])?.ok()?;
    world.tandem(["rm", "still"])?.ok()?;
    Ok(())
}

/// The writer in the instance writes.
fn goes_on(world: &World, instance: &str) -> Result<()> {
    let before = file(world, instance, "/log-a")?;
    poll::until("the app to go on", Duration::from_secs(30), || {
        let now = file(world, instance, "/log-a").ok()?;
        (!now.is_empty() && now != before).then_some(())
    })
}

fn killed(world: &World) -> Result<()> {
    let script = format!("{WRITER}\nopen('/big', 'wb').write(os.urandom(256 << 20))");
    sleeper(world, "busy", &[], &script)?;
    let record = world.tandem(["inspect", "busy"])?.ok()?.json()?;
    let folders = record[0]["runtime"]["cgroups"].as_array().cloned().unwrap_or_default();
    let folders: Vec<_> = folders.iter().filter_map(Value::as_str).collect();
    let stands = || {
        folders.iter().any(|dir| {
            let read = |name: &str| fs::read_to_string(format!("{dir}/{name}")).unwrap_or_default();
            read("freezer.state").trim() == "FROZEN" || read("cgroup.events").contains("frozen 1")
        })
    };
    let command = world.background(["snapshot", "create", "busy", "cut"])?;
    let begin = Instant::now();
    while !stands() {
        ensure!(begin.elapsed() < Duration::from_secs(30), "it was never held still");
    }
    command.signal(Signal::SIGKILL)?;
    poll::until("the app to be let go", Duration::from_secs(30), || (!stands()).then_some(()))?;
    goes_on(world, "busy")?;
    drop(command);
    ensure!(rows(world, "busy")?.is_empty(), "half a snapshot is listed");
    world.tandem(["rm", "-f", "busy"])?.ok()?;
    Ok(())
}

fn memory(world: &World) -> Result<()> {
    sleeper(world, "box", &[], "")?;
    // With the CRIU of this machine, whatever it can.
    let doctor = world.tandem(["doctor", "--json"])?.ok()?.json()?;
    let finding =
        doctor.as_array().into_iter().flatten().find(|it| it["id"] == "container_checkpoint");
    let works = finding.context("no finding")?["status"] == "ok";
    let output = world.tandem(["snapshot", "create", "--memory", "box", "warm"])?;
    if works {
        output.ok()?;
        ensure!(rows(world, "box")?[0]["memory"] == true, "the memory is not there");
    } else {
        output.code_is(125)?.is_one_sentence(&["memory", "leave out --memory"])?;
        ensure!(rows(world, "box")?.is_empty(), "something was left");
    }
    world.tandem(["rm", "-f", "box"])?.ok()?;
    Ok(())
}

fn moves(world: &World) -> Result<()> {
    sleeper(
        world,
        "box",
        &["-e", "MODE=moved"],
        "import os; os.remove('/etc/issue') if os.path.exists('/etc/issue') else None",
    )?;
    put(world, "box", "/state", "first")?;
    world.tandem(["snapshot", "create", "box", "one"])?.ok()?;
    put(world, "box", "/state", "second")?;
    world.tandem(["export", "box", "-o", "box.tar"])?.ok()?;
    let home = world.scratch().join("second").to_string_lossy().into_owned();
    let there = |words: &[&str]| world.tandem([&["--home", &home], words].concat());
    there(&["import", "box.tar", "--name", "moved"])?.ok()?;
    there(&["start", "moved"])?.ok()?;
    there(&["cp", "moved:/state", "arrived"])?.ok()?;
    let arrived = world.scratch().join("arrived");
    ensure!(fs::read_to_string(&arrived)? == "second", "another state arrived");
    ensure!(there(&["cp", "moved:/etc/issue", "x"])?.code == Some(125), "the deletion is lost");
    there(&["snapshot", "restore", "moved", "one"])?.ok()?;
    there(&["cp", "moved:/state", "arrived"])?.ok()?;
    ensure!(fs::read_to_string(&arrived)? == "first", "the snapshot did not move");
    there(&["rm", "-f", "moved"])?.ok()?;
    world.tandem(["import", "box.tar"])?.code_is(125)?.is_one_sentence(&["box", "taken"])?;
    world.tandem(["rm", "-f", "box"])?.ok()?;
    Ok(())
}

fn bad_export(world: &World) -> Result<()> {
    world.tandem(["create", "--name", "box", "hello-flask"])?.ok()?;
    put(world, "box", "/state", "kept")?;
    world.tandem(["export", "box", "-o", "box.tar"])?.ok()?;
    world.tandem(["rm", "box"])?.ok()?;
    let whole = fs::read(world.scratch().join("box.tar"))?;
    let text = |bytes: &[u8], from: &str, to: &str| {
        let at = bytes.windows(from.len()).position(|it| it == from.as_bytes());
        let mut bytes = bytes.to_vec();
        if let Some(at) = at {
            bytes[at..at + from.len()].copy_from_slice(to.as_bytes());
        }
        (at.is_some(), bytes)
    };
    let mut damaged = vec![(true, whole[..whole.len() / 2].to_vec()), (true, b"noise".repeat(300))];
    damaged.push(text(&whole, "kept", "bad!"));
    damaged.push(text(&whole, "\"type\": \"bridge\"", "\"type\":   \"host\""));
    damaged.push(text(
        &whole,
        "\"format\": \"tandem-instance\"",
        "\"format\": \"another-instanc\"",
    ));
    for (at, (made, bytes)) in damaged.iter().enumerate() {
        ensure!(*made, "damage {at} could not be done");
        fs::write(world.scratch().join("bad.tar"), bytes)?;
        let refused = world.tandem(["import", "bad.tar"])?.code_is(2)?;
        refused
            .is_one_sentence(&["cannot be imported"])
            .or(refused.is_one_sentence(&["no instance"]))?;
    }
    Ok(())
}
