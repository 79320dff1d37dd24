//! `cargo xtask test`: every check there is, with one sum at the end.
//!
//! Everything is built once, in the dev profile, with `--workspace` throughout,
//! so that all stages share one set of features and nothing compiles twice.

use std::{
    process::{Command, ExitCode},
    time::Instant,
};

use anyhow::{Result, bail};

use crate::{
    bindings,
    build::{self, Profile},
    cargo_deny::{CargoDeny, NO_DATABASE},
    peers, rules,
    shell::{self, cargo},
    system::{self, Group},
    tally::Tally,
};

/// A stage: its name and what it does.
type Stage = (&'static str, fn(&mut Report) -> Result<()>);

const STAGES: [Stage; 7] = [
    ("fmt", |report| {
        report.step(&mut cargo(&["fmt", "--all", "--check"]));
        let fuzz = "tests/fuzz/Cargo.toml";
        report.step(&mut cargo(&["fmt", "--manifest-path", fuzz, "--check"]));
        Ok(())
    }),
    ("rules", |report| {
        report.check(rules::run());
        cargo_deny(report);
        Ok(())
    }),
    ("ui", ui),
    ("unit", unit),
    ("bindings", |report| {
        report.check(bindings::check());
        Ok(())
    }),
    ("clippy", clippy),
    ("e2e", end_to_end),
];

/// What has been found so far.
#[derive(Debug, Default)]
struct Report {
    sum: Tally,
    /// Lines worth reading again at the end: failed and skipped checks.
    notes: Vec<String>,
    stage: &'static str,
}

/// Runs the named stages, or all, and prints the sum as the last line.
pub(crate) fn run(names: &[String]) -> Result<ExitCode> {
    if let Some(odd) = names.iter().find(|name| !STAGES.iter().any(|(known, _)| known == name)) {
        let known: Vec<_> = STAGES.iter().map(|(name, _)| *name).collect();
        bail!("`{odd}` is not a stage: expected some of {}", known.join(", "));
    }
    let wanted = |stage: &str| names.is_empty() || names.iter().any(|name| name == stage);
    if STAGES.iter().any(|(stage, _)| *stage != "fmt" && wanted(stage)) {
        let groups = [Group::Build, Group::Run, Group::Window, Group::Test, Group::Package];
        system::setup(&groups)?;
    }

    let mut report = Report::default();
    let mut times = Vec::new();
    for (stage, work) in STAGES.iter().filter(|(stage, _)| wanted(stage)) {
        eprintln!("\n== {stage}");
        report.stage = stage;
        let (begin, before) = (Instant::now(), report.sum);
        if let Err(error) = work(&mut report) {
            report.fail(&format!("{error:#}"));
        }
        let here = report.sum;
        let own = Tally {
            passed: here.passed - before.passed,
            failed: here.failed - before.failed,
            skipped: here.skipped - before.skipped,
        };
        times.push(format!("{stage:<9} {own}, {}", shell::human(begin.elapsed())));
    }

    println!("\n== summary");
    report.notes.iter().chain(&times).for_each(|line| println!("{line}"));
    println!("{}", report.sum);
    Ok(if report.sum.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Report {
    /// Counts one check.
    fn check(&mut self, result: Result<()>) {
        match result {
            Ok(()) => self.sum += Tally::one(true),
            Err(error) => self.fail(&format!("{error:#}")),
        }
    }

    /// Counts a check that cannot run here.
    fn skip(&mut self, what: &str, why: &str) {
        self.sum.skipped += 1;
        self.notes.push(format!("skipped   {what}: {why}"));
    }

    /// Counts a command as one check.
    fn step(&mut self, command: &mut Command) {
        self.check(shell::run(command));
    }

    fn fail(&mut self, why: &str) {
        eprintln!("FAILED {}: {why}", self.stage);
        self.sum += Tally::one(false);
        self.notes.push(format!("failed    {}: {why}", self.stage));
    }

    /// Runs a test runner and adds its own counts. A runner that fails without
    /// counting a failure (it did not compile, it crashed) counts as one.
    fn runner(&mut self, command: &mut Command) -> Result<()> {
        let mut counted = Tally::default();
        let mut notes = Vec::new();
        let status = shell::run_watched(command, |line| {
            if let Some(tally) = Tally::from_line(line) {
                counted += tally;
            } else if let Some(note) = noteworthy(line) {
                notes.push(note);
            }
        })?;
        self.sum += counted;
        self.notes.append(&mut notes);
        if !status.success() && counted.failed == 0 {
            self.fail(&format!("the test runner ended with {status}"));
        }
        Ok(())
    }
}

/// `test NAME ... FAILED` and `test NAME ... ignored, WHY`, said again.
fn noteworthy(line: &str) -> Option<String> {
    let (name, outcome) = line.strip_prefix("test ")?.split_once(" ... ")?;
    let outcome = outcome.trim();
    if outcome.starts_with("FAILED") {
        Some(format!("failed    {}", name.trim()))
    } else {
        let why = outcome.strip_prefix("ignored")?;
        Some(format!("skipped   {}{why}", name.trim()))
    }
}

/// What cargo-deny finds, in two checks: one of what is here, one of what
/// others have found out since.
fn cargo_deny(report: &mut Report) {
    let deny = match CargoDeny::bring() {
        Ok(deny) => deny,
        Err(error) => return report.skip("cargo-deny", &format!("{error:#}")),
    };
    report.check(deny.check());
    match deny.advisories() {
        Some(found) => report.check(found),
        None => report.skip("advisories", NO_DATABASE),
    }
}

/// The page is built first: the window's program contains it.
fn ui(report: &mut Report) -> Result<()> {
    build::page_dependencies()?;
    report.step(&mut build::npm(&["run", "check"]));
    report.runner(build::npm(&["test"]).env("NO_COLOR", "1"))?;
    report.step(&mut build::npm(&["run", "build"]));
    Ok(())
}

fn unit(report: &mut Report) -> Result<()> {
    build::page()?;
    // The tests of `vm` boot it.
    build::guest(Profile::Dev)?;
    report.runner(&mut cargo(&["test", "--workspace", "--no-fail-fast"]))
}

/// Clippy is a component of the toolchain that may not be installed.
fn clippy(report: &mut Report) -> Result<()> {
    if shell::ask(&mut cargo(&["clippy", "--version"])).is_none_or(|version| version.is_empty()) {
        report.skip("clippy", "the component is not installed");
        return Ok(());
    }
    build::page()?;
    report.step(&mut cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]));
    Ok(())
}

/// The whole program: built as people run it, tested from outside.
fn end_to_end(report: &mut Report) -> Result<()> {
    build::page()?;
    // Without the guest, whose name belongs to the static build beside these.
    let args = ["build", "--workspace", "--exclude", "tandem-guest", "--bins"];
    shell::run(&mut cargo(&args))?;
    build::guest(Profile::Dev)?;
    peers::criu();
    let programs = build::programs(Profile::Dev);
    report.runner(cargo(&["test", "--workspace", "--test", "e2e"]).env("TANDEM_PROGRAMS", programs))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_and_skips_are_said_again() {
        let failed = "test container::limits ... FAILED";
        assert_eq!(noteworthy(failed).unwrap(), "failed    container::limits");
        let skipped = "test vm::kvm ... ignored, there is no /dev/kvm";
        assert_eq!(noteworthy(skipped).unwrap(), "skipped   vm::kvm, there is no /dev/kvm");
        assert_eq!(noteworthy("test a ... ok"), None);
        assert_eq!(noteworthy("running 3 tests"), None);
    }

    #[test]
    fn a_crashed_runner_is_one_failure() {
        let mut report = Report::default();
        let mut crash = shell::command(
            "sh",
            &["-c", "echo 'test result: ok. 2 passed; 0 failed; 0 ignored'; exit 101"],
        );
        report.runner(&mut crash).unwrap();
        assert_eq!(report.sum, Tally { passed: 2, failed: 1, skipped: 0 });
        let mut counted = shell::command(
            "sh",
            &["-c", "echo 'test result: FAILED. 0 passed; 1 failed; 0 ignored'; exit 101"],
        );
        report.runner(&mut counted).unwrap();
        assert_eq!(report.sum, Tally { passed: 2, failed: 2, skipped: 0 });
    }

    #[test]
    fn what_is_skipped_is_counted_with_its_reason() {
        let mut report = Report::default();
        report.skip("advisories", "there is no database");
        assert_eq!(report.sum, Tally { passed: 0, failed: 0, skipped: 1 });
        assert_eq!(report.notes, ["skipped   advisories: there is no database"]);
    }

    #[test]
    fn an_unknown_stage_is_refused() {
        assert!(run(&["speed".into()]).is_err());
    }
}
