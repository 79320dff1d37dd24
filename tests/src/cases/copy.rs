//! `tandem cp`: Docker's rules, both ways, and no way out.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, symlink},
    path::Path,
    process::Stdio,
    time::Duration,
};

use anyhow::{Result, ensure};

use crate::{Case, Need, Start, World, poll};

pub(super) const CASES: &[Case] = &[
    case("copy::goes_both_ways_running_and_stopped", both_ways),
    case("copy::follows_the_rules_for_folders", folders),
    case("copy::streams_archives", streams),
    case("copy::cannot_be_led_outside", confined),
];

const fn case(name: &'static str, run: fn(&World) -> Result<()>) -> Case {
    Case { name, needs: &[Need::Root], start: Start::Built, run }
}

/// Starts an instance that runs this Python and then sleeps.
pub(super) fn sleeper(world: &World, name: &str, options: &[&str], script: &str) -> Result<()> {
    let fixed = ["run", "-d", "--name", name, "--entrypoint", "python"];
    let script = format!("{script}\nprint('ready', flush=True)\nimport time; time.sleep(600)");
    world.tandem([&fixed[..], options, &["hello-flask", "-c", &script]].concat())?.ok()?;
    poll::until("the app to be ready", Duration::from_secs(30), || {
        let logs = world.tandem(["logs", name]).ok()?;
        logs.stdout.contains("ready").then_some(())
    })
}

fn both_ways(world: &World) -> Result<()> {
    sleeper(
        world,
        "box",
        &[],
        "import os; os.makedirs('/data/deep', exist_ok=True); open('/data/deep/made', 'w').write('inside')",
    )?;
    world.write("letter", "from the host")?;
    world.tandem(["cp", "letter", "box:/data/"])?.ok()?;
    world.tandem(["cp", "box:data/letter", "answer"])?.ok()?;
    ensure!(fs::read_to_string(world.scratch().join("answer"))? == "from the host", "changed");
    world.tandem(["cp", "box:/data/deep", "."])?.ok()?;
    ensure!(fs::read_to_string(world.scratch().join("deep/made"))? == "inside", "changed");

    world.tandem(["stop", "-t", "0", "box"])?.ok()?;
    world.tandem(["cp", "letter", "box:/data/stopped"])?.ok()?;
    world.tandem(["cp", "box:/data/stopped", "again"])?.ok()?;
    ensure!(fs::read_to_string(world.scratch().join("again"))? == "from the host", "changed");
    let root = fs::metadata(world.scratch().join("again"))?;
    ensure!(root.uid() == 0 && root.is_file(), "the caller owns what comes out");
    world.tandem(["start", "box"])?.ok()?;
    poll::until("the copied file inside", Duration::from_secs(30), || {
        let copied = world.tandem(["cp", "box:/data/stopped", "third"]).ok()?;
        copied.ok().ok()
    })?;
    let missing = world.tandem(["cp", "box:/none", "here"])?.code_is(125)?;
    missing.is_one_sentence(&["/none", "box"])?;
    ensure!(!world.scratch().join("here").exists(), "something was left");
    world.tandem(["cp", "nobody:/x", "."])?.code_is(125)?.is_one_sentence(&["nobody"])?;
    world.tandem(["cp", "letter", "copy"])?.code_is(2)?.is_one_sentence(&["INSTANCE:PATH"])?;
    world.tandem(["cp", "letter", "box:/nodir/"])?.code_is(125)?.is_one_sentence(&["/nodir/"])?;
    world.tandem(["rm", "-f", "box"])?.ok()?;
    Ok(())
}

fn folders(world: &World) -> Result<()> {
    world.tandem(["create", "--name", "box", "hello-flask"])?.ok()?;
    world.write("dir/sub/file", "x")?;
    let at = |path: &str| world.scratch().join(path);
    symlink("sub/file", at("dir/link"))?;
    // Not there: it is made and gets the contents. There: the folder goes in.
    world.tandem(["cp", "dir", "box:/new"])?.ok()?;
    world.tandem(["cp", "dir", "box:/new"])?.ok()?;
    world.tandem(["cp", "dir/.", "box:/tmp"])?.ok()?;
    world.tandem(["cp", "box:/new", "out"])?.ok()?;
    ensure!(at("out/sub/file").is_file() && at("out/dir/sub/file").is_file(), "other names");
    ensure!(fs::read_link(at("out/link"))? == Path::new("sub/file"), "the link was followed");
    world.tandem(["cp", "box:/tmp/.", "flat"])?.ok()?;
    ensure!(at("flat/sub/file").is_file(), "`/.` copies what is in the folder");
    world.tandem(["cp", "-L", "box:/tmp/link", "followed"])?.ok()?;
    ensure!(fs::symlink_metadata(at("followed"))?.is_file(), "-L follows the link");
    let refused = world.tandem(["cp", "dir", "box:/tmp/sub/file"])?.code_is(125)?;
    refused.is_one_sentence(&["folder", "file"])?;
    // What would be left out silently, and what is missing, is said.
    let device = world.tandem(["cp", "/dev/null", "box:/tmp/null"])?.code_is(125)?;
    device.is_one_sentence(&["/dev/null", "a device"])?;
    let nowhere = world.tandem(["cp", "dir/sub/file", "box:/no/where/file"])?.code_is(125)?;
    nowhere.is_one_sentence(&["copy to", "/no/where/file", "the folder to copy into"])?;
    // A folder in the place of a file of ours.
    world.tandem(["cp", "dir", "box:/etc/hostname"])?.ok()?;
    let stuck = world.tandem(["start", "box"])?.code_is(125)?;
    stuck.is_one_sentence(&["/etc/hostname", "it is a folder"])?;
    world.tandem(["rm", "box"])?.ok()?;
    sleeper(world, "shut", &["--read-only", "--tmpfs", "/tmp"], "")?;
    let shut = world.tandem(["cp", "dir", "shut:/srv"])?.code_is(125)?;
    shut.is_one_sentence(&["/srv", "--read-only"])?;
    world.tandem(["cp", "dir", "shut:/tmp"])?.ok()?;
    let device = world.tandem(["cp", "shut:/dev/null", "null"])?.code_is(125)?;
    device.is_one_sentence(&["/dev/null", "a device"])?;
    world.tandem(["rm", "-f", "shut"])?.ok()?;
    Ok(())
}

fn streams(world: &World) -> Result<()> {
    sleeper(world, "box", &[], "import os; os.mkdir('/d'); open('/d/f', 'w').write('inside')")?;
    let archive = fs::File::create(world.scratch().join("d.tar"))?;
    let mut command = world.command(["cp", "box:/d", "-"]);
    ensure!(command.stdout(Stdio::from(archive)).status()?.success(), "no archive came");
    let listed = world.run("tar", &["tf", "d.tar"])?.ok()?;
    ensure!(listed.stdout == "d/\nd/f\n", "{listed}");
    let archive = fs::File::open(world.scratch().join("d.tar"))?;
    let mut command = world.command(["cp", "-", "box:/tmp"]);
    ensure!(command.stdin(Stdio::from(archive)).status()?.success(), "it was not taken");
    world.tandem(["cp", "box:/tmp/d/f", "f"])?.ok()?;
    ensure!(fs::read_to_string(world.scratch().join("f"))? == "inside", "changed");
    world.write("noise", "this is no archive, and it is long enough not to be one")?;
    let noise = fs::File::open(world.scratch().join("noise"))?;
    let mut command = world.command(["cp", "-", "box:/tmp"]);
    let output = command.stdin(Stdio::from(noise)).output()?;
    ensure!(output.status.code() == Some(125), "noise was taken for an archive");
    world.tandem(["rm", "-f", "box"])?.ok()?;
    Ok(())
}

/// An app that points links at the host, among them one at a folder that the
/// host has too, must not lead a copy there.
fn confined(world: &World) -> Result<()> {
    let canary = world.scratch().join("canary");
    fs::create_dir(&canary)?;
    fs::write(canary.join("secret"), "the host's")?;
    let outside = canary.display();
    let script = format!(
        "import os
os.symlink('{outside}', '/out')
os.symlink('{outside}/secret', '/secret')
os.symlink('../../../../../../..{outside}', '/up')
os.symlink('/proc/1/root/..{outside}', '/through')"
    );
    sleeper(world, "hostile", &[], &script)?;
    world.write("evil", "overwritten")?;
    for running in [true, false] {
        for target in ["/out/secret", "/secret", "/up/secret", "/through/secret", "/out/", "/up"] {
            // Some fail and some write inside; none may touch the host.
            world.tandem(["cp", "evil", &format!("hostile:{target}")])?;
            let read = world.tandem(["cp", "-L", &format!("hostile:{target}"), "leak"])?;
            let leak = world.scratch().join("leak");
            let text = fs::read_to_string(&leak).unwrap_or_default();
            ensure!(text != "the host's", "{target} led outside\n{read}");
            ensure!(!leak.join("secret").exists(), "{target} led outside\n{read}");
            let _ = fs::remove_file(&leak);
            let _ = fs::remove_dir_all(&leak);
        }
        ensure!(fs::read_to_string(canary.join("secret"))? == "the host's", "it was overwritten");
        ensure!(fs::read_dir(&canary)?.count() == 1, "something was written on the host");
        if running {
            world.tandem(["stop", "-t", "0", "hostile"])?.ok()?;
        }
    }
    world.tandem(["rm", "hostile"])?.ok()?;
    Ok(())
}
