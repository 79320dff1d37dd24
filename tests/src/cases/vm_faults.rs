//! What goes wrong with a machine is told as it is, within a time limit, and
//! leaves nothing: QEMU is missing, old, stopped or killed, the guest's kernel
//! panics, the host has no memory, or its disk is full.

use std::{
    fs,
    net::TcpListener,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

use super::{archive::elsewhere, container::row, faults_disk, listeners, vm_full::case};
use crate::{Case, Output, World, poll};

pub(super) const CASES: &[Case] = &[
    case("vm_faults::a_qemu_that_cannot_do_it_is_told", qemu),
    case("vm_faults::a_machine_that_hangs_panics_or_is_killed_says_so", life),
    case("vm_faults::a_full_disk_is_told_in_the_middle_of_things", full),
];

/// An emulated boot on a busy machine.
const LIMIT: Duration = Duration::from_mins(3);

/// What is said of a QEMU that answers nobody is said at once.
const AT_ONCE: Duration = Duration::from_secs(9);

const TCG: [&str; 4] = ["--backend", "vm", "--accelerator", "tcg"];

/// The one sentence of a command that cannot be done.
fn refused(output: Output, words: &[&str]) -> Result<()> {
    let output = output.code_is(125)?;
    // Progress lines and the accelerator's reason may come before.
    let is_reason = |line: &&str| line.starts_with("tandem: ") && !line.contains("TCG, because");
    let reasons = output.stderr.lines().filter(is_reason).count();
    ensure!(reasons == 1 && output.stdout.is_empty(), "{output}");
    output.says(words)
}

/// A folder with a program that is called like QEMU, before everything else on
/// PATH; without a script, in the place of everything else.
fn path_with(world: &World, name: &str, script: Option<&str>) -> Result<String> {
    let folder = world.scratch().join(name).join("bin");
    fs::create_dir_all(&folder)?;
    let Some(script) = script else { return Ok(folder.display().to_string()) };
    let program = folder.join("qemu-system-x86_64");
    fs::write(&program, format!("#!/bin/sh\n{script}\n"))?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
    Ok(format!("{}:{}", folder.display(), std::env::var("PATH")?))
}

fn with_path(world: &World, path: &str, words: &[&str]) -> Result<Output> {
    let mut command = world.command(words);
    command.env("PATH", path);
    world.finish(command)
}

fn qemu(world: &World) -> Result<()> {
    let run = [&["run", "--rm"], &TCG[..], &["--entrypoint", "true", "hello-flask"]].concat();
    // What does not depend on QEMU is made before.
    world.tandem_within(LIMIT, &run)?.ok()?.says(&["no isolation guarantee"])?;

    let none = path_with(world, "none", None)?;
    refused(with_path(world, &none, &run)?, &["not on PATH", "apt-get install qemu-system-x86"])?;
    let says = |version: &str, then: &str| {
        format!("case $1 in --version) echo QEMU emulator version {version}; exit;; esac\n{then}")
    };
    let complains = "echo \"$0: -chardev: Invalid parameter fd\" >&2; exit 1";
    let old = path_with(world, "old", Some(&says("4.2.1", complains)))?;
    refused(with_path(world, &old, &run)?, &["QEMU 4.2.1 is too old", "7.2", "backports"])?;
    let odd = path_with(world, "odd", Some(&says("10.0.2", "echo it is Monday >&2; exit 3")))?;
    refused(with_path(world, &odd, &run)?, &["QEMU failed", "it is Monday"])?;

    let doctor = |path: &str| -> Result<Vec<Value>> {
        let rows = with_path(world, path, &["doctor", "--json"])?.json()?;
        rows.as_array().cloned().context("not a list")
    };
    let of = |rows: &[Value], id: &str| -> Result<Value> {
        let found = rows.iter().find(|row| row["id"] == id);
        found.cloned().with_context(|| format!("no row {id}: {rows:?}"))
    };
    let row = of(&doctor(&old)?, "qemu")?;
    ensure!(row["status"] == "missing" && row["detail"].to_string().contains("too old"), "{row}");
    let middling = path_with(world, "middling", Some(&says("8.2.2", "exit 3")))?;
    let row = of(&doctor(&middling)?, "qemu")?;
    ensure!(row["status"] == "limited" && row["detail"].to_string().contains("memory"), "{row}");
    let row = of(&doctor(&std::env::var("PATH")?)?, "vm_tcg")?;
    ensure!(row["detail"].to_string().contains("without an isolation guarantee"), "{row}");

    let absurd = [&run[..2], &["--memory", "900000g"], &run[2..]].concat();
    let words = ["MB of memory for the guest", "does not give it", "--memory"];
    refused(world.tandem_within(LIMIT, absurd)?, &words)?;
    let holder = TcpListener::bind("127.0.0.1:0")?;
    let port = format!("{}:8080", holder.local_addr()?.port());
    let taken = [&run[..2], &["-p", &port], &run[2..]].concat();
    refused(world.tandem_within(LIMIT, taken)?, &["in use by another program", "-p"])?;
    let left = world.tandem(["ps", "-a", "--json"])?.ok()?.json()?;
    ensure!(left.as_array().is_some_and(Vec::is_empty), "something was left: {left}");
    Ok(())
}

fn process(world: &World) -> Result<Pid> {
    let pid = row(world, "box")?["pid"].as_i64().context("no process")?;
    Ok(Pid::from_raw(i32::try_from(pid)?))
}

fn instance(world: &World) -> Result<PathBuf> {
    let row = row(world, "box")?;
    Ok(world.home().join("instances").join(row["id"].as_str().context("no id")?))
}

/// One boot and two starts.
fn life(world: &World) -> Result<()> {
    let head = ["run", "-d", "--name", "box", "-p", ":8080", "--max-memory", "640m"];
    let tail = ["--entrypoint", "sleep", "hello-flask", "100000"];
    world.tandem_within(LIMIT, [&head[..], &TCG, &tail].concat())?.ok()?;
    is_shut_off(world)?;

    // Somebody holds QEMU: it is told at once, by all that would wait for it.
    let qemu = process(world)?;
    kill(qemu, Signal::SIGSTOP)?;
    for words in [
        &["exec", "box", "true"][..],
        &["top", "box"],
        &["cp", "box:/etc/passwd", "passwd"],
        &["pause", "box"],
        &["snapshot", "create", "box", "one"],
        &["snapshot", "create", "--memory", "box", "two"],
        &["update", "--mode", "hot", "--memory", "600m", "box"],
    ] {
        let output = world.tandem_within(LIMIT, words)?;
        ensure!(output.elapsed < AT_ONCE, "{output}");
        refused(output, &["is stopped", &format!("kill -CONT {qemu}")])?;
    }
    for words in [&["ps"][..], &["inspect", "box"], &["stats", "--no-stream", "box"]] {
        world.tandem(words)?.ok()?;
    }
    kill(qemu, Signal::SIGCONT)?;
    let seen = world.tandem_within(LIMIT, ["exec", "box", "echo", "alive"])?.ok()?;
    ensure!(seen.line() == "alive", "{seen}");
    let rows = world.tandem(["snapshot", "ls", "--json", "box"])?.ok()?.json()?;
    ensure!(rows.as_array().is_some_and(Vec::is_empty), "half a snapshot: {rows}");

    kill(qemu, Signal::SIGKILL)?;
    ended(world, &["killed (SIGKILL)", "want of memory"])?;
    world.tandem_within(LIMIT, ["start", "box"])?.ok()?;
    // Its kernel gives up.
    let crash = ["exec", "box", "sh", "-c", "echo c > /proc/sysrq-trigger"];
    ensure!(world.tandem_within(LIMIT, crash)?.code != Some(0), "it went on");
    ended(world, &["kernel panicked", "sysrq triggered crash", "Trigger a crash"])?;
    let boot = world.tandem(["logs", "--boot", "box"])?.ok()?;
    ensure!(boot.stdout.contains("Kernel panic"), "{boot}");
    // One that is stopped can be ended all the same.
    world.tandem_within(LIMIT, ["start", "box"])?.ok()?;
    kill(process(world)?, Signal::SIGSTOP)?;
    let output = world.tandem_within(LIMIT, ["stop", "-t", "1", "box"])?.ok()?;
    ensure!(output.elapsed < 2 * AT_ONCE, "{output}");
    is_sound(&instance(world)?.join("disk.qcow2"))?;
    world.tandem(["rm", "box"])?.ok()?;
    Ok(())
}

/// Nothing leads to QEMU but its published port, and it cannot do much itself.
fn is_shut_off(world: &World) -> Result<()> {
    let qemu = process(world)?;
    let status = fs::read_to_string(format!("/proc/{qemu}/status"))?;
    ensure!(status.contains("Seccomp:\t2\n"), "no filter of system calls: {status}");
    is_somebody_else(world, &status)?;
    let record = world.tandem(["inspect", "box"])?.ok()?.json()?;
    let reason = &record[0]["runtime"]["accelerator_reason"];
    ensure!(reason.to_string().contains("no isolation guarantee"), "{reason}");

    let published = super::container::published_port(&row(world, "box")?)?;
    let open = listeners::of(qemu)?;
    ensure!(open == [published], "it listens at {open:?}, published is {published}");
    let supervisor = record[0]["runtime"]["supervisor"]["pid"].as_i64().context("no supervisor")?;
    let open = listeners::of(Pid::from_raw(i32::try_from(supervisor)?))?;
    ensure!(open.is_empty(), "the supervisor listens at {open:?}");
    for entry in fs::read_dir(instance(world)?)?.flatten() {
        let mode = entry.metadata()?.permissions().mode() & 0o777;
        ensure!(matches!(mode, 0o600 | 0o700), "{} has mode {mode:o}", entry.path().display());
    }

    let line = fs::read_to_string(format!("/proc/{qemu}/cmdline"))?;
    let words: Vec<&str> = line.split('\0').collect();
    ensure!(!words.iter().any(|word| ["-drive", "-hda", "-cdrom"].contains(word)), "{words:?}");
    for two in words.windows(2).filter(|two| two[0] == "-blockdev") {
        says_formats(&serde_json::from_str(two[1])?)?;
    }
    Ok(())
}

/// Root's QEMU is a user who has nothing, where there is such a user.
fn is_somebody_else(world: &World, status: &str) -> Result<()> {
    let field = |text: &str, name: &str| -> Result<String> {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        Ok(line.with_context(|| format!("no {name}"))?.trim().to_owned())
    };
    let ours = fs::read_to_string("/proc/self/status")?;
    let mask = u64::from_str_radix(&field(&ours, "CapEff:")?, 16)?;
    let numbers = fs::read_to_string("/proc/self/uid_map")?;
    let is_able = numbers.contains("4294967295") && mask & PTRACE != 0;
    let ids = field(status, "Uid:")?;
    let id: u32 = ids.split_whitespace().next().context("no user")?.parse()?;
    ensure!((id != 0) == is_able, "as root: {is_able}; {status}");
    if !is_able {
        return Ok(());
    }
    for name in ["CapPrm:", "CapEff:", "CapAmb:"] {
        let set = field(status, name)?;
        ensure!(set.bytes().all(|digit| digit == b'0'), "{name} {set}");
    }
    ensure!(field(status, "Groups:")?.is_empty() && field(status, "NoNewPrivs:")? == "1");
    let canary = world.write("canary", "root's")?;
    fs::set_permissions(&canary, fs::Permissions::from_mode(0o600))?;
    let own = instance(world)?.join("disk.qcow2");
    for secret in [&canary, &own, Path::new("/etc/shadow")] {
        let seen = Command::new("cat").arg(secret).uid(id).gid(id).output()?;
        ensure!(!seen.status.success(), "this user reads {}", secret.display());
    }
    Ok(())
}

/// `CAP_SYS_PTRACE`.
const PTRACE: u64 = 1 << 19;

/// Every disk, and every one beneath it, has its format with it.
fn says_formats(node: &Value) -> Result<()> {
    if node.is_null() {
        return Ok(());
    }
    ensure!(["qcow2", "raw"].map(Value::from).contains(&node["driver"]), "{node}");
    ensure!(
        node["driver"] == "raw" || node.get("backing").is_some(),
        "a header is believed: {node}"
    );
    says_formats(&node["backing"])
}

/// The instance has ended, and its record says why.
fn ended(world: &World, words: &[&str]) -> Result<()> {
    poll::until("the end to be seen", LIMIT, || {
        (row(world, "box").ok()?["state"] == "exited").then_some(())
    })?;
    let record = world.tandem(["inspect", "box"])?.ok()?.json()?;
    let said = record[0]["exit"]["error"]["message"].as_str().context("no reason")?;
    ensure!(words.iter().all(|word| said.contains(word)), "{said}");
    Ok(())
}

/// QEMU's own check; clusters that nobody needs (3) are as after a power cut.
fn is_sound(disk: &Path) -> Result<()> {
    let output = Command::new("qemu-img").args(["check", "-f", "qcow2"]).arg(disk).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(matches!(output.status.code(), Some(0 | 3)), "{}: {text}", disk.display());
    Ok(())
}

/// A home of 240 MiB: enough for a machine, and for little else.
fn full(world: &World) -> Result<()> {
    super::archive::build_tools(world)?;
    let boots = [&["run", "--rm"], &TCG[..], &["--memory", "128m", "box:1", "true"]].concat();
    world.tandem_within(LIMIT, boots)?.ok()?;
    world.write("large/Dockerfile", "FROM box:1\nCOPY noise /noise\n")?;
    faults_disk::noise(&world.scratch().join("large/noise"), 40 << 20)?;
    world.tandem(["build", "-q", "-t", "large:1", "large"])?.ok()?;
    world.tandem(["save", "-o", "both.tar", "box:1", "large:1"])?.ok()?;

    let disk = faults_disk::small_disk(world, 240)?;
    let home = disk.path().join("home");
    let tandem = |words: &[&str]| elsewhere(world, &home, words);
    tandem(&["load", "-q", "-i", "both.tar"])?.ok()?;
    // The kernel is not what this is about.
    let record = fs::read(world.home().join("kernels/current.json"))?;
    let release = serde_json::from_slice::<Value>(&record)?["release"].clone();
    let release = release.as_str().context("no release")?;
    let mut copy = Command::new("cp");
    copy.arg("-r").arg(world.home().join("kernels/current.json"));
    copy.arg(world.home().join("kernels").join(release)).arg(home.join("kernels"));
    ensure!(copy.status()?.success(), "the kernel cannot be copied");
    let _ended = faults_disk::Ended::of(world, &home);
    let head = ["run", "-d", "--name", "up", "--memory", "128m", "--network", "none"];
    let start = |image: &'static str| [&head[..], &TCG, &[image, "sleep", "1000"]].concat();

    // In the middle of making a disk.
    let room = filler(disk.path(), 24 << 20)?;
    refused(tandem(&start("large:1"))?, &["no space"])?;
    fs::remove_file(&room)?;
    for folder in ["cache/disks", "tmp", "instances"] {
        let left = files_in(&home.join(folder));
        ensure!(left.is_empty(), "{folder} has {left:?}");
    }

    // In the middle of a snapshot, with 12 MiB left.
    tandem(&start("box:1"))?.ok()?;
    let room = filler(disk.path(), 12 << 20)?;
    refused(tandem(&["snapshot", "create", "--memory", "up", "warm"])?, &["no space"])?;
    let alive = tandem(&["exec", "up", "echo", "alive"])?.ok()?;
    ensure!(alive.line() == "alive", "{alive}");
    let rows = tandem(&["snapshot", "ls", "--json", "up"])?.ok()?.json()?;
    ensure!(rows.as_array().is_some_and(Vec::is_empty), "half a snapshot: {rows}");
    // One of the disk alone finds room.
    tandem(&["snapshot", "create", "up", "cold"])?.ok()?;

    // The guest's own writes are told to whoever writes.
    let fills = "dd if=/dev/urandom of=/fill bs=1M count=40 conv=fsync";
    let told = tandem(&["exec", "up", "sh", "-c", fills])?;
    ensure!(told.code != Some(0) && told.stderr.contains("error"), "{told}");
    tandem(&["stop", "-t", "1", "up"])?.ok()?;
    fs::remove_file(&room)?;
    let id = tandem(&["inspect", "up"])?.json()?[0]["id"].as_str().context("no id")?.to_owned();
    let instance = home.join("instances").join(&id);
    let layers: Vec<String> =
        files_in(&instance).into_iter().filter(|name| has_ending(name, "qcow2")).collect();
    ensure!(layers.len() == 2, "{layers:?}");
    for layer in layers {
        is_sound(&instance.join(layer))?;
    }
    // With room again it goes on.
    tandem(&["start", "up"])?.ok()?;
    tandem(&["snapshot", "create", "--memory", "up", "warm"])?.ok()?;
    tandem(&["rm", "-f", "up"])?.ok()?;
    for image in ["box:1", "large:1"] {
        world.tandem(["image", "rm", image])?.ok()?;
    }
    Ok(())
}

/// A file that leaves so much room.
fn filler(folder: &Path, left: u64) -> Result<PathBuf> {
    let there = nix::sys::statvfs::statvfs(folder)?;
    let free = there.blocks_available() * there.fragment_size();
    let path = folder.join("filler");
    let size = free.checked_sub(left).with_context(|| format!("only {free} bytes are free"))?;
    nix::fcntl::posix_fallocate(fs::File::create(&path)?, 0, size.try_into()?)?;
    Ok(path)
}

/// Names in a folder, without hidden ones and locks.
fn files_in(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| !name.starts_with('.') && !has_ending(name, "lock")).collect()
}

fn has_ending(name: &str, ending: &str) -> bool {
    Path::new(name).extension().is_some_and(|it| it == ending)
}
