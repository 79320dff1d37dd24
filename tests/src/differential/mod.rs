//! The same Dockerfiles through another builder and ours: what comes out must
//! be equal, file by file and setting by setting.

mod both;
mod buildah;
mod compare;
mod context;
mod docker;
mod files;
mod recipe;

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
};

use anyhow::{Result, bail, ensure};
use serde_json::Value;

use crate::{Output, World};

use both::Both;
use recipe::Recipe;

/// What Docker judges, see the head of the file for its form.
const RECIPES: &str = include_str!("../../fixtures/dockerfiles.txt");

/// What came after Debian's Docker, or what that does otherwise than the
/// reference says: buildah judges it.
const NEWER: &str = include_str!("../../fixtures/dockerfiles-newer.txt");

/// Another builder.
trait Builder: Sync {
    fn name(&self) -> &'static str;

    /// What else its base must have.
    fn base(&self) -> &'static str {
        ""
    }

    /// Builds with arguments that all builders understand.
    fn build(&self, world: &World, arguments: &[String]) -> Result<Output>;

    /// The settings of an image that it built.
    fn settings(&self, tag: &str) -> Result<Value>;

    /// Whether its refusal came from the machine and not from the recipe.
    fn is_ill(&self, _refusal: &Output) -> Result<()> {
        Ok(())
    }
}

/// Builds everything with Docker and compares.
pub(crate) fn with_docker(world: &World) -> Result<()> {
    let recipes = recipe::parse(RECIPES)?;
    ensure!(recipes.len() >= 200, "only {} recipes", recipes.len());
    let peer = docker::Docker::start(&world.scratch().join("docker"))?;
    run(world, &peer, &recipes)
}

/// Builds what is newer with buildah and compares.
pub(crate) fn with_buildah(world: &World) -> Result<()> {
    let peer = buildah::Buildah::in_folder(&world.scratch().join("buildah"))?;
    run(world, &peer, &recipe::parse(NEWER)?)
}

fn run(world: &World, peer: &dyn Builder, recipes: &[Recipe]) -> Result<()> {
    let only = std::env::var("TANDEM_RECIPE").ok();
    let folder = world.scratch().join("context");
    context::make(&folder)?;
    let wanted = |recipe: &&Recipe| only.as_ref().is_none_or(|only| recipe.name.contains(only));
    let left: Mutex<Vec<&Recipe>> = Mutex::new(recipes.iter().filter(wanted).rev().collect());
    let wrong = Mutex::new(Vec::new());
    let worker = |number: usize| {
        let both = Both { world, peer, context: &folder, number };
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
    Both { world, peer, context: &folder, number: 0 }.base()?;
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
    let wrong = std::mem::take(&mut *locked(&wrong));
    if wrong.is_empty() {
        return Ok(());
    }
    bail!("{} of {} recipes differ:\n{}", wrong.len(), recipes.len(), wrong.join("\n"))
}

/// The base image of recipes that run something.
const BASE: &str = "differential-base";
/// Recipes that are compared at once.
const WORKERS: usize = 4;

/// What each recipe of a worker makes.
fn result(number: usize) -> String {
    format!("differential-result-{number}")
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A setting that is not there, for comparisons.
static NOTHING: Value = Value::Null;
