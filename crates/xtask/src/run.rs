//! `cargo xtask run`: from a fresh clone to the running program.

use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};

use crate::{
    build::{self, Profile},
    shell,
    system::{self, Group},
};

/// What `run` was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Options {
    headless: bool,
}

impl Options {
    /// Reads the options; a machine without a display is headless.
    pub(crate) fn parse(words: &[String]) -> Result<Self> {
        let mut headless = !system::has_display();
        for word in words {
            match word.as_str() {
                "--headless" => headless = true,
                other => bail!("`run` does not know `{other}`: arguments for Tandem follow `--`"),
            }
        }
        Ok(Self { headless })
    }
}

/// Installs, builds, starts. Headless needs neither WebKit nor npm.
pub(crate) fn run(options: Options, args: &[String]) -> Result<ExitCode> {
    let groups: &[Group] = if options.headless {
        &[Group::Build, Group::Run]
    } else {
        &[Group::Build, Group::Run, Group::Window]
    };
    system::setup(groups)?;
    build::release(!options.headless)?;

    let folder = build::programs(Profile::Release);
    let mut command = if options.headless {
        eprintln!("no window (no display, or --headless): comparing in the terminal");
        let mut command = std::process::Command::new(folder.join("tandem"));
        command.args(["compare", "hello-flask"]);
        command
    } else {
        std::process::Command::new(folder.join("tandem-desktop"))
    };
    let status = command.args(args).status().context("cannot start what was just built")?;
    shell::report(&command, status);
    Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
}
