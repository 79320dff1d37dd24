//! The life of a virtual machine, under software emulation so that it is the
//! same everywhere.

use std::{
    net::TcpListener,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use nix::unistd::Pid;

use super::{
    container::{lives, row},
    listeners,
};
use crate::{Case, Need, Start, Terminal, World, poll};

pub(super) const CASES: &[Case] = &[
    case("vm::life_under_emulation", life),
    case("vm::foreground_passes_output_and_code", foreground),
    case("vm::takes_what_is_typed_and_what_is_piped", input),
    case("vm::runs_the_image_as_it_says", environment),
    case("vm::obeys_the_verbs_of_containers", verbs),
    case("vm::shows_folders_of_the_host", folders),
    case("vm::volumes_are_disks_that_outlive_machines", volumes),
    case("vm::kvm_counts_only_when_it_works", kvm),
];

/// A case of machines.
pub(super) const fn case(name: &'static str, run: fn(&World) -> Result<()>) -> Case {
    Case {
        name,
        needs: &[Need::Root, Need::Program("qemu-system-x86_64"), Need::Program("mke2fs")],
        start: Start::Built,
        run,
    }
}

/// An emulated boot takes some ten seconds on two idle processors.
const ANSWER: Duration = Duration::from_mins(3);

const TCG: [&str; 4] = ["--backend", "vm", "--accelerator", "tcg"];

fn life(world: &World) -> Result<()> {
    lives(world, &TCG, ANSWER)
}

fn python(world: &World, options: &[&str], script: &str, code: i32) -> Result<crate::Output> {
    let tail = ["--entrypoint", "python", "hello-flask", "-c", script];
    let arguments = [&["run", "--rm"][..], &TCG, options, &tail].concat();
    world.tandem_within(ANSWER, arguments)?.code_is(code)
}

fn foreground(world: &World) -> Result<()> {
    let output = python(world, &[], "import sys; print('from inside'); sys.exit(7)", 7)?;
    ensure!(output.stdout == "from inside\n", "{output}");
    output.says(&["emulat"])
}

fn input(world: &World) -> Result<()> {
    let head = ["run", "-it", "--rm", "--name", "typed"];
    let shell = [&head[..], &TCG, &["--entrypoint", "sh", "hello-flask"]].concat();
    let mut terminal = Terminal::start(world.command(shell), 33, 101)?;
    terminal.expect("# ", ANSWER)?;
    terminal.type_in("test -t 0 && stty size; echo $TERM $((40+2))\r")?;
    let shown = terminal.expect("42\r\n", ANSWER)?;
    ensure!(shown.contains("33 101") && shown.contains("xterm 42"), "{shown}");
    terminal.type_in("exit 7\r")?;
    ensure!(terminal.end(ANSWER)? == 7, "the shell's code is the command's");

    // More than the channel takes at once, to its end.
    let cat = [&["run", "-i", "--rm"], &TCG[..], &["--entrypoint", "cat", "hello-flask"]].concat();
    let words: Vec<String> = cat.iter().map(|word| format!("'{word}'")).collect();
    let tandem = world.program("tandem").display().to_string();
    let home = world.home().display().to_string();
    let line = format!(
        "seq 100000 | '{tandem}' --home '{home}' {} | sha256sum; seq 100000 | sha256sum",
        words.join(" ")
    );
    let mut command = std::process::Command::new("sh");
    command.args(["-c", &line]);
    world.prepare(&mut command);
    let output = world.finish(command)?.ok()?;
    let sums: Vec<&str> = output.stdout.lines().collect();
    ensure!(sums.len() == 2 && sums[0] == sums[1], "{output}");
    Ok(())
}

fn environment(world: &World) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    // The way out ends at the host's own loopback.
    let way_out = format!("import socket; socket.create_connection(('host', {port}), 60)\n");
    let script = "import os, socket; m = {l.split(':')[0]: int(l.split()[1]) for l in open('/proc/meminfo')}
print(os.environ['COLOUR'], os.getcwd(), socket.gethostname(), os.cpu_count(), m['MemTotal'] // 1024, os.path.exists('/app/app.py'), *open('/etc/resolv.conf').read().split()[1:], socket.gethostbyname('db'))";
    let options = ["-e", "COLOUR=blue", "--hostname", "inside", "--memory", "384m", "--cpus", "2"];
    let names = ["--add-host", "db:192.0.2.9", "--add-host", "host:host-gateway"];
    let options = [&options[..], &["--dns", "192.0.2.1"], &names].concat();
    let output = python(world, &options, &(way_out + script), 0)?;
    let words: Vec<&str> = output.line().split(' ').collect();
    ensure!(words.len() == 8, "{output}");
    ensure!(words[..4] == ["blue", "/app", "inside", "2"], "{output}");
    ensure!(words[5..] == ["True", "192.0.2.1", "192.0.2.9"], "{output}");
    let memory: u32 = words[4].parse()?;
    ensure!((280..=384).contains(&memory), "384 MiB were asked for\n{output}");
    Ok(())
}

/// One boot, many looks.
fn verbs(world: &World) -> Result<()> {
    let limits = ["--pids-limit", "70", "--ulimit", "nofile=512:512", "--cap-drop", "NET_RAW"];
    // One of root's ports, which whoever QEMU runs as may bind too.
    let low = (700..1024).rev().find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    let low = low.context("no low port is free")?;
    let publish = format!("{low}:8080");
    let head = ["run", "-d", "--name", "verbs", "--tmpfs", "/scratch", "-p", &publish];
    let tail = ["--entrypoint", "sleep", "hello-flask", "100000"];
    let arguments = [&head[..], &TCG, &limits, &tail].concat();
    world.tandem_within(ANSWER, arguments)?.ok()?;
    let qemu = row(world, "verbs")?["pid"].as_i64().context("no process")?;
    let open = listeners::of(Pid::from_raw(i32::try_from(qemu)?))?;
    ensure!(open == [low], "it listens at {open:?}");
    let exec = |arguments: &[&str]| world.tandem_within(ANSWER, [&["exec"], arguments].concat());

    let script = "echo out; echo err >&2; ulimit -n; cat /sys/fs/cgroup/app/pids.max; grep CapBnd /proc/self/status; grep -c /scratch /proc/mounts; exit 7";
    let output = exec(&["verbs", "sh", "-c", script])?.code_is(7)?;
    let lines: Vec<&str> = output.stdout.lines().collect();
    ensure!(lines.len() == 5 && lines[..3] == ["out", "512", "70"], "{output}");
    ensure!(lines[3].ends_with("ffffdfff") && lines[4] == "1", "{output}");
    ensure!(output.stderr.contains("err"), "{output}");
    exec(&["verbs", "no-such-program"])?.code_is(127)?.is_one_sentence(&["no-such-program"])?;
    exec(&["verbs", "/etc"])?.code_is(126)?.is_one_sentence(&["/etc"])?;
    let settings = ["-u", "33", "-w", "/tmp", "-e", "A=b", "verbs", "sh", "-c"];
    let output = exec(&[&settings[..], &["id -u; pwd; echo $A"]].concat())?.code_is(0)?;
    ensure!(output.stdout == "33\n/tmp\nb\n", "{output}");
    // Several windows' worth of output arrive whole.
    let output = exec(&["verbs", "sh", "-c", "yes 0123456 | head -c 2000000"])?.code_is(0)?;
    ensure!(output.stdout.len() == 2_000_000, "{} bytes came", output.stdout.len());

    let here = world.scratch().join("blob");
    let back = world.scratch().join("back");
    std::fs::write(&here, (0..500_000_u32).flat_map(u32::to_le_bytes).collect::<Vec<_>>())?;
    let text = |path: &std::path::Path| path.display().to_string();
    world.tandem_within(ANSWER, ["cp", &text(&here), "verbs:/tmp/"])?.ok()?;
    world.tandem_within(ANSWER, ["cp", "verbs:/tmp/blob", &text(&back)])?.ok()?;
    ensure!(std::fs::read(&here)? == std::fs::read(&back)?, "a copy there and back is the same");
    let missing = world.tandem_within(ANSWER, ["cp", "verbs:/no-such", &text(&back)])?;
    missing.code_is(125)?.is_one_sentence(&["/no-such", "not there"])?;

    let output = world.tandem_within(ANSWER, ["top", "verbs"])?.ok()?;
    ensure!(output.stdout.contains("sleep 100000"), "{output}");
    let rows = world.tandem_within(ANSWER, ["stats", "--json", "verbs"])?.ok()?.json()?;
    ensure!(rows[0]["guest"]["memory_total_bytes"].as_u64().is_some_and(|it| it > 0), "{rows}");

    world.tandem(["pause", "verbs"])?.ok()?;
    exec(&["verbs", "true"])?.code_is(125)?.is_one_sentence(&["paused", "unpause"])?;
    world.tandem(["unpause", "verbs"])?.ok()?;
    exec(&["verbs", "true"])?.code_is(0)?;
    world.tandem_within(ANSWER, ["rm", "-f", "verbs"])?.ok()?;
    early(world)
}

/// Whoever asks before it runs is told that it starts, and disturbs nothing.
fn early(world: &World) -> Result<()> {
    let head = ["run", "-d", "--name", "early"];
    let tail = ["--entrypoint", "sleep", "hello-flask", "100000"];
    let mut starting = world.background([&head[..], &TCG, &tail].concat())?;
    poll::until("the start", ANSWER, || {
        (row(world, "early").ok()?["state"] == "starting").then_some(())
    })?;
    let said = world.tandem(["exec", "early", "true"])?.code_is(125)?;
    said.is_one_sentence(&["is starting", "tandem ps"])?;
    ensure!(starting.wait(ANSWER)? == Some(0), "it did not come up");
    world.tandem_within(ANSWER, ["rm", "-f", "early"])?.ok()?;
    Ok(())
}

/// A folder of the host, shown twice.
fn folders(world: &World) -> Result<()> {
    let host = world.write("shown/host", "from the host\n")?;
    let folder = host.parent().context("no folder")?;
    let run = |options: &[&str], tail: &[&str]| {
        world.tandem_within(ANSWER, [&["run", "--rm"], &TCG[..], options, tail].concat())
    };
    let volumes = ["/shown", "/seen:ro"].map(|at| format!("{}:{at}", folder.display()));
    let both = ["-v", &volumes[0], "-v", &volumes[1], "--entrypoint", "sh"];
    let script = "cat /shown/host /seen/host; cd /shown; cp /bin/true tool; chown 33 tool; chmod 4755 tool; stat -c %a:%u tool; ln -s /etc/shadow way; touch /seen/x || echo refused";
    let output = run(&both, &["hello-flask", "-c", script])?.code_is(0)?;
    let lines: Vec<&str> = output.stdout.lines().collect();
    ensure!(lines == ["from the host", "from the host", "4755:33", "refused"], "{output}");
    // On the host they are plain files of whoever started it.
    for name in ["tool", "way"] {
        let found = std::fs::symlink_metadata(folder.join(name))?;
        let mode = found.permissions().mode() & 0o7777;
        ensure!(found.is_file() && mode & 0o7022 == 0, "{name} has mode {mode:o}");
        ensure!(found.uid() == nix::unistd::getuid().as_raw(), "{name} is another's");
    }
    ensure!(!folder.join("x").exists(), "a read-only folder was written to");
    let file = format!("{}:/file", host.display());
    let refused = run(&["-v", &file], &["hello-flask"])?.code_is(125)?;
    refused.is_one_sentence(&["folders only"])?;
    let refused = run(&["-v", &volumes[0], "--template", "auto"], &["hello-flask"])?;
    refused.code_is(125)?.is_one_sentence(&["template", "folders of the host"])?;
    Ok(())
}

/// Two machines, one after the other, and a container between them.
fn volumes(world: &World) -> Result<()> {
    let machine = |head: &[&str], tail: &[&str]| {
        let arguments = [&["run"], head, &TCG[..], &["-v", "e2e-disk:/app"], tail].concat();
        world.tandem_within(ANSWER, arguments)
    };
    let sleeps = ["--entrypoint", "sleep", "hello-flask", "100000"];
    let memory = ["--tmpfs", "/app/fast"];
    machine(&["-d", "--name", "first"], &[&memory[..], &sleeps].concat())?.ok()?;
    let script = "ls /app; ls -A /app/lost+found 2>&1 | head -1; echo kept > /app/file; chown 33 /app/file; grep -c ' /app/fast tmpfs' /proc/mounts";
    let output = world.tandem_within(ANSWER, ["exec", "first", "sh", "-c", script])?.ok()?;
    let has = |text: &str| output.stdout.lines().any(|line| line == text);
    ensure!(has("app.py") && has("1") && output.stdout.contains("No such file"), "{output}");

    let second = machine(&["--rm", "--name", "second"], &sleeps)?.code_is(125)?;
    second.is_one_sentence(&["e2e-disk", "for itself"])?;
    let container = ["run", "--rm", "-v", "e2e-disk:/d", "hello-flask"];
    world.tandem(container)?.code_is(125)?.is_one_sentence(&["e2e-disk", "--backend vm"])?;
    let snapshot = world.tandem(["snapshot", "create", "--memory", "first", "s"])?.code_is(125)?;
    snapshot.is_one_sentence(&["volumes"])?;
    world.tandem_within(ANSWER, ["rm", "-f", "first"])?.ok()?;

    let look = "cat /app/file; stat -c %u /app/file; touch /app/x 2>/dev/null || echo refused";
    let arguments = ["run", "--rm", "-v", "e2e-disk:/d:ro", "--entrypoint", "sh"];
    let look = look.replace("/app", "/d");
    let arguments = [&arguments[..], &TCG, &["hello-flask", "-c", &look]].concat();
    let output = world.tandem_within(ANSWER, arguments)?.code_is(0)?;
    ensure!(output.stdout == "kept\n33\nrefused\n", "{output}");
    world.tandem(["volume", "rm", "e2e-disk"])?.ok()?;

    let folder = ["run", "--rm", "-v", "e2e-folder:/d", "--entrypoint", "touch", "hello-flask"];
    world.tandem(folder.into_iter().chain(["/d/file"]))?.ok()?;
    let mixed = ["run", "--rm", "-v", "e2e-folder:/d", "hello-flask"];
    let mixed = world.tandem_within(ANSWER, [&mixed[..1], &TCG, &mixed[1..]].concat())?;
    mixed.code_is(125)?.is_one_sentence(&["e2e-folder", "--backend container"])?;
    world.tandem(["volume", "rm", "e2e-folder"])?.ok()?;
    Ok(())
}

fn kvm(world: &World) -> Result<()> {
    let arguments = ["run", "-d", "--name", "fast", "--backend", "vm", "--accelerator", "kvm"];
    let output = world.tandem_within(ANSWER, arguments.into_iter().chain(["hello-flask"]))?;
    if output.code == Some(0) {
        let seen = row(world, "fast")?;
        ensure!(seen["accelerator"] == "kvm", "{seen}");
        world.tandem(["rm", "-f", "fast"])?.ok()?;
        return Ok(());
    }
    output.code_is(125)?.is_one_sentence(&["KVM"])
}
