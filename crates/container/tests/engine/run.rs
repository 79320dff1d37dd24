//! Running: output, codes, users, isolation, stopping.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use tandem_backend::BackendError;
use tandem_model::{BackendKind, CapabilityStatus, ErrorCode, Lane};

use crate::{
    trial,
    world::{World, mounts_with, wait_for},
};

pub(crate) fn all() -> Vec<Trial> {
    vec![
        trial("run::output_and_exit_code", output_and_exit_code),
        trial("run::the_image_defaults_reach_the_app", defaults),
        trial("run::isolation", isolation),
        trial("run::commands_that_cannot_run", bad_commands),
        trial("run::a_signal_is_the_exit_code", signals),
        trial("run::init_without_handler_is_killed_after_the_grace", grace),
        trial("run::changes_stay_over_a_restart", restart),
        trial("run::process_lane", process_lane),
        trial("run::process_lane_ends_children_too", process_children),
        trial("run::what_it_uses_is_known", usage),
        trial("run::what_works_here_is_found_working", capabilities),
    ]
}

const LANES: [BackendKind; 2] = [BackendKind::Container, BackendKind::Process];

fn output_and_exit_code() -> Result<()> {
    let world = World::new()?;
    for lane in LANES {
        let spec = world.spec(lane, &["sh", "-c", "echo out; echo err >&2; exit 7"]);
        let (code, log) = world.run(spec)?;
        ensure!(code == 7, "{lane}: {code}");
        ensure!(log.contains("out\n") && log.contains("err\n"), "{lane}: {log}");
    }
    Ok(())
}

fn defaults() -> Result<()> {
    let world = World::new()?;
    let script = "echo $GREETING; pwd; id; hostname; cat page; echo $HOME; umask; echo own > /dev/stdout; cat /etc/hosts /etc/resolv.conf";
    let mut spec = world.container(&["sh", "-c", script]);
    spec.user = "app".into();
    spec.hostname = Some("web".into());
    let (code, log) = world.run(spec)?;
    ensure!(code == 0, "{log}");
    let expected = "hello\n/srv\nuid=1000(app) gid=1000(app) groups=10(wheel),1000(app)\nweb\na page\n/srv\n0022\nown\n";
    ensure!(log.starts_with(expected), "{log}");
    ensure!(log.contains("\tweb\n"), "{log}");
    Ok(())
}

fn isolation() -> Result<()> {
    let world = World::new()?;
    let script = "echo pids $(ls /proc | grep -c '^[0-9]'); \
        grep -E 'CapBnd|CapEff|NoNewPrivs|Seccomp:|SigIgn|SigBlk' /proc/self/status; \
        ls /sys/class/net; \
        echo x > /proc/sysrq-trigger && echo BAD sysrq; \
        head -c 1 /proc/kcore && echo BAD kcore; \
        mount -t tmpfs none /tmp && echo BAD mount; \
        unshare -m true && echo BAD unshare; \
        echo 1 > /sys/fs/cgroup/pids/pids.max && echo BAD cgroup; \
        echo 1 > /sys/fs/cgroup/pids.max && echo BAD cgroup; \
        mknod /tmp/disk b 8 0 && dd if=/tmp/disk of=/dev/null count=1 && echo BAD device; \
        touch /bin/new && echo written; ls -l /dev/null /dev/shm /dev/pts";
    let (_, log) = world.run(world.container(&["sh", "-c", script]))?;
    ensure!(!log.contains("BAD"), "{log}");
    for wanted in [
        "CapBnd:\t00000000a80425fb",
        "CapEff:\t00000000a80425fb",
        "NoNewPrivs:\t1",
        "Seccomp:\t2",
        "SigIgn:\t0000000000000000",
        "SigBlk:\t0000000000000000",
        "eth0\nlo\n",
        "written",
    ] {
        ensure!(log.contains(wanted), "{wanted} is not in {log}");
    }
    let pids = log.split_whitespace().nth(1).and_then(|text| text.parse::<u32>().ok());
    ensure!(pids.is_some_and(|pids| pids < 6), "{log}");
    Ok(())
}

fn bad_commands() -> Result<()> {
    let world = World::new()?;
    for lane in LANES {
        let start = |args: &[&str]| {
            let record = world.start(world.spec(lane, args));
            record.err().map(|error| (error.code(), error.to_string()))
        };
        let missing = start(&["nothing-like-it"]);
        ensure!(matches!(missing, Some((ErrorCode::CommandNotFound, _))), "{missing:?}");
        let text = start(&["./text"]);
        ensure!(matches!(text, Some((ErrorCode::NotExecutable, _))), "{text:?}");
        let mut spec = world.spec(lane, &["true"]);
        spec.user = "nobody".into();
        let error = world.start(spec).err().map(|error| error.to_string()).unwrap_or_default();
        ensure!(error.contains("no user or group `nobody`"), "{error}");
    }
    for record in world.store.list()? {
        ensure!(world.traces(&record).is_empty(), "{:?}", world.traces(&record));
    }
    Ok(())
}

fn signals() -> Result<()> {
    let world = World::new()?;
    let (code, _) = world.run(world.container(&["sh", "-c", "sh -c 'kill -9 $$'; exit $?"]))?;
    ensure!(code == 137, "{code}");
    let handler = "trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.1; done";
    let record = world.start(world.container(&["sh", "-c", handler]))?;
    wait_for("the handler", || Ok(world.log(&record)?.contains("up").then_some(())))?;
    let record = world.stop(&record, Duration::from_secs(10))?;
    ensure!(record.exit.as_ref().is_some_and(|exit| exit.code == 3), "{:?}", record.exit);
    ensure!(world.log(&record)?.contains("bye"));
    ensure!(world.traces(&record).is_empty(), "{:?}", world.traces(&record));
    Ok(())
}

fn grace() -> Result<()> {
    let world = World::new()?;
    let record = world.start(world.container(&["sleep", "1000"]))?;
    let start = Instant::now();
    let record = world.stop(&record, Duration::from_millis(300))?;
    let took = start.elapsed();
    ensure!(took >= Duration::from_millis(300) && took < Duration::from_secs(3), "{took:?}");
    ensure!(record.exit.as_ref().is_some_and(|exit| exit.code == 137), "{:?}", record.exit);
    ensure!(world.traces(&record).is_empty(), "{:?}", world.traces(&record));
    Ok(())
}

fn restart() -> Result<()> {
    let world = World::new()?;
    let script = "cat kept 2>/dev/null; echo kept > kept";
    let record = world.start(world.container(&["sh", "-c", script]))?;
    world.end(&record)?;
    let again = world.block_on(async {
        use tandem_backend::Backend as _;
        world.containers().start(&record.id, &mut |_| {}).await
    })?;
    world.end(&again)?;
    ensure!(world.log(&again)? == "kept\n", "{}", world.log(&again)?);
    Ok(())
}

fn process_lane() -> Result<()> {
    let world = World::new()?;
    let mut spec = world.spec(
        BackendKind::Process,
        &[
            "sh",
            "-c",
            "cat page; pwd; id -u; ls /dev/null; grep -c . /proc/1/status >/dev/null && echo host",
        ],
    );
    spec.user = "app".into();
    let (code, log) = world.run(spec)?;
    ensure!(code == 0 && log == "a page\n/srv\n1000\n/dev/null\nhost\n", "{code} {log}");
    Ok(())
}

fn process_children() -> Result<()> {
    let world = World::new()?;
    let script = "setsid sleep 1000 & (sleep 1000 &) ; echo up; sleep 1000";
    let record = world.start(world.spec(BackendKind::Process, &["sh", "-c", script]))?;
    wait_for("the children", || Ok(world.log(&record)?.contains("up").then_some(())))?;
    ensure!(world.traces(&record).len() >= 4, "{:?}", world.traces(&record));
    world.stop(&record, Duration::from_millis(200))?;
    ensure!(world.traces(&record).is_empty(), "{:?}", world.traces(&record));
    Ok(())
}

fn capabilities() -> Result<()> {
    use tandem_backend::Backend as _;
    let world = World::new()?;
    let backend = world.containers();
    let found = world.block_on(backend.capabilities());
    let ids: Vec<_> = found.iter().map(|one| one.id.as_str()).collect();
    let expected =
        ["container_engine", "overlayfs", "cgroup", "seccomp", "network_bridge", "network_nat"];
    ensure!(ids == expected, "{ids:?}");
    // The other tests run containers here, so what they need must be there.
    for one in found.iter().filter(|one| one.id != "network_nat") {
        ensure!(one.status != CapabilityStatus::Missing, "{one:?}");
    }
    let available = world.block_on(backend.availability(&Lane::CONTAINER))?;
    ensure!(available.engine == "libcontainer 0.7.0", "{available:?}");
    ensure!(mounts_with(&world.home.root().display().to_string()).is_empty());
    ensure!(
        std::fs::read_dir(world.home.temporary())?
            .flatten()
            .all(|e| e.file_type().is_ok_and(|t| !t.is_dir()))
    );
    Ok(())
}

fn usage() -> Result<()> {
    use tandem_backend::Backend as _;
    let world = World::new()?;
    let script = "dd if=/dev/zero of=big bs=1M count=8 2>/dev/null; echo up; sleep 1000";
    let record = world.start(world.container(&["sh", "-c", script]))?;
    wait_for("the app", || Ok(world.log(&record)?.contains("up").then_some(())))?;
    let backend = world.containers();
    let (sample, memory, disk) = world.block_on(async {
        let sample = backend.sample(&record).await?;
        let memory = backend.memory_ledger(&record).await?;
        Ok::<_, BackendError>((sample, memory, backend.disk_ledger(&record).await?))
    })?;
    ensure!(sample.cpu_ns > 0 && sample.processes >= 1, "{sample:?}");
    ensure!(sample.memory.pss > 0 && sample.memory.cgroup.is_some(), "{sample:?}");
    ensure!(memory.total() > 0, "{memory:?}");
    let changed = disk.entries.iter().find(|entry| entry.name.contains("changed"));
    ensure!(changed.is_some_and(|entry| entry.bytes >= 8 << 20), "{disk:?}");
    world.stop(&record, Duration::ZERO)?;
    let gone = world.block_on(backend.sample(&world.store.load(&record.id)?));
    ensure!(gone.is_err());
    Ok(())
}
