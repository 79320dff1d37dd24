//! What the agent executes beside itself, in processes of their own: a slow
//! disk or a large folder does not hold it up.

mod files;
mod place;
mod processes;

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use serde::Serialize;
use tandem_guest::wire::{FILES, PROCESSES, STATS, TOOL};

use crate::agent::stats;

/// Runs the tool of this name, without its prefix.
pub(crate) fn run(name: &str) -> ExitCode {
    let is = |tool: &str| tool.strip_prefix(TOOL) == Some(name);
    if is(FILES) {
        return files::run();
    }
    let told = if is(PROCESSES) {
        processes::all().iter().try_for_each(tell)
    } else if is(STATS) {
        tell(&stats())
    } else {
        return ExitCode::from(127);
    };
    if told.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Writes a value as a line of JSON.
fn tell(value: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    io::stdout().write_all(&line)
}
