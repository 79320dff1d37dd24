//! Further commands in a container that runs.

use std::time::Duration;

use anyhow::{Result, ensure};
use nix::sys::signal::Signal;

use super::container::row;
use crate::{Case, Need, Output, Start, Terminal, World, poll};

pub(super) const CASES: &[Case] = &[
    case("exec::is_confined_like_the_app", confined),
    case("exec::passes_streams_codes_and_settings", streams),
    case("exec::has_a_terminal_with_a_size", terminal),
    case("exec::ends_with_its_caller", ends),
    case("exec::pause_kill_and_restart", verbs),
    case("exec::enters_from_a_chroot_too", rooted),
];

const fn case(name: &'static str, run: fn(&World) -> Result<()>) -> Case {
    Case { name, needs: &[Need::Root], start: Start::Built, run }
}

const SOON: Duration = Duration::from_secs(20);

/// Starts something that stays.
fn start(world: &World) -> Result<()> {
    world.tandem(["run", "-d", "--name", "web", "hello-flask"])?.ok()?;
    Ok(())
}

fn stop(world: &World) -> Result<()> {
    world.tandem(["rm", "-f", "web"])?.ok()?;
    Ok(())
}

fn exec(world: &World, arguments: &[&str]) -> Result<Output> {
    world.tandem([&["exec"], arguments].concat())
}

fn confined(world: &World) -> Result<()> {
    start(world)?;
    // What the kernel says of the app and of a further command must agree.
    let facts = "grep -E '^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp|Cpus_allowed):' /proc/$0/status; \
        for kind in mnt pid net ipc uts cgroup; do readlink /proc/$0/ns/$kind; done; \
        cat /proc/$0/limits /proc/$0/cgroup /proc/$0/oom_score_adj; readlink /proc/$0/root";
    let of = |process| -> Result<String> {
        Ok(exec(world, &["web", "sh", "-c", facts, process])?.ok()?.stdout)
    };
    let (app, command) = (of("1")?, of("self")?);
    ensure!(app == command, "the app:\n{app}\na further command:\n{command}");
    let open = exec(world, &["web", "ls", "/proc/self/fd"])?.ok()?;
    // The three streams, and the folder that is listed.
    ensure!(open.stdout.split_whitespace().eq(["0", "1", "2", "3"]), "{open}");
    stop(world)
}

/// Whose own root is a folder has more above a container's root than that.
fn rooted(world: &World) -> Result<()> {
    let folder = world.scratch().join("root");
    std::fs::create_dir(&folder)?;
    let script = r#"mount --rbind / "$1" && exec chroot "$1" sh -ec '
        "$0" run -d --name rooted --entrypoint sleep hello-flask 1000
        "$0" exec rooted ls; "$0" exec rooted cat /proc/1/comm; "$0" rm -f rooted' "$2""#;
    let mut command = std::process::Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", script, "sh"]);
    world.prepare(command.arg(&folder).arg(world.program("tandem")));
    let said = world.finish(command)?.ok()?;
    ensure!(said.stdout.contains("\napp.py\n") && said.stdout.contains("\nsleep\n"), "{said}");
    Ok(())
}

fn streams(world: &World) -> Result<()> {
    start(world)?;
    let both = exec(world, &["web", "sh", "-c", "echo out; echo err >&2; exit 7"])?.code_is(7)?;
    ensure!(both.stdout == "out\n" && both.stderr == "err\n", "{both}");
    let mut cat = world.command(["exec", "-i", "web", "cat"]);
    cat.stdin(std::fs::File::open(world.write("input", "through and through\n")?)?);
    let passed = world.finish(cat)?.ok()?;
    ensure!(passed.stdout == "through and through\n", "{passed}");
    // Into one file, in the order in which it was said.
    let log = world.write("log", "")?;
    let file = std::fs::OpenOptions::new().append(true).open(&log)?;
    let mut mixed = world.command(["exec", "web", "sh", "-c"]);
    mixed.arg("for it in 1 2 3 4; do echo o$it; echo e$it >&2; done");
    ensure!(mixed.stdout(file.try_clone()?).stderr(file).status()?.success());
    ensure!(std::fs::read_to_string(&log)? == "o1\ne1\no2\ne2\no3\ne3\no4\ne4\n");
    let script = "id -un; pwd; echo $A; cat";
    let set = ["-u", "nobody", "-w", "/tmp", "-e", "A=b", "web", "sh", "-c", script];
    let set = exec(world, &set)?.ok()?;
    ensure!(set.stdout == "nobody\n/tmp\nb\n", "{set}");
    // An app of another user is entered as well.
    world.tandem(["run", "-d", "--name", "other", "-u", "nobody", "hello-flask"])?.ok()?;
    let name = exec(world, &["other", "id", "-un"])?.ok()?;
    ensure!(name.stdout == "nobody\n", "{name}");
    world.tandem(["rm", "-f", "other"])?.ok()?;
    for (arguments, code, part) in [
        (&["web", "no-such-program"][..], 127, "is not in the image"),
        (&["web", "/etc/passwd"], 126, "chmod +x"),
        (&["-u", "nobody-knows", "web", "true"], 125, "no user"),
        (&["-w", "sub", "web", "true"], 2, "not absolute"),
        (&["-w", "/not/there", "web", "true"], 126, "/not/there is not there"),
        (&["none", "true"], 125, "no instance"),
    ] {
        let error = exec(world, arguments)?.code_is(code)?;
        ensure!(error.stderr.contains(part) && error.stderr.lines().count() == 1, "{error}");
    }
    stop(world)?;
    world.tandem(["create", "--name", "web", "hello-flask"])?.ok()?;
    let error = exec(world, &["web", "true"])?.code_is(125)?;
    ensure!(error.stderr.contains("not running"), "{error}");
    stop(world)
}

fn terminal(world: &World) -> Result<()> {
    start(world)?;
    let shell = world.command(["exec", "-it", "web", "sh"]);
    let mut terminal = Terminal::start(shell, 33, 101)?;
    terminal.expect("# ", SOON)?;
    ensure!(!terminal.echoes()?, "two would echo");
    terminal.type_in("stty size; tty; echo $((40+2))\r")?;
    let shown = terminal.expect("42\r\n", SOON)?;
    ensure!(shown.contains("33 101\r\n") && shown.contains("/dev/pts/"), "{shown}");
    terminal.resize(20, 70)?;
    terminal.type_in("sleep 0.3; stty size\r")?;
    terminal.expect("20 70\r\n", SOON)?;
    // A key that would end us ends what runs inside.
    terminal.type_in("sleep 100\r")?;
    terminal.expect("sleep 100\r\n", SOON)?;
    std::thread::sleep(Duration::from_millis(300));
    terminal.type_in("\u{3}")?;
    terminal.expect("# ", SOON)?;
    terminal.type_in("exit 5\r")?;
    let code = terminal.end(SOON)?;
    ensure!(code == 5, "{code}");
    let error = exec(world, &["-it", "web", "true"])?.code_is(2)?;
    ensure!(error.stderr.contains("not a terminal"), "{error}");
    stop(world)
}

/// The processes of the instance, from inside.
fn sleepers(world: &World) -> Result<usize> {
    let listed = world.tandem(["top", "web"])?.ok()?;
    Ok(listed.stdout.lines().filter(|line| line.ends_with("sleep 1000")).count())
}

fn ends(world: &World) -> Result<()> {
    start(world)?;
    let caller = world.background(["exec", "web", "sleep", "1000"])?;
    poll::until("the command to run", SOON, || (sleepers(world).ok()? == 1).then_some(()))?;
    caller.signal(Signal::SIGKILL)?;
    poll::until("its end", SOON, || (sleepers(world).ok()? == 0).then_some(()))?;
    exec(world, &["-d", "web", "sleep", "1000"])?.ok()?;
    ensure!(sleepers(world)? == 1, "a detached command is gone");
    drop(caller);
    stop(world)
}

fn verbs(world: &World) -> Result<()> {
    start(world)?;
    world.tandem(["pause", "web"])?.ok()?;
    ensure!(row(world, "web")?["state"] == "paused");
    for (command, part) in [("pause", "paused already"), ("exec", "paused")] {
        let mut words = vec![command, "web"];
        words.extend((command == "exec").then_some("true"));
        let error = world.tandem(words)?.code_is(125)?;
        ensure!(error.stderr.contains(part), "{error}");
    }
    world.tandem(["unpause", "web"])?.ok()?;
    ensure!(row(world, "web")?["state"] == "running");
    let error = world.tandem(["unpause", "web"])?.code_is(125)?;
    ensure!(error.stderr.contains("not paused"), "{error}");

    // What is held still stops all the same.
    world.tandem(["pause", "web"])?.ok()?;
    let before = row(world, "web")?["pid"].clone();
    world.tandem(["restart", "-t", "5", "web"])?.ok()?;
    let after = row(world, "web")?;
    ensure!(after["state"] == "running" && after["pid"] != before, "{before} {after}");
    world.tandem(["pause", "web"])?.ok()?;
    world.tandem(["kill", "web"])?.ok()?;
    let killed = row(world, "web")?;
    ensure!(killed["state"] == "exited" && killed["exit_code"] == 137, "{killed}");
    let error = world.tandem(["kill", "-s", "NOTHING", "web"])?.code_is(2)?;
    ensure!(error.stderr.contains("is not a signal"), "{error}");
    stop(world)
}
