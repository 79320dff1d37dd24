//! Build steps.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use tandem_backend::{StepRunner as _, StepSpec, Stream};
use tandem_container::StepEngine;
use tandem_image::Store;

use crate::{
    trial,
    world::{World, mounts_with, wait_for},
};

pub(crate) fn all() -> Vec<Trial> {
    vec![
        trial("steps::output_code_and_change", output_code_and_change),
        trial("steps::nothing_else_gets_into_the_layer", only_the_change),
        trial("steps::confinement", confinement),
        trial("steps::nothing_of_the_machine_is_changed", machine),
        trial("steps::mounts_are_as_closed_as_dockers", closed),
        trial("steps::certificates", certificates),
        trial("steps::a_cancelled_step_leaves_nothing", cancelled),
        trial("steps::bad_commands", bad_commands),
    ]
}

fn step(world: &World, args: &[&str]) -> Result<StepSpec> {
    let images = Store::open(&world.home)?;
    let lower = images.layer_dirs(&world.image, &|_| {})?;
    let dir = tempfile::tempdir_in(world.dir.path())?.keep();
    let [upper, work] = ["upper", "work"].map(|name| dir.join(name));
    fs::create_dir(&upper)?;
    fs::create_dir(&work)?;
    Ok(StepSpec {
        lower,
        upper,
        work,
        args: args.iter().map(|arg| (*arg).to_owned()).collect(),
        env: vec!["PATH=/bin".into()],
        cwd: "/srv".into(),
        user: String::new(),
        ca_bundle: None,
        host_network: false,
        mounts: Vec::new(),
    })
}

fn engine() -> Result<StepEngine> {
    Ok(StepEngine::new(std::env::current_exe()?))
}

fn run(world: &World, step: &StepSpec) -> Result<(i32, String, String)> {
    let engine = engine()?;
    let (mut out, mut err) = (String::new(), String::new());
    let code = world.block_on(engine.run_step(step, &mut |stream, line| {
        let text = if stream == Stream::Stdout { &mut out } else { &mut err };
        text.push_str(line);
        text.push('\n');
    }))?;
    Ok((code, out, err))
}

/// Every path in a folder, sorted.
fn paths(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut queue = vec![dir.to_owned()];
    while let Some(folder) = queue.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            found.push(entry.path().strip_prefix(dir)?.to_owned());
            if entry.file_type()?.is_dir() {
                queue.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}

fn output_code_and_change() -> Result<()> {
    let world = World::new()?;
    let script = "echo out; echo err >&2; cat page; echo new > made; rm text; exit 4";
    let step = step(&world, &["sh", "-c", script])?;
    let (code, out, err) = run(&world, &step)?;
    ensure!(code == 4 && out == "out\na page\n" && err == "err\n", "{code} {out} {err}");
    ensure!(fs::read_to_string(step.upper.join("srv/made"))? == "new\n");
    ensure!(paths(&step.upper)?.len() == 3, "{:?}", paths(&step.upper)?);
    ensure!(mounts_with(&world.home.root().display().to_string()).is_empty());
    Ok(())
}

fn only_the_change() -> Result<()> {
    let world = World::new()?;
    let step = step(&world, &["sh", "-c", "echo quiet; ls /dev/null /proc/self/fd/0 /sys/kernel"])?;
    let (code, _, err) = run(&world, &step)?;
    ensure!(code == 0, "{err}");
    ensure!(paths(&step.upper)?.is_empty(), "{:?}", paths(&step.upper)?);
    Ok(())
}

fn confinement() -> Result<()> {
    let world = World::new()?;
    let script = "grep -E 'CapBnd|CapEff|Seccomp:' /proc/self/status; echo pid $$; \
        echo pids $(ls /proc | grep -c '^[0-9]'); \
        mount -t tmpfs none /tmp && echo BAD mount; \
        mknod /tmp/zero c 1 5 && head -c 1 /tmp/zero && echo BAD node; \
        mknod /dev/zero2 c 1 5 && head -c 1 /dev/zero2 && echo BAD node; \
        head -c 4 /dev/zero | wc -c; echo x > /dev/null || echo BAD null; \
        head -c 1 /proc/kcore && echo BAD kcore; \
        echo x > /proc/sysrq-trigger && echo BAD sysrq; \
        echo 0 > /proc/sys/kernel/printk && echo BAD sysctl; \
        ls /sys/class/net; id; true";
    let confined = step(&world, &["sh", "-c", script])?;
    let (code, out, _) = run(&world, &confined)?;
    ensure!(code == 0 && !out.contains("BAD"), "{out}");
    for wanted in
        ["CapBnd:\t00000000a80425fb", "CapEff:\t00000000a80425fb", "Seccomp:\t2", "pid 1\n"]
    {
        ensure!(out.contains(wanted), "{wanted} is not in {out}");
    }
    ensure!(out.contains("\nlo\n") && !out.contains("eth"), "{out}");
    let mut confined = step(&world, &["sh", "-c", script])?;
    confined.user = "app".into();
    let (_, out, _) = run(&world, &confined)?;
    ensure!(out.contains("CapEff:\t0000000000000000") && out.contains("uid=1000(app)"), "{out}");
    Ok(())
}

/// What a step is shown of the machine's own it cannot change. Times and no
/// bytes: should this ever fail, nobody misses them.
fn machine() -> Result<()> {
    let world = World::new()?;
    let script = "for it in /etc/hosts /etc/resolv.conf /dev/stdin /dev/null /dev/zero \
            /dev/full /dev/random /dev/urandom /dev/tty; do [ -e $it ] || echo BAD no $it; done; \
        for it in /etc/hosts /etc/resolv.conf /dev/stdin /dev/null /dev/zero /dev/full \
            /dev/random /dev/urandom /dev/tty /proc/kcore /proc/timer_list /proc/keys; do \
            touch -d '2001-02-03 04:05' $it 2> /dev/null && echo BAD $it; \
        done; \
        for it in /etc/hosts /etc/resolv.conf; do (: >> $it) 2> /dev/null && echo BAD open $it; done; \
        [ -c /dev/stdin ] || echo BAD stdin; cat /etc/hosts";
    let mut shown = step(&world, &["sh", "-c", script])?;
    shown.host_network = true;
    let (code, out, err) = run(&world, &shown)?;
    ensure!(code == 0 && out == fs::read_to_string("/etc/hosts")?, "{out}{err}");
    Ok(())
}

/// Flags of mounts, and what is covered, as a container has them.
fn closed() -> Result<()> {
    let world = World::new()?;
    let script = "while read kind at fs flags rest; do echo \"$at $flags\"; done < /proc/self/mounts; \
        for it in /proc/interrupts /proc/keys /proc/timer_list; do \
            [ -e $it ] && head -c 1 $it | grep -q . && echo BAD $it; \
        done; \
        for it in /proc/acpi /sys/firmware /proc/scsi; do \
            [ -d $it ] && ls $it | grep -q . && echo BAD $it; \
        done; true";
    let (code, out, err) = run(&world, &step(&world, &["sh", "-c", script])?)?;
    ensure!(code == 0 && !out.contains("BAD"), "{out}{err}");
    for (place, flags) in [
        ("/proc", "rw nosuid nodev noexec"),
        ("/sys", "ro nosuid nodev noexec"),
        ("/dev", "rw nosuid nodev"),
        ("/dev/pts", "rw nosuid noexec"),
        ("/dev/shm", "rw nosuid nodev noexec"),
        ("/dev/mqueue", "rw nosuid nodev noexec"),
        ("/dev/null", "ro"),
        ("/etc/hosts", "ro nodev"),
        ("/proc/sys", "ro nosuid nodev noexec"),
        ("/", "rw nodev"),
    ] {
        let line = out.lines().find_map(|line| line.strip_prefix(place)?.strip_prefix(' '));
        let has: Vec<&str> = line.with_context(|| place.to_owned())?.split(',').collect();
        ensure!(flags.split(' ').all(|flag| has.contains(&flag)), "{place}: {has:?}");
    }
    Ok(())
}

fn certificates() -> Result<()> {
    let world = World::new()?;
    let bundle = world.dir.path().join("bundle.crt");
    fs::write(&bundle, "certificates\n")?;
    let script = "cat $SSL_CERT_FILE; echo $PIP_CERT $REQUESTS_CA_BUNDLE; ls /sys/class/net | wc -l; echo own > /dev/stderr";
    let mut with = step(&world, &["sh", "-c", script])?;
    with.ca_bundle = Some(bundle);
    with.host_network = true;
    with.user = "app".into();
    with.env.push("PIP_CERT=/mine".into());
    let (code, out, err) = run(&world, &with)?;
    ensure!(err == "own\n", "{err}");
    ensure!(code == 0 && out.starts_with("certificates\n/mine /dev/"), "{out} {err}");
    ensure!(paths(&with.upper)?.is_empty(), "{:?}", paths(&with.upper)?);
    Ok(())
}

fn cancelled() -> Result<()> {
    let world = World::new()?;
    // An argument that nobody else's process has.
    let seconds = (1_000_000 + std::process::id()).to_string();
    let script = format!("setsid sleep {seconds} & echo up; sleep {seconds}; true");
    let step = step(&world, &["sh", "-c", &script])?;
    let engine = engine()?;
    world.block_on(async {
        let mut started = false;
        let mut output = |_, _: &str| started = true;
        let running = engine.run_step(&step, &mut output);
        let limit = tokio::time::timeout(Duration::from_millis(700), running).await;
        ensure!(limit.is_err() && started, "it ended or never began");
        Ok(())
    })?;
    wait_for("the command to end", || Ok((!is_argument(&seconds)?).then_some(())))?;
    ensure!(mounts_with(&world.dir.path().display().to_string()).is_empty());
    Ok(())
}

/// Whether some process was given this argument.
fn is_argument(argument: &str) -> Result<bool> {
    Ok(fs::read_dir("/proc")?.flatten().any(|entry| {
        fs::read(entry.path().join("cmdline"))
            .is_ok_and(|line| line.split(|byte| *byte == 0).any(|one| one == argument.as_bytes()))
    }))
}

fn bad_commands() -> Result<()> {
    let world = World::new()?;
    for (args, code) in [(["nothing"], 127), (["./text"], 126)] {
        let step = step(&world, &args)?;
        let error = run(&world, &step).err().context("it ran")?;
        let error = error.downcast::<tandem_backend::BackendError>()?;
        ensure!(error.code().exit_code() == code, "{error}");
    }
    Ok(())
}
