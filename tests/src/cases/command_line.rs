//! The command itself: version, wrong usage, what the machine can do.

use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Result, ensure};

use crate::{Case, Start, World};

pub(super) const CASES: &[Case] = &[
    case("command_line::version", version),
    case("command_line::wrong_usage_is_code_2", wrong_usage),
    case("command_line::completions_and_manual_pages", manual),
    case("command_line::doctor_lists_capabilities", doctor),
    case("command_line::doctor_mends_what_a_command_mends", mends),
    case("command_line::an_empty_home_lists_nothing", empty_home),
];

const fn case(name: &'static str, run: fn(&World) -> Result<()>) -> Case {
    Case { name, needs: &[], start: Start::Empty, run }
}

fn version(world: &World) -> Result<()> {
    let output = world.tandem(["--version"])?.ok()?;
    ensure!(output.line() == concat!("tandem ", env!("CARGO_PKG_VERSION")), "{output}");
    Ok(())
}

fn wrong_usage(world: &World) -> Result<()> {
    for args in [
        &["fly"][..],
        &["run"],
        &["run", "--backend", "zeppelin", "hello-flask"],
        &["run", "-p", "eighty", "hello-flask"],
        &["run", "--memory", "lots", "hello-flask"],
        &["compare", "--trials", "0"],
        &["compare", "--lanes", "vm/huge"],
        &["run", "--memory"],
        &["ps", "--bogus"],
        &["stop"],
        &["image", "lss"],
        &["ps", "--quiet", "--verbose"],
        &["--home", "x"],
    ] {
        let output = world.tandem(args)?.code_is(2)?;
        ensure!(output.stdout.is_empty(), "an error belongs on standard error\n{output}");
        let one = output.stderr.lines().count() == 1 && output.stderr.starts_with("tandem: `");
        ensure!(one, "not one sentence\n{output}");
    }
    Ok(())
}

fn manual(world: &World) -> Result<()> {
    for shell in ["bash", "zsh", "fish"] {
        let text = world.tandem(["completion", shell])?.ok()?;
        ensure!(text.stdout.contains("snapshot"), "{shell} does not know the commands");
    }
    ensure!(world.tandem(["man"])?.ok()?.stdout.contains(".TH tandem 1"), "no manual page");
    world.tandem(["man", "--dir", "pages"])?.ok()?;
    let page = std::fs::read_to_string(world.scratch().join("pages/tandem-run.1"))?;
    ensure!(page.contains("\\-\\-publish"), "{page}");
    Ok(())
}

fn doctor(world: &World) -> Result<()> {
    let output = world.tandem(["doctor", "--json"])?.ok()?;
    let document = output.json()?;
    let list = document.as_array().filter(|list| !list.is_empty());
    let Some(list) = list else { anyhow::bail!("not a list with entries\n{output}") };
    for entry in list {
        let is_text = |field: &str| entry[field].as_str().is_some_and(|text| !text.is_empty());
        let status = entry["status"].as_str().unwrap_or_default();
        ensure!(is_text("id") && is_text("detail"), "an entry without id or detail: {entry}");
        ensure!(["ok", "limited", "missing"].contains(&status), "an unknown status: {entry}");
        ensure!(entry["fix"].is_string() || entry["fix"].is_null(), "an odd fix: {entry}");
    }
    Ok(())
}

/// On a machine without mmdebstrap, whose package manager is ours.
fn mends(world: &World) -> Result<()> {
    let stubs = world.scratch().join("stubs");
    let log = world.scratch().join("log");
    for name in ["apt-get", "modprobe", "sysctl", "usermod", "mount", "sudo", "tee"] {
        let path = world.write(
            &format!("stubs/{name}"),
            &format!("#!/bin/sh\necho \"{name} $*\" >> {}\necho said by {name}\n", log.display()),
        )?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
    }
    std::os::unix::fs::symlink("/bin/sh", stubs.join("sh"))?;
    let mut command = world.command(["doctor", "--fix", "--json"]);
    command.env("PATH", &stubs);
    let output = world.finish(command)?.ok()?;
    let rows = output.json()?;
    let row = rows.as_array().into_iter().flatten().find(|row| row["id"] == "bootstrap");
    ensure!(row.is_some_and(|row| row["status"] == "missing"), "{output}");
    let ran = std::fs::read_to_string(&log)?;
    let install = "apt-get install -y mmdebstrap";
    ensure!(ran.lines().any(|line| line.ends_with(install)), "{ran}");
    ensure!(output.stderr.contains(&format!("{install}\n")), "{output}");
    ensure!(output.stderr.contains("said by "), "{output}");
    ensure!(!ran.contains("docker") && !ran.contains("tandem"), "{ran}");
    // One that fails is named in the end.
    std::fs::remove_file(stubs.join("apt-get"))?;
    let mut command = world.command(["doctor", "--fix"]);
    command.env("PATH", &stubs);
    if nix::unistd::geteuid().is_root() {
        let failed = world.finish(command)?.code_is(125)?;
        ensure!(failed.stderr.contains(&format!("`{install}` ended with")), "{failed}");
        ensure!(failed.stdout.contains("bootstrap"), "{failed}");
    }
    Ok(())
}

fn empty_home(world: &World) -> Result<()> {
    for args in [["ps", "--json"], ["images", "--json"]] {
        let output = world.tandem(args)?.ok()?;
        ensure!(output.json()? == serde_json::json!([]), "{output}");
    }
    Ok(())
}
