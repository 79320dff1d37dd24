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

pub(super) const CASES: &[Case] = &[Case {
    name: "faults::a_machine_killed_at_any_moment",
    needs: &[Need::Root, Need::Program("qemu-system-x86_64"), Need::Program("qemu-img")],
    start: Start::Built,
    run: kills,
}];

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
