//! A person or a script joined to a running app.

use std::{fs::File, os::unix::fs::PermissionsExt as _, time::Duration};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;

use super::container::row;
use crate::{Case, Need, Start, Terminal, World, poll};

pub(super) const CASES: &[Case] = &[
    case("attach::a_terminal_with_a_size_that_one_leaves_and_comes_back_to", terminal),
    case("attach::pipes_pass_through_whole", pipes),
    case("attach::signals_go_to_the_app_and_the_second_kills", signals),
    case("attach::several_hear_and_the_log_keeps", several),
    case("attach::what_cannot_be_attached_to", refusals),
];

const fn case(name: &'static str, run: fn(&World) -> Result<()>) -> Case {
    Case { name, needs: &[Need::Root], start: Start::Built, run }
}

const SOON: Duration = Duration::from_mins(1);

const LEAVE: &str = "\u{10}\u{11}";

fn terminal(world: &World) -> Result<()> {
    let shell = ["run", "-it", "--rm", "--name", "shell", "--entrypoint", "sh", "hello-flask"];
    let mut terminal = Terminal::start(world.command(shell), 33, 101)?;
    terminal.expect("# ", SOON)?;
    ensure!(!terminal.echoes()?, "two would echo");
    terminal.type_in("tty; echo $TERM; test -t 2 && echo $((40+2))\r")?;
    let shown = terminal.expect("42\r\n", SOON)?;
    ensure!(shown.contains("/dev/pts/0\r\n") && shown.contains("xterm\r\n"), "{shown}");
    // The size follows a moment after the start.
    let sized = |rows: u16, columns: u16| {
        format!(
            "until stty size | grep -q '^{rows} {columns}$'; do sleep 0.1; done; echo $((6*7))\r"
        )
    };
    terminal.type_in(&sized(33, 101))?;
    terminal.expect("\n42\r\n", SOON)?;
    terminal.resize(20, 70)?;
    terminal.type_in(&sized(20, 70))?;
    terminal.expect("\n42\r\n", SOON)?;
    // A key that would end us ends what runs inside.
    terminal.type_in("echo go; sleep 1000\r")?;
    terminal.expect("\ngo\r\n", SOON)?;
    // Between the shell's fork and the command's exec nobody listens.
    poll::until("the shell's prompt", SOON, || {
        terminal.type_in("\u{3}").ok()?;
        terminal.expect("# ", Duration::from_secs(1)).ok()
    })?;
    terminal.type_in("X=here\r")?;
    terminal.expect("# ", SOON)?;
    terminal.type_in(LEAVE)?;
    terminal.ends_with(0, SOON)?;
    ensure!(row(world, "shell")?["state"] == "running", "it goes on without us");

    let mut terminal = Terminal::start(world.command(["attach", "shell"]), 24, 80)?;
    terminal.type_in("echo still $X\r")?;
    terminal.expect("still here\r\n", SOON)?;
    terminal.type_in("exit 5\r")?;
    ensure!(terminal.end(SOON)? == 5, "the app's own code");
    // It was left, and still is removed at its end.
    ensure!(row(world, "shell").is_err());
    Ok(())
}

/// So many numbered lines.
pub(super) fn lines(count: u32) -> String {
    (0..count).fold(String::new(), |text, number| text + "line " + &number.to_string() + "\n")
}

fn pipes(world: &World) -> Result<()> {
    let text = lines(200_000);
    let input = world.write("input", &text)?;
    let cat = ["run", "-i", "--rm", "--entrypoint", "cat", "hello-flask"];
    let mut command = world.command(cat);
    command.stdin(File::open(&input)?);
    let passed = world.finish(command)?.ok()?;
    ensure!(passed.stdout == text, "{} of {} bytes came back", passed.stdout.len(), text.len());
    // Without -i there is nothing to read.
    let mut command = world.command(["run", "--rm", "--entrypoint", "cat", "hello-flask"]);
    command.stdin(File::open(&input)?);
    ensure!(world.finish(command)?.ok()?.stdout.is_empty());
    let both = [
        "run",
        "--rm",
        "--entrypoint",
        "sh",
        "hello-flask",
        "-c",
        "echo out; echo err >&2; exit 7",
    ];
    let both = world.tandem(both)?.code_is(7)?;
    ensure!(both.stdout == "out\n" && both.stderr == "err\n", "{both}");
    Ok(())
}

fn signals(world: &World) -> Result<()> {
    let script = "trap 'echo caught' INT TERM; echo up; while :; do sleep 0.1; done";
    let run = ["run", "--rm", "--name", "deaf", "--entrypoint", "sh", "hello-flask", "-c", script];
    let mut running = world.background(run)?;
    let said = |text: &str| {
        let log = world.tandem(["logs", "deaf"]).ok()?;
        log.stdout.contains(text).then_some(())
    };
    poll::until("the app", SOON, || said("up"))?;
    running.signal(Signal::SIGTERM)?;
    poll::until("the signal", SOON, || said("caught"))?;
    running.signal(Signal::SIGINT)?;
    let code = running.wait(SOON)?;
    ensure!(code == Some(137), "the second wish kills: {code:?}");
    ensure!(row(world, "deaf").is_err(), "--rm");
    Ok(())
}

fn several(world: &World) -> Result<()> {
    let script = "while read line; do echo \"heard $line\"; done; echo over";
    let start =
        ["run", "-d", "-i", "--name", "ear", "--entrypoint", "sh", "hello-flask", "-c", script];
    let id = world.tandem(start)?.ok()?.line().to_owned();
    let socket = world.home().join("instances").join(&id).join("control.sock");
    let mode = std::fs::metadata(&socket).context("no control socket")?.permissions().mode();
    ensure!(mode & 0o777 == 0o600, "{mode:o}");
    let mut first = Terminal::start(world.command(["attach", "--no-stdin", "ear"]), 24, 80)?;
    let mut second = Terminal::start(world.command(["attach", "ear"]), 24, 80)?;
    // Both are there once what one types comes back to both.
    poll::until("both to hear", SOON, || {
        second.type_in("word\n").ok()?;
        let heard = Duration::from_secs(1);
        let both =
            first.expect("heard word", heard).is_ok() && second.expect("heard word", heard).is_ok();
        both.then_some(())
    })?;
    let log = world.tandem(["logs", "ear"])?.ok()?;
    ensure!(log.stdout.contains("heard word\n"), "{log}");
    // Nobody's end is the end of the app's input.
    world.tandem(["attach", "--sig-proxy=false", "--no-stdin", "none"])?.code_is(125)?;
    drop(second);
    ensure!(row(world, "ear")?["state"] == "running");
    world.tandem(["kill", "ear"])?.ok()?;
    ensure!(first.end(SOON)? == 137);
    let output = world.tandem(["start", "-a", "-i", "ear"])?.ok()?;
    ensure!(output.stdout.ends_with("over\n"), "the end of our input is the end of its: {output}");
    world.tandem(["rm", "ear"])?.ok()?;
    Ok(())
}

fn refusals(world: &World) -> Result<()> {
    world
        .tandem(["create", "-it", "--name", "still", "--entrypoint", "sh", "hello-flask"])?
        .ok()?;
    let error = world.tandem(["start", "-ai", "still"])?.code_is(2)?;
    error.says(&["not a terminal"])?;
    let error = world.tandem(["attach", "--no-stdin", "still"])?.code_is(125)?;
    error.says(&["not running", "tandem start still"])?;
    let error = world.tandem(["run", "-it", "hello-flask"])?.code_is(2)?;
    error.says(&["not a terminal"])?;
    let error = world.tandem(["attach", "--detach-keys", "ctrl-1", "still"])?.code_is(2)?;
    error.says(&["is no key"])?;
    world.tandem(["start", "still"])?.ok()?;
    world.tandem(["pause", "still"])?.ok()?;
    let error = world.tandem(["attach", "--no-stdin", "still"])?.code_is(125)?;
    error.says(&["paused", "unpause"])?;
    world.tandem(["rm", "-f", "still"])?.ok()?;
    Ok(())
}
