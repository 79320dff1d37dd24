//! Ctrl-C in work that copies much: it ends soon and nothing of it is left.

use std::{fs, io::Write as _, path::Path, thread, time::Duration};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;

use super::{archive::elsewhere, faults_disk::noise};
use crate::{Case, Need, Start, World, poll, registry_peer::RegistryPeer};

pub(super) const CASES: &[Case] = &[
    case("interrupt::an_export", export),
    case("interrupt::an_import", import),
    case("interrupt::a_commit", commit),
    case("interrupt::a_saved_and_a_loaded_image", archives),
    Case {
        name: "interrupt::a_pushed_image",
        needs: &[Need::Root, Need::Program("docker-registry")],
        start: Start::Empty,
        run: push,
    },
];

const fn case(name: &'static str, run: fn(&World) -> Result<()>) -> Case {
    Case { name, needs: &[Need::Root], start: Start::Built, run }
}

const LIMIT: Duration = Duration::from_mins(1);

/// How long work goes on before it is interrupted, milliseconds from its first
/// sign in the home on.
const MOMENTS: [u64; 3] = [0, 150, 700];

/// An instance that runs and has written more than is copied in a moment.
fn large(world: &World, name: &str) -> Result<()> {
    let script =
        "dd if=/dev/urandom of=/large bs=1M count=400 2>/dev/null; echo written; sleep 600";
    let words = ["run", "-d", "--name", name, "--network", "none", "--entrypoint", "sh"];
    world.tandem([&words[..], &["hello-flask", "-c", script]].concat())?.ok()?;
    poll::until("the file is written", LIMIT, || {
        (world.tandem(["logs", name]).ok()?.line() == "written").then_some(())
    })
}

/// Interrupts a command a while after its work folder has come. Returns whether
/// that was before its end.
fn interrupted(world: &World, words: &[&str], folder: &str, after: u64) -> Result<bool> {
    let mut command = world.background(words)?;
    let work = || names(&world.home().join("tmp")).into_iter().find(|it| it.starts_with(folder));
    poll::until("the work has begun", LIMIT, || {
        (work().is_some() || command.wait(Duration::ZERO).is_ok()).then_some(())
    })?;
    thread::sleep(Duration::from_millis(after));
    // It may have ended by now.
    let _ = command.signal(Signal::SIGINT);
    let code = command.wait(Duration::from_secs(20))?;
    ensure!(code == Some(130) || code == Some(0), "{words:?} ended with {code:?}");
    ensure!(work().is_none(), "{:?} is left", work());
    Ok(code == Some(130))
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// How many unpacked layers there are.
fn layers(world: &World) -> Result<Option<u64>> {
    let df = world.tandem(["system", "df", "--json"])?.ok()?.json()?;
    ensure!(df["rows"][1]["kind"] == "layers", "{df}");
    Ok(df["rows"][1]["count"].as_u64())
}

/// It runs on, and the next command finds nothing to clear away.
fn is_well(world: &World, name: &str) -> Result<()> {
    let state = world.tandem(["inspect", "-f", "{{.State.Status}}", name])?.ok()?;
    ensure!(state.line() == "running" && state.stderr.is_empty(), "{state}");
    Ok(())
}

fn export(world: &World) -> Result<()> {
    large(world, "interrupted-export")?;
    let folder = world.scratch().join("out");
    fs::create_dir(&folder)?;
    let file = folder.join("instance.tandem");
    let shown = file.to_string_lossy().into_owned();
    let words = ["export", "-o", &shown, "interrupted-export"];
    let mut early = 0;
    for after in MOMENTS {
        if interrupted(world, &words, "export-", after)? {
            early += 1;
            ensure!(names(&folder).is_empty(), "{:?} is left", names(&folder));
        } else {
            fs::remove_file(&file)?;
        }
        is_well(world, "interrupted-export")?;
    }
    ensure!(early > 0, "every export was quicker than its interrupt");
    // A folder that is not there is told before anything is copied.
    let lost = folder.join("none/x").to_string_lossy().into_owned();
    let refused = world.tandem(["export", "-o", &lost, "interrupted-export"])?.code_is(125)?;
    refused.is_one_sentence(&["none/x", "make the folder first"])?;
    world.tandem(["rm", "-f", "interrupted-export"])?.ok()?;
    Ok(())
}

fn import(world: &World) -> Result<()> {
    large(world, "interrupted-import")?;
    let file = world.scratch().join("instance.tandem").to_string_lossy().into_owned();
    world.tandem(["export", "-o", &file, "interrupted-import"])?.ok()?;
    let words = ["import", "--name", "interrupted-other", &file];
    let mut early = 0;
    for after in MOMENTS {
        if interrupted(world, &words, "import-", after)? {
            early += 1;
            let made = world.tandem(["inspect", "interrupted-other"])?.code_is(125)?;
            ensure!(!made.stderr.contains("after a crash"), "{made}");
        } else {
            world.tandem(["rm", "interrupted-other"])?.ok()?;
        }
    }
    ensure!(early > 0, "every import was quicker than its interrupt");
    world.tandem(words)?.ok()?;
    world.tandem(["rm", "interrupted-other"])?.ok()?;
    world.tandem(["rm", "-f", "interrupted-import"])?.ok()?;
    Ok(())
}

fn commit(world: &World) -> Result<()> {
    large(world, "interrupted-commit")?;
    let words = ["commit", "interrupted-commit", "interrupted:image"];
    let before = layers(world)?;
    let mut early = 0;
    for after in MOMENTS {
        if interrupted(world, &words, "commit-", after)? {
            early += 1;
            let made = world.tandem(["images", "-q", "interrupted"])?.ok()?;
            ensure!(made.line().is_empty() && made.stderr.is_empty(), "{made}");
        } else {
            world.tandem(["image", "rm", "interrupted:image"])?.ok()?;
        }
        is_well(world, "interrupted-commit")?;
    }
    ensure!(early > 0, "every commit was quicker than its interrupt");
    ensure!(layers(world)? == before, "a layer is left");
    world.tandem(["rm", "-f", "interrupted-commit"])?.ok()?;
    Ok(())
}

fn archives(world: &World) -> Result<()> {
    let folder = world.scratch().join("out");
    fs::create_dir(&folder)?;
    let file = folder.join("image.tar");
    let shown = file.to_string_lossy().into_owned();
    for after in [0, 20, 60] {
        let mut save = world.background(["save", "-o", &shown, "hello-flask"])?;
        thread::sleep(Duration::from_millis(after));
        save.signal(Signal::SIGINT)?;
        // Before it listens, the signal itself ends it.
        let code = save.wait(LIMIT)?;
        ensure!(code != Some(125), "{code:?}");
        let left = names(&folder);
        ensure!(left.is_empty() || (code == Some(0) && left == ["image.tar"]), "{code:?} {left:?}");
        let _ = fs::remove_file(&file);
    }
    world.tandem(["save", "-o", &shown, "hello-flask"])?.ok()?;
    let before = layers(world)?;
    for after in [0, 20, 60] {
        let mut load = world.background(["load", "-i", &shown])?;
        thread::sleep(Duration::from_millis(after));
        load.signal(Signal::SIGINT)?;
        load.wait(LIMIT)?;
        let told = world.tandem(["images", "-q"])?.ok()?;
        ensure!(told.stderr.is_empty(), "{told}");
    }
    ensure!(layers(world)? == before, "a layer is left");
    let lost = folder.join("none/x").to_string_lossy().into_owned();
    let refused = world.tandem(["save", "-o", &lost, "hello-flask"])?.code_is(125)?;
    refused.is_one_sentence(&["none/x", "make the folder first"]).context("save")
}

/// Nothing has a name in the registry before all of it is there, and the same
/// push is done afterwards.
fn push(world: &World) -> Result<()> {
    let registry = RegistryPeer::plain(world)?;
    world.write("large/Dockerfile", "FROM scratch\nCOPY one /one\nCOPY two /two\n")?;
    let image = |after: u64| format!("{}/large:{after}", registry.address());
    let other = world.scratch().join("other");
    let mut early = 0;
    for after in [30, 80, 150, 400] {
        let image = image(after);
        // Others each time: what is there already is not sent again.
        for name in ["one", "two"] {
            let file = world.scratch().join("large").join(name);
            noise(&file, 80 << 20)?;
            fs::OpenOptions::new().append(true).open(file)?.write_all(image.as_bytes())?;
        }
        world.tandem(["build", "-q", "-t", &image, "large"])?.ok()?;
        let mut push = world.background(["push", "-q", &image])?;
        thread::sleep(Duration::from_millis(after));
        let _ = push.signal(Signal::SIGINT);
        // Before it listens, the signal itself ends it.
        let code = push.wait(Duration::from_secs(20))?;
        ensure!(matches!(code, Some(130 | 0) | None), "it ended with {code:?}");
        if code != Some(0) {
            early += 1;
            let none = elsewhere(world, &other, &["pull", "-q", &image])?.code_is(125)?;
            none.is_one_sentence(&["large"])?;
        }
    }
    ensure!(early > 0, "every push was quicker than its interrupt");
    world.tandem(["push", "-q", &image(30)])?.ok()?;
    elsewhere(world, &other, &["pull", "-q", &image(30)])?.ok()?;
    Ok(())
}
