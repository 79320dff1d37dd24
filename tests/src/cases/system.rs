//! The home as a whole: what it takes, what can go, whether it is sound.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::archive::build_box;
use crate::{Case, Need, Start, World};

const BOX: &[Need] = &[Need::Root, Need::Program("busybox"), Need::Program("du")];

pub(super) const CASES: &[Case] = &[
    Case {
        name: "system::df_adds_up_to_what_du_says_and_prune_gives_it_back",
        needs: BOX,
        start: Start::Empty,
        run: adds_up,
    },
    Case {
        name: "system::check_finds_and_mends_a_damaged_home",
        needs: BOX,
        start: Start::Empty,
        run: mended,
    },
    Case { name: "system::info_tells_of_the_home", needs: &[], start: Start::Empty, run: info },
];

/// The row of a kind.
fn row<'a>(report: &'a Value, kind: &str) -> Result<&'a Value> {
    let rows = report["rows"].as_array().context("rows")?;
    rows.iter().find(|row| row["kind"] == kind).with_context(|| format!("no {kind} in {report}"))
}

/// What `system df` says, which must be what `du` says.
fn disk_use(world: &World) -> Result<Value> {
    let report = world.tandem(["system", "df", "--json"])?.ok()?.json()?;
    let home = world.home().display().to_string();
    let seen = world.run("du", &["--summarize", "--block-size=1", &home])?.ok()?;
    let bytes = seen.line().split('\t').next().unwrap_or_default().parse::<u64>()?;
    ensure!(report["bytes"] == bytes, "du says {bytes}\n{report}");
    let rows = report["rows"].as_array().context("rows")?;
    let sum: u64 = rows.iter().filter_map(|row| row["bytes"].as_u64()).sum();
    ensure!(sum == bytes, "the rows add up to {sum}\n{report}");
    Ok(report)
}

fn adds_up(world: &World) -> Result<()> {
    let empty = disk_use(world)?;
    ensure!(row(&empty, "images")?["count"] == 0, "{empty}");
    build_box(world)?;
    world.tandem(["volume", "create", "kept"])?.ok()?;
    let writes = "head -c 3000000 /dev/zero | tr '\\0' x > /data/x; cp /data/x /own";
    let mut run = vec!["run", "--name", "ended", "--network", "none", "-v", "/data"];
    run.extend(["box:1", "sh", "-c", writes]);
    world.tandem(run)?.ok()?;
    // As a virtual machine's disk of an image that is gone, and a part of a
    // download.
    let cache = world.home().join("cache");
    fs::create_dir_all(cache.join("disks"))?;
    fs::create_dir_all(cache.join("downloads"))?;
    fs::write(cache.join(format!("disks/{}-1.ext4", "ab".repeat(32))), vec![1; 2_000_000])?;
    fs::write(cache.join(format!("downloads/{}", "cd".repeat(32))), vec![1; 1_000_000])?;

    let full = disk_use(world)?;
    let bytes = |kind: &str, key: &str| -> Result<u64> {
        row(&full, kind)?[key].as_u64().with_context(|| format!("{kind} {key}"))
    };
    ensure!(bytes("images", "count")? == 1 && bytes("layers", "count")? == 3, "{full}");
    ensure!(bytes("instances", "reclaimable_bytes")? >= 3_000_000, "{full}");
    ensure!(bytes("volumes", "count")? == 2 && bytes("volumes", "bytes")? >= 3_000_000, "{full}");
    ensure!(bytes("disks", "reclaimable_bytes")? >= 2_000_000, "{full}");
    ensure!(bytes("downloads", "reclaimable_bytes")? >= 1_000_000, "{full}");

    world.tandem(["system", "prune"])?.code_is(2)?.is_one_sentence(&["-f"])?;
    let pruned = world.tandem(["system", "prune", "-f", "--volumes"])?.ok()?;
    ensure!(
        pruned.stdout.contains("instance ended") && pruned.stdout.contains("volume "),
        "{pruned}"
    );
    let after = disk_use(world)?;
    let total = |report: &Value| report["bytes"].as_u64().unwrap_or_default();
    ensure!(total(&full) - total(&after) >= 8_000_000, "{full}\n{after}");
    ensure!(row(&after, "volumes")?["count"] == 1, "a volume with a name went\n{after}");
    ensure!(row(&after, "images")?["count"] == 1, "an image with a name went\n{after}");

    let pruned = world.tandem(["system", "prune", "-a", "-f"])?.ok()?;
    ensure!(pruned.stdout.contains("image box:1"), "{pruned}");
    let least = disk_use(world)?;
    for kind in ["images", "layers", "builds", "disks", "downloads"] {
        ensure!(row(&least, kind)?["count"] == 0, "{kind}\n{least}");
    }
    Ok(())
}

/// The blob or the unpacked layer that takes most.
fn largest(folder: &Path) -> Result<PathBuf> {
    let entries = fs::read_dir(folder)?.flatten().map(|entry| entry.path());
    let sized = entries.filter_map(|path| Some((fs::metadata(&path).ok()?.len(), path)));
    Ok(sized.max().context("an empty folder")?.1)
}

fn mended(world: &World) -> Result<()> {
    build_box(world)?;
    let check = |more: &[&str], code: i32| -> Result<Vec<Value>> {
        let report =
            world.tandem([&["system", "check", "--json"], more].concat())?.code_is(code)?;
        Ok(report.json()?["findings"].as_array().context("findings")?.clone())
    };
    ensure!(check(&[], 0)?.is_empty(), "a sound home has findings: {:?}", check(&[], 0)?);
    let blobs = world.home().join("images/blobs/sha256");
    let layers = world.home().join("layers");
    let busybox = fs::read_dir(&layers)?
        .flatten()
        .map(|entry| entry.path().join("bin/busybox"))
        .find(|path| path.is_file())
        .context("the layer with busybox")?;

    // A blob with wrong bytes, an unpacked layer with a file too few, one more
    // blob, half a file, and a name that points nowhere.
    let blob = largest(&blobs)?;
    let good = fs::read(&blob)?;
    let mut bad = good.clone();
    bad[good.len() / 2] ^= 1;
    fs::write(&blob, &bad)?;
    let kept = fs::read_dir(&layers)?.flatten().map(|entry| entry.path().join("srv/kept"));
    let kept = kept.filter(|path| path.is_file()).last().context("the layer with /srv/kept")?;
    fs::remove_file(&kept)?;
    fs::write(blobs.join("ab".repeat(32)), "nobody's")?;
    let half = world.home().join("images/.new-half");
    fs::write(&half, "{")?;
    File::open(&half)?.set_modified(SystemTime::now() - Duration::from_hours(2))?;
    let index = world.home().join("images/index.json");
    let mut document: Value = serde_json::from_slice(&fs::read(&index)?)?;
    let mut lost = document["manifests"][0].clone();
    lost["digest"] = Value::from(format!("sha256:{}", "cd".repeat(32)));
    lost["annotations"]["org.opencontainers.image.ref.name"] = Value::from("lost:1");
    document["manifests"].as_array_mut().context("manifests")?.push(lost);
    fs::write(&index, document.to_string())?;

    let found = check(&[], 125)?;
    let kinds = |found: &[Value]| -> Vec<String> {
        let mut kinds: Vec<_> =
            found.iter().map(|it| it["kind"].as_str().unwrap_or_default().to_owned()).collect();
        kinds.sort();
        kinds
    };
    let expected = ["blob", "image", "layer", "leftover", "orphan"];
    ensure!(kinds(&found) == expected, "{found:?}");
    let told = world.tandem(["system", "check"])?.code_is(125)?;
    ensure!(told.stdout.lines().count() == 5, "{told}");
    told.says(&["--repair"])?;
    let repaired = check(&["--repair"], 0)?;
    ensure!(kinds(&repaired) == expected, "{repaired:?}");
    ensure!(check(&[], 0)?.is_empty(), "{:?}", check(&[], 0)?);
    ensure!(fs::read(&blob)? == good && kept.is_file() && !half.exists());

    // A layer under a running instance is left to it.
    let run = ["run", "-d", "--name", "busy", "--network", "none", "box:1", "sleep", "600"];
    world.tandem(run)?.ok()?;
    let was = fs::read(&busybox)?;
    let mode = fs::metadata(&busybox)?.permissions();
    fs::remove_file(&busybox)?;
    fs::write(&busybox, &was[..was.len() - 1])?;
    fs::set_permissions(&busybox, mode)?;
    let beside = check(&["--repair"], 125)?;
    let advice = beside[0]["advice"].as_str().unwrap_or_default();
    ensure!(beside.len() == 1 && advice.contains("tandem stop busy"), "{beside:?}");
    world.tandem(["rm", "-f", "busy"])?.ok()?;
    check(&["--repair"], 0)?;
    ensure!(fs::read(&busybox)? == was, "the layer was not unpacked again");

    // A list of images that cannot be read any more.
    fs::write(&index, "[")?;
    world.tandem(["images"])?.code_is(125)?.is_one_sentence(&["damaged", "system check"])?;
    check(&["--repair"], 0)?;
    let images = world.tandem(["images", "--json"])?.ok()?.json()?;
    ensure!(images[0]["name"] == "localhost/tandem/found", "{images}");
    Ok(())
}

fn info(world: &World) -> Result<()> {
    let info = world.tandem(["system", "info", "--json"])?.ok()?.json()?;
    ensure!(info["home"] == world.home().display().to_string().as_str(), "{info}");
    ensure!(info["images"] == 0 && info["machine"]["cores"].as_u64() > Some(0), "{info}");
    ensure!(world.tandem(["system", "info"])?.ok()?.stdout.contains("home"));
    Ok(())
}
