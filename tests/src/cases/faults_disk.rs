//! A data folder that is full, one that cannot be written to, and a clock that
//! jumps.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use rand::{SeedableRng as _, rngs::ChaCha12Rng};

use super::{
    archive::{build_tools, elsewhere},
    faults::is_sound,
};
use crate::{Case, Need, Output, Start, World, poll, registry_peer::RegistryPeer};

const BOX: &[Need] = &[Need::Root, Need::Program("busybox")];

pub(super) const CASES: &[Case] = &[
    Case {
        name: "faults::a_full_data_folder_loses_nothing",
        needs: &[Need::Root, Need::Program("busybox"), Need::Program("docker-registry")],
        start: Start::Empty,
        run: full,
    },
    Case {
        name: "faults::a_data_folder_that_cannot_be_written_to_can_be_looked_at",
        needs: BOX,
        start: Start::Empty,
        run: read_only,
    },
    Case {
        name: "faults::a_clock_that_jumps_changes_nothing",
        needs: &[Need::Root, Need::Program("busybox"), Need::Program("faketime")],
        start: Start::Empty,
        run: clock,
    },
];

const LIMIT: Duration = Duration::from_mins(1);

fn words(text: &str) -> Vec<&str> {
    text.split(' ').collect()
}

/// A mount of the case's own, gone with the value.
pub(super) struct Mounted(PathBuf);

impl Mounted {
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

/// Ends the instance of a home of the case's own, also when the case failed.
pub(super) struct Ended<'a>(&'a World, &'a Path);

impl<'a> Ended<'a> {
    pub(super) fn of(world: &'a World, home: &'a Path) -> Self {
        Self(world, home)
    }
}

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        let _ = elsewhere(self.0, self.1, &["rm", "-f", "up"]);
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
    }
}

/// So many MiB and not a byte more.
pub(super) fn small_disk(world: &World, mib: u32) -> Result<Mounted> {
    let folder = world.scratch().join("small");
    fs::create_dir(&folder)?;
    let options = format!("size={mib}m,mode=700");
    mount(Some("small"), &folder, Some("tmpfs"), MsFlags::empty(), Some(options.as_str()))?;
    Ok(Mounted(folder))
}

/// Bytes that no compression makes smaller.
pub(super) fn noise(path: &Path, count: usize) -> Result<()> {
    let mut bytes = vec![0; count];
    rand::Rng::fill_bytes(&mut ChaCha12Rng::seed_from_u64(64), &mut bytes);
    Ok(fs::write(path, bytes)?)
}

fn full(world: &World) -> Result<()> {
    let registry = RegistryPeer::plain(world)?;
    let disk = small_disk(world, 64)?;
    let home = disk.0.join("home");
    let tandem = |text: &str| elsewhere(world, &home, &words(text));
    // What is too big, made where there is room.
    build_tools(world)?;
    world.write("large/Dockerfile", "FROM box:1\nCOPY noise /noise\n")?;
    noise(&world.scratch().join("large/noise"), 70 << 20)?;
    let large = format!("{}/large:1", registry.address());
    world.tandem(["build", "-q", "-t", &large, "large"])?.ok()?;
    world.tandem(["push", "-q", &large])?.ok()?;
    world.tandem(["save", "-o", "large.tar", &large])?.ok()?;
    world.tandem(["save", "-o", "box.tar", "box:1"])?.ok()?;

    tandem("load -q -i box.tar")?.ok()?;
    let _ended = Ended(world, &home);
    tandem("run -d --name up --network none box:1 sleep 600")?.ok()?;
    let refused = |text: &str| -> Result<()> {
        let before = taken(&home)?;
        let output = tandem(text)?;
        is_clear(&output)?;
        let after = taken(&home)?;
        let more = after.saturating_sub(before);
        ensure!(more < 1 << 20, "{more} bytes stay after `{text}`\n{output}");
        Ok(())
    };
    refused("build -q -t large large")?;
    refused("load -q -i large.tar")?;
    refused(&format!("pull -q {large}"))?;

    // An app that fills it is told by its own write, and is not ended.
    let fills = ["exec", "up", "sh", "-c", "cat /dev/zero > /zeros"];
    let output = elsewhere(world, &home, &fills)?;
    ensure!(output.code == Some(1) && output.stderr.contains("No space"), "{output}");
    ensure!(fs::write(disk.0.join("more"), "x").is_err(), "there is room left");
    for text in ["commit up committed", "run --rm --network none box:1 true", "volume create new"] {
        is_clear(&tandem(text)?)?;
    }
    // What it has done is not lost, and can be looked at and ended.
    let rows = tandem("ps --json")?.ok()?.json()?;
    ensure!(rows.as_array().is_some_and(|rows| rows.len() == 1), "{rows}");
    for text in ["inspect up", "images", "logs up", "exec up true", "system df", "stop -t 0 up"] {
        tandem(text)?.ok()?;
    }
    let rows = tandem("ps -a --json")?.ok()?.json()?;
    ensure!(rows[0]["state"] == "exited", "{rows}");

    // With room again everything works.
    tandem("rm -f up")?.ok()?;
    let output = tandem("run --rm --network none box:1")?.ok()?;
    ensure!(output.line() == "hello from the box", "{output}");
    is_sound(world, &home)
}

/// One sentence, with the code of a command that Tandem itself cannot do.
fn is_clear(output: &Output) -> Result<()> {
    ensure!(output.code == Some(125), "{output}");
    let mut lines = output.stderr.lines().filter(|line| line.starts_with("tandem: "));
    let (line, more) = (lines.next().context("no reason")?, lines.next());
    let known = ["disk is full", "No space left", "no room", "free"];
    ensure!(more.is_none() && known.iter().any(|it| line.contains(it)), "{output}");
    Ok(())
}

/// Bytes below a folder.
fn taken(folder: &Path) -> Result<u64> {
    let output = Command::new("du").args(["-sk", "--apparent-size"]).arg(folder).output()?;
    let text = String::from_utf8(output.stdout)?;
    let kib: u64 = text.split_whitespace().next().context("du says nothing")?.parse()?;
    Ok(kib << 10)
}

fn read_only(world: &World) -> Result<()> {
    build_tools(world)?;
    world.tandem(words("run -d --name up --network none box:1 sleep 600"))?.ok()?;
    let folder = world.scratch().join("seen");
    fs::create_dir(&folder)?;
    let none: Option<&str> = None;
    mount(Some(world.home()), &folder, none, MsFlags::MS_BIND, none)?;
    let seen = Mounted(folder);
    let flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
    mount(none, &seen.0, none, flags, none)?;
    let tandem = |text: &str| elsewhere(world, &seen.0, &words(text));
    for text in [
        "ps -a",
        "images",
        "inspect up",
        "image inspect box:1",
        "logs up",
        "top up",
        "stats --no-stream up",
        "exec up true",
        "volume ls",
        "network ls",
        "system df",
        "snapshot ls up",
        "result ls",
        "lesson ls",
        "doctor",
    ] {
        tandem(text)?.ok()?;
    }
    for text in ["run --rm box:1 true", "tag box:1 other", "volume create new", "rm -f up"] {
        let output = tandem(text)?;
        let reason = "Read-only file system";
        ensure!(output.code == Some(125) && output.stderr.contains(reason), "{output}");
        ensure!(output.stderr.matches(reason).count() == 1, "said twice: {output}");
        ensure!(output.stderr.contains("--home"), "what next? {output}");
    }
    drop(seen);
    let row = super::container::row(world, "up");
    // `rm -f` had ended it before it could not remove it.
    ensure!(row?["state"] == "exited");
    world.tandem(words("rm up"))?.ok()?;
    is_sound(world, world.home())
}

/// The library that answers for the machine's clock.
pub(super) fn faked() -> Option<PathBuf> {
    let folders = fs::read_dir("/usr/lib").into_iter().flatten().flatten().map(|it| it.path());
    let folders = folders.chain(["/usr/lib64".into()]);
    folders.map(|it| it.join("faketime/libfaketimeMT.so.1")).find(|it| it.exists())
}

/// The same commands a year ahead and a year behind, as when a machine's clock
/// is set while instances run.
fn clock(world: &World) -> Result<()> {
    build_tools(world)?;
    let library = faked().context("there is no libfaketimeMT.so.1")?;
    let shifted = |shift: &str, text: &str| -> Result<Output> {
        let mut command = world.command(words(text));
        command.env("LD_PRELOAD", &library).env("FAKETIME", shift).env("DONT_FAKE_MONOTONIC", "1");
        world.finish(command)
    };
    let health = "--health-cmd true --health-interval 100ms";
    for (name, then, now) in [("ahead", "+365d", "+0d"), ("behind", "-365d", "+0d")] {
        shifted(then, &format!("run -d --name {name} --restart always {health} box:1 sleep 600"))?
            .ok()?;
        poll::until("a health check", LIMIT, || {
            let row = shifted(now, "ps --json").ok()?.json().ok()?;
            (row[0]["health"] == "healthy").then_some(())
        })?;
        for text in [
            format!("inspect {name}"),
            format!("logs --since 1h {name}"),
            format!("stats --no-stream {name}"),
            format!("exec {name} true"),
            format!("restart -t 0 {name}"),
            format!("snapshot create {name} one"),
        ] {
            shifted(now, &text)?.ok()?;
        }
        let stopped = shifted(now, &format!("stop -t 1 {name}"))?.ok()?;
        ensure!(stopped.elapsed < LIMIT, "{stopped}");
        shifted(then, &format!("start {name}"))?.ok()?;
        shifted(now, &format!("rm -f {name}"))?.ok()?;
    }
    is_sound(world, world.home())
}
