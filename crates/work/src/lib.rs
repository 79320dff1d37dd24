//! The work that experiments let every lane do: computing, copying memory,
//! growing, demanding more and more, writing and reading files, answering
//! requests, and what a bad neighbour does.
//!
//! It is part of the static program that Tandem ships (`tandem-guest`), which
//! does these jobs when it is called `tandem-work`. The laboratory adds that
//! file to the subject's image as one more layer, so a lane runs the same
//! bytes as every other whatever its image has in it, and the first line of a
//! job is the digest of the program as the lane sees it.
//!
//! A job says on standard output what it has done, a word or a number a line;
//! the host's clock reads when the lines come, for a guest's clock is never
//! trusted. Every job ends by itself, takes away what it made, and refuses
//! what would fill the memory or the disk of the machine.

mod bomb;
mod burn;
mod compute;
mod demand;
mod disk;
mod guard;
mod identity;
mod memory;
mod serve;

use std::{
    io::{self, Write as _},
    path::Path,
    process::ExitCode,
};

/// What the program must be called to do these jobs.
pub const NAME: &str = "tandem-work";

/// A job was refused by a guard.
pub const REFUSED: u8 = 3;

/// Why a job was not done.
#[derive(Debug)]
enum Problem {
    /// The arguments are no job.
    Usage(String),
    /// A guard: the machine would be left with too little.
    Refused(String),
    /// The kernel said no.
    Failed(String),
}

impl Problem {
    fn io(what: &str) -> impl Fn(io::Error) -> Self {
        move |e| Self::Failed(format!("cannot {what}: {e}"))
    }
}

/// Whether a program called like this is to do a job.
pub fn is_called(program: &str) -> bool {
    Path::new(program).file_name().is_some_and(|name| name == NAME)
}

/// Does the job that the arguments (without the program's name) name.
pub fn run(arguments: &[String]) -> ExitCode {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match job(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            let (code, text) = match problem {
                Problem::Usage(text) => (2, text),
                Problem::Refused(text) => (REFUSED, text),
                Problem::Failed(text) => (1, text),
            };
            eprintln!("{NAME}: {text}");
            ExitCode::from(code)
        }
    }
}

fn job(words: &[&str]) -> Result<(), Problem> {
    match words {
        ["digest"] => identity::tell(),
        ["measure", folder, megabytes] => {
            identity::tell()?;
            say("begin")?;
            say(&format!("cpu {:016x}", compute::work(compute::ROUNDS)))?;
            memory::copy()?;
            say("memory")?;
            disk::measure(Path::new(folder), number(megabytes)?)
        }
        ["grow", bytes, leave] => {
            identity::tell()?;
            memory::grow(number(bytes)?, number(leave)?)
        }
        ["demand", threads, bytes, leave] => {
            identity::tell()?;
            demand::grow(number(threads)?, number(bytes)?, number(leave)?)
        }
        ["serve", address] => serve::run(address),
        ["bomb", most] => bomb::go_off(number(most)?),
        ["burn", kind, seconds] => burn::run(kind, number(seconds)?),
        _ => Err(Problem::Usage(
            "jobs are: digest | measure FOLDER MEGABYTES | grow BYTES LEAVE | demand THREADS BYTES LEAVE | serve IP:PORT | bomb MOST | burn cpu|memory|disk SECONDS".to_owned(),
        )),
    }
}

fn number(word: &str) -> Result<u64, Problem> {
    word.parse().map_err(|_| Problem::Usage(format!("`{word}` is no number")))
}

/// Says a line at once.
fn say(line: &str) -> Result<(), Problem> {
    let mut out = io::stdout().lock();
    let said = writeln!(out, "{line}").and_then(|()| out.flush());
    said.map_err(Problem::io("say what was done"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_decides_whatever_the_folder() {
        assert!(is_called("/tandem-work") && is_called("tandem-work"));
        assert!(!is_called("/init") && !is_called("/tandem-work/init"));
    }

    #[test]
    fn what_is_no_job_is_a_mistake() {
        for words in
            [&["measure"][..], &["grow", "x", "0"], &["demand", "1"], &["burn", "wood", "1"], &[]]
        {
            assert!(matches!(job(words), Err(Problem::Usage(_))), "{words:?}");
        }
    }
}
