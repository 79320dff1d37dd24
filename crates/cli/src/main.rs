//! The `tandem` command: everything the window does, for scripts and CI.
//!
//! `grammar` says what can be typed, `commands` has one file for each command,
//! `output` turns values into text, `usage` wrong words into a sentence, and
//! `dockers` knows what Docker's words are here. The
//! hidden entry points of the engines are dispatched before anything else,
//! while there is a single thread; for an ordinary user that is also when the
//! home's user namespace is entered.

mod attach;
mod commands;
mod dockers;
mod format;
mod grammar;
mod output;
mod prompt;
mod signals;
mod transfers;
mod usage;

use std::{env, ffi::OsString, iter, process::ExitCode};

use clap::Parser as _;
use grammar::Cli;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    if let Some(code) = tandem_app::helper::dispatch(&arguments) {
        return code;
    }
    if arguments.first().is_some_and(|word| word == tandem_wire::ENTRY) {
        return tandem_service::main(&arguments[1..]);
    }
    tandem_app::keep_descriptors();
    let words = dockers::ours(arguments);
    let typed = iter::once(OsString::from("tandem")).chain(words.iter().cloned());
    let cli = match Cli::try_parse_from(typed) {
        Ok(cli) => cli,
        Err(e) => return ExitCode::from(usage::report(&e, &words)),
    };
    // Before there is a second thread; everything below works as root of it.
    if let Err(e) = tandem_app::enter(cli.global.home.as_deref(), cli.command.starts()) {
        output::complain(&e.to_string());
        return ExitCode::from(exit_code_of(&e.into()));
    }
    let runtime =
        match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
            Ok(runtime) => runtime,
            Err(e) => {
                output::complain(&format!("cannot start: {e}"));
                return ExitCode::from(125);
            }
        };
    let code = match runtime.block_on(commands::run(cli)) {
        Ok(code) => code,
        Err(e) => {
            output::complain(&sentence(&e));
            exit_code_of(&e)
        }
    };
    // A thread that reads a terminal or a pipe must not hold up the end.
    runtime.shutdown_background();
    ExitCode::from(code)
}

/// The error with its causes; a cause that a message tells already is not told
/// twice.
fn sentence(error: &anyhow::Error) -> String {
    error.chain().fold(String::new(), |told, cause| match cause.to_string() {
        cause if told.is_empty() => cause,
        cause if told.contains(&cause) => told,
        cause => format!("{told}: {cause}"),
    })
}

/// CLI.md: 125 when Tandem failed, unless the error has a code of its own.
fn exit_code_of(error: &anyhow::Error) -> u8 {
    error.downcast_ref::<tandem_app::AppError>().map_or(125, |e| e.code().exit_code())
}
