//! Our first answers beside those of our peers, in one interleaved run.
//!
//! Every contender launches the same image; the clock begins when its command
//! is started and ends with the last byte of the first HTTP 200, seen by one
//! prober. The order is shuffled over the whole run with a recorded seed, so
//! that a slow minute of the machine hits everybody alike.

mod contender;
mod docker;
mod network;
mod newc;
mod qemu;
mod ratios;
mod runtime;
mod schedule;
mod tandem;

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, Result, bail};

use self::contender::Contender;
pub use self::ratios::Report;
use crate::{process, shared_home::STAND_IN, world};

/// What is measured, and how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Trials of each container-like contender.
    pub trials: usize,
    /// Trials of each virtual machine.
    pub vm_trials: usize,
    /// Seed of the order and of the intervals.
    pub seed: u64,
    /// Only contenders with one of these names; empty means all.
    pub only: Vec<String>,
}

impl Options {
    /// Reads `--trials N`, `--vm-trials N`, `--seed N` and names.
    pub fn parse(words: &[String]) -> Result<Self> {
        let mut options = Self { trials: 20, vm_trials: 5, seed: 1, only: Vec::new() };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut number = || -> Result<u64> {
                let text = words.next().with_context(|| format!("{word} needs a number"))?;
                text.parse().with_context(|| format!("{word} {text}"))
            };
            match word.as_str() {
                "--trials" => options.trials = usize::try_from(number()?)?.max(1),
                "--vm-trials" => options.vm_trials = usize::try_from(number()?)?,
                "--seed" => options.seed = number()?,
                other if !other.starts_with('-') => options.only.push(other.to_owned()),
                other => bail!(
                    "`{other}` is unknown: expected --trials N, --vm-trials N, --seed N or names of contenders"
                ),
            }
        }
        Ok(options)
    }

    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|other| other == name)
    }
}

/// What all contenders share.
#[derive(Debug)]
pub(crate) struct Ground {
    /// Home with the built image, `hello-flask`.
    home: PathBuf,
    /// Folder for everything the peers need; removed at the end.
    scratch: tempfile::TempDir,
}

impl Ground {
    fn make() -> Result<Self> {
        let scratch = tempfile::Builder::new().prefix("tandem-bench-").tempdir()?;
        let ground = Self { home: scratch.path().join("home"), scratch };
        let sample = ground.scratch.path().join("hello-flask").to_string_lossy().into_owned();
        eprintln!("building hello-flask for everybody");
        for arguments in [
            &["image", "bootstrap", "python"][..],
            &["sample", "copy", "hello-flask", &sample],
            &["build", "-t", "hello-flask", "--build-context", STAND_IN, &sample],
        ] {
            ground.tandem(arguments)?;
        }
        Ok(ground)
    }

    fn tandem_command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = std::process::Command::new(world::programs().join("tandem"));
        command.env("TANDEM_HOME", &self.home).args(arguments).stdin(std::process::Stdio::null());
        command
    }

    fn tandem(&self, arguments: &[&str]) -> Result<crate::Output> {
        process::run(self.tandem_command(arguments), Duration::from_mins(15))?.ok()
    }

    /// Our image as skopeo names it.
    fn image(&self) -> Result<String> {
        let index = std::fs::read_to_string(self.home.join("images/index.json"))?;
        let index: serde_json::Value = serde_json::from_str(&index)?;
        let name = index["manifests"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|m| m["annotations"]["org.opencontainers.image.ref.name"].as_str())
            .find(|name| name.contains("hello-flask"))
            .context("hello-flask is not in the image layout")?;
        Ok(format!("oci:{}:{name}", self.home.join("images").display()))
    }
}

/// Runs a program to its end.
pub(crate) fn tool(program: &str, arguments: &[&str]) -> Result<crate::Output> {
    let mut command = std::process::Command::new(program);
    command.args(arguments).stdin(std::process::Stdio::null());
    process::run(command, Duration::from_mins(5))?.ok()
}

/// A contender that may be unable to run here, with the reason.
type Maybe = (&'static str, Result<Box<dyn Contender>>);

/// Prepares the contenders, measures, cleans up, and reports.
pub fn run(options: &Options) -> Result<Report> {
    let ground = Ground::make()?;
    let mut ready: Vec<Box<dyn Contender>> = Vec::new();
    let mut absent = Vec::new();
    for (name, contender) in contenders(&ground, options) {
        match contender {
            Ok(contender) => ready.push(contender),
            Err(error) => {
                eprintln!("{name}: not measured: {error:#}");
                absent.push(format!("{name}: {error:#}"));
            }
        }
    }
    let measured = schedule::run(&mut ready, &mut absent, options);
    // Everybody ends, whatever happened, before the first error is told.
    let ends: Vec<Result<()>> = ready.into_iter().map(|mut it| it.finish()).collect();
    let trials = measured?;
    ends.into_iter().collect::<Result<()>>()?;
    Ok(Report::new(trials, absent, options.seed))
}

fn contenders(ground: &Ground, options: &Options) -> Vec<Maybe> {
    let mut list: Vec<Maybe> = Vec::new();
    let mut add = |name: &'static str, make: &dyn Fn() -> Result<Box<dyn Contender>>| {
        if options.wants(name) {
            list.push((name, make()));
        }
    };
    for lane in [tandem::CONTAINER, tandem::PROCESS, tandem::VM] {
        add(lane.name, &|| Ok(Box::new(tandem::Tandem::new(ground, lane))));
    }
    add(docker::NAME, &|| Ok(Box::new(docker::Docker::prepare(ground)?)));
    for name in ["runc", "crun"] {
        add(name, &|| Ok(Box::new(runtime::Runtime::prepare(ground, name)?)));
    }
    add(qemu::NAME, &|| Ok(Box::new(qemu::Qemu::prepare(ground)?)));
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_numbers_and_names() {
        let words = ["--trials", "5", "docker", "--seed", "9", "container"].map(String::from);
        let options = Options::parse(&words).unwrap();
        assert_eq!((options.trials, options.seed, options.vm_trials), (5, 9, 5));
        assert!(options.wants("docker") && !options.wants("vm"));
        assert!(Options::parse(&["--trials".into()]).is_err());
        assert!(Options::parse(&["--speed".into()]).is_err());
    }
}
