//! Images whose configuration or files are a trick, and builds that must give
//! the same anywhere. `crates/HOSTILE.md` names the attacks.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{
    archive::{build_tools, elsewhere},
    faults_disk::faked,
};
use crate::{Case, Need, Output, Start, World};

const BOX: &[Need] = &[Need::Root, Need::Program("busybox")];

pub(super) const CASES: &[Case] = &[
    Case {
        name: "hostile::variables_and_labels_of_an_image_stay_words",
        needs: BOX,
        start: Start::Empty,
        run: words_of_images,
    },
    Case {
        name: "hostile::device_nodes_of_an_image_do_not_work",
        needs: BOX,
        start: Start::Empty,
        run: device_nodes,
    },
    Case {
        name: "build::another_home_and_clock_give_the_same_digest",
        needs: &[Need::Root, Need::Program("busybox"), Need::Program("faketime")],
        start: Start::Empty,
        run: reproducible,
    },
];

/// No trick may make a command wait.
const LIMIT: Duration = Duration::from_secs(40);

fn tandem(world: &World, line: &str) -> Result<Output> {
    world.tandem_within(LIMIT, line.split(' '))
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

/// An archive with one image: busybox and this configuration.
fn archive(world: &World, name: &str, config: &Value) -> Result<PathBuf> {
    let mut layer = tar::Builder::new(Vec::new());
    let program = world.scratch().join("box/root/bin/busybox");
    layer.append_path_with_name(program, "bin/busybox")?;
    let layer = layer.into_inner()?;
    let config = json!({"architecture": "amd64", "os": "linux", "config": config,
        "rootfs": {"type": "layers", "diff_ids": [digest(&layer)]}, "history": [
            {"created_by": "evil \u{1b}]0;title\u{7}\u{9b}31m\u{202e}", "comment": "\u{9b}2J"}]});
    let config = config.to_string().into_bytes();
    let manifest = json!([{"Config": "config.json", "RepoTags": [format!("{name}:1")],
        "Layers": ["layer.tar"]}]);
    let path = world.scratch().join(format!("{name}.tar"));
    let mut archive = tar::Builder::new(fs::File::create(&path)?);
    for (name, bytes) in [
        ("layer.tar", &layer[..]),
        ("config.json", &config),
        ("manifest.json", manifest.to_string().as_bytes()),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, bytes)?;
    }
    archive.finish()?;
    Ok(path)
}

fn load(world: &World, name: &str, config: &Value) -> Result<Output> {
    let path = archive(world, name, config)?;
    world.tandem_within(LIMIT, ["load".as_ref(), "-i".as_ref(), path.as_os_str()])
}

/// Whether a terminal would do something instead of showing it.
fn steers(c: char) -> bool {
    (c.is_control() && c != '\n') || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn words_of_images(world: &World) -> Result<()> {
    build_tools(world)?;
    let evil = "\u{1b}]0;title\u{7}\u{9b}31m\u{202e}\r\n\u{7f}";
    let env = ["FINE=1", "LINES=a\nEVIL=b", "NOTHING", "=x", "", "FINE=2", "PATH=/bin"];
    let labels = json!({"a": evil, evil: "b", "io.tandem": "x", "": ""});
    let config = json!({"Env": env, "Labels": labels, "Entrypoint": ["/bin/busybox"],
        "Cmd": ["env", "-0"], "User": "0\n1:2", "WorkingDir": "/"});
    load(world, "labels", &config)?.ok()?;
    for line in [
        "images",
        "images --json",
        "image ls",
        "image inspect labels:1",
        "inspect labels:1",
        "image history labels:1",
        "image history --json labels:1",
        "image tree labels:1",
        // That user has a line end in its name.
        "run --rm --network none labels:1",
    ] {
        let output = tandem(world, line)?;
        let said = format!("{}{}", output.stdout, output.stderr);
        ensure!(!said.contains(steers), "`{line}` steers the terminal: {said:?}");
        ensure!((output.code == Some(0)) != line.starts_with("run"), "{output}");
    }
    let inspected = tandem(world, "image inspect labels:1")?.json()?;
    ensure!(inspected["config"]["Labels"] == labels, "{inspected}");
    let seen = tandem(world, "run --rm --network none -u 0 labels:1")?.ok()?;
    let mut seen: Vec<&str> = seen.stdout.split('\0').filter(|it| !it.is_empty()).collect();
    seen.sort_unstable();
    let own = |it: &&str| !it.starts_with("HOSTNAME=");
    let seen: Vec<&str> = seen.into_iter().filter(own).collect();
    ensure!(seen == ["FINE=2", "HOME=/", "LINES=a\nEVIL=b", "PATH=/bin"], "{seen:?}");
    // A zero byte ends a variable for the kernel, and would hide the rest.
    let run = json!({"Entrypoint": ["/bin/busybox", "env"], "Env": ["A=b\0EVIL=1"]});
    load(world, "zero", &run)?.ok()?;
    let output = tandem(world, "run --rm --network none zero:1")?;
    ensure!(output.code != Some(0) && !output.stdout.contains("EVIL"), "{output}");
    // More than the kernel hands over to a program is an answer, not a wait.
    let megabytes: Vec<String> =
        (0..60).map(|it| format!("A{it}={}", "x".repeat(60_000))).collect();
    let many: Vec<String> = (0..200_000).map(|number| format!("{number}=")).collect();
    for (name, env) in [("megabytes", megabytes), ("many", many)] {
        let config = json!({"Entrypoint": ["/bin/busybox", "true"], "Env": env});
        load(world, name, &config)?.ok()?;
        let output = tandem(world, &format!("run --rm --network none {name}:1"))?;
        ensure!(output.code != Some(0) && output.stderr.len() < 5000, "{output}");
        ensure!(output.elapsed < LIMIT, "{output}");
    }
    let left = tandem(world, "ps -a --json")?.ok()?.json()?;
    ensure!(left.as_array().is_some_and(Vec::is_empty), "{left}");
    Ok(())
}

/// The kernel's log, which no container may read, under names of an image's.
fn device_nodes(world: &World) -> Result<()> {
    build_tools(world)?;
    let context = world.scratch().join("nodes");
    fs::create_dir_all(&context)?;
    let mut archive = tar::Builder::new(fs::File::create(context.join("nodes.tar"))?);
    for (name, kind, major, minor) in
        [("log", tar::EntryType::Char, 1, 11), ("disk", tar::EntryType::Block, 254, 0)]
    {
        let mut header = tar::Header::new_gnu();
        header.set_path(name)?;
        header.set_entry_type(kind);
        header.set_mode(0o666);
        header.set_size(0);
        header.set_device_major(major)?;
        header.set_device_minor(minor)?;
        header.set_cksum();
        archive.append(&header, std::io::empty())?;
    }
    archive.finish()?;
    // A log shows the words of the step too: what it prints differs from them.
    let look = "for it in /log /disk; do if [ -e $it ]; then echo the$((1))re; fi; \
        if head -c 1 $it > /got; then echo re$((1))ad; fi; done; true";
    let step = json!(["/bin/sh", "-c", look]);
    world.write("nodes/Dockerfile", &format!("FROM box:1\nADD nodes.tar /\nRUN {step}\n"))?;
    let built = tandem(world, "build -t nodes nodes")?.ok()?;
    ensure!(!built.stderr.contains("re1ad"), "a build step reads a device\n{built}");
    ensure!(built.stderr.contains("the1re"), "the devices are not in the image\n{built}");
    for options in ["", " --cap-add ALL", " --init"] {
        let line = format!("run --rm --network none{options} nodes sh -c");
        let words = line.split(' ').chain([look]);
        let output = world.tandem_within(LIMIT, words)?.ok()?;
        ensure!(output.stdout.contains("the1re") && !output.stdout.contains("re1ad"), "{output}");
    }
    Ok(())
}

/// Copies a folder; everything in the copy is new.
fn copied(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)?.flatten() {
        let place = to.join(entry.file_name());
        if entry.path().is_dir() {
            copied(&entry.path(), &place)?;
        } else {
            fs::copy(entry.path(), place)?;
        }
    }
    Ok(())
}

fn reproducible(world: &World) -> Result<()> {
    build_tools(world)?;
    let library = faked().context("there is no libfaketimeMT.so.1")?;
    let step = json!([
        "/bin/sh",
        "-c",
        "date > /dev/null; mkdir /made; echo x > /made/x; ln /made/x /made/y"
    ]);
    let recipe = format!(
        "FROM scratch AS base\nCOPY root /\nFROM base\nCOPY --chown=7:8 files /files\nRUN {step}\n\
         WORKDIR /work\nENV B=2 A=1\nLABEL z=1 y=2\nVOLUME [\"/v\"]\nEXPOSE 81 80\n"
    );
    let first = world.scratch().join("first");
    copied(&world.scratch().join("box/root"), &first.join("root"))?;
    for name in ["sh", "mkdir", "date", "ln"] {
        fs::hard_link(first.join("root/bin/busybox"), first.join("root/bin").join(name))?;
    }
    fs::create_dir_all(first.join("files/deep"))?;
    fs::write(first.join("files/deep/one"), "1")?;
    fs::write(first.join("files/two"), "2")?;
    fs::write(first.join("Dockerfile"), recipe)?;
    let second = world.scratch().join("elsewhere/second");
    // Later by more than any clock's grain.
    std::thread::sleep(Duration::from_millis(1100));
    copied(&first, &second)?;
    for name in ["sh", "mkdir", "date", "ln"] {
        let place = second.join("root/bin").join(name);
        fs::remove_file(&place)?;
        fs::hard_link(second.join("root/bin/busybox"), place)?;
    }
    let homes = ["one", "two", "three"].map(|name| world.scratch().join("homes").join(name));
    let mut digests = Vec::new();
    for (home, context, shift) in
        [(&homes[0], &first, None), (&homes[1], &second, None), (&homes[2], &second, Some("+400d"))]
    {
        let mut command = world.command(["build", "-q", "-t", "same:1"]);
        command.arg(context).env("TANDEM_HOME", home).env("SOURCE_DATE_EPOCH", "1700000000");
        if let Some(shift) = shift {
            command.env("LD_PRELOAD", &library).env("FAKETIME", shift);
            command.env("DONT_FAKE_MONOTONIC", "1");
        }
        digests.push(world.finish(command)?.ok()?.line().to_owned());
        let history = elsewhere(world, home, &["image", "history", "--json", "same:1"])?.ok()?;
        ensure!(!history.stdout.contains("\"created_at\": \"2026"), "{history}");
        ensure!(history.stdout.contains("2023-11-14"), "{history}");
    }
    ensure!(digests[0].starts_with("sha256:"), "{digests:?}");
    ensure!(digests.iter().all(|digest| *digest == digests[0]), "{digests:?}");
    Ok(())
}
