//! An image of 250 MB becomes a machine's disk.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
    rc::Rc,
};

use anyhow::{Context as _, Result, ensure};
use nix::unistd::sync;

use crate::{
    bench::{
        claim::{Bound, Claim},
        field::Field,
        measure::{Contender, Measure, Prepare, Reading, Unit},
        peers::{Engine, Running, fill, phases},
        stage::Stage,
    },
    process,
};

pub(super) const MEASURE: Measure = Measure {
    name: "disk",
    title: "250 MB of files of an image become a machine's disk",
    unit: Unit::Time,
    claims: &[
        Claim::Ratio { above: OURS, below: PLAIN, bound: Bound::AtMost(1.5) },
        Claim::Median { of: SECOND, bound: Bound::AtMost(100e6) },
    ],
    notes: &[
        "vm: `create` of the first machine of an image whose layers are unpacked. plain: the \
         same tree with `cp -a`, then `mke2fs -d` of the copy into a sparse file of the same \
         size. Before each trial all that is to be written to the disk has been.",
        "second: the disk work in the launch of another machine of that image, which is booted.",
    ],
    contenders: &[(OURS, MAKING), (PLAIN, COPYING)],
};

const OURS: &str = "vm";
const PLAIN: &str = "plain";
const SECOND: &str = "second";

const LARGE: &str = "bench-disk";

/// Bytes of all its files.
const SIZE: u64 = 250_000_000;

const MAKING: Prepare = |_, field: &Field| {
    build(field)?;
    let engine = field.engine("vm")?;
    let folder = field.ground.home().join("cache/disks");
    let before = disks(&folder);
    create(&*engine, FIRST)?;
    engine.call(&["rm", FIRST])?;
    let made: Vec<PathBuf> = disks(&folder).difference(&before).cloned().collect();
    ensure!(made.len() <= 1, "{made:?} were made for one image");
    // With a home that is kept it may have been there.
    let disk = made.into_iter().next().or_else(|| newest(&folder)).context("there is no disk")?;
    Ok(Box::new(Making { engine, disk }))
};

const COPYING: Prepare = |_, field: &Field| {
    build(field)?;
    let folder = field.folder(PLAIN)?;
    let tree = folder.join("tree");
    let output = format!("type=local,dest={}", tree.display());
    let context = context(field)?.to_string_lossy().into_owned();
    field.ground.tandem(&["build", "-q", "-o", &output, &context])?;
    Ok(Box::new(Plain { tree, folder }))
};

/// The folder of the recipe.
fn context(field: &Field) -> Result<PathBuf> {
    field.folder("build-disk")
}

/// Files as images have them, and a program that does nothing.
fn build(field: &Field) -> Result<()> {
    let folder = context(field)?;
    let files = folder.join("files");
    if !files.exists() {
        fill(&files, SIZE, &mut rand::SeedableRng::seed_from_u64(251))?;
        fs::copy("/bin/busybox", folder.join("busybox")).context("busybox-static is needed")?;
        let recipe = "FROM scratch\nCOPY busybox /busybox\nCOPY files /files\nCMD [\"/busybox\", \"sleep\", \"600\"]\n";
        fs::write(folder.join("Dockerfile"), recipe)?;
    }
    let folder = folder.to_string_lossy().into_owned();
    field.ground.tandem(&["build", "-q", "-t", LARGE, &folder])?;
    // Unpacked, as after a run in a container.
    let run = ["run", "--rm", "--entrypoint", "/busybox", LARGE, "true"];
    field.ground.tandem(&run).map(drop)
}

fn disks(folder: &Path) -> BTreeSet<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.extension().is_some()).collect()
}

fn newest(folder: &Path) -> Option<PathBuf> {
    disks(folder).into_iter().max_by_key(|path| path.metadata().and_then(|it| it.modified()).ok())
}

const FIRST: &str = "bench-disk-first";
const OTHER: &str = "bench-disk-second";

fn creation(engine: &dyn Engine, name: &str) -> Command {
    engine.command(&[&["create"], engine.lane(), &["--name", name, LARGE]].concat())
}

fn create(engine: &dyn Engine, name: &str) -> Result<()> {
    process::run(creation(engine, name), std::time::Duration::from_mins(5))?.ok().map(drop)
}

struct Making {
    engine: Rc<dyn Engine>,
    disk: PathBuf,
}

impl Contender for Making {
    fn is_slow(&self) -> bool {
        true
    }

    fn trial(&mut self, stage: &Stage) -> Result<Vec<Reading>> {
        fs::remove_file(&self.disk)?;
        sync();
        let elapsed = stage.time(creation(&*self.engine, FIRST));
        let removed = self.engine.call(&["rm", FIRST]);
        let elapsed = elapsed?;
        removed?;
        ensure!(self.disk.exists(), "it made another disk than before");
        let second = Running::start(&*self.engine, OTHER, &[LARGE])?;
        let work = phases(&*self.engine, OTHER)?.get("disk").copied();
        second.end()?;
        Ok(vec![(OURS, elapsed), (SECOND, work.context("the launch has no phase `disk`")?)])
    }
}

struct Plain {
    tree: PathBuf,
    folder: PathBuf,
}

impl Contender for Plain {
    fn is_slow(&self) -> bool {
        true
    }

    fn trial(&mut self, stage: &Stage) -> Result<Vec<Reading>> {
        let (copy, disk) = (self.folder.join("copy"), self.folder.join("disk.ext4"));
        fs::File::create(&disk)?.set_len((8 << 30) + 2 * SIZE)?;
        sync();
        let mut copying = Command::new("cp");
        copying.arg("-a").arg(&self.tree).arg(&copy);
        let mut making = Command::new("mke2fs");
        making.env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin");
        making.args(["-q", "-F", "-t", "ext4", "-d"]).arg(&copy).arg(&disk);
        let elapsed = stage.time(copying)? + stage.time(making)?;
        fs::remove_dir_all(&copy)?;
        fs::remove_file(&disk)?;
        Ok(vec![(PLAIN, elapsed)])
    }
}
