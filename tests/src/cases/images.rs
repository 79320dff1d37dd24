//! The local images: what they are made of, and how they go.

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use super::archive::{build_box, digest, rows};
use crate::{Case, Need, Start, World};

const BOX: &[Need] = &[Need::Root, Need::Program("busybox")];

pub(super) const CASES: &[Case] = &[
    Case {
        name: "images::history_and_tree_tell_what_a_layer_does",
        needs: BOX,
        start: Start::Empty,
        run: told,
    },
    Case {
        name: "images::a_name_goes_before_the_image_does",
        needs: BOX,
        start: Start::Empty,
        run: removed,
    },
];

fn told(world: &World) -> Result<()> {
    let built = build_box(world)?;
    world.write("more/Dockerfile", "FROM box:1\nCOPY more /srv/kept\n")?;
    world.write("more/more", "more than before\n")?;
    world.tandem(["build", "-t", "box:2", "more"])?.ok()?;

    let steps = world.tandem(["image", "history", "--json", "box:1"])?.ok()?.json()?;
    let commands: Vec<_> = steps
        .as_array()
        .context("a list")?
        .iter()
        .map(|step| (step["created_by"].as_str().unwrap_or_default(), step["layer"].is_string()))
        .collect();
    ensure!(commands[0].0.contains("echo") && !commands[0].1, "the newest first: {commands:?}");
    ensure!(commands.iter().filter(|(_, layer)| *layer).count() == 3, "{commands:?}");
    ensure!(commands.iter().any(|(by, layer)| *layer && by.contains("/srv/gone")), "{commands:?}");
    let table = world.tandem(["image", "history", "box:1"])?.ok()?;
    ensure!(table.stdout.starts_with("LAYER"), "{table}");

    let tree = world.tandem(["image", "tree", "--json", "box:2"])?.ok()?.json()?;
    let layers = tree["layers"].as_array().context("layers")?;
    ensure!(layers.len() == 4, "{tree}");
    let change = |layer: usize, path: &str| {
        let changes = layers[layer]["changes"].as_array()?;
        let found = changes.iter().find(|change| change["path"] == path)?;
        Some((found["kind"].as_str()?.to_owned(), found["bytes"].as_u64()?))
    };
    ensure!(change(0, "bin/busybox").context("busybox")?.0 == "added", "{tree}");
    ensure!(change(1, "srv/gone") == Some(("added".into(), 5)), "{tree}");
    ensure!(change(2, "srv/gone") == Some(("hidden".into(), 5)), "{tree}");
    ensure!(change(3, "srv/kept") == Some(("changed".into(), 17)), "{tree}");
    ensure!(layers[0]["shared_with"] == json!(["box:1"]), "{tree}");
    ensure!(layers[3]["shared_with"] == json!([]), "{tree}");
    let sum = |key: &str| tree[key].as_u64().unwrap_or_default();
    ensure!(sum("unique_bytes") + sum("shared_bytes") == sum("size_bytes"), "{tree}");
    let rows = world.tandem(["images", "--json"])?.ok()?.json()?;
    let mut rows = rows.as_array().into_iter().flatten();
    let row = rows.find(|row| row["name"] == "box" && row["tag"] == "2").context("box:2")?;
    for key in ["size_bytes", "unique_bytes"] {
        ensure!(row[key] == tree[key], "{key} in the list and in the tree: {row} {tree}");
    }
    let shown = world.tandem(["image", "tree", "box:2"])?.ok()?;
    ensure!(shown.stdout.contains("- /srv/gone") && !shown.stdout.contains("+ /"), "{shown}");
    let files = world.tandem(["image", "tree", "--files", "box:2"])?.ok()?;
    ensure!(files.stdout.contains("+ /bin/busybox"), "{files}");
    let whole = world.tandem(["images", "--digests"])?.ok()?;
    ensure!(whole.stdout.contains(&built), "{whole}");
    Ok(())
}

fn removed(world: &World) -> Result<()> {
    let built = build_box(world)?;
    world.tandem(["image", "tag", "box:1", "crate:1"])?.ok()?;
    world.tandem(["create", "--name", "user", "box:1"])?.ok()?;

    // By digest it is several names; one name of two may go at any time.
    let short = &built[7..19];
    let several = world.tandem(["image", "rm", short])?.code_is(125)?;
    several.is_one_sentence(&["several names", "box:1", "crate:1", "-f"])?;
    ensure!(world.tandem(["image", "rm", "box:1"])?.ok()?.line() == "box:1");
    let used = world.tandem(["image", "rm", "crate:1"])?.code_is(125)?;
    used.is_one_sentence(&["crate:1", "instance user", "tandem rm user"])?;

    // Forced, it stays without a name for the instance, and nothing prunes it.
    world.tandem(["image", "rm", "-f", "crate:1"])?.ok()?;
    ensure!(rows(world, world.home())?.is_empty());
    let all = world.tandem(["images", "-a", "--json"])?.ok()?.json()?;
    ensure!(all[0]["name"] == "<none>" && all[0]["digest"] == built.as_str(), "{all}");
    world.tandem(["image", "prune", "-f"])?.ok()?;
    world.tandem(["start", "user"])?.ok()?;
    let ended = world.tandem(["wait", "user"])?.ok()?;
    ensure!(ended.line() == "0", "{ended}");
    world.tandem(["rm", "user"])?.ok()?;
    let pruned = world.tandem(["image", "prune", "-f"])?.ok()?;
    pruned.says(&["given back"])?;
    let all = world.tandem(["images", "-a", "--json"])?.ok()?.json()?;
    ensure!(all == json!([]), "{all}");
    let blobs = std::fs::read_dir(world.home().join("images/blobs/sha256"))?.count();
    ensure!(blobs == 0, "{blobs} blobs are left");

    // `prune -a` leaves what an instance was made from.
    build_box(world)?;
    world.write("other/Dockerfile", "FROM box:1\nCOPY Dockerfile /other\n")?;
    world.tandem(["build", "-t", "other", "other"])?.ok()?;
    world.tandem(["create", "--name", "user", "box:1"])?.ok()?;
    let asked = world.tandem(["image", "prune", "-a"])?.code_is(2)?;
    asked.is_one_sentence(&["-f"])?;
    let pruned = world.tandem(["image", "prune", "-a", "-f"])?.ok()?;
    ensure!(pruned.line() == "other:latest", "{pruned}");
    ensure!(!digest(world, world.home(), "box", "1")?.is_empty());
    world.tandem(["rm", "user"])?.ok()?;
    Ok(())
}
