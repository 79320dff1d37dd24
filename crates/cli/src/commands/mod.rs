//! One file for each command, or for each family of small ones.

mod archive;
mod attach;
mod build;
mod bundle;
mod compare;
mod console;
mod doctor;
mod exec;
mod experiment;
mod guide;
mod images;
mod inspect;
mod instances;
mod lesson;
mod live;
mod logs;
mod manual;
mod measured;
mod mend;
mod network;
mod registry;
mod results;
mod run;
mod samples;
mod state;
mod system;
mod volumes;

use std::{path::PathBuf, sync::Arc};

use anyhow::Context as _;
use tandem_app::{App, LogOptions};

use crate::{
    grammar::{Cli, Command, Container, Global, Image, Sample},
    output::{message, tell},
};

/// What every command works with.
pub(crate) struct Context {
    pub(crate) app: Arc<App>,
    pub(crate) quiet: bool,
    pub(crate) verbose: bool,
    pub(crate) color: bool,
}

impl Context {
    fn open(global: &Global) -> anyhow::Result<Self> {
        let program = own_program().context("cannot find the tandem executable")?;
        let app = App::open(global.home.as_deref(), program)?;
        let no_color =
            global.no_color || std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
        let terminal = std::io::IsTerminal::is_terminal(&std::io::stdout());
        Ok(Self { app, quiet: global.quiet, verbose: global.verbose, color: terminal && !no_color })
    }

    /// Says something to the person, not to a script.
    pub(crate) fn say(&self, text: &str) {
        if !self.quiet {
            tell(&message(text));
        }
    }
}

fn own_program() -> std::io::Result<PathBuf> {
    std::env::current_exe()
}

/// Runs the command and returns the exit code.
pub(crate) async fn run(cli: Cli) -> anyhow::Result<u8> {
    // These need no home.
    match &cli.command {
        Command::Completion { shell } => {
            manual::completion(*shell);
            return Ok(0);
        }
        Command::Man { dir } => {
            manual::pages(dir.as_deref())?;
            return Ok(0);
        }
        _ => {}
    }
    let context = Context::open(&cli.global)?;
    if let Command::Run(run) = &cli.command {
        context.app.stand_by(run.backend);
    }
    // Every command begins with a truthful home.
    for line in context.app.reap().await? {
        context.say(&format!("tandem: after a crash: {line}"));
    }
    match cli.command {
        Command::Doctor { fix, json } => doctor::run(&context, fix, json).await,
        Command::Build(build) => build::run(&context, build).await,
        Command::Images(wanted) => images::list(&context, &wanted),
        Command::Image(command) => images::run(&context, command).await,
        Command::Archive(it) => archive::run(&context, it).await,
        Command::Registry(it) => registry::run(&context, it).await,
        Command::Run(run) => run::run(&context, run).await,
        Command::Create(run) => run::create(&context, run).await,
        Command::Start { attach: false, interactive: false, instances, .. } => {
            instances::start(&context, &instances).await
        }
        Command::Start { interactive, detach_keys, instances, .. } => {
            attach::start(&context, interactive, detach_keys, &instances).await
        }
        Command::Stop { time, signal, instances } => {
            instances::stop(&context, time, signal.as_deref(), &instances).await
        }
        Command::Wait { instances } => instances::wait(&context, &instances).await,
        Command::Rm { force, volumes, instances } => {
            instances::remove(&context, force, volumes, &instances).await
        }
        Command::System(command) => system::run(&context, command).await,
        Command::Volume(command) => volumes::run(&context, command).await,
        Command::Ps(wanted) => instances::list(&context, &wanted),
        Command::Tag { image, name } => images::run(&context, Image::Tag { image, name }).await,
        Command::Rmi { force, images } => images::run(&context, Image::Rm { force, images }).await,
        Command::Inspect { kind, size, format, names } => {
            let wanted = inspect::Wanted { format: format.as_ref(), kind, size };
            inspect::run(&context, &wanted, &names).await
        }
        Command::Container(Container::Prune { filter, force }) => {
            instances::prune(&context, &filter, force).await
        }
        Command::History(wanted) => images::run(&context, Image::History(wanted)).await,
        Command::Rename { instance, name } => {
            context.app.rename(&instance, &name).await?;
            Ok(0)
        }
        Command::Logs { boot: true, follow, instance, .. } => {
            logs::boot(&context, &instance, follow).await
        }
        Command::Logs { follow, tail, since, until, timestamps, instance, .. } => {
            let options = LogOptions { follow, tail: tail.0, since, until };
            logs::run(&context, &instance, options, timestamps).await
        }
        Command::Live(command) => live::run(&context, command).await,
        Command::State(command) => state::run(&context, command).await,
        Command::Networking(command) => network::run(&context, command).await,
        Command::Bundle(it) => Box::pin(bundle::run(&context, it)).await,
        Command::Compare(compare) => Box::pin(compare::run(&context, compare)).await,
        Command::Experiment(it) => Box::pin(experiment::run(&context, it)).await,
        Command::Result(it) => results::run(&context, it),
        Command::Guide(wanted) => guide::run(&context, &wanted),
        Command::Lesson(it) => Box::pin(lesson::run(&context, it)).await,
        Command::Completion { .. } | Command::Man { .. } => Ok(0),
        Command::Sample(Sample::Ls(json)) => samples::list(json),
        Command::Sample(Sample::Copy { name, dir }) => samples::copy(&context, &name, &dir),
    }
}
