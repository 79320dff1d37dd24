//! The home that most cases share: bootstrapping a base and building in it
//! takes a minute or two, so it is done once in a run.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
    time::Duration,
};

use anyhow::{Result, anyhow};

use crate::{output::Output, process, world};

/// Long enough for a slow mirror and a slow machine.
const LIMIT: Duration = Duration::from_mins(15);

/// The bootstrapped base under the name that the sample's Dockerfile has.
pub(crate) const STAND_IN: &str =
    "python:3.12-slim=docker-image://localhost/tandem/python:3.11-bookworm";

static HOME: OnceLock<Result<PathBuf, String>> = OnceLock::new();

/// The home, made by the first case that asks. When making it fails, every
/// case that needs it fails with the same message.
pub(crate) fn open() -> Result<PathBuf> {
    HOME.get_or_init(|| make().map_err(|error| format!("{error:#}")))
        .clone()
        .map_err(|error| anyhow!("the shared home could not be made: {error}"))
}

/// Removes it, unless a person named one with `TANDEM_E2E_HOME`.
pub(crate) fn remove() -> Result<()> {
    if let Some(Ok(home)) = HOME.get()
        && kept().is_none()
        && home.is_dir()
    {
        fs::remove_dir_all(home)?;
    }
    Ok(())
}

/// A home to be used again by the next run, for quick work on one case.
fn kept() -> Option<PathBuf> {
    std::env::var_os("TANDEM_E2E_HOME").map(PathBuf::from)
}

fn make() -> Result<PathBuf> {
    let home = match kept() {
        Some(home) => home,
        // `keep`: removed by `remove`, which a static would never be.
        None => tempfile::Builder::new().prefix("tandem-e2e-home-").tempdir()?.keep(),
    };
    if let Err(error) = fill(&home) {
        if kept().is_none() {
            let _ = fs::remove_dir_all(&home);
        }
        return Err(error);
    }
    Ok(home)
}

fn fill(home: &Path) -> Result<()> {
    let tandem = |args: &[&str]| -> Result<Output> {
        let mut command = Command::new(world::programs().join("tandem"));
        command.arg("--home").arg(home).args(args);
        process::run(command, LIMIT)?.ok()
    };
    if kept().is_some() && tandem(&["image", "inspect", "hello-flask"]).is_ok() {
        return Ok(());
    }
    let sample = home.join("sample");
    let _ = fs::remove_dir_all(&sample);
    let folder = sample.to_string_lossy().into_owned();
    tandem(&["image", "bootstrap", "python"])?;
    tandem(&["sample", "copy", "hello-flask", &folder])?;
    // The sample's base comes from a registry; the same everywhere is better.
    tandem(&["build", "-t", "hello-flask", "--build-context", STAND_IN, &folder])?;
    fs::remove_dir_all(&sample)?;
    Ok(())
}
