//! What can go wrong, and that nothing is left behind.

use std::{net::TcpListener, time::Duration};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use tandem_backend::{Backend as _, BackendError};
use tandem_model::{AcceleratorChoice, ErrorCode, InstanceSpec, InstanceState};
use tandem_probe::alive;

use crate::{
    trial,
    world::{World, wait_for},
};

pub(crate) fn all() -> Vec<Trial> {
    vec![
        trial("commands that cannot run are told apart", commands),
        trial("a taken port is named and the machine not started", taken_port),
        trial("KVM is used only where a guest came up with it", kvm),
        trial("a killed supervisor leaves nothing running", killed_supervisor),
        trial("a killed QEMU is reported", killed_qemu),
        trial("a kernel panic and a flood harm nobody", hostile),
    ]
}

/// Starts what must fail and checks that nothing of it is left.
fn failing(world: &World, spec: InstanceSpec) -> Result<BackendError> {
    let name = spec.name.clone();
    let error = world.start(spec).err().context("it started")?;
    let record = world.store.find(&name)?;
    let record = world.end(&record)?;
    ensure!(record.runtime.process.is_none());
    ensure!(!world.store.dir(&record.id).join("initrd").exists());
    Ok(error)
}

fn commands(world: &World) -> Result<()> {
    let with = |args: &[&str], user: &str| {
        let mut spec = world.spec("");
        spec.args = args.iter().map(|arg| (*arg).to_owned()).collect();
        user.clone_into(&mut spec.user);
        failing(world, spec)
    };
    let missing = with(&["nothing-here"], "")?;
    ensure!(missing.code() == ErrorCode::CommandNotFound, "{missing}");
    let text = with(&["/srv/text"], "")?;
    ensure!(text.code() == ErrorCode::NotExecutable, "{text}");
    let nobody = with(&["sh"], "nobody")?;
    ensure!(nobody.to_string().contains("no user or group `nobody`"), "{nobody}");
    Ok(())
}

fn taken_port(world: &World) -> Result<()> {
    let holder = TcpListener::bind("127.0.0.1:0")?;
    let mut spec = world.spec("true");
    spec.ports = vec![format!("{}:80", holder.local_addr()?.port()).parse()?];
    let error = failing(world, spec)?;
    ensure!(error.code() == ErrorCode::PortInUse, "{error}");
    Ok(())
}

fn kvm(world: &World) -> Result<()> {
    let machines = world.machines();
    let capabilities = world.block_on(machines.capabilities());
    let kvm = capabilities.iter().find(|one| one.id == "vm_kvm").context("no vm_kvm")?;
    let mut lane = tandem_model::Lane::VM_MICRO;
    let auto = world.block_on(machines.availability(&lane))?;
    lane.accelerator = AcceleratorChoice::Kvm;
    let forced = world.block_on(machines.availability(&lane));
    if kvm.status == tandem_model::CapabilityStatus::Ok {
        ensure!(auto.accelerator == Some(tandem_model::Accelerator::Kvm));
        ensure!(forced.is_ok());
    } else {
        ensure!(auto.accelerator == Some(tandem_model::Accelerator::Tcg), "{auto:?}");
        ensure!(auto.note.is_some_and(|note| note.contains("KVM cannot be used")));
        let error = forced.err().context("KVM was given")?;
        ensure!(error.code() == ErrorCode::Unavailable, "{error}");
    }
    Ok(())
}

fn kill(pid: u32) -> Result<()> {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid)?).context("no process")?;
    Ok(rustix::process::kill_process(pid, rustix::process::Signal::KILL)?)
}

fn killed_supervisor(world: &World) -> Result<()> {
    let (record, _) = world.start(world.spec("while true; do sleep 1; done"))?;
    let qemu = record.runtime.process.context("no QEMU")?;
    kill(record.runtime.supervisor.context("no supervisor")?.pid)?;
    wait_for("QEMU's end", || Ok((!alive(qemu)).then_some(())))?;
    let cleaned = world.block_on(world.machines().reap(&record.id))?;
    ensure!(cleaned.iter().any(|line| line.contains("lost its supervisor")), "{cleaned:?}");
    let record = world.store.load(&record.id)?;
    ensure!(record.state == InstanceState::Exited && record.exit.is_some(), "{record:?}");
    ensure!(!world.store.dir(&record.id).join("initrd").exists());
    // Its disk was not closed, and is good for another start.
    world.block_on(world.machines().start(&record.id, &mut |_| {}))?;
    world.stop(&record, Duration::from_secs(1))?;
    Ok(())
}

fn killed_qemu(world: &World) -> Result<()> {
    let (record, _) = world.start(world.spec("while true; do sleep 1; done"))?;
    kill(record.runtime.process.context("no QEMU")?.pid)?;
    let record = world.end(&record)?;
    let exit = record.exit.context("no exit")?;
    let error = exit.error.context("no error")?;
    ensure!(exit.code == 137 && error.message.contains("killed (SIGKILL)"), "{error}");
    Ok(())
}

fn hostile(world: &World) -> Result<()> {
    let flood = "dd if=/dev/zero bs=1024 count=2000 2>/dev/null; echo end";
    let (record, _) = world.start(world.spec(flood))?;
    let record = world.end(&record)?;
    ensure!(record.exit.as_ref().is_some_and(|exit| exit.code == 0), "{:?}", record.exit);
    let log = world.log(&record)?;
    ensure!(log.ends_with("end\n") && log.matches('\0').count() == 2000 * 1024);

    let (record, _) = world.start(world.spec("echo c > /proc/sysrq-trigger; sleep 60"))?;
    let record = world.end(&record)?;
    let message = record.exit.and_then(|exit| exit.error).context("no error")?.message;
    ensure!(message.contains("kernel panic"), "{message}");
    Ok(())
}
