use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::{Output, process, shared_home::STAND_IN, world};

/// A home of ours with the image that everybody runs, `hello-flask`, and a
/// folder for everything the peers need.
#[derive(Debug)]
pub(crate) struct Ground {
    home: PathBuf,
    /// Removed at the end.
    scratch: tempfile::TempDir,
}

/// The image that everybody runs.
pub(crate) const IMAGE: &str = "hello-flask";

impl Ground {
    pub(crate) fn make() -> Result<Self> {
        let scratch = tempfile::Builder::new().prefix("tandem-bench-").tempdir()?;
        let home = match std::env::var_os("TANDEM_BENCH_HOME") {
            Some(home) => home.into(),
            None => scratch.path().join("home"),
        };
        let ground = Self { home, scratch };
        if ground.tandem(&["image", "inspect", IMAGE]).is_ok() {
            return Ok(ground);
        }
        let sample = ground.scratch().join(IMAGE).to_string_lossy().into_owned();
        eprintln!("building {IMAGE} for everybody");
        for arguments in [
            &["image", "bootstrap", "python"][..],
            &["sample", "copy", IMAGE, &sample],
            &["build", "-t", IMAGE, "--build-context", STAND_IN, &sample],
        ] {
            ground.tandem(arguments)?;
        }
        Ok(ground)
    }

    pub(crate) fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    pub(crate) fn home(&self) -> &Path {
        &self.home
    }

    /// Runs `tandem` in the home to its end.
    pub(crate) fn tandem(&self, arguments: &[&str]) -> Result<Output> {
        process::run(tandem_in(&self.home, arguments), Duration::from_mins(15))?.ok()
    }

    /// An image of the home as skopeo names it.
    pub(crate) fn layout_name(&self, image: &str) -> Result<String> {
        Self::layout_in(&self.home, image)
    }

    /// An image of any home as skopeo names it.
    pub(crate) fn layout_in(home: &Path, image: &str) -> Result<String> {
        let index = fs::read_to_string(home.join("images/index.json"))?;
        let index: Value = serde_json::from_str(&index)?;
        let name = index["manifests"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|m| m["annotations"]["org.opencontainers.image.ref.name"].as_str())
            .find(|name| name.contains(image))
            .with_context(|| format!("{image} is not in the image layout"))?;
        Ok(format!("oci:{}:{name}", home.join("images").display()))
    }
}

/// `tandem` in a home.
pub(crate) fn tandem_in(home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(world::programs().join("tandem"));
    command.env("TANDEM_HOME", home).arg("--quiet").args(arguments).stdin(Stdio::null());
    command
}

/// Runs a program to its end.
pub(crate) fn tool(program: &str, arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    process::run(command, Duration::from_mins(5))?.ok()
}
