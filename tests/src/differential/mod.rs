//! The same Dockerfiles through Docker's builder and ours: what comes out must
//! be equal, file by file and setting by setting.

mod compare;
mod context;
mod files;
mod recipe;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::{
    Output, World,
    docker_peer::{DockerPeer, client},
    process,
};

use recipe::Recipe;

/// Every recipe, see the head of the file for its form.
const RECIPES: &str = include_str!("../../fixtures/dockerfiles.txt");

/// Builds everything with both and compares.
pub(crate) fn run(world: &World) -> Result<()> {
    let recipes = recipe::parse(RECIPES)?;
    ensure!(recipes.len() >= 200, "only {} recipes", recipes.len());
    let only = std::env::var("TANDEM_RECIPE").ok();
    let folder = world.scratch().join("context");
    context::make(&folder)?;
    let daemon = DockerPeer::start(
        &world.scratch().join("docker"),
        Command::new("dockerd"),
        &["--bridge=none", "--iptables=false"],
    )?;
    let wanted = |recipe: &&Recipe| only.as_ref().is_none_or(|only| recipe.name.contains(only));
    let left: Mutex<Vec<&Recipe>> = Mutex::new(recipes.iter().filter(wanted).rev().collect());
    let wrong = Mutex::new(Vec::new());
    let worker = |number: usize| {
        let both = Both { world, daemon: &daemon, context: &folder, number };
        while let Some(recipe) = locked(&left).pop() {
            let problem = match (both.compare(recipe), &recipe.differs) {
                (Err(error), None) => format!("{}: {error:#}", recipe.name),
                (Ok(()), Some(why)) => {
                    format!("{}: equal, though it should differ ({why})", recipe.name)
                }
                _ => continue,
            };
            locked(&wrong).push(problem);
        }
    };
    Both { world, daemon: &daemon, context: &folder, number: 0 }.base()?;
    let worker = &worker;
    thread::scope(|scope| {
        for number in 0..WORKERS {
            scope.spawn(move || worker(number));
        }
    });
    let results = (0..WORKERS).map(result);
    for name in results.chain([BASE.to_owned()]) {
        let _ = world.tandem(["image", "rm", "-f", &name])?;
    }
    drop(daemon);
    let wrong = std::mem::take(&mut *locked(&wrong));
    if wrong.is_empty() {
        return Ok(());
    }
    bail!("{} of {} recipes differ:\n{}", wrong.len(), recipes.len(), wrong.join("\n"))
}

/// The base image of recipes that run something.
const BASE: &str = "differential-base";
/// Recipes that are compared at once.
const WORKERS: usize = 2;

/// What each recipe of a worker makes.
fn result(number: usize) -> String {
    format!("differential-result-{number}")
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Both builders, as a worker uses them.
#[derive(Clone, Copy)]
struct Both<'a> {
    world: &'a World,
    daemon: &'a DockerPeer,
    context: &'a Path,
    number: usize,
}

impl Both<'_> {
    fn base(&self) -> Result<()> {
        let recipe = Recipe {
            text: "FROM scratch\nCOPY rootfs /\nENV PATH=/bin\n".to_owned(),
            ..Recipe::default()
        };
        self.theirs(&recipe, BASE, &[])?.ok()?;
        self.ours(&recipe, BASE, &[])?.ok()?;
        Ok(())
    }

    fn compare(&self, recipe: &Recipe) -> Result<()> {
        let result = &result(self.number);
        let (ours, theirs) = (self.ours(recipe, result, &[])?, self.theirs(recipe, result, &[])?);
        ensure!(!theirs.stderr.contains("connect to the Docker daemon"), "{}", self.daemon.log());
        match (ours.code, theirs.code) {
            (Some(0), Some(0)) if recipe.fails => bail!("both build it, and it must fail"),
            (Some(0), Some(0)) => {}
            (Some(0), _) => bail!("only Docker refuses it: {}", last_line(&theirs)),
            (_, Some(0)) => bail!("only Tandem refuses it: {}", last_line(&ours)),
            _ if recipe.fails => return Ok(()),
            _ => bail!("both refuse it: {} / {}", last_line(&ours), last_line(&theirs)),
        }
        let (our_tar, their_tar) = (self.place("ours.tar"), self.place("theirs.tar"));
        let to = |path: &Path| format!("type=tar,dest={}", path.display());
        self.ours(recipe, result, &["-o", &to(&our_tar)])?.ok()?;
        self.theirs(recipe, result, &["-o", &to(&their_tar)])?.ok()?;
        let mut differences = compare::files(&files::read(&our_tar)?, &files::read(&their_tar)?);
        let ours = self.world.tandem(["image", "inspect", result])?.ok()?.json()?;
        let theirs = self.daemon.run(&["image", "inspect", result])?.ok()?.json()?;
        differences.extend(compare::settings(&ours["config"], &theirs[0]["Config"]));
        ensure!(differences.is_empty(), "\n    {}", differences.join("\n    "));
        Ok(())
    }

    /// A file of this worker's.
    fn place(&self, name: &str) -> PathBuf {
        self.world.scratch().join(format!("{}-{name}", self.number))
    }

    /// Writes the recipe beside the context, so that it is not in it.
    fn write(&self, recipe: &Recipe) -> Result<String> {
        let path = self.place("Dockerfile");
        fs::write(&path, &recipe.text)?;
        let ignore = self.place("Dockerfile.dockerignore");
        match &recipe.ignore {
            Some(text) => fs::write(&ignore, text)?,
            None => drop(fs::remove_file(&ignore)),
        }
        Ok(path.to_string_lossy().into_owned())
    }

    fn arguments(&self, recipe: &Recipe, tag: &str, more: &[&str]) -> Result<Vec<String>> {
        let mut arguments: Vec<String> = ["build", "-q", "-t", tag].map(str::to_owned).into();
        arguments.extend(["-f".to_owned(), self.write(recipe)?]);
        for argument in &recipe.arguments {
            arguments.extend(["--build-arg".to_owned(), argument.clone()]);
        }
        for label in &recipe.labels {
            arguments.extend(["--label".to_owned(), label.clone()]);
        }
        if let Some(target) = &recipe.target {
            arguments.extend(["--target".to_owned(), target.clone()]);
        }
        arguments.extend(more.iter().map(|it| (*it).to_owned()));
        arguments.push(self.context.to_string_lossy().into_owned());
        Ok(arguments)
    }

    fn ours(&self, recipe: &Recipe, tag: &str, more: &[&str]) -> Result<Output> {
        let mut command = self.world.command(self.arguments(recipe, tag, more)?);
        command.args(["--network", "none"]).env("FROM_HOST", "of the host");
        self.world.finish(command)
    }

    fn theirs(&self, recipe: &Recipe, tag: &str, more: &[&str]) -> Result<Output> {
        let mut command = Command::new(client());
        command.args(["--host", self.daemon.socket()]).args(self.arguments(recipe, tag, more)?);
        self.world.prepare(&mut command);
        command.args(["--network", "none"]).env("DOCKER_BUILDKIT", "1");
        command.env("FROM_HOST", "of the host");
        process::run(command, std::time::Duration::from_mins(2))
            .context("docker build does not end")
    }
}

fn last_line(output: &Output) -> String {
    let text = output.stderr.trim();
    text.lines().last().unwrap_or_default().to_owned()
}

/// A value that is not there, for comparisons.
static NOTHING: Value = Value::Null;
