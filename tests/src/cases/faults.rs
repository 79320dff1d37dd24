//! Killed at any moment, a hundred times: whatever is at work then (the
//! command, one of its helpers, a supervisor, an app, or all at once) gets
//! SIGKILL. Afterwards the lists are true, nothing is left without an owner,
//! the store is sound, and the same work succeeds.
//!
//! The moments come from a seed, which a failure names; `TANDEM_FAULT_SEED`
//! takes another one.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context as _, Result, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use rand::{RngExt as _, SeedableRng as _, rngs::ChaCha12Rng, seq::IndexedRandom as _};
use serde_json::Value;

use super::archive::build_tools;
use crate::{Case, Need, Output, Start, World, poll, registry_peer::RegistryPeer};

pub(super) const CASES: &[Case] = &[Case {
    name: "faults::a_hundred_kills_at_any_moment",
    needs: &[Need::Root, Need::Program("busybox"), Need::Program("docker-registry")],
    start: Start::Empty,
    run: kills,
}];

/// How often each piece of work is killed.
const ROUNDS: usize = 9;

/// How long a command may take whose helper was killed under it.
const LIMIT: Duration = Duration::from_mins(1);

/// One piece of work: what it needs, and how to see that it was done.
struct Work {
    name: &'static str,
    /// Brings the home to where the work begins, from wherever it is.
    before: fn(&World, &str) -> Result<()>,
    /// The command, for the round with this mark.
    command: fn(&str) -> Vec<String>,
    /// Looks whether the work is done.
    proof: fn(&World, &str) -> Result<()>,
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

fn tandem(world: &World, text: &str) -> Result<Output> {
    world.tandem_within(LIMIT, words(text))?.ok()
}

const WORKS: &[Work] = &[
    Work {
        name: "build",
        before: |_, _| Ok(()),
        command: |mark| words(&format!("build -q --build-arg MARK={mark} -t built recipe")),
        proof: |world, mark| {
            let seen = tandem(world, "run --rm --network none built cat /mark")?;
            ensure!(seen.line() == mark, "another build's image has the name\n{seen}");
            Ok(())
        },
    },
    Work {
        name: "pull",
        before: |world, _| forget(world, "/noise"),
        command: |_| words("pull REGISTRY/noise:1"),
        proof: |world, _| {
            let images = tandem(world, "images --json")?.stdout;
            ensure!(images.contains("/noise"), "{images}");
            Ok(())
        },
    },
    Work {
        name: "run",
        before: |_, _| Ok(()),
        command: |_| words("run --rm -v data:/data box:1 sh -c sleep${IFS}0.05"),
        proof: |_, _| Ok(()),
    },
    Work {
        name: "run -d",
        before: |_, _| Ok(()),
        command: |_| words("run -d --name it -p :80 --restart always box:1 sleep 600"),
        proof: |world, _| runs(world, "it"),
    },
    Work {
        name: "commit",
        before: busy,
        command: |_| words("commit it committed"),
        proof: |world, mark| {
            let seen = tandem(world, "run --rm --network none committed cat /mark")?;
            ensure!(seen.line() == mark, "another state was committed\n{seen}");
            runs(world, "it")
        },
    },
    Work {
        name: "snapshot create",
        before: busy,
        command: |_| words("snapshot create it one"),
        proof: |world, _| {
            let rows = tandem(world, "snapshot ls --json it")?.json()?;
            ensure!(rows.as_array().is_some_and(|rows| rows.len() == 1), "{rows}");
            runs(world, "it")
        },
    },
    Work {
        name: "snapshot restore",
        before: |world, mark| {
            busy(world, mark)?;
            tandem(world, "snapshot create it one")?;
            tandem(world, "exec it rm /mark").map(drop)
        },
        command: |_| words("snapshot restore it one"),
        proof: |world, mark| {
            let _ = world.tandem(words("start it"))?;
            let seen = tandem(world, "exec it cat /mark")?;
            ensure!(seen.line() == mark, "another state came back\n{seen}");
            Ok(())
        },
    },
    Work {
        name: "snapshot rm",
        before: |world, mark| {
            busy(world, mark)?;
            tandem(world, "snapshot create it one").map(drop)
        },
        command: |_| words("snapshot rm it one"),
        proof: |world, _| runs(world, "it"),
    },
    Work {
        name: "delete",
        before: busy,
        command: |_| words("rm -f it"),
        proof: |world, _| {
            let rows = tandem(world, "ps -a --json")?.json()?;
            ensure!(rows.as_array().is_some_and(Vec::is_empty), "{rows}");
            Ok(())
        },
    },
    Work {
        name: "load",
        before: |world, _| forget(world, "loaded"),
        command: |_| words("load -q -i loaded.tar"),
        proof: |world, _| {
            let seen = tandem(world, "run --rm --network none loaded:1")?;
            ensure!(seen.line() == "hello from the box", "{seen}");
            Ok(())
        },
    },
    Work {
        name: "save",
        before: |_, _| Ok(()),
        command: |_| words("save -o saved.tar box:1"),
        proof: |world, _| {
            ensure!(world.scratch().join("saved.tar").metadata()?.len() > 100_000);
            Ok(())
        },
    },
    Work {
        name: "restart",
        before: busy,
        command: |_| words("restart -t 0 it"),
        proof: |world, _| runs(world, "it"),
    },
];

/// Takes an image and all that it alone needed away.
fn forget(world: &World, name: &str) -> Result<()> {
    let images = tandem(world, "images --json")?.json()?;
    for row in images.as_array().into_iter().flatten() {
        let found = row["name"].as_str().filter(|it| it.contains(name));
        if let (Some(found), Some(tag)) = (found, row["tag"].as_str()) {
            tandem(world, &format!("image rm {found}:{tag}"))?;
        }
    }
    tandem(world, "system prune -f").map(drop)
}

fn busy(world: &World, mark: &str) -> Result<()> {
    tandem(world, "run -d --name it --network none --stop-signal KILL box:1 sleep 600")?;
    let script = format!("echo {mark} > /mark; head -c 300000 /dev/zero > /big; mkdir -p /a/b");
    world.tandem_within(LIMIT, ["exec", "it", "sh", "-c", &script])?.ok().map(drop)
}

fn runs(world: &World, name: &str) -> Result<()> {
    let row = super::container::row(world, name)?;
    ensure!(row["state"] == "running", "{row}");
    Ok(())
}

fn prepare(world: &World, registry: &RegistryPeer) -> Result<()> {
    build_tools(world)?;
    let recipe = "FROM box:1\nARG MARK\n\
        RUN [\"/bin/busybox\", \"sh\", \"-c\", \"echo $MARK > /mark\"]\n\
        COPY noise /noise\nRUN [\"/bin/busybox\", \"sleep\", \"0.05\"]\n";
    world.write("recipe/Dockerfile", recipe)?;
    fs::write(world.scratch().join("recipe/noise"), noise(3 << 20))?;
    let image = format!("{}/noise:1", registry.address());
    tandem(world, &format!("build -q --build-arg MARK=0 -t {image} recipe"))?;
    tandem(world, &format!("push -q {image}"))?;
    tandem(world, &format!("image rm {image}"))?;
    tandem(world, "build -q --build-arg MARK=0 -t loaded:1 recipe")?;
    tandem(world, "save -o loaded.tar loaded:1")?;
    tandem(world, "image rm loaded:1")?;
    tandem(world, "volume create data").map(drop)
}

/// Bytes that no compression makes smaller, the same each time.
fn noise(count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    rand::Rng::fill_bytes(&mut ChaCha12Rng::seed_from_u64(1), &mut bytes);
    bytes
}

/// The seed of this run.
pub(super) fn seed() -> u64 {
    std::env::var("TANDEM_FAULT_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(7)
}

fn kills(world: &World) -> Result<()> {
    let registry = RegistryPeer::plain(world)?;
    prepare(world, &registry)?;
    let seed = seed();
    let mut random = ChaCha12Rng::seed_from_u64(seed);
    let address = registry.address().to_string();
    for work in WORKS {
        let begin = Instant::now();
        hound(world, work, ROUNDS, &address, &mut random)
            .with_context(|| format!("`{}` with TANDEM_FAULT_SEED={seed}", work.name))?;
        eprintln!("{}: {ROUNDS} kills in {:.1} s", work.name, begin.elapsed().as_secs_f64());
    }
    Ok(())
}

/// Kills a piece of work so many times, and lets it succeed after each.
fn hound(
    world: &World,
    work: &Work,
    rounds: usize,
    registry: &str,
    random: &mut ChaCha12Rng,
) -> Result<()> {
    let command = |mark: &str| -> Vec<String> {
        let words = (work.command)(mark).into_iter();
        words.map(|it| it.replace("REGISTRY", registry).replace("${IFS}", " ")).collect()
    };
    // How long it takes when nobody disturbs.
    (work.before)(world, "first")?;
    let mut usual = world.tandem_within(4 * LIMIT, command("first"))?.ok()?.elapsed;
    (work.proof)(world, "first")?;
    clear(world)?;
    for round in 0..rounds {
        let mark = format!("{}-{round}", work.name.replace(' ', "-"));
        let at = usual.mul_f64(random.random_range(0.0..1.1));
        let victim = *[Victim::Command, Victim::Command, Victim::One, Victim::All]
            .choose(random)
            .context("a victim")?;
        (work.before)(world, &mark)?;
        let mut running = world.background(command(&mark))?;
        thread::sleep(at);
        victim.kill(world, running.pid(), random);
        let rest = || -> Result<Duration> {
            running.wait(4 * LIMIT)?;
            is_truthful(world)?;
            clear(world)?;
            (work.before)(world, &mark)?;
            let again = world.tandem_within(4 * LIMIT, command(&mark))?.ok()?.elapsed;
            (work.proof)(world, &mark)?;
            clear(world)?;
            is_sound(world, world.home())?;
            Ok(again)
        };
        let mut rest = rest;
        usual = usual.min(rest().with_context(|| format!("round {round}, {victim:?} at {at:?}"))?);
    }
    Ok(())
}

/// Whom it hits.
#[derive(Debug, Clone, Copy)]
pub(super) enum Victim {
    /// The command that a person has typed.
    Command,
    /// Any one process of the home.
    One,
    /// All of them, as when a machine's memory is gone.
    All,
}

impl Victim {
    pub(super) fn kill(self, world: &World, command: u32, random: &mut ChaCha12Rng) {
        let all = world.processes();
        let chosen: Vec<u32> = match self {
            Self::Command => vec![command],
            Self::One => all.choose(random).copied().into_iter().collect(),
            Self::All => all,
        };
        for pid in chosen {
            // It may have ended meanwhile.
            let _ = kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL);
        }
    }
}

/// The lists agree with what there is: a supervisor may need a moment to
/// notice an end.
pub(super) fn is_truthful(world: &World) -> Result<()> {
    let alive =
        |pid: &Value| pid.as_u64().is_some_and(|pid| Path::new(&format!("/proc/{pid}")).exists());
    poll::until("a truthful list", LIMIT, || {
        let rows = world.tandem(["ps", "-a", "--json"]).ok()?.ok().ok()?.json().ok()?;
        rows.as_array()?
            .iter()
            .all(|row| match row["state"].as_str() {
                Some("running" | "paused") => alive(&row["pid"]),
                Some("exited") => row["pid"].is_null(),
                Some("created" | "starting" | "restarting") => true,
                _ => false,
            })
            .then_some(())
    })?;
    let rows = tandem(world, "ps -a --json")?.json()?;
    for row in rows.as_array().into_iter().flatten() {
        let name = row["name"].as_str().context("no name")?;
        let seen = world.tandem(["inspect", name])?;
        // One that was to be removed at its end may just have been.
        ensure!(seen.code == Some(0) || super::container::row(world, name).is_err(), "{seen}");
    }
    Ok(())
}

/// Removes every instance; a launch that nobody waits for withdraws itself.
pub(super) fn clear(world: &World) -> Result<()> {
    poll::until("the instances to be removed", LIMIT, || {
        let rows = world.tandem(["ps", "-a", "--json"]).ok()?.json().ok()?;
        let rows = rows.as_array()?;
        for name in rows.iter().filter_map(|row| row["name"].as_str()) {
            let _ = world.tandem_within(LIMIT, ["rm", "-f", name]);
        }
        rows.is_empty().then_some(())
    })
}

/// Nothing is left on the machine, and the store has nothing but what a prune
/// takes: layers that no image needs (yet, or any more).
pub(super) fn is_sound(world: &World, home: &Path) -> Result<()> {
    let left = world.left_behind();
    ensure!(left.is_empty(), "left behind: {left:?}");
    let check = |more: &str| -> Result<Vec<Value>> {
        let mut command = world.command(words(&format!("system check --json{more}")));
        command.env("TANDEM_HOME", home);
        let report = world.finish(command)?;
        Ok(report.json()?["findings"].as_array().with_context(|| report.to_string())?.clone())
    };
    let found = check("")?;
    let bad = found.iter().find(|it| it["kind"] != "orphan");
    ensure!(bad.is_none(), "the store is damaged: {found:?}");
    // What was half-written in the moment of a kill counts once it is old.
    let half = half_written(home)?;
    let long_ago = SystemTime::now() - Duration::from_hours(1);
    for path in &half {
        fs::File::open(path)?.set_modified(long_ago)?;
    }
    if !(found.is_empty() && half.is_empty()) {
        check(" --repair")?;
        let left = check("")?;
        ensure!(left.is_empty(), "what nobody needs cannot be removed: {left:?}");
        let left = half_written(home)?;
        ensure!(left.is_empty(), "half-written files stay: {left:?}");
    }
    Ok(())
}

/// Files that have not got their names yet.
fn half_written(home: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![home.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let ours = !(folder.ends_with("layers") && name.len() == 64);
            if entry.file_type()?.is_dir() && ours {
                folders.push(entry.path());
            }
            if [".new-", ".tmp"].iter().any(|mark| name.starts_with(mark)) {
                found.push(entry.path());
            }
        }
    }
    Ok(found)
}
