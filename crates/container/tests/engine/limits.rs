//! Limits, read back from inside and by what they do.

use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use tandem_model::{ErrorCode, Resources};

use crate::{trial, world::World};

pub(crate) fn all() -> Vec<Trial> {
    vec![
        trial("limits::the_kernel_holds_them", held),
        trial("limits::too_much_memory_is_said_so", out_of_memory),
        trial("limits::too_many_processes_are_refused", too_many_processes),
        trial("limits::an_impossible_limit_is_refused", impossible),
    ]
}

fn held() -> Result<()> {
    let world = World::new()?;
    let mut spec = world.container(&["sleep", "1000"]);
    let wanted = Resources { memory_bytes: Some(64 << 20), milli_cpus: Some(500), pids: Some(50) };
    spec.resources = wanted;
    let record = world.start(spec)?;
    let limits = tandem_probe::cgroup_limits(&record.runtime.cgroups);
    world.stop(&record, std::time::Duration::ZERO)?;
    ensure!(limits.memory_bytes == wanted.memory_bytes, "{limits:?}");
    ensure!(limits.milli_cpus == wanted.milli_cpus, "{limits:?}");
    ensure!(limits.pids == wanted.pids, "{limits:?}");
    Ok(())
}

fn out_of_memory() -> Result<()> {
    let world = World::new()?;
    let mut spec = world.container(&["sh", "-c", "tail /dev/zero"]);
    spec.resources.memory_bytes = Some(16 << 20);
    let record = world.start(spec)?;
    let record = world.end(&record)?;
    ensure!(record.exit.as_ref().is_some_and(|exit| exit.out_of_memory), "{:?}", record.exit);
    ensure!(world.traces(&record).is_empty(), "{:?}", world.traces(&record));
    Ok(())
}

fn too_many_processes() -> Result<()> {
    let world = World::new()?;
    let script = "for i in $(seq 20); do sleep 1 & done; echo all";
    let mut spec = world.container(&["sh", "-c", script]);
    spec.resources.pids = Some(8);
    let (_, log) = world.run(spec)?;
    ensure!(log.contains("can't fork"), "{log}");
    Ok(())
}

fn impossible() -> Result<()> {
    let world = World::new()?;
    let mut spec = world.container(&["true"]);
    spec.resources.memory_bytes = Some(4096);
    let error = world.start(spec).err().map(|error| (error.code(), error.to_string()));
    ensure!(matches!(error, Some((ErrorCode::Unavailable, _))), "{error:?}");
    Ok(())
}
