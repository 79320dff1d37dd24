//! What scripts do that persons do not: fill templates from every list, give
//! several names of which some are gone, and send the output anywhere.

use std::fs::File;

use anyhow::{Context as _, Result, ensure};

use super::copy::sleeper;
use crate::{Case, Need, Start, World};

pub(super) const CASES: &[Case] = &[
    case("scripts::lists_are_filled_and_filtered", lists),
    case("scripts::an_output_that_takes_nothing_is_told", outputs),
    case("scripts::what_goes_at_its_end_can_be_started_again_before", again),
    case("scripts::names_on_a_network_are_shared_and_change", names),
];

const fn case(name: &'static str, run: fn(&World) -> Result<()>) -> Case {
    Case { name, needs: &[Need::Root], start: Start::Built, run }
}

fn lists(world: &World) -> Result<()> {
    let line =
        |words: &[&str]| -> Result<String> { Ok(world.tandem(words)?.ok()?.line().to_owned()) };
    sleeper(world, "web", &["--network", "none"], "")?;
    world.tandem(["create", "--name", "web-2", "hello-flask"])?.ok()?;
    for (filter, expected) in
        [("name=^web$", "web"), ("name=^/web", "web-2\nweb"), ("name=2$", "web-2")]
    {
        let mut found: Vec<String> = line(&["ps", "-a", "-f", filter, "--format", "{{.Names}}"])?
            .lines()
            .map(str::to_owned)
            .collect();
        found.sort_by_key(|name| std::cmp::Reverse(name.len()));
        ensure!(found.join("\n") == expected, "{filter}: {found:?}");
    }

    let usage = line(&["stats", "--no-stream", "--format", "{{.Name}} {{.PIDs}} {{.CPUPerc}}"])?;
    ensure!(usage.starts_with("web 1 ") && usage.ends_with('%'), "{usage}");
    let json = line(&["stats", "--no-stream", "--format", "json", "web"])?;
    let json: serde_json::Value = serde_json::from_str(&json)?;
    ensure!(json["Name"] == "web" && json["memory_pss_bytes"].is_u64(), "{json}");
    let table = line(&["stats", "--no-stream", "--format", "table {{.Name}}\\t{{.PIDs}}"])?;
    ensure!(table == "NAME   PIDS\nweb    1", "{table}");
    world.tandem(["volume", "create", "--label", "a=b", "kept"])?.ok()?;
    let volumes = line(&["volume", "ls", "--format", "{{.Name}} {{.Driver}} {{.Labels}}"])?;
    ensure!(volumes.lines().any(|line| line == "kept local a=b"), "{volumes}");
    let networks = line(&["network", "ls", "--format", "{{.Name}} {{.Driver}}"])?;
    ensure!(networks.lines().any(|line| line == "none none"), "{networks}");
    for list in [&["stats", "--no-stream"][..], &["volume", "ls"], &["network", "ls"]] {
        let slip = world.tandem([list, &["--format", "{{.Nmae}}"]].concat())?.code_is(125)?;
        slip.is_one_sentence(&["Nmae"])?;
    }

    // What is there goes, whatever else was named.
    world.tandem(["tag", "hello-flask", "other:1"])?.ok()?;
    world.tandem(["tag", "hello-flask", "other:2"])?.ok()?;
    let gone = world.tandem(["image", "rm", "other:1", "none:1", "other:2"])?.code_is(125)?;
    ensure!(gone.line() == "other:1\nother:2", "{gone}");
    ensure!(gone.stderr.contains("none:1") && gone.stderr.lines().count() == 1, "{gone}");
    // It has not run, so it has no code, and no other's name in its way.
    world.tandem(["wait", "web-2"])?.code_is(125)?.is_one_sentence(&["not started yet"])?;
    world.tandem(["rename", "web", "web"])?.code_is(125)?.is_one_sentence(&["already"])?;
    for variable in ["=x", "A B=x"] {
        let refused = world.tandem(["exec", "-e", variable, "web", "true"])?.code_is(2)?;
        refused.is_one_sentence(&["sets no variable"])?;
    }
    world.tandem(["rm", "-f", "web", "web-2"])?.ok()?;
    world.tandem(["volume", "rm", "kept"])?.ok()?;
    Ok(())
}

/// Neither a full disk nor a closed end makes a command fail in its own way.
fn outputs(world: &World) -> Result<()> {
    let full = || File::options().write(true).open("/dev/full").context("there is no /dev/full");
    let lost = world.command(["images"]).stdout(full()?).output()?;
    let told = String::from_utf8_lossy(&lost.stderr);
    ensure!(lost.status.code() == Some(125) && told.contains("cannot write the output"), "{told}");
    let nobody = world.command(["inspect", "nobody"]).stderr(full()?).output()?;
    ensure!(nobody.status.code() == Some(125), "{nobody:?}");

    sleeper(world, "loud", &[], "import sys; print('to error\\n' * 100_000, file=sys.stderr)")?;
    let script = "\"$0\" logs loud 2>&1 >/dev/null | head -n 1; echo ${PIPESTATUS[0]}";
    let program = world.program("tandem");
    let said = world.run("bash", &["-c", script, &program.to_string_lossy()])?.ok()?;
    ensure!(said.stdout == "to error\n0\n", "{said}");
    world.tandem(["rm", "-f", "loud"])?.ok()?;
    Ok(())
}

/// `--rm` takes an instance away when it ends, not when it is started again.
fn again(world: &World) -> Result<()> {
    sleeper(world, "brief", &["--rm"], "open('/kept', 'a').write('x')")?;
    let id = world.tandem(["inspect", "-f", "{{.Id}}", "brief"])?.ok()?.line().to_owned();
    world.tandem(["snapshot", "create", "brief", "one"])?.ok()?;
    world.tandem(["restart", "-t", "0", "brief"])?.ok()?;
    world.tandem(["update", "--mode", "cold", "--memory", "128m", "brief"])?.ok()?;
    world.tandem(["snapshot", "restore", "brief", "one"])?.ok()?;
    let now = world.tandem(["inspect", "-f", "{{.Id}} {{.State.Status}}", "brief"])?.ok()?;
    ensure!(now.line() == format!("{id} running"), "{now}");
    // Limits that nothing starts with are refused when it does not run, too.
    world.tandem(["create", "--name", "still", "hello-flask"])?.ok()?;
    for (limit, value) in [("--memory", "1m"), ("--pids-limit", "1")] {
        let refused = world.tandem(["update", limit, value, "still"])?.code_is(125)?;
        refused.is_one_sentence(&["no app starts with so"])?;
    }
    world.tandem(["rm", "still"])?.ok()?;
    world.tandem(["stop", "-t", "0", "brief"])?.ok()?;
    world.tandem(["inspect", "brief"])?.code_is(125)?;
    Ok(())
}

fn names(world: &World) -> Result<()> {
    world.tandem(["network", "create", "front"])?.ok()?;
    let on = ["--network", "front", "--network-alias", "all"];
    sleeper(world, "one", &on, "")?;
    sleeper(world, "two", &on, "")?;
    let found = |inside: &str, name: &str| -> Result<Vec<String>> {
        let output = world.tandem(["exec", inside, "getent", "ahostsv4", name])?;
        let mut found: Vec<String> = output
            .stdout
            .lines()
            .filter(|line| line.contains("STREAM"))
            .filter_map(|line| Some(line.split_whitespace().next()?.to_owned()))
            .collect();
        found.sort();
        Ok(found)
    };
    let both = found("one", "all")?;
    ensure!(both.len() == 2 && both == found("two", "all")?, "{both:?}");
    // The old name is free at once, for its former owner too.
    let address = found("one", "one")?;
    world.tandem(["rename", "one", "first"])?.ok()?;
    ensure!(found("first", "one")?.is_empty(), "the old name");
    ensure!(found("first", "first")? == address && found("two", "first")? == address, "the new");
    world.tandem(["rename", "two", "one"])?.ok()?;
    let other = found("one", "one")?;
    ensure!(other != address && found("first", "one")? == other, "{other:?}, {address:?}");
    world.tandem(["rm", "-f", "one", "first"])?.ok()?;
    world.tandem(["network", "rm", "front"])?.ok()?;
    Ok(())
}
