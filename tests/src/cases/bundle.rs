//! Bundles: made in one home, opened in another that has no network, and what
//! can go wrong with the file.

use std::{
    fs,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

use super::{
    archive::{build_box, digest, elsewhere, is_empty, rows},
    case,
};
use crate::{Case, Need, Output, Start, World, poll};

const BOX: &[Need] = &[Need::Root, Need::Program("busybox"), Need::Program("unshare")];
const LANES: &[Need] = &[
    Need::Root,
    Need::Program("unshare"),
    Need::Program("ip"),
    Need::Program("qemu-system-x86_64"),
    Need::Program("mke2fs"),
];

pub(super) const CASES: &[Case] = &[
    case("bundle::what_one_home_has_another_runs_without_a_network", BOX, Start::Empty, carried),
    case("bundle::what_cannot_be_opened_is_said_and_leaves_nothing", BOX, Start::Empty, broken),
    case("bundle::one_that_is_ended_leaves_nothing", BOX, Start::Empty, ended),
    case("bundle::a_class_compares_without_a_network", LANES, Start::Built, class),
];

/// A home's `tandem` where there is loopback and nothing else.
fn cut_off(world: &World, home: &Path, arguments: &[&str]) -> Command {
    let script = "ip link set lo up && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["-n", "sh", "-c", script, "sh"]).arg(world.program("tandem")).args(arguments);
    world.prepare(&mut command);
    command.env("TANDEM_HOME", home);
    command
}

fn offline(world: &World, home: &Path, arguments: &[&str]) -> Result<Output> {
    world.finish(cut_off(world, home, arguments))
}

fn home(world: &World, name: &str) -> PathBuf {
    world.scratch().join(name)
}

/// What a report says of each thing, `kind name state`.
fn items(report: &Output) -> Result<Vec<String>> {
    let report = report.json()?;
    let items = report["items"].as_array().context("no items")?;
    let word = |item: &Value, key: &str| item[key].as_str().unwrap_or("?").to_owned();
    Ok(items
        .iter()
        .map(|it| ["kind", "name", "state"].map(|key| word(it, key)).join(" "))
        .collect())
}

fn carried(world: &World) -> Result<()> {
    let built = build_box(world)?;
    let lessons = world.home().join("lessons");
    fs::create_dir_all(&lessons)?;
    fs::write(lessons.join("own.md"), "# Own\n\nA lesson.\n\n## Do\n\nNothing.\n")?;
    let create = ["bundle", "create", "-o", "class.tandem", "--image", "box:1", "--json"];
    let made = world.tandem(create)?.ok()?;
    let [image, steps] = &items(&made)?[..] else { anyhow::bail!("{made}") };
    ensure!(image.ends_with("box:1 packed") && steps.starts_with("steps "), "{made}");
    let size = fs::metadata(world.scratch().join("class.tandem"))?.len();
    ensure!(made.json()?["bytes"] == size, "{made}");

    let second = home(world, "second");
    let opened = offline(world, &second, &["bundle", "open", "class.tandem", "--json"])?.ok()?;
    ensure!(items(&opened)?.iter().all(|it| it.ends_with(" new")), "{opened}");
    ensure!(digest(world, &second, "box", "1")? == built, "the image has changed");
    let run = ["run", "--rm", "--network", "none", "box:1"];
    let hello = offline(world, &second, &run)?.ok()?;
    ensure!(hello.line() == "hello from the box", "{hello}");
    // The same build finds every step.
    let again = offline(world, &second, &["build", "--progress", "json", "-t", "box:2", "box"])?;
    let again = again.ok()?;
    ensure!(digest(world, &second, "box", "2")? == built, "a step was done again\n{again}");
    offline(world, &second, &["image", "rm", "box:2"])?.ok()?;
    let opened = offline(world, &second, &["bundle", "open", "class.tandem", "--json"])?.ok()?;
    ensure!(items(&opened)?.iter().all(|it| it.ends_with(" present")), "{opened}");
    ensure!(rows(world, &second)?.len() == 1, "{:?}", rows(world, &second)?);

    // Lessons of one's own go along when nothing else was chosen.
    let usual = ["bundle", "create", "-o", "usual.tandem", "--no-build", "--json"];
    let made = world.tandem(usual)?.ok()?;
    ensure!(items(&made)? == ["lesson own packed"], "{made}");
    offline(world, &second, &["bundle", "open", "usual.tandem"])?.ok()?;
    let lessons = offline(world, &second, &["lesson", "ls", "--json"])?.ok()?.json()?;
    let lessons = lessons.as_array().context("a list")?;
    ensure!(lessons.iter().any(|it| it["id"] == "own" && it["own"] == true), "{lessons:?}");

    // Others read the images too.
    let third = home(world, "third");
    elsewhere(world, &third, &["load", "-i", "class.tandem"])?.ok()?;
    ensure!(digest(world, &third, "box", "1")? == built, "the image has changed");
    Ok(())
}

fn broken(world: &World) -> Result<()> {
    build_box(world)?;
    world.tandem(["bundle", "create", "-o", "whole", "--image", "box:1"])?.ok()?;
    let whole = fs::read(world.scratch().join("whole"))?;
    let write = |name: &str, bytes: &[u8]| fs::write(world.scratch().join(name), bytes);
    write("cut", &whole[..whole.len() * 2 / 3])?;
    write("changed", &whole)?;
    let file = fs::File::options().write(true).open(world.scratch().join("changed"))?;
    // Within the largest blob, which is most of the file.
    file.write_all_at(b"changed", whole.len() as u64 / 2)?;
    let at = whole.windows(11).position(|it| it == b"\"version\":1").context("no version")?;
    let mut newer = whole.clone();
    newer[at + 10] = b'7';
    write("newer", &newer)?;
    write("text", b"hello\n")?;
    write("empty", b"")?;
    world.tandem(["save", "-o", "images.tar", "box:1"])?.ok()?;
    world.run("tar", &["-cf", "foreign.tar", "text"])?.ok()?;
    let second = home(world, "second");
    let open = |file: &str, says: &[&str]| -> Result<()> {
        let refused = offline(world, &second, &["--quiet", "bundle", "open", file])?;
        refused.code_is(125)?.is_one_sentence(says)?;
        is_empty(world, &second)
    };
    open("none", &["there is no bundle none"])?;
    open("cut", &["cut is damaged", "too soon", "nothing of it was taken over"])?;
    open("changed", &["changed is damaged", "other bytes than it should"])?;
    open("newer", &["made by a newer Tandem", "version 7"])?;
    open("text", &["text is no bundle"])?;
    open("empty", &["it is empty"])?;
    open(".", &["it is a folder"])?;
    open("images.tar", &["images.tar is no bundle", "tandem load"])?;
    open("foreign.tar", &["foreign.tar is no bundle"])?;
    let into = ["bundle", "create", "--no-build", "-o", "none/x", "--image", "box:1"];
    world.tandem(into)?.code_is(125)?.is_one_sentence(&["none/x", "its folder is not there"])?;
    let unknown = ["bundle", "create", "--no-build", "-o", "x", "--image", "bix:1"];
    world.tandem(unknown)?.code_is(125)?.is_one_sentence(&["bix:1", "did you mean"])?;
    ensure!(!world.scratch().join("x").exists(), "a file was begun for no image");
    offline(world, &second, &["bundle", "open", "whole"])?.ok()?;
    Ok(())
}

fn ended(world: &World) -> Result<()> {
    world.write("big/Dockerfile", "FROM scratch\nCOPY noise /\n")?;
    let noise = ["if=/dev/urandom", "of=big/noise", "bs=1M", "count=256", "status=none"];
    world.run("dd", &noise)?.ok()?;
    world.tandem(["build", "-t", "big", "big"])?.ok()?;
    let names = || -> Vec<String> {
        let entries = fs::read_dir(world.scratch()).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    };
    let before = names().len();
    let arguments = ["bundle", "create", "-o", "class", "--image", "big"];
    for (signal, code) in [(Signal::SIGINT, Some(130)), (Signal::SIGKILL, None)] {
        let mut create = world.background(arguments)?;
        let begun = || writes_into(create.pid(), world.scratch()).then_some(());
        poll::until("the bundle to begin", Duration::from_secs(30), begun)?;
        create.signal(signal)?;
        ensure!(create.wait(Duration::from_secs(30))? == code, "it was not ended");
        // Where files have names while they are written, the next one sweeps.
        let swept = !names().iter().any(|name| name.starts_with(".tandem-draft-"));
        ensure!(!swept || names().len() == before, "a half bundle stays: {:?}", names());
    }
    world.tandem(arguments)?.ok()?;
    ensure!(names().len() == before + 1, "a half bundle stays: {:?}", names());
    let second = home(world, "second");
    for (signal, code) in [(Signal::SIGINT, Some(130)), (Signal::SIGKILL, None)] {
        let mut open = world.command(["--quiet", "bundle", "open", "class"]);
        let mut child = open.env("TANDEM_HOME", &second).spawn()?;
        let begun = || second.join("tmp").read_dir().ok()?.flatten().find(|it| it.path().is_dir());
        poll::until("the opening to begin", Duration::from_secs(30), begun)?;
        kill(Pid::from_raw(i32::try_from(child.id())?), signal)?;
        let status = child.wait()?;
        ensure!(status.code() == code, "{status}");
        is_empty(world, &second)?;
    }
    elsewhere(world, &second, &["bundle", "open", "class"])?.ok()?;
    ensure!(rows(world, &second)?.len() == 1);
    Ok(())
}

/// Whether a process has a draft in a folder open, with a name or without.
fn writes_into(pid: u32, folder: &Path) -> bool {
    let open = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    open.filter_map(|entry| fs::read_link(entry.path()).ok()).any(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        path.parent() == Some(folder) && (name.starts_with('#') || name.starts_with(".tandem-"))
    })
}

fn class(world: &World) -> Result<()> {
    let create =
        ["bundle", "create", "-o", "class.tandem", "--image", "hello-flask", "--kernel", "--json"];
    let made = world.tandem(create)?.ok()?;
    let all = items(&made)?;
    ensure!(all.iter().any(|it| it.contains("localhost/tandem/python:")), "no base\n{made}");
    ensure!(all.iter().any(|it| it.starts_with("kernel ")), "no kernel\n{made}");
    let pupil = home(world, "pupil");
    offline(world, &pupil, &["bundle", "open", "class.tandem"])?.ok()?;
    let compare =
        ["compare", "--lanes", "container,vm/micro@tcg", "--trials", "1", "--json", "out.json"];
    let limit = Duration::from_mins(8);
    let output = crate::process::run(cut_off(world, &pupil, &compare), limit)?.ok()?;
    let result = fs::read_to_string(world.scratch().join("out.json"))?;
    let result: Value = serde_json::from_str(&result)?;
    let trials = result["trials"].as_array().context("no trials")?;
    let measured = trials.iter().all(|trial| trial["outcome"] == "measured");
    ensure!(measured && trials.len() >= 4, "{output}");
    ensure!(result["subject"]["base_substituted"] == true, "{}", result["subject"]);
    let teachers = digest(world, world.home(), "hello-flask", "latest")?;
    ensure!(digest(world, &pupil, "hello-flask", "latest")? == teachers, "another image\n{output}");
    Ok(())
}
