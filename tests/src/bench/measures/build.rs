//! Builds: nothing to do, much to copy, many steps, stages side by side.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    rc::Rc,
    time::Duration,
};

use anyhow::Result;
use nix::unistd::sync;

use crate::{
    bench::{
        claim::{Bound, Claim},
        field::Field,
        ground::IMAGE,
        measure::{Contender, Measure, Prepare, Reading, Unit},
        peers::{DOCKER, Engine, fill},
        stage::Stage,
    },
    process,
};

/// How long the first build may take.
const LIMIT: Duration = Duration::from_mins(5);

const fn at_least(bound: f64) -> Claim {
    Claim::Ratio { above: DOCKER, below: "container", bound: Bound::AtLeast(bound) }
}

const EQUAL: &str = "Docker builds with BuildKit, as its packages do by now. It keeps the build \
     context from one build to the next; Tandem reads the folder each time.";

pub(super) const REBUILD: Measure = Measure {
    name: "rebuild",
    title: "`build` of ten steps, with nothing changed",
    unit: Unit::Time,
    claims: &[at_least(10.0)],
    notes: &[EQUAL],
    contenders: &[("container", AGAIN), (DOCKER, AGAIN)],
};

pub(super) const COPY: Measure = Measure {
    name: "copy",
    title: "`build --no-cache` with a COPY of 200 MB",
    unit: Unit::Time,
    claims: &[at_least(2.0)],
    notes: &[EQUAL, "Half of the bytes compress well, half not at all."],
    contenders: &[("container", COPYING), (DOCKER, COPYING)],
};

pub(super) const STEPS: Measure = Measure {
    name: "steps",
    title: "`build --no-cache` of ten steps that do nothing",
    unit: Unit::Time,
    claims: &[at_least(4.0)],
    notes: &[EQUAL],
    contenders: &[("container", STEPPING), (DOCKER, STEPPING)],
};

pub(super) const STAGES: Measure = Measure {
    name: "stages",
    title: "`build --no-cache` of four stages, three of which need nothing of each other",
    unit: Unit::Time,
    claims: &[at_least(3.0)],
    notes: &[EQUAL],
    contenders: &[("container", STAGING), (DOCKER, STAGING)],
};

const AGAIN: Prepare = |name, field: &Field| {
    let building = Building::of(name, field, "rebuild", &steps(), &[])?;
    process::run(building.command(), LIMIT)?.ok()?;
    Ok(Box::new(building))
};

const COPYING: Prepare = |name, field: &Field| {
    let recipe = "FROM scratch\nCOPY files /files\nCMD [\"/none\"]\n";
    let building = Building::of(name, field, "copy", recipe, NO_CACHE)?;
    let files = building.folder.join("files");
    if !files.exists() {
        let mut random = rand::SeedableRng::seed_from_u64(200);
        fill(&files, 200_000_000, &mut random)?;
    }
    Ok(Box::new(building))
};

const STEPPING: Prepare =
    |name, field: &Field| Ok(Box::new(Building::of(name, field, "steps", &steps(), NO_CACHE)?));

const STAGING: Prepare = |name, field: &Field| {
    let stages = ["a", "b", "c"]
        .map(|it| format!("FROM {IMAGE} AS {it}\nRUN echo {it} > /{it}\nRUN true\n"))
        .concat();
    let recipe = format!(
        "{stages}FROM {IMAGE}\nCOPY --from=a /a /\nCOPY --from=b /b /\nCOPY --from=c /c /\n"
    );
    Ok(Box::new(Building::of(name, field, "stages", &recipe, NO_CACHE)?))
};

const NO_CACHE: &[&str] = &["--no-cache"];

fn steps() -> String {
    // Each step has other words, or the second would be the first one's hit.
    let steps: Vec<String> = (0..10).map(|number| format!("RUN true {number}\n")).collect();
    format!("FROM {IMAGE}\n{}", steps.concat())
}

/// One contender that builds a folder.
struct Building {
    name: &'static str,
    engine: Rc<dyn Engine>,
    options: &'static [&'static str],
    tag: String,
    folder: PathBuf,
}

impl Building {
    fn of(
        name: &'static str,
        field: &Field,
        what: &str,
        recipe: &str,
        options: &'static [&'static str],
    ) -> Result<Self> {
        // All build the same folder.
        let folder = field.folder(&format!("build-{what}"))?;
        fs::write(folder.join("Dockerfile"), recipe)?;
        let tag = format!("bench-{what}");
        Ok(Self { name, engine: field.engine(name)?, options, tag, folder })
    }

    fn words(&self) -> Vec<&str> {
        let folder = Path::to_str(&self.folder).unwrap_or(".");
        [&["build", "-q"], self.options, &["-t", &self.tag, folder]].concat()
    }

    fn command(&self) -> Command {
        let mut command = self.engine.command(&self.words());
        command.env("DOCKER_BUILDKIT", "1");
        command
    }
}

impl Contender for Building {
    fn is_slow(&self) -> bool {
        !self.options.is_empty()
    }

    fn trial(&mut self, stage: &Stage) -> Result<Vec<Reading>> {
        // What others have written must not be on our bill.
        sync();
        let elapsed = stage.time(self.command())?;
        if !self.options.is_empty() {
            self.engine.call(&["image", "rm", &self.tag])?;
            let prune = if self.name == DOCKER { "builder" } else { "system" };
            self.engine.call(&[prune, "prune", "-f"])?;
        }
        Ok(vec![(self.name, elapsed)])
    }
}
