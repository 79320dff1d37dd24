//! `cargo xtask`: everything a developer does with this repository, as code.
//!
//! Kept light (two small dependencies), so that the first `cargo xtask` on a
//! fresh machine starts within seconds.
#![expect(clippy::print_stdout, reason = "a command line program: stdout is its output")]

mod bench;
mod bindings;
mod build;
mod cargo_deny;
mod fuzz;
mod fuzz_ledger;
mod licence;
mod package;
mod peers;
mod record;
mod rules;
mod run;
mod shell;
mod system;
mod tally;
mod test;

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::system::Group;

const HELP: &str = "\
cargo xtask COMMAND

  run [--headless] [-- ARG…]   install what is missing, build, open the window;
                               without a display or with --headless:
                               `tandem compare hello-flask` in the terminal.
                               ARGs go to the program that is started.
  test [STAGE…]                install what is missing and check everything;
                               stages: fmt rules clippy unit bindings ui e2e
  package [--out FOLDER] [--programs FOLDER]
                               install what is missing, build for release, and make
                               target/package/tandem_VERSION_amd64.deb; --programs
                               packs what is built there already; an AppImage too
                               where appimagetool is on PATH
  bench [-- ARG…]              Tandem beside Docker, Podman, runc, hand-started QEMU
  fuzz [TARGET…] [--seconds N] search for bytes that a parser does not survive,
                               30 s a target (default: all, tests/fuzz)
  record [EXPERIMENT…] [--trials N] [--seed N] [--programs FOLDER]
                               make the results anew that come with the program
                               (default: all, 6 trials), on a machine that does
                               nothing else; --programs uses what is built there
  setup [GROUP…]               install missing system packages only;
                               groups: build run window test bench package (default: all)
  bindings [--check]           write ui/src/lib/bindings from the Rust types
  rules                        the repository's own rules
  help                         this text

System packages are installed with apt-get or dnf, through sudo when not root.
TANDEM_SETUP=skip leaves the system as it is.
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&args) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(args: &[String]) -> Result<ExitCode> {
    let (own, passed_on) = split_at_dashes(args);
    let Some((command, options)) = own.split_first() else {
        print!("{HELP}");
        return Ok(ExitCode::from(2));
    };
    match command.as_str() {
        "run" => return run::run(run::Options::parse(options)?, passed_on),
        "test" => return test::run(options),
        "package" => package::run(package::Options::parse(options)?)?,
        "bench" => bench::run(passed_on)?,
        "fuzz" => return fuzz::run(&fuzz::Options::parse(options)?),
        "record" => record::run(&record::Options::parse(options)?)?,
        "setup" => system::setup(&groups(options)?)?,
        "bindings" => match options {
            [] => bindings::write()?,
            [flag] if flag == "--check" => bindings::check()?,
            _ => bail!("`bindings` knows only --check"),
        },
        "rules" => {
            rules::run()?;
            if let Some(deny) = cargo_deny::CargoDeny::find() {
                deny.check()?;
                deny.advisories().unwrap_or(Ok(()))?;
            }
        }
        "help" | "--help" | "-h" => print!("{HELP}"),
        other => bail!("`{other}` is not a command: see `cargo xtask help`"),
    }
    Ok(ExitCode::SUCCESS)
}

/// What stands before a lone `--` and what stands after it.
fn split_at_dashes(args: &[String]) -> (&[String], &[String]) {
    match args.iter().position(|arg| arg == "--") {
        Some(at) => (&args[..at], &args[at + 1..]),
        None => (args, &[]),
    }
}

fn groups(words: &[String]) -> Result<Vec<Group>> {
    if words.is_empty() {
        return Ok(Group::ALL.to_vec());
    }
    words.iter().map(|word| word.parse().map_err(anyhow::Error::msg)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_after_two_dashes_belong_to_the_program() {
        let args: Vec<String> =
            ["run", "--headless", "--", "--trials", "3"].map(String::from).to_vec();
        let (own, rest) = split_at_dashes(&args);
        assert_eq!(own, &args[..2]);
        assert_eq!(rest, &args[3..]);
        assert!(groups(&["build".into(), "nonsense".into()]).is_err());
    }
}
