//! A machine with an operating system of its own, and its disk elsewhere.

use std::{
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};

use super::{
    container::{GREETING, row},
    vm_systemd,
};
use crate::{Case, Need, Person, Start, Terminal, World, ledger::memory_adds_up, poll};

pub(super) const CASES: &[Case] = &[
    // The first one makes the operating system, and the fourth lets go of it.
    case("vm_full::has_a_terminal_and_folders_of_the_host", terminal),
    Case {
        name: "vm_full::is_made_and_started_by_an_ordinary_user",
        needs: &[
            Need::Root,
            Need::Program("qemu-system-x86_64"),
            Need::Program("mke2fs"),
            Need::Program("newuidmap"),
            Need::Program("unshare"),
            Need::Program("setpriv"),
        ],
        start: Start::Built,
        run: of_a_person,
    },
    Case {
        name: "vm_full::systemd_inside_gives_containers_their_limits",
        needs: &[
            Need::Root,
            Need::Program("qemu-system-x86_64"),
            Need::Program("mke2fs"),
            Need::Program("busybox"),
        ],
        start: Start::Built,
        run: vm_systemd::limits,
    },
    case("vm_full::is_a_debian_with_the_app_as_a_service_on_a_disk_that_boots_anywhere", whole),
    case("vm_full::starts_a_disk_by_uefi_or_says_what_is_missing", uefi),
    case("vm_full::refuses_what_it_cannot", refusals),
];

/// A case of machines whose disks are looked at from outside.
pub(super) const fn case(name: &'static str, run: fn(&World) -> Result<()>) -> Case {
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

pub(super) const FULL: [&str; 6] = ["--backend", "vm", "--profile", "full", "--accelerator", "tcg"];

fn whole(world: &World) -> Result<()> {
    let port = world.free_port()?;
    let publish = format!("127.0.0.1:{port}:8080");
    let head = ["run", "-d", "--name", "whole", "-p", &publish, "-e", "COLOUR=blue"];
    let head = [&head[..], &["--add-host", "db:192.0.2.9"]].concat();
    let room = ["--max-memory", "640m", "--max-cpus", "2", "--pids-limit", "60"];
    let tail = ["--health-cmd", "true", "--health-interval", "1s", "hello-flask"];
    world.tandem_within(BOOT, [&head[..], &room, &FULL, &tail].concat())?.ok()?;
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
    let inside =
        exec("cat /proc/1/comm; echo $COLOUR; pwd; hostname; ls /app; getent hosts db; exit 3")?;
    let output = inside.code_is(3)?;
    let lines: Vec<&str> = output.stdout.lines().collect();
    ensure!(lines[..3] == ["systemd", "blue", "/app"], "{output}");
    ensure!(row(world, "whole")?["id"] == lines[3] && lines[4..].contains(&"app.py"), "{output}");
    ensure!(lines.last().is_some_and(|line| line.starts_with("192.0.2.9 ")), "{output}");
    let logs = world.tandem(["logs", "whole"])?.ok()?;
    ensure!(format!("{}{}", logs.stdout, logs.stderr).contains("GET / HTTP/1.1"), "{logs}");
    world.tandem(["logs", "--boot", "whole"])?.ok()?.says(&[])?;
    console(world)?;
    state(world, port)?;
    hog(world, port)?;

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
    let appliance = world.scratch().join("whole.ova").display().to_string();
    world.tandem_within(BOOT, ["export", "--disk", "ova", "-o", &appliance, "whole"])?.ok()?;
    world.tandem(["rm", "whole"])?.ok()?;
    boots_elsewhere(world, &text)?;
    comes_back(world, &appliance)?;
    foreign_disks(world, &text)?;
    adds_up(world)?;
    make_room(world)
}

/// A program that takes too much memory ends, and the app goes on.
fn hog(world: &World, port: u16) -> Result<()> {
    let takes = "l = []\nwhile True: l.append(b'x' * (1 << 20))";
    let taken = world.tandem_within(BOOT, ["exec", "whole", "python3", "-c", takes])?;
    taken.code_is(137)?;
    ensure!(poll::first_body(port, SOON)? == GREETING, "the app went with it");
    Ok(())
}

/// The ledger of a whole system's memory, in one of a few launches: of a
/// machine's hundreds of megabytes others may take a tenth meanwhile.
fn adds_up(world: &World) -> Result<()> {
    let words = ["experiment", "run", "density", "--lanes", "vm/full@tcg", "--instances", "1"];
    let mut ends = Vec::new();
    for _ in 0..3 {
        let more = ["--trials", "1", "--json", "density.json"];
        world.tandem_within(BOOT, [&words[..], &more].concat())?.ok()?;
        let text = std::fs::read_to_string(world.scratch().join("density.json"))?;
        match memory_adds_up(&serde_json::from_str(&text)?, "vm/full@tcg") {
            Ok(()) => return Ok(()),
            Err(e) => ends.push(e.to_string()),
        }
    }
    bail!("{}", ends.join("\n"))
}

/// An ordinary user makes the disk of such a machine, and starts it.
fn of_a_person(world: &World) -> Result<()> {
    let person = Person::with_range(world)?;
    person.take_images()?;
    let port = world.free_port()?;
    let publish = format!("127.0.0.1:{port}:8080");
    let head = ["run", "-d", "--name", "mine", "-p", &publish];
    let tail = [
        "--entrypoint",
        "python",
        "hello-flask",
        "-c",
        "import http.server as h; h.test(h.SimpleHTTPRequestHandler, port=8080)",
    ];
    person.tandem_within(BOOT, [&head[..], &FULL, &tail].concat())?.ok()?;
    poll::first_body(port, BOOT)?;
    let pid = person.row("mine")?["pid"].as_u64().context("no process")?;
    let owner = std::fs::metadata(format!("/proc/{pid}"))?.uid();
    ensure!(owner == person.uid(), "QEMU runs as {owner}");
    // Owners are as the images have them, though this user can give nothing away.
    let script =
        "cat /proc/1/comm; stat -c %u:%g /etc/shadow /usr/bin/passwd; stat -c %a /usr/bin/passwd";
    let output = person.tandem_within(SOON, ["exec", "mine", "sh", "-c", script])?.ok()?;
    let lines: Vec<&str> = output.stdout.lines().collect();
    ensure!(lines == ["systemd", "0:42", "0:0", "4755"], "{output}");
    person.tandem_within(SOON, ["rm", "-f", "mine"])?.ok()?;
    person.end()
}

/// Its state is kept, its size changes, and what `exec` adds is counted.
fn state(world: &World, port: u16) -> Result<()> {
    let tandem = |words: &[&str]| world.tandem_within(BOOT, words)?.ok();
    let exec = |script: &str| tandem(&["exec", "whole", "sh", "-c", script]);
    let health = poll::until("a health check", SOON, || {
        (row(world, "whole").ok()?["health"] == "healthy").then_some(())
    });
    health?;
    let group = "/sys/fs/cgroup/system.slice/tandem-app.service";
    let output = exec(&format!("cat {group}/pids.max; grep -cx $$ {group}/cgroup.procs"))?;
    ensure!(output.stdout == "60\n1\n", "{output}");
    let many = "for i in $(seq 70); do sleep 2 & done; wait";
    let refused = world.tandem_within(SOON, ["exec", "whole", "sh", "-c", many])?;
    ensure!(refused.code != Some(0) && refused.stderr.contains("fork"), "{refused}");

    // As long as they sleep nobody else can fork either.
    let few = format!("test $(cat {group}/pids.current) -lt 20 && echo before > /state && sync");
    poll::until("the many to end", SOON, || exec(&few).ok())?;
    tandem(&["snapshot", "create", "--memory", "whole", "warm"])?;
    exec("echo after > /state; sync")?;
    tandem(&["snapshot", "restore", "whole", "warm"])?;
    let output = exec("cat /state")?;
    ensure!(output.stdout == "before\n", "{output}");
    ensure!(poll::first_body(port, SOON)? == GREETING, "another answer than the sample's");
    tandem(&["snapshot", "rm", "whole", "warm"])?;

    tandem(&["update", "--mode", "hot", "--memory", "640m", "--cpus", "2", "whole"])?;
    let output = exec("nproc; cp /etc/hostname /tmp/there")?;
    ensure!(output.stdout == "2\n", "{output}");
    tandem(&["update", "--mode", "hot", "--memory", "300m", "--cpus", "1", "whole"])?;
    let refused = |options: &[&str], words: &[&str]| {
        let head = ["update", "--mode", "hot"];
        let said = world.tandem([&head[..], options, &["whole"]].concat())?;
        said.code_is(125)?.is_one_sentence(words)
    };
    refused(&["--memory", "200m"], &["256 MB", "cold"])?;
    // One that was taken away comes back.
    tandem(&["update", "--mode", "hot", "--cpus", "2", "whole"])?;
    ensure!(exec("nproc")?.stdout == "2\n", "it did not come back");
    refused(&["--pids-limit", "90"], &["processes", "cold"])?;
    let back = world.scratch().join("there").display().to_string();
    tandem(&["cp", "whole:/tmp/there", &back])?;
    ensure!(!std::fs::read(back)?.is_empty(), "an empty file came");
    Ok(())
}

/// The appliance as a disk that somebody else made: nobody inside knows of
/// Tandem.
fn comes_back(world: &World, appliance: &str) -> Result<()> {
    let port = world.free_port()?;
    let publish = format!("127.0.0.1:{port}:8080");
    let head = ["import", "--disk", "--name", "guest", "--accelerator", "tcg", "-p", &publish];
    world.tandem_within(BOOT, head.into_iter().chain([appliance]))?.ok()?;
    let made = row(world, "guest")?;
    ensure!(made["state"] == "created" && made["profile"] == "full", "{made}");
    ensure!(made["resources"]["memory_bytes"] == 300 << 20, "as the descriptor says: {made}");
    world.tandem_within(BOOT, ["start", "guest"])?.ok()?;
    ensure!(poll::first_body(port, BOOT)? == GREETING, "another answer than the sample's");
    for command in [&["exec", "guest", "true"][..], &["top", "guest"]] {
        let said = world.tandem_within(SOON, command)?.code_is(125)?;
        said.is_one_sentence(&["came from elsewhere", "tandem console"])?;
    }
    let export = world.scratch().join("guest.tar").display().to_string();
    let said = world.tandem(["export", "-o", &export, "guest"])?.code_is(125)?;
    said.is_one_sentence(&["came from elsewhere", "--disk"])?;
    let memory = ["snapshot", "create", "--memory", "guest", "warm"];
    world.tandem(memory)?.code_is(125)?.is_one_sentence(&["came from elsewhere"])?;
    world.tandem_within(SOON, ["snapshot", "create", "guest", "cold"])?.ok()?;

    let mut terminal = Terminal::start(world.command(["console", "guest"]), 24, 80)?;
    terminal.expect("ctrl-p ctrl-q", SOON)?;
    terminal.type_in("\r")?;
    terminal.expect("login: ", SOON)?;
    terminal.type_in("root\r")?;
    terminal.expect("# ", SOON)?;
    terminal.type_in("cat /srv/app/etc/resolv.conf; echo $((40+2))\r")?;
    let shown = terminal.expect("42\r\n", SOON)?;
    ensure!(shown.contains("nameserver 10.0.2.3"), "the app has the system's servers: {shown}");
    terminal.type_in("\x10\x11")?;
    terminal.end(SOON)?;
    world.tandem_within(BOOT, ["stop", "guest"])?.ok()?;
    let boot = world.tandem(["logs", "--boot", "guest"])?.ok()?;
    ensure!(boot.stdout.contains("Power down"), "its power button was pressed\n{boot}");
    ensure!(row(world, "guest")?["exit_code"] == 0, "it has switched itself off");
    world.tandem(["rm", "guest"])?.ok()?;
    Ok(())
}

/// What would have QEMU open something else is refused before QEMU sees it.
fn foreign_disks(world: &World, disk: &str) -> Result<()> {
    let image = |words: &[&str]| {
        let mut command = Command::new("qemu-img");
        command.args(words).current_dir(world.scratch());
        world.prepare(&mut command);
        world.finish(command)?.ok()
    };
    image(&["create", "-q", "-f", "qcow2", "-b", disk, "-F", "qcow2", "backed.qcow2"])?;
    image(&[
        "create",
        "-q",
        "-f",
        "qcow2",
        "-o",
        "data_file=data,data_file_raw=on",
        "outside.qcow2",
        "1M",
    ])?;
    image(&["create", "-q", "-f", "vmdk", "-o", "subformat=monolithicFlat", "flat.vmdk", "1M"])?;
    image(&["create", "-q", "-f", "qcow2", "empty.qcow2", "1M"])?;
    for (file, words) in [
        ("backed.qcow2", ["another disk", "backing file"]),
        ("outside.qcow2", ["another file", "qemu-img convert"]),
        ("flat.vmdk", ["only names", "OVA"]),
        ("empty.qcow2", ["empty.qcow2", "boot sector"]),
    ] {
        let path = world.scratch().join(file).display().to_string();
        let said = world.tandem(["import", "--disk", &path])?;
        ensure!(said.code != Some(0), "{file} was taken");
        said.is_one_sentence(&words)?;
    }
    let left = world.tandem(["ps", "-a", "--json"])?.ok()?.json()?;
    ensure!(left.as_array().is_some_and(Vec::is_empty), "something was left: {left}");
    Ok(())
}

/// A shell in the foreground, in whose machine a folder of the host is shown
/// twice.
fn terminal(world: &World) -> Result<()> {
    let folder = world.scratch().join("shown");
    std::fs::create_dir(&folder)?;
    std::fs::write(folder.join("host"), "from the host\n")?;
    let volumes = ["/shown", "/seen:ro"].map(|at| format!("{}:{at}", folder.display()));
    let head = ["run", "-it", "--rm", "--name", "typed", "-v", &volumes[0], "-v", &volumes[1]];
    let shell = [&head[..], &FULL, &["--entrypoint", "sh", "hello-flask"]].concat();
    let mut terminal = Terminal::start(world.command(shell), 33, 101)?;
    terminal.expect("# ", BOOT)?;
    let mut asks = |line: &str| -> Result<String> {
        terminal.type_in(&format!("{line}; echo $((40+2))\r"))?;
        terminal.expect("42\r\n", SOON)
    };
    let shown = asks("test -t 0 && stty size; cat /shown/host /seen/host")?;
    ensure!(shown.contains("33 101"), "{shown}");
    ensure!(shown.matches("from the host").count() == 2, "{shown}");
    let script = "cd /shown; cp /bin/true tool; chown 33 tool; chmod 4755 tool; mknod disk b 8 0; ln -s /etc/shadow way; stat -c %a:%u:%F tool disk; touch /seen/x || echo refused";
    let shown = asks(script)?;
    ensure!(shown.contains("4755:33:regular") && shown.contains("0:block special"), "{shown}");
    ensure!(shown.contains("Read-only file system") && shown.contains("refused"), "{shown}");
    let snapshot = ["snapshot", "create", "--memory", "typed", "warm"];
    world.tandem(snapshot)?.code_is(125)?.is_one_sentence(&["folders of the host"])?;
    // Left and joined again, it is the same shell.
    asks("cd /shown; here=again")?;
    terminal.type_in("\x10\x11")?;
    terminal.end(SOON)?;
    let mut terminal = Terminal::start(world.command(["attach", "typed"]), 33, 101)?;
    terminal.type_in("echo $here in $PWD; echo $((40+2))\r")?;
    let shown = terminal.expect("42\r\n", SOON)?;
    ensure!(shown.contains("again in /shown"), "{shown}");
    terminal.type_in("exit 7\r")?;
    ensure!(terminal.end(BOOT)? == 7, "the shell's code is the command's");

    // On the host it is a plain file of this user, each of them.
    for name in ["tool", "disk", "way"] {
        let found = std::fs::symlink_metadata(folder.join(name))?;
        let mode = found.permissions().mode() & 0o7777;
        ensure!(found.is_file() && mode & 0o7022 == 0, "{name} has mode {mode:o}");
        ensure!(found.uid() == nix::unistd::getuid().as_raw(), "{name} is another's");
    }
    ensure!(!folder.join("x").exists(), "a read-only folder was written to");
    Ok(())
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

/// A disk whose first sector has partitions and no program: where UEFI for
/// machines is installed it is given the disk, and elsewhere that is said.
fn uefi(world: &World) -> Result<()> {
    let mut disk = vec![0; 4 << 20];
    // One partition for UEFI, from the first MiB on.
    disk[450] = 0xef;
    disk[454..458].copy_from_slice(&2048_u32.to_le_bytes());
    disk[458..462].copy_from_slice(&4096_u32.to_le_bytes());
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    std::fs::write(world.scratch().join("uefi.raw"), disk)?;
    let import = ["import", "--disk", "--accelerator", "tcg", "--memory", "256m", "uefi.raw"];
    let output = world.tandem(import)?;
    if !std::path::Path::new("/usr/share/OVMF/OVMF_CODE_4M.fd").exists() {
        ensure!(output.code != Some(0), "{output}");
        return output.is_one_sentence(&["UEFI only", "apt-get install ovmf"]);
    }
    output.ok()?;
    world.tandem_within(SOON, ["start", "uefi"])?.ok()?;
    poll::until("UEFI to look for a system", BOOT, || {
        let boot = world.tandem(["logs", "--boot", "uefi"]).ok()?.stdout;
        boot.contains("BdsDxe: ").then_some(())
    })?;
    world.tandem(["rm", "-f", "uefi"])?.ok()?;
    Ok(())
}

fn refusals(world: &World) -> Result<()> {
    let run = |options: &[&str]| {
        let tail = ["hello-flask"];
        world.tandem_within(BOOT, [&["run"], &FULL[..], options, &tail].concat())
    };
    run(&["--template", "auto"])?.code_is(125)?.is_one_sentence(&["full machine", "micro"])?;
    run(&["--memory", "64m"])?.code_is(125)?.is_one_sentence(&["256 MB"])?;
    world.tandem(["create", "--backend", "vm", "--name", "small", "hello-flask"])?.ok()?;
    let said = world.tandem(["update", "--memory", "64m", "small"])?.code_is(125)?;
    said.is_one_sentence(&["128 MB", "--memory"])?;
    world.tandem(["rm", "small"])?.ok()?;
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
