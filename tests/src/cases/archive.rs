//! Images as files: to and from skopeo, umoci, Docker and Podman, and what can
//! go wrong with a file.

use std::{
    fs,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::{
    Case, Need, Output, Start, World, docker_peer::DockerPeer, podman_peer::PodmanPeer, poll,
    registry_peer::RegistryPeer,
};

const BOX: &[Need] = &[Need::Root, Need::Program("busybox")];
const LAYOUTS: &[Need] =
    &[Need::Root, Need::Program("busybox"), Need::Program("skopeo"), Need::Program("umoci")];
const DOCKER: &[Need] = &[
    Need::Root,
    Need::Program("busybox"),
    Need::Program("dockerd"),
    Need::Program("docker"),
    Need::Program("docker-registry"),
    Need::Program("gzip"),
];
const PODMAN: &[Need] =
    &[Need::Root, Need::Program("busybox"), Need::Program("podman"), Need::Program("runc")];

pub(super) const CASES: &[Case] = &[
    case("archive::skopeo_and_umoci_read_ours_and_we_read_theirs", LAYOUTS, layouts),
    case("archive::docker_runs_ours_and_we_run_dockers", DOCKER, docker),
    case("archive::podman_runs_ours_and_we_run_podmans", PODMAN, podman),
    case("archive::what_cannot_be_loaded_is_said_and_leaves_nothing", BOX, broken),
    case("archive::a_load_that_is_ended_leaves_nothing", BOX, ended),
];

const fn case(name: &'static str, needs: &'static [Need], run: fn(&World) -> Result<()>) -> Case {
    Case { name, needs, start: Start::Empty, run }
}

/// Builds `box:1`, which says hello: three layers, one of which hides a file.
pub(super) fn build_box(world: &World) -> Result<String> {
    let recipe = "FROM scratch\nCOPY root /\n\
        COPY gone kept /srv/\nRUN [\"/bin/busybox\", \"rm\", \"/srv/gone\"]\n\
        ENTRYPOINT [\"/bin/busybox\"]\nCMD [\"echo\", \"hello from the box\"]\n";
    world.write("box/Dockerfile", recipe)?;
    world.write("box/gone", "gone\n")?;
    world.write("box/kept", "kept\n")?;
    let program = ["/bin/busybox", "/usr/bin/busybox"].iter().find(|it| Path::new(it).exists());
    let root = world.scratch().join("box/root");
    for folder in ["bin", "dev", "etc", "proc", "sys", "tmp"] {
        fs::create_dir_all(root.join(folder))?;
    }
    fs::copy(program.context("no busybox")?, root.join("bin/busybox"))?;
    world.tandem(["build", "-t", "box:1", "box"])?.ok()?;
    digest(world, world.home(), "box", "1")
}

/// Builds `box:1` with all of busybox's programs by their names.
pub(super) fn build_tools(world: &World) -> Result<()> {
    build_box(world)?;
    let recipe = "FROM box:1\nRUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\n";
    world.write("tools/Dockerfile", recipe)?;
    world.tandem(["build", "-t", "box:1", "tools"])?.ok().map(drop)
}

/// Runs `tandem` in another home.
pub(super) fn elsewhere(world: &World, home: &Path, arguments: &[&str]) -> Result<Output> {
    let mut command = world.command(arguments);
    command.env("TANDEM_HOME", home);
    world.finish(command)
}

fn home(world: &World, name: &str) -> PathBuf {
    world.scratch().join(name)
}

pub(super) fn rows(world: &World, home: &Path) -> Result<Vec<Value>> {
    let images = elsewhere(world, home, &["images", "--json"])?.ok()?.json()?;
    Ok(images.as_array().context("a list")?.clone())
}

/// The digest of a local image.
pub(super) fn digest(world: &World, home: &Path, name: &str, tag: &str) -> Result<String> {
    let rows = rows(world, home)?;
    let row = rows.iter().find(|row| row["name"] == name && row["tag"] == tag);
    let digest = row.and_then(|row| row["digest"].as_str());
    Ok(digest.with_context(|| format!("no image {name}:{tag} in {rows:?}"))?.to_owned())
}

/// The digest of an image's configuration, which other tools call its id.
pub(super) fn id(home: &Path, digest: &str) -> Result<String> {
    let hex = digest.strip_prefix("sha256:").context("a digest")?;
    let manifest = fs::read(home.join("images/blobs/sha256").join(hex))?;
    let manifest: Value = serde_json::from_slice(&manifest)?;
    Ok(manifest["config"]["digest"].as_str().context("a configuration")?.to_owned())
}

fn says_hello(world: &World, home: &Path, image: &str) -> Result<()> {
    let seen = elsewhere(world, home, &["run", "--rm", "--network", "none", image])?.ok()?;
    ensure!(seen.line() == "hello from the box", "{seen}");
    let look = ["run", "--rm", "--network", "none", image, "ls", "/srv"];
    let seen = elsewhere(world, home, &look)?.ok()?;
    ensure!(seen.line() == "kept", "what a layer hides is there\n{seen}");
    Ok(())
}

fn layouts(world: &World) -> Result<()> {
    let built = build_box(world)?;
    world.tandem(["image", "tag", "box:1", "localhost:5000/class/box:2"])?.ok()?;
    let both = ["save", "-o", "ours.tar", "box:1", "localhost:5000/class/box:2"];
    world.tandem(both)?.ok()?;
    let ours = "oci-archive:ours.tar:docker.io/library/box:1";
    let seen = world.run("skopeo", &["inspect", "--format", "{{.Digest}}", ours])?.ok()?;
    ensure!(seen.line() == built, "skopeo sees another digest\n{seen}");

    // skopeo's own archives of both kinds.
    let theirs = home(world, "theirs");
    world.run("skopeo", &["copy", "-q", ours, "oci-archive:oci.tar:box:oci"])?.ok()?;
    world.run("skopeo", &["copy", "-q", ours, "docker-archive:docker.tar:box:docker"])?.ok()?;
    elsewhere(world, &theirs, &["load", "-i", "oci.tar"])?.ok()?;
    ensure!(digest(world, &theirs, "box", "oci")? == built, "the image has changed");
    elsewhere(world, &theirs, &["load", "-i", "docker.tar"])?.ok()?;
    let docker = digest(world, &theirs, "box", "docker")?;
    ensure!(id(&theirs, &docker)? == id(world.home(), &built)?, "another configuration");
    says_hello(world, &theirs, "box:docker")?;

    // umoci reads our layout, and we what it makes of it.
    fs::create_dir(world.scratch().join("layout"))?;
    world.run("tar", &["-xf", "ours.tar", "-C", "layout"])?.ok()?;
    let image = "layout:docker.io/library/box:1";
    world.run("umoci", &["unpack", "--image", image, "bundle"])?.ok()?;
    let root = world.scratch().join("bundle/rootfs");
    ensure!(root.join("srv/kept").is_file() && !root.join("srv/gone").exists());
    fs::write(root.join("srv/more"), "more")?;
    world.run("umoci", &["repack", "--image", "layout:box:umoci", "bundle"])?.ok()?;
    world.run("tar", &["-czf", "umoci.tar.gz", "-C", "layout", "."])?.ok()?;
    let third = home(world, "third");
    elsewhere(world, &third, &["load", "-i", "umoci.tar.gz"])?.ok()?;
    ensure!(rows(world, &third)?.len() == 3, "{:?}", rows(world, &third)?);
    ensure!(digest(world, &third, "localhost:5000/class/box", "2")? == built);
    let look = ["run", "--rm", "--network", "none", "box:umoci", "cat", "/srv/more"];
    ensure!(elsewhere(world, &third, &look)?.ok()?.line() == "more");
    Ok(())
}

fn docker(world: &World) -> Result<()> {
    let built = build_box(world)?;
    let daemon = DockerPeer::without_network(&world.scratch().join("docker"))?;
    let file = world.scratch().join("ours.tar").display().to_string();
    world.tandem(["save", "--format", "docker-archive", "-o", &file, "box:1"])?.ok()?;
    daemon.run(&["load", "-i", &file])?.ok()?;
    let seen = daemon.run(&["images", "--no-trunc", "--format", "{{.ID}}", "box:1"])?.ok()?;
    ensure!(seen.line() == id(world.home(), &built)?, "Docker sees another image\n{seen}");
    let seen = daemon.run(&["run", "--rm", "--network", "none", "box:1"])?.ok()?;
    ensure!(seen.line() == "hello from the box", "{seen}");

    // What Docker saves, straight and through gzip on standard input.
    let theirs = world.scratch().join("theirs.tar").display().to_string();
    daemon.run(&["tag", "box:1", "box:again"])?.ok()?;
    daemon.run(&["save", "-o", &theirs, "box:1", "box:again"])?.ok()?;
    world.run("gzip", &["-k", &theirs])?.ok()?;
    let second = home(world, "second");
    let mut load = world.command(["load"]);
    load.env("TANDEM_HOME", &second);
    load.stdin(Stdio::from(fs::File::open(format!("{theirs}.gz"))?));
    let loaded = world.finish(load)?.ok()?;
    ensure!(loaded.stdout.lines().count() == 2, "{loaded}");
    let docker = digest(world, &second, "box", "again")?;
    ensure!(id(&second, &docker)? == id(world.home(), &built)?, "another configuration");
    says_hello(world, &second, "box:1")?;

    // Ours again, which kept its digest beside Docker's list; then by way of
    // a registry.
    let third = home(world, "third");
    elsewhere(world, &third, &["load", "-i", &file])?.ok()?;
    ensure!(digest(world, &third, "box", "1")? == built, "the image has changed");
    let registry = RegistryPeer::plain(world)?;
    let name = format!("{}/box:1", registry.address());
    elsewhere(world, &third, &["push", "box:1", &name])?.ok()?;
    let fourth = home(world, "fourth");
    elsewhere(world, &fourth, &["pull", &name])?.ok()?;
    let pulled = digest(world, &fourth, &format!("{}/box", registry.address()), "1")?;
    ensure!(pulled == built, "the registry gives {pulled}, not {built}");
    let seen = daemon.run(&["pull", "-q", &name])?.ok()?;
    let wanted = "{{index .RepoDigests 0}}";
    let digests = daemon.run(&["image", "inspect", "--format", wanted, &name])?.ok()?;
    ensure!(digests.line().ends_with(&built), "{seen}\n{digests}");
    Ok(())
}

fn podman(world: &World) -> Result<()> {
    let built = build_box(world)?;
    let peer = PodmanPeer::new(&world.scratch().join("podman"))?;
    let file = world.scratch().join("ours.tar").display().to_string();
    world.tandem(["save", "-o", &file, "box:1"])?.ok()?;
    peer.run(&["load", "-q", "-i", &file])?.ok()?;
    let seen = peer.run(&["images", "--no-trunc", "--format", "{{.ID}} {{.Digest}}", "box:1"])?;
    let expected = format!("{} {built}", id(world.home(), &built)?);
    ensure!(seen.clone().ok()?.line() == expected, "expected {expected}\n{seen}");
    let seen = peer.run_container("box:1", &[])?.ok()?;
    ensure!(seen.line() == "hello from the box", "{seen}");
    for format in ["docker-archive", "oci-archive"] {
        let theirs = world.scratch().join(format).display().to_string();
        peer.run(&["save", "-q", "--format", format, "-o", &theirs, "box:1"])?.ok()?;
        let home = home(world, &format!("home-{format}"));
        elsewhere(world, &home, &["load", "-i", &theirs])?.ok()?;
        let loaded = digest(world, &home, "box", "1")?;
        ensure!(id(&home, &loaded)? == id(world.home(), &built)?, "{format}: another image");
        says_hello(world, &home, "box:1")?;
    }
    Ok(())
}

/// Nothing in a home but its empty folders.
pub(super) fn is_empty(world: &World, home: &Path) -> Result<()> {
    ensure!(rows(world, home)?.is_empty(), "half an image has a name");
    let made = ["tmp", "layers", "images/blobs/sha256"];
    // Made by the first command that wants them.
    let late = ["kernels", "lessons", "cache/build"];
    let late = late.into_iter().filter(|folder| home.join(folder).exists());
    for folder in made.into_iter().chain(late) {
        let names: Vec<_> = fs::read_dir(home.join(folder))?
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .filter(|name| !name.starts_with('.'))
            .collect();
        ensure!(names.is_empty(), "left in {folder}: {names:?}");
    }
    Ok(())
}

fn broken(world: &World) -> Result<()> {
    build_box(world)?;
    let whole = world.scratch().join("whole.tar");
    world.tandem(["save", "-o", "whole.tar", "box:1"])?.ok()?;
    let size = fs::metadata(&whole)?.len();
    let second = home(world, "second");
    let cut = world.scratch().join("cut.tar");
    fs::copy(&whole, &cut)?;
    fs::File::options().write(true).open(&cut)?.set_len(size * 2 / 3)?;
    let changed = world.scratch().join("changed.tar");
    fs::copy(&whole, &changed)?;
    // Within the largest blob, which is most of the file.
    fs::File::options().write(true).open(&changed)?.write_all_at(b"changed", size / 2)?;
    world.write("text", "hello\n")?;
    world.write("empty", "")?;
    let load = |file: &str, code: i32, says: &[&str]| -> Result<()> {
        let refused = elsewhere(world, &second, &["--quiet", "load", "-i", file])?.code_is(code)?;
        refused.is_one_sentence(says)?;
        is_empty(world, &second)
    };
    load("none.tar", 125, &["there is no archive none.tar"])?;
    load("cut.tar", 125, &["cut.tar is not an archive", "it ends within", "save it again"])?;
    load("changed.tar", 125, &["has the digest", "nothing of the archive is kept"])?;
    load("text", 125, &["text is not an archive"])?;
    load("empty", 125, &["it is empty"])?;
    load(".", 125, &["it is a folder"])?;
    world.tandem(["save", "-o", "none/x.tar", "box:1"])?.code_is(125)?.says(&["none"])?;
    world.tandem(["save", "-o", "x.tar", "bix"])?.code_is(125)?.is_one_sentence(&["bix"])?;
    ensure!(!world.scratch().join("x.tar").exists(), "a file was begun for no image");

    // A disk with too little room.
    let small = home(world, "small");
    fs::create_dir_all(&small)?;
    let path = small.display().to_string();
    world.run("mount", &["-t", "tmpfs", "-o", "size=1500k,mode=0700", "tmpfs", &path])?.ok()?;
    let refused = elsewhere(world, &small, &["--quiet", "load", "-i", "whole.tar"]);
    let left = is_empty(world, &small);
    world.run("umount", &[&path])?.ok()?;
    refused?.code_is(125)?.is_one_sentence(&["the disk is too full", "--home"])?;
    left
}

fn ended(world: &World) -> Result<()> {
    build_box(world)?;
    world.tandem(["save", "-o", "whole.tar", "box:1"])?.ok()?;
    let bytes = fs::read(world.scratch().join("whole.tar"))?;
    let second = home(world, "second");
    // Most of it comes through a pipe that then stays silent.
    for (signal, code) in [(Signal::SIGINT, Some(130)), (Signal::SIGKILL, None)] {
        let mut command = world.command(["--quiet", "load"]);
        command.env("TANDEM_HOME", &second).stdin(Stdio::piped());
        let mut child = command.spawn()?;
        let mut pipe = child.stdin.take().context("a pipe")?;
        std::io::Write::write_all(&mut pipe, &bytes[..bytes.len() - 1000])?;
        let begun = || second.join("tmp").read_dir().ok()?.flatten().find(|it| it.path().is_dir());
        poll::until("the load to begin", Duration::from_secs(20), begun)?;
        let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id())?);
        nix::sys::signal::kill(pid, signal)?;
        let status = child.wait()?;
        ensure!(status.code() == code, "{status}");
        drop(pipe);
        is_empty(world, &second)?;
    }
    elsewhere(world, &second, &["load", "-i", "whole.tar"])?.ok()?;
    ensure!(rows(world, &second)?[0]["name"] == json!("box"));
    Ok(())
}
