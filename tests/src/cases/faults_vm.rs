//! A virtual machine killed at any moment of its start, its snapshot and its
//! return: the command, one of the processes (supervisor, QEMU, a helper), or
//! all at once. Afterwards the lists are true, its disks are sound, nothing is
//! left without an owner, and the same work succeeds.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use rand::{RngExt as _, SeedableRng as _, rngs::ChaCha12Rng};

use super::faults::{Victim, clear, is_truthful, seed};
use crate::{Case, Need, Start, World, poll};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "faults::a_machine_killed_at_any_moment",
        needs: &[Need::Root, Need::Program("qemu-system-x86_64"), Need::Program("qemu-img")],
        start: Start::Built,
        run: kills,
    },
    Case {
        name: "faults::a_disk_killed_on_its_way_in_or_out",
        needs: &[Need::Root, Need::Program("qemu-img")],
        start: Start::Empty,
        run: carried,
    },
];

/// An emulated boot on a busy machine.
const LIMIT: Duration = Duration::from_mins(4);

const START: &str = "run -d --name vm --backend vm --accelerator tcg --memory 192m \
                     --entrypoint sleep hello-flask 1000";

/// What is killed, and who is hit.
const ROUNDS: &[(&str, Victim)] = &[
    ("start", Victim::Command),
    ("start", Victim::One),
    ("start", Victim::All),
    ("snapshot create --memory", Victim::Command),
    ("snapshot create --memory", Victim::One),
    ("snapshot create --memory", Victim::All),
    ("snapshot restore", Victim::Command),
    ("snapshot restore", Victim::One),
    ("snapshot restore", Victim::All),
];

fn tandem(world: &World, text: &str) -> Result<crate::Output> {
    world.tandem_within(LIMIT, text.split_whitespace())
}

fn kills(world: &World) -> Result<()> {
    let seed = seed();
    let mut random = ChaCha12Rng::seed_from_u64(seed);
    let mut usual = Vec::new();
    // How long each takes when nobody disturbs.
    for text in [START, "snapshot create --memory vm one", "snapshot restore vm one"] {
        usual.push(tandem(world, text)?.ok()?.elapsed);
    }
    clear(world)?;
    for (number, (work, victim)) in ROUNDS.iter().enumerate() {
        let at = usual[number / 3].mul_f64(random.random_range(0.05..1.0));
        round(world, work, *victim, at, &mut random).with_context(|| {
            format!("round {number}: `{work}`, {victim:?} at {at:?}, TANDEM_FAULT_SEED={seed}")
        })?;
    }
    Ok(())
}

fn round(
    world: &World,
    work: &str,
    victim: Victim,
    at: Duration,
    random: &mut ChaCha12Rng,
) -> Result<()> {
    let command = match work {
        "start" => START.to_owned(),
        "snapshot restore" => {
            tandem(world, START)?.ok()?;
            tandem(world, "snapshot create --memory vm one")?.ok()?;
            format!("{work} vm one")
        }
        _ => {
            tandem(world, START)?.ok()?;
            format!("{work} vm one")
        }
    };
    let mut running = world.background(command.split_whitespace())?;
    thread::sleep(at);
    victim.kill(world, running.pid(), random);
    running.wait(LIMIT)?;
    is_truthful(world)?;
    disks_are_sound(world)?;
    // The same work succeeds: with what is there, or from the beginning.
    match work {
        "start" => {
            clear(world)?;
            tandem(world, START)?.ok()?;
        }
        "snapshot restore" => {
            tandem(world, "snapshot restore vm one")?.ok()?;
            // It comes back as it was: the kill may have caught it stopped.
            let _ = tandem(world, "start vm")?;
        }
        _ => {
            let _ = tandem(world, "start vm")?;
            tandem(world, "snapshot create --memory vm two")?.ok()?;
            tandem(world, "snapshot restore vm two")?.ok()?;
        }
    }
    let seen = tandem(world, "exec vm echo alive")?.ok()?;
    ensure!(seen.line() == "alive", "{seen}");
    clear(world)?;
    let left = world.left_behind();
    ensure!(left.is_empty(), "left behind: {left:?}");
    Ok(())
}

/// Disks that come from elsewhere and go there. Nothing boots.
fn carried(world: &World) -> Result<()> {
    let seed = seed();
    let mut random = ChaCha12Rng::seed_from_u64(seed);
    let mut bytes = vec![0; 160 << 20];
    rand::Rng::fill_bytes(&mut random, &mut bytes);
    // A boot sector.
    bytes[510..512].copy_from_slice(&[0x55, 0xaa]);
    fs::write(world.scratch().join("disk.raw"), &bytes)?;
    let import = "import --disk --name vm disk.raw";
    let export = "export --disk qcow2 -o out.qcow2 vm";
    let out = world.scratch().join("out.qcow2");
    let usual = [tandem(world, import)?.ok()?.elapsed, tandem(world, export)?.ok()?.elapsed];
    fs::remove_file(&out)?;
    for round in 0..10 {
        let (work, usual) = if round % 2 == 0 { (import, usual[0]) } else { (export, usual[1]) };
        if work == import {
            clear(world)?;
        }
        let victim = if round % 4 < 2 { Victim::Command } else { Victim::All };
        let at = usual.mul_f64(random.random_range(0.1..1.0));
        let mut running = world.background(work.split_whitespace())?;
        thread::sleep(at);
        victim.kill(world, running.pid(), &mut random);
        running.wait(LIMIT)?;
        let seen = || -> Result<()> {
            is_truthful(world)?;
            // Half a disk is no instance.
            let rows = world.tandem(["ps", "-a", "--json"])?.ok()?.json()?;
            let whole = rows.as_array().is_some_and(|rows| !rows.is_empty());
            ensure!(whole || work == import, "the exported machine is gone: {rows}");
            if whole {
                tandem(world, "export --disk raw -o again.raw vm")?.ok()?;
                let again = world.scratch().join("again.raw");
                ensure!(fs::read(&again)? == bytes, "half a disk counts as an instance");
                fs::remove_file(&again)?;
            } else {
                tandem(world, import)?.ok()?;
            }
            if out.exists() {
                is_whole(&out)?;
                fs::remove_file(&out)?;
            }
            tandem(world, export)?.ok()?;
            is_whole(&out)?;
            fs::remove_file(&out)?;
            let names = fs::read_dir(world.scratch())?.flatten();
            let left: Vec<_> =
                names.map(|it| it.file_name()).filter(|it| it != "disk.raw").collect();
            ensure!(left.is_empty(), "left behind: {left:?}");
            disks_are_sound(world)
        };
        seen().with_context(|| {
            format!("round {round}: `{work}`, {victim:?} at {at:?}, TANDEM_FAULT_SEED={seed}")
        })?;
    }
    clear(world)?;
    let left = world.left_behind();
    ensure!(left.is_empty(), "left behind: {left:?}");
    Ok(())
}

fn is_whole(disk: &Path) -> Result<()> {
    let output = Command::new("qemu-img").args(["check", "-f", "qcow2"]).arg(disk).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    Ok(())
}

/// Every disk of a machine that does not run passes QEMU's own check. What was
/// dirty when it was killed is no fault of the file: only errors count.
fn disks_are_sound(world: &World) -> Result<()> {
    let rows = world.tandem(["ps", "--json"])?.ok()?.json()?;
    if rows.as_array().is_some_and(|rows| !rows.is_empty()) {
        return Ok(());
    }
    for disk in disks(&world.home().join("instances"))? {
        let output = poll::until("the disk to be free", Duration::from_secs(30), || {
            let check = Command::new("qemu-img").args(["check", "-f", "qcow2"]).arg(&disk).output();
            // 1: somebody still has it open, or the check was not done.
            check.ok().filter(|output| output.status.code() != Some(1))
        })?;
        // 3: clusters that nobody needs, as after any power cut.
        ensure!(
            matches!(output.status.code(), Some(0 | 3)),
            "{}: {}",
            disk.display(),
            String::from_utf8_lossy(&output.stdout)
        );
    }
    Ok(())
}

fn disks(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)?.flatten() {
            match entry.file_type()? {
                kind if kind.is_dir() => folders.push(entry.path()),
                _ if entry.path().extension().is_some_and(|it| it == "qcow2") => {
                    found.push(entry.path());
                }
                _ => {}
            }
        }
    }
    Ok(found)
}
