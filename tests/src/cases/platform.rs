//! Images for other machines: each is refused with its reason before anything
//! starts, and pulled anew where another is asked for.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::archive::{build_box, elsewhere};
use crate::{Case, Need, Start, World, registry_peer::RegistryPeer};

const NEEDS: &[Need] =
    &[Need::Root, Need::Program("busybox"), Need::Program("docker-registry"), Need::Program("tar")];

pub(super) const CASES: &[Case] = &[Case {
    name: "platform::a_foreign_image_is_refused_and_the_right_one_pulled",
    needs: NEEDS,
    start: Start::Empty,
    run: foreign,
}];

/// A processor that nobody here has.
const FOREIGN: &str = if cfg!(target_arch = "s390x") { "arm64" } else { "s390x" };
const HERE: &str = if cfg!(target_arch = "aarch64") { "linux/arm64" } else { "linux/amd64" };

/// Writes `box:1` to an archive as an image for a foreign processor.
fn relabelled(world: &World) -> Result<()> {
    world.tandem(["save", "--format", "docker-archive", "-o", "own.tar", "box:1"])?.ok()?;
    let dir = world.scratch().join("foreign");
    fs::create_dir_all(&dir)?;
    world.run("tar", &["-xf", "own.tar", "-C", "foreign"])?.ok()?;
    // The layout beside Docker's list would have the former configuration.
    fs::remove_file(dir.join("index.json"))?;
    let edit = |path: &Path, change: &dyn Fn(&mut Value)| -> Result<()> {
        let mut document = serde_json::from_slice(&fs::read(path)?)?;
        change(&mut document);
        Ok(fs::write(path, document.to_string())?)
    };
    let list: Value = serde_json::from_slice(&fs::read(dir.join("manifest.json"))?)?;
    let config = list[0]["Config"].as_str().context("a configuration")?;
    fs::copy(dir.join(config), dir.join("foreign.json"))?;
    edit(&dir.join("foreign.json"), &|it| it["architecture"] = json!(FOREIGN))?;
    edit(&dir.join("manifest.json"), &|it| it[0]["Config"] = json!("foreign.json"))?;
    world.run("tar", &["-cf", "foreign.tar", "-C", "foreign", "."])?.ok()?;
    Ok(())
}

fn foreign(world: &World) -> Result<()> {
    build_box(world)?;
    relabelled(world)?;
    let peer = RegistryPeer::plain(world)?;
    let name = format!("{}/box:1", peer.address());
    world.tandem(["push", "box:1", &name])?.ok()?;

    // Who gets it is told, and whoever wants to run it told why not.
    let home = world.scratch().join("second");
    let there = |arguments: &[&str]| elsewhere(world, &home, arguments);
    let platform = format!("linux/{FOREIGN}");
    there(&["load", "-i", "foreign.tar"])?.ok()?.says(&["note: ", "made for", &platform])?;
    for backend in ["container", "process", "vm"] {
        for verb in ["run", "create"] {
            let refused = there(&[verb, "--backend", backend, "box:1"])?.code_is(125)?;
            let why = if backend == "vm" { "its own processor" } else { "binfmt_misc" };
            refused.is_one_sentence(&["box:1", &platform, HERE, why, "tandem pull --platform"])?;
        }
    }
    ensure!(there(&["ps", "-a", "--json"])?.ok()?.json()? == json!([]), "an instance is left");

    // Asked for by its platform it is refused before anything is fetched.
    there(&["run", "--platform", &platform, &name])?.code_is(125)?.is_one_sentence(&[
        &name,
        &platform,
        "cannot run on this machine",
    ])?;
    there(&["run", "--platform", "s390x", &name])?
        .code_is(2)?
        .is_one_sentence(&["`s390x` is no platform", "linux/amd64"])?;

    // The right one is pulled in place of the one that is here, as Docker does.
    there(&["image", "tag", "box:1", &name])?.ok()?;
    there(&["run", "--rm", "--platform", HERE, "--pull", "never", &name])?
        .code_is(125)?
        .is_one_sentence(&["is here for", &platform, "--pull never"])?;
    let ran = there(&["run", "--rm", "--network", "none", "--platform", HERE, &name])?.ok()?;
    ensure!(ran.line() == "hello from the box", "{ran}");
    ran.says(&["is here for", &platform, "pulling"])?;
    let again = there(&["run", "--rm", "--network", "none", "--platform", HERE, &name])?.ok()?;
    ensure!(!again.stderr.contains("pulling"), "it was pulled again\n{again}");

    // Where there is no right one, the sentence names both.
    there(&["image", "tag", "box:1", "localhost/box:1"])?.ok()?;
    there(&["run", "--platform", HERE, "localhost/box:1"])?.code_is(125)?.says(&[
        "localhost/box:1",
        "is here for",
        &platform,
        HERE,
        "this machine only",
    ])?;
    there(&["push", "box:1", &format!("{}/other:1", peer.address())])?.ok()?;
    let other = format!("{}/other:1", peer.address());
    there(&["image", "rm", "localhost/box:1"])?.ok()?;
    there(&["pull", &other])?.code_is(125)?.says(&["is not made for", HERE, &platform])?;
    there(&["pull", "--platform", &platform, &other])?.ok()?.says(&["note: ", "does not run"])?;
    builds(world, &other)
}

/// `other` is an image of the registry for a foreign processor.
fn builds(world: &World, other: &str) -> Result<()> {
    let platform = format!("linux/{FOREIGN}");
    let build = |text: &str, arguments: &[&str]| {
        world.write("far/Dockerfile", text)?;
        world.write(&format!("far/app-{FOREIGN}"), "far")?;
        world.tandem([&["build", "--quiet", "-t", "far:1"], arguments, &["far"]].concat())
    };
    // Files of it are files; its name stands for nothing here afterwards. Nor
    // does that of a build that was killed.
    world.tandem(["tag", "box:1", "localhost/tandem/base:4194305-0"])?.ok()?;
    let from = format!("FROM --platform={platform} {other}");
    build(&format!("{from} AS far\nFROM box:1\nCOPY --from=far /bin/busybox /far\n"), &[])?.ok()?;
    let ran = world.tandem(["run", "--rm", "--network", "none", "far:1"])?.ok()?;
    ensure!(ran.line() == "hello from the box", "{ran}");
    let listed = world.tandem(["images"])?.ok()?;
    ensure!(!listed.stdout.contains("other") && !listed.stdout.contains("base"), "{listed}");
    // Its programs do not run.
    let why = [platform.as_str(), HERE, "binfmt_misc", "qemu-user-static"];
    build(&format!("{from}\nRUN true\n"), &[])?.code_is(125)?.is_one_sentence(&why)?;
    let own = format!("FROM {other}\nENV A=1\nRUN true\n");
    build(&own, &["--platform", &platform])?.code_is(125)?.is_one_sentence(&why)?;
    // What needs none of them is made for it.
    let text = "FROM scratch\nARG TARGETARCH\nCOPY app-$TARGETARCH /app\n";
    build(text, &["--platform", FOREIGN])?.ok()?;
    let made = world.tandem(["image", "inspect", "far:1"])?.ok()?.json()?;
    ensure!(made.to_string().contains(&format!("\"architecture\":\"{FOREIGN}\"")), "{made}");
    build(text, &["--platform", "linux/amd64,linux/arm64"])?
        .code_is(2)?
        .is_one_sentence(&["one at a time"])
}
