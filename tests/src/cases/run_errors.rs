//! Launches that cannot succeed: the right code, one sentence, nothing left.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
};

use anyhow::{Result, ensure};

use super::build::{BASE, build};
use crate::{Case, Need, Start, World};

pub(super) const CASES: &[Case] = &[
    case("run_errors::a_port_in_use", port_in_use),
    case("run_errors::a_taken_name", taken_name),
    case("run_errors::no_such_command_is_127", command_not_found),
    case("run_errors::no_executable_is_126", not_executable),
    case("run_errors::an_image_without_command", no_command),
    case("run_errors::an_unknown_image", unknown_image),
    case("run_errors::an_unknown_instance", unknown_instance),
    case("run_errors::several_instances_at_once", several_instances),
    case("run_errors::wishes_that_nothing_can_fulfil", impossible_wishes),
    case("run_errors::no_qemu", no_qemu),
];

const fn case(name: &'static str, run: fn(&World) -> Result<()>) -> Case {
    Case { name, needs: &[Need::Root], start: Start::Built, run }
}

fn port_in_use(world: &World) -> Result<()> {
    let holder = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = holder.local_addr()?.port();
    let publish = format!("{port}:8080");
    for backend in ["container", "vm"] {
        let arguments = ["run", "-d", "--backend", backend, "-p", &publish, "hello-flask"];
        let output = world.tandem(arguments)?.code_is(125)?;
        output.says(&[&port.to_string(), "in use", "-p"])?;
        ensure!(output.stdout.is_empty(), "{output}");
    }
    let rows = world.tandem(["ps", "-a", "--json"])?.ok()?;
    ensure!(rows.json()? == serde_json::json!([]), "a failed launch left an instance\n{rows}");
    Ok(())
}

fn taken_name(world: &World) -> Result<()> {
    world.tandem(["create", "--name", "twin", "hello-flask"])?.ok()?;
    let output = world.tandem(["run", "-d", "--name", "twin", "hello-flask"])?.code_is(125)?;
    output.says(&["twin", "--name"])?;
    world.tandem(["rm", "twin"])?.ok()?;
    Ok(())
}

fn command_not_found(world: &World) -> Result<()> {
    let output = world.tandem(["run", "--rm", "--entrypoint", "no-such", "hello-flask"])?;
    output.code_is(127)?.says(&["no-such", "not in the image"])
}

fn not_executable(world: &World) -> Result<()> {
    let output = world.tandem(["run", "--rm", "--entrypoint", "/etc/passwd", "hello-flask"])?;
    output.code_is(126)?.says(&["/etc/passwd"])
}

fn no_command(world: &World) -> Result<()> {
    world.write("mute/Dockerfile", &format!("FROM {BASE}\nENTRYPOINT []\nCMD []\n"))?;
    build(world, "mute", "mute")?;
    let output = world.tandem(["run", "--rm", "mute"])?.code_is(125)?;
    output.is_one_sentence(&["mute", "no command", "CMD"])?;
    world.tandem(["image", "rm", "mute"])?.ok()?;
    Ok(())
}

fn unknown_image(world: &World) -> Result<()> {
    let output = world.tandem(["run", "--rm", "localhost/nobody/nothing"])?.code_is(125)?;
    output.says(&["localhost/nobody/nothing"])?;
    let slip = world.tandem(["image", "history", "helo-flask"])?.code_is(125)?;
    slip.is_one_sentence(&["helo-flask", "did you mean `hello-flask:latest`"])?;
    world.tandem(["tag", "hello-flask", "localhost/mine/site:1"])?.ok()?;
    let slip = world.tandem(["run", "--rm", "localhost/mine/stie:1"])?.code_is(125)?;
    slip.says(&["localhost/mine/stie:1", "did you mean `localhost/mine/site:1`"])?;
    world.tandem(["rmi", "localhost/mine/site:1"])?.ok()?;
    let sample = world.tandem(["run", "--rm", "hello-flask-article"])?.code_is(125)?;
    sample.says(&["tandem sample copy hello-flask-article DIR", "it cannot be pulled"])?;
    Ok(())
}

fn several_instances(world: &World) -> Result<()> {
    world.tandem(["create", "--name", "one", "--label", "row=1", "hello-flask"])?.ok()?;
    world.tandem(["create", "--name", "two", "hello-flask"])?.ok()?;
    let ids = |options: &[&str]| -> Result<usize> {
        let output = world.tandem([&["ps", "-q"], options].concat())?.ok()?;
        Ok(output.stdout.lines().count())
    };
    ensure!(ids(&[])? == 0 && ids(&["-a"])? == 2 && ids(&["-l"])? == 1);
    let created = ["-f", "status=created"];
    ensure!(ids(&created)? == 2 && ids(&["-f", "status=created", "-f", "label=row=1"])? == 1);
    ensure!(ids(&["-a", "-f", "since=one"])? == 1 && ids(&["-a", "-f", "before=one"])? == 0);
    let bad = world.tandem(["ps", "-f", "status=runing"])?.code_is(2)?;
    bad.says(&["did you mean running?"])?;
    // One that is not there keeps no other from its end.
    let some = world.tandem(["rm", "one", "nobody", "two"])?.code_is(125)?;
    some.says(&["nobody"])?;
    ensure!(some.stdout == "one\ntwo\n" && ids(&["-a"])? == 0, "{some}");
    Ok(())
}

fn impossible_wishes(world: &World) -> Result<()> {
    let wrong: [(&[&str], i32, &[&str]); 9] = [
        (&["--stop-signal", "FOO"], 2, &["`FOO` is not a signal", "TERM"]),
        (&["-e", "=x"], 2, &["NAME=VALUE"]),
        (&["-e", "A B=secret"], 2, &["A B", "NAME=VALUE"]),
        (&["--env-file", "missing"], 2, &["missing", "--env-file"]),
        (&["--cpus", "4000"], 2, &["processors", "--cpus"]),
        (&["-u", "nobody-here"], 125, &["nobody-here", "use a number"]),
        (&["-m", "1m"], 125, &["1.0 MiB", "give at least"]),
        (&["-v", "/no/such/folder:/data"], 125, &["/no/such/folder", "not there", "volume"]),
        (&["--network", "nowhere"], 125, &["nowhere", "tandem network ls"]),
    ];
    for (wish, code, words) in wrong {
        let arguments = [&["run", "--rm"], wish, &["hello-flask"]].concat();
        let refused = world.tandem(arguments)?.code_is(code)?;
        refused.is_one_sentence(words)?;
        ensure!(!refused.stderr.contains("secret"), "a value is shown\n{refused}");
    }
    let rows = world.tandem(["ps", "-a", "--json"])?.ok()?;
    ensure!(rows.json()? == serde_json::json!([]), "a refused launch left an instance\n{rows}");
    Ok(())
}

fn unknown_instance(world: &World) -> Result<()> {
    for verb in ["stop", "start", "rm", "logs", "inspect"] {
        let output = world.tandem([verb, "nobody"])?.code_is(125)?;
        output.is_one_sentence(&["nobody", "tandem ps -a"])?;
    }
    Ok(())
}

fn no_qemu(world: &World) -> Result<()> {
    // A PATH without QEMU, but with whatever else the machine has.
    let path = world.scratch().join("bin");
    fs::create_dir(&path)?;
    let mut command = world.command(["run", "-d", "--backend", "vm", "hello-flask"]);
    command.env("PATH", &path);
    let output = world.finish(command)?.code_is(125)?;
    output.says(&["qemu", "apt-get install"])
}
