//! After a `kill -9`, a cancelled launch, an owner that is gone.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use tandem_backend::Backend as _;
use tandem_model::{BackendKind, InstanceState};

use crate::{
    trial,
    world::{World, wait_for},
};

pub(crate) fn all() -> Vec<Trial> {
    vec![
        trial("clean::kill_9_of_a_container_supervisor", || killed(BackendKind::Container)),
        trial("clean::kill_9_of_a_process_supervisor", || killed(BackendKind::Process)),
        trial("clean::kill_9_at_any_moment_of_a_launch", killed_while_starting),
        trial("clean::one_is_taken_away_at_any_moment_of_its_launch", taken_while_starting),
        trial("clean::a_removed_instance_takes_nothing_along", removed),
        trial("clean::an_owner_that_ends_takes_its_instance_along", owner),
        trial("clean::descriptors_do_not_leak", descriptors),
    ]
}

fn kill(pid: u32) -> Result<()> {
    let pid = rustix::process::Pid::from_raw(pid.try_into()?).context("a pid")?;
    Ok(rustix::process::kill_process(pid, rustix::process::Signal::KILL)?)
}

fn killed(lane: BackendKind) -> Result<()> {
    let world = World::new()?;
    let script = "setsid sleep 1000 & echo up; sleep 1000";
    let record = world.start(world.spec(lane, &["sh", "-c", script]))?;
    wait_for("the app", || Ok(world.log(&record)?.contains("up").then_some(())))?;
    kill(record.runtime.supervisor.context("no supervisor")?.pid)?;
    let reaped = wait_for("the lock", || {
        let lines = world.block_on(async {
            match lane {
                BackendKind::Process => world.processes().reap(&record.id).await,
                _ => world.containers().reap(&record.id).await,
            }
        })?;
        Ok((!lines.is_empty()).then_some(lines))
    })?;
    ensure!(world.traces(&record).is_empty(), "{:?} after {reaped:?}", world.traces(&record));
    let record = world.store.load(&record.id)?;
    ensure!(record.state == InstanceState::Exited, "{:?}", record.state);
    ensure!(record.exit.is_some_and(|exit| exit.code == 137));
    Ok(())
}

fn killed_while_starting() -> Result<()> {
    let world = World::new()?;
    for wait in [0, 2, 4, 6, 8, 10, 12, 15, 20, 25, 30, 40, 60, 90] {
        let record =
            world.block_on(world.containers().create(world.container(&["sleep", "1000"])))?;
        let mut supervisor = std::process::Command::new(std::env::current_exe()?)
            .args([tandem_backend::SUPERVISE])
            .arg(world.home.root())
            .arg(record.id.as_str())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::null())
            .spawn()?;
        std::thread::sleep(Duration::from_millis(wait));
        supervisor.kill()?;
        supervisor.wait()?;
        wait_for("the instance to be reaped", || {
            world.block_on(world.containers().reap(&record.id))?;
            let state = world.store.load(&record.id)?.state;
            let over = matches!(state, InstanceState::Exited | InstanceState::Created);
            Ok((over && world.traces(&record).is_empty()).then_some(()))
        })
        .with_context(|| format!("killed after {wait} ms: {:?}", world.traces(&record)))?;
    }
    Ok(())
}

/// Its supervisor may be there and not listen yet, or not be there yet; and one
/// that comes too late makes nothing anew.
fn taken_while_starting() -> Result<()> {
    for wait in (0..20).chain([25, 30, 40, 60]).map(Duration::from_millis) {
        let world = World::new()?;
        let backend = world.containers();
        world.block_on(async {
            let record = backend.create(world.container(&["sleep", "1000"])).await?;
            let mut phase = |_| {};
            let start = backend.start(&record.id, &mut phase);
            let _ = tokio::time::timeout(wait, start).await;
            backend.take_away(&record.id, Some(Duration::ZERO)).await?;
            ensure!(world.store.list()?.is_empty(), "it is there still after {wait:?}");
            std::fs::remove_dir_all(world.home.root())?;
            tokio::time::sleep(Duration::from_millis(50)).await;
            ensure!(!world.home.root().exists(), "its home came back after {wait:?}");
            ensure!(world.traces(&record).is_empty(), "{:?}", world.traces(&record));
            anyhow::Ok(())
        })?;
    }
    Ok(())
}

fn removed() -> Result<()> {
    let world = World::new()?;
    for lane in [BackendKind::Container, BackendKind::Process] {
        let mut spec = world.spec(lane, &["sh", "-c", "echo x > /srv/page"]);
        spec.remove = true;
        let record = world.start(spec)?;
        wait_for("the instance to go", || {
            Ok((!world.store.dir(&record.id).exists()).then_some(()))
        })?;
        ensure!(std::path::Path::new("/dev/null").exists(), "the host's devices are gone");
    }
    let (_, log) = world.run(world.container(&["cat", "/srv/page"]))?;
    ensure!(log == "a page\n", "the image was changed: {log}");
    Ok(())
}

fn owner() -> Result<()> {
    let world = World::new()?;
    let mut owner = std::process::Command::new("sleep").arg("1000").spawn()?;
    let mut spec = world.container(&["sleep", "1000"]);
    spec.owner = tandem_probe::identity(owner.id());
    let record = world.start(spec)?;
    owner.kill()?;
    owner.wait()?;
    wait_for("the instance to go", || Ok((!world.store.dir(&record.id).exists()).then_some(())))?;
    ensure!(world.traces(&record).is_empty(), "{:?}", world.traces(&record));
    Ok(())
}

fn descriptors() -> Result<()> {
    let world = World::new()?;
    let count = || Ok::<_, anyhow::Error>(std::fs::read_dir("/proc/self/fd")?.count());
    let once = || -> Result<()> {
        let record = world.start(world.container(&["true"]))?;
        world.end(&record)?;
        // The supervisor lets go a moment after it wrote the end down.
        wait_for("the instance to be removable", || {
            Ok(world.block_on(world.containers().remove(&record.id)).ok())
        })
    };
    once()?;
    let before = count()?;
    for _ in 0..5 {
        once()?;
    }
    let after = count()?;
    ensure!(after <= before, "{before} descriptors before, {after} after");
    Ok(())
}
