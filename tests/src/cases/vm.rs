//! The life of a virtual machine, under software emulation so that it is the
//! same everywhere.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::container::{lives, row};
use crate::{Case, Need, Start, World};

pub(super) const CASES: &[Case] = &[
    case("vm::life_under_emulation", life),
    case("vm::foreground_passes_output_and_code", foreground),
    case("vm::runs_the_image_as_it_says", environment),
    case("vm::kvm_counts_only_when_it_works", kvm),
];

const fn case(name: &'static str, run: fn(&World) -> Result<()>) -> Case {
    Case {
        name,
        needs: &[Need::Root, Need::Program("qemu-system-x86_64"), Need::Program("mke2fs")],
        start: Start::Built,
        run,
    }
}

/// An emulated boot takes some ten seconds on two idle processors.
const ANSWER: Duration = Duration::from_mins(3);

const TCG: [&str; 4] = ["--backend", "vm", "--accelerator", "tcg"];

fn life(world: &World) -> Result<()> {
    lives(world, &TCG, ANSWER)
}

fn python(world: &World, options: &[&str], script: &str, code: i32) -> Result<crate::Output> {
    let tail = ["--entrypoint", "python", "hello-flask", "-c", script];
    let arguments = [&["run", "--rm"][..], &TCG, options, &tail].concat();
    world.tandem_within(ANSWER, arguments)?.code_is(code)
}

fn foreground(world: &World) -> Result<()> {
    let output = python(world, &[], "import sys; print('from inside'); sys.exit(7)", 7)?;
    ensure!(output.stdout == "from inside\n", "{output}");
    output.says(&["emulat"])
}

fn environment(world: &World) -> Result<()> {
    let script = "import os, socket; m = {l.split(':')[0]: int(l.split()[1]) for l in open('/proc/meminfo')}
print(os.environ['COLOUR'], os.getcwd(), socket.gethostname(), os.cpu_count(), m['MemTotal'] // 1024, os.path.exists('/app/app.py'))";
    let options = ["-e", "COLOUR=blue", "--hostname", "inside", "--memory", "384m", "--cpus", "2"];
    let output = python(world, &options, script, 0)?;
    let words: Vec<&str> = output.line().split(' ').collect();
    ensure!(words.len() == 6, "{output}");
    ensure!(words[..4] == ["blue", "/app", "inside", "2"] && words[5] == "True", "{output}");
    let memory: u32 = words[4].parse()?;
    ensure!((280..=384).contains(&memory), "384 MiB were asked for\n{output}");
    Ok(())
}

fn kvm(world: &World) -> Result<()> {
    let arguments = ["run", "-d", "--name", "fast", "--backend", "vm", "--accelerator", "kvm"];
    let output = world.tandem_within(ANSWER, arguments.into_iter().chain(["hello-flask"]))?;
    if output.code == Some(0) {
        let seen = row(world, "fast")?;
        ensure!(seen["accelerator"] == "kvm", "{seen}");
        world.tandem(["rm", "-f", "fast"])?.ok()?;
        return Ok(());
    }
    output.code_is(125)?.is_one_sentence(&["KVM"])
}
