//! A machine from its start to its end.

use std::{fs, process::Command, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use libtest_mimic::Trial;
use tandem_backend::Backend as _;
use tandem_model::{Accelerator, InstanceState, Resources};
use tandem_probe::{alive, now};

use crate::{
    trial,
    world::{World, get, on_path, wait_for},
};

pub(crate) fn all() -> Vec<Trial> {
    vec![
        trial("a machine serves, is measured and stops", serves_and_stops),
        trial("the app finds what an image promises", surroundings),
        trial("files survive a stop, and a size is obeyed", second_start),
        trial("a machine that does not stop is killed", killed),
    ]
}

fn serves_and_stops(world: &World) -> Result<()> {
    let script = "echo up; trap 'echo bye; exit 7' TERM; httpd -f -p 80 & wait";
    let mut spec = world.spec(script);
    spec.ports = vec!["0:80".parse()?];
    let begin = now();
    let (record, phases) = world.start(spec)?;
    let names: Vec<_> = phases.iter().map(|phase| phase.name.as_str()).collect();
    ensure!(names == ["disk", "spawn", "firmware", "kernel", "userspace"], "{names:?}");
    ensure!(phases[0].start >= begin, "the clock is the host's");
    for pair in phases.windows(2) {
        ensure!(pair[0].end == pair[1].start, "there is a gap in {phases:?}");
    }
    ensure!(phases.iter().all(|phase| phase.end > phase.start), "{phases:?}");
    ensure!(record.runtime.accelerator == Some(Accelerator::Tcg));
    let engine = record.runtime.engine.clone().unwrap_or_default();
    ensure!(engine.starts_with("QEMU ") && engine.len() > 6, "{engine}");

    let port = record.ports[0].host_port;
    let page = wait_for("the page", || Ok(get(port, "/page").ok()))?;
    ensure!(page == "a page\n", "{page}");

    let machines = world.machines();
    let sample = world.block_on(machines.sample(&record))?;
    ensure!(sample.memory.pss > 20 << 20 && sample.cpu_ns > 100_000_000, "{sample:?}");
    let memory = world.block_on(machines.memory_ledger(&record))?;
    ensure!(memory.total() > 20 << 20, "{memory:?}");
    let disk = world.block_on(machines.disk_ledger(&record))?;
    ensure!(disk.entries[0].bytes > 1 << 20 && disk.entries[2].bytes > 0, "{disk:?}");

    let qemu = record.runtime.process.context("no process")?;
    let stopped = world.stop(&record, Duration::from_secs(20))?;
    let exit = stopped.exit.context("no exit")?;
    ensure!(exit.code == 7 && exit.error.is_none(), "{exit:?}");
    ensure!(!alive(qemu), "QEMU is still there");
    let log = world.log(&record)?;
    ensure!(log == "Stdout: up\nStdout: bye\n", "{log}");
    let dir = world.store.dir(&record.id);
    ensure!(!dir.join("initrd").exists(), "the initial RAM disk is still there");
    ensure!(dir.join("logs/console.log").exists());
    if on_path("qemu-img").is_some() {
        let checked = Command::new("qemu-img").arg("check").arg(dir.join("disk.qcow2")).output()?;
        ensure!(checked.status.success(), "{checked:?}");
    }
    Ok(())
}

fn surroundings(world: &World) -> Result<()> {
    let mut spec = world.spec(
        "echo $GREETING $HOME $0; pwd; hostname; id -u; id -G; echo oops >&2; \
         cat /etc/resolv.conf; ls -d /proc/1 /dev/shm /dev/fd/1; exit 300",
    );
    spec.user = "web".into();
    spec.hostname = Some("sparrow".into());
    spec.cwd = "/srv/new/folder".into();
    let (record, _) = world.start(spec)?;
    let record = world.end(&record)?;
    ensure!(record.exit.as_ref().is_some_and(|exit| exit.code == 44), "{record:?}");
    let log = world.log(&record)?;
    let stdout: Vec<_> = log.lines().filter_map(|line| line.strip_prefix("Stdout: ")).collect();
    let expected = ["hello /srv sh", "/srv/new/folder", "sparrow", "33", "34 4"];
    ensure!(stdout[..5] == expected, "{log}");
    ensure!(stdout[5] == "nameserver 10.0.2.3", "{log}");
    ensure!(stdout.contains(&"/dev/shm") && log.contains("Stderr: oops\n"), "{log}");
    Ok(())
}

fn second_start(world: &World) -> Result<()> {
    let script = "cat kept 2>/dev/null; echo again >> kept; ls /; cat /etc/hostname /proc/meminfo";
    let mut spec = world.spec(script);
    spec.resources =
        Resources { memory_bytes: Some(256 << 20), milli_cpus: Some(2000), pids: None };
    let (record, _) = world.start(spec)?;
    world.end(&record)?;
    let machines = world.machines();
    world.block_on(machines.start(&record.id, &mut |_| {}))?;
    let record = world.end(&record)?;
    let log = world.log(&record)?;
    ensure!(log.matches("Stdout: again").count() == 1, "{log}");
    ensure!(!log.contains("lost+found"), "{log}");
    ensure!(log.contains(record.id.as_str()), "{log}");
    let total = log.lines().find_map(|line| line.strip_prefix("Stdout: MemTotal:"));
    let total: u64 =
        total.and_then(|text| text.trim().strip_suffix(" kB")).context("no size")?.parse()?;
    ensure!((180_000..256 << 10).contains(&total), "{total} kB");
    Ok(())
}

fn killed(world: &World) -> Result<()> {
    let script = "trap '' TERM; echo deaf; while true; do sleep 1; done";
    let mut spec = world.spec(script);
    spec.resources.milli_cpus = Some(1500);
    let (record, _) = world.start(spec)?;
    wait_for("the trap", || Ok(world.log(&record)?.contains("deaf").then_some(())))?;
    let [group] = &record.runtime.cgroups[..] else { bail!("{:?}", record.runtime.cgroups) };
    ensure!(
        fs::read_to_string(group.join("cgroup.procs"))?.trim()
            == record.runtime.process.context("no QEMU")?.pid.to_string()
    );
    let begin = std::time::Instant::now();
    let stopped = world.stop(&record, Duration::from_millis(500))?;
    ensure!(begin.elapsed() < Duration::from_secs(10));
    ensure!(stopped.state == InstanceState::Exited && !group.exists());
    ensure!(stopped.exit.as_ref().is_some_and(|exit| exit.code == 137), "{:?}", stopped.exit);
    ensure!(fs::read_dir(world.home.temporary())?.flatten().all(|it| it.file_name() == ".making"));
    Ok(())
}
