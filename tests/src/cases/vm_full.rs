//! A machine with an operating system of its own, and its disk elsewhere.

use std::{process::Command, time::Duration};

use anyhow::{Context as _, Result, ensure};

use super::container::{GREETING, row};
use crate::{Case, Need, Start, Terminal, World, poll};

pub(super) const CASES: &[Case] = &[
    case("vm_full::is_a_debian_with_the_app_as_a_service_on_a_disk_that_boots_anywhere", whole),
    case("vm_full::refuses_what_it_cannot", refusals),
];

const fn case(name: &'static str, run: fn(&World) -> Result<()>) -> Case {
    Case {
        name,
        needs: &[
            Need::Root,
            Need::Program("qemu-system-x86_64"),
            Need::Program("qemu-img"),
            Need::Program("mke2fs"),
        ],
        start: Start::Built,
        run,
    }
}

/// An emulated boot of a whole Debian takes a minute on two busy processors,
/// and making its image two more.
const BOOT: Duration = Duration::from_mins(6);

const SOON: Duration = Duration::from_mins(1);

const FULL: [&str; 6] = ["--backend", "vm", "--profile", "full", "--accelerator", "tcg"];

fn whole(world: &World) -> Result<()> {
    let port = world.free_port()?;
    let publish = format!("127.0.0.1:{port}:8080");
    let head = ["run", "-d", "--name", "whole", "-p", &publish, "-e", "COLOUR=blue"];
    world.tandem_within(BOOT, [&head[..], &FULL, &["hello-flask"]].concat())?.ok()?;
    ensure!(poll::first_body(port, SOON)? == GREETING, "another answer than the sample's");
    ensure!(row(world, "whole")?["profile"] == "full", "the listing says what it is");
    let record = world.tandem(["inspect", "whole"])?.ok()?.json()?;
    let phases: Vec<&str> = record[0]["phases"]
        .as_array()
        .context("there are no phases")?
        .iter()
        .filter_map(|phase| phase["name"].as_str())
        .collect();
    let expected = ["disk", "spawn", "firmware", "loader", "kernel", "userspace", "systemd"];
    ensure!(phases == expected, "{phases:?}");

    let exec = |script: &str| world.tandem_within(SOON, ["exec", "whole", "sh", "-c", script]);
    let inside = exec("cat /proc/1/comm; echo $COLOUR; pwd; hostname; ls /app; exit 3")?;
    let output = inside.code_is(3)?;
    let lines: Vec<&str> = output.stdout.lines().collect();
    ensure!(lines[..3] == ["systemd", "blue", "/app"], "{output}");
    ensure!(row(world, "whole")?["id"] == lines[3] && lines[4..].contains(&"app.py"), "{output}");
    let logs = world.tandem(["logs", "whole"])?.ok()?;
    ensure!(format!("{}{}", logs.stdout, logs.stderr).contains("GET / HTTP/1.1"), "{logs}");
    world.tandem(["logs", "--boot", "whole"])?.ok()?.says(&[])?;
    console(world)?;

    // What it writes stays, here and on the disk that is carried away.
    exec("echo kept > /app/note && sync")?.ok()?;
    let disk = world.scratch().join("disk.qcow2");
    let text = disk.display().to_string();
    world.tandem_within(SOON, ["export", "--disk", "qcow2", "-o", &text, "whole"])?.ok()?;
    let stopped = world.tandem_within(BOOT, ["stop", "whole"])?.ok()?;
    ensure!(stopped.line() == "whole", "{stopped}");
    let ended = row(world, "whole")?;
    ensure!(ended["state"] == "exited", "{ended}");
    let boot = world.tandem(["logs", "--boot", "whole"])?.ok()?;
    ensure!(boot.stdout.contains("Power down"), "it was shut down, not only killed\n{boot}");
    world.tandem(["rm", "whole"])?.ok()?;
    boots_elsewhere(world, &text)?;
    make_room(world)
}

/// Other cases share the home, and disks of test machines are small: an
/// operating system is not kept for them.
fn make_room(world: &World) -> Result<()> {
    world.tandem(["image", "rm", "localhost/tandem/system:bookworm"])?.ok()?;
    for disk in std::fs::read_dir(world.home().join("cache/disks"))? {
        let path = disk?.path();
        if path.extension().is_some_and(|it| it == "raw") {
            std::fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// A person logs in at the serial console.
fn console(world: &World) -> Result<()> {
    let mut terminal = Terminal::start(world.command(["console", "whole"]), 24, 80)?;
    terminal.expect("ctrl-p ctrl-q", SOON)?;
    terminal.type_in("\r")?;
    terminal.expect("login: ", SOON)?;
    terminal.type_in("root\r")?;
    terminal.expect("# ", SOON)?;
    terminal.type_in("systemctl is-active tandem-app; echo $((40+2))\r")?;
    let shown = terminal.expect("42\r\n", SOON)?;
    ensure!(shown.contains("\ractive\r\n"), "{shown}");
    terminal.type_in("exit\r")?;
    terminal.type_in("\x10\x11")?;
    ensure!(terminal.end(SOON)? == 0, "leaving is no failure");
    Ok(())
}

/// No Tandem is around: QEMU alone, with another disk controller and another
/// board than ours.
fn boots_elsewhere(world: &World, disk: &str) -> Result<()> {
    let port = world.free_port()?;
    let mut qemu = Command::new("qemu-system-x86_64");
    qemu.args(["-nodefaults", "-display", "none", "-machine", "pc", "-accel", "tcg", "-m", "512"])
        .args(["-drive", &format!("file={disk},format=qcow2,if=ide")])
        .args(["-netdev", &format!("user,id=n,hostfwd=tcp:127.0.0.1:{port}-:8080")])
        .args(["-device", "e1000,netdev=n"]);
    let mut machine = world.start(qemu)?;
    let answer = poll::first_body(port, BOOT);
    machine.signal(nix::sys::signal::Signal::SIGKILL)?;
    machine.wait(SOON)?;
    ensure!(answer? == GREETING, "another answer than the sample's");
    Ok(())
}

fn refusals(world: &World) -> Result<()> {
    let run = |options: &[&str]| {
        let tail = ["hello-flask"];
        world.tandem_within(BOOT, [&["run"], &FULL[..], options, &tail].concat())
    };
    run(&["--template", "auto"])?.code_is(125)?.is_one_sentence(&["full machine", "micro"])?;
    run(&["--memory", "64m"])?.code_is(125)?.is_one_sentence(&["256 MB"])?;
    world.tandem(["create", "--name", "box", "hello-flask"])?.ok()?;
    let file = world.scratch().join("disk.raw").display().to_string();
    let said = world.tandem(["export", "--disk", "raw", "-o", &file, "box"])?.code_is(125)?;
    said.is_one_sentence(&["box", "only a virtual machine has a disk"])?;
    let said = world.tandem(["console", "box"])?.code_is(125)?;
    said.is_one_sentence(&["console", "only virtual machines"])?;
    world.tandem(["logs", "--boot", "box"])?.code_is(125)?.is_one_sentence(&["console"])?;
    world.tandem(["rm", "box"])?.ok()?;
    Ok(())
}
