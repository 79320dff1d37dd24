//! What has been searched so far: `tests/fuzz/ledger.csv`, a line for each
//! long search, so that hours add up over days and machines.

use std::{fs, io::Write as _, path::PathBuf};

use anyhow::{Context as _, Result};

use crate::shell;

/// Seconds from which a search is long enough to be written down.
pub(crate) const LONG: u64 = 300;

const HEAD: &str = "date,commit,target,seconds,runs,branches,found\n";

/// One search, as it is written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry<'a> {
    pub(crate) target: &'a str,
    pub(crate) seconds: u64,
    pub(crate) runs: u64,
    pub(crate) branches: u64,
    pub(crate) found: bool,
}

impl Entry<'_> {
    fn line(&self, date: &str, commit: &str) -> String {
        let Self { target, seconds, runs, branches, found } = self;
        let found = if *found { "yes" } else { "no" };
        format!("{date},{commit},{target},{seconds},{runs},{branches},{found}\n")
    }
}

/// Writes a search down; the sum of the target's seconds, this search included.
pub(crate) fn add(entry: &Entry<'_>) -> Result<u64> {
    let path = path();
    let told = |program: &str, args: &[&str]| {
        let text = shell::ask(&mut shell::command(program, args)).unwrap_or_default();
        text.trim().to_owned()
    };
    let line = entry
        .line(&told("date", &["-u", "+%F"]), &told("git", &["rev-parse", "--short=10", "HEAD"]));
    let mut file = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .with_context(|| format!("{}", path.display()))?;
    if file.metadata()?.len() == 0 {
        file.write_all(HEAD.as_bytes())?;
    }
    file.write_all(line.as_bytes())?;
    Ok(sum(&fs::read_to_string(&path)?, entry.target))
}

fn path() -> PathBuf {
    shell::root().join("tests/fuzz/ledger.csv")
}

/// Seconds that a ledger names for a target.
fn sum(ledger: &str, target: &str) -> u64 {
    let rows = ledger.lines().map(|line| line.split(',').collect::<Vec<_>>());
    rows.filter(|row| row.get(2) == Some(&target))
        .filter_map(|row| row.get(3)?.parse::<u64>().ok())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_of_a_target_add_up() {
        let entry = Entry { target: "layer", seconds: 1800, runs: 9, branches: 7, found: false };
        let other = Entry { target: "qmp", ..entry.clone() };
        let mut ledger = HEAD.to_owned();
        for entry in [&entry, &other, &entry] {
            ledger += &entry.line("2026-11-30", "0123456789");
        }
        assert_eq!(sum(&ledger, "layer"), 3600);
        assert_eq!(sum(&ledger, "target"), 0, "the head is no search");
        assert!(ledger.ends_with("2026-11-30,0123456789,layer,1800,9,7,no\n"));
    }

    #[test]
    fn the_ledger_names_targets_that_are_there() {
        let ledger = fs::read_to_string(path()).unwrap_or_else(|_| HEAD.to_owned());
        assert!(ledger.starts_with(HEAD), "the ledger has another head");
        for line in ledger.lines().skip(1) {
            let target = line.split(',').nth(2).unwrap_or_default();
            let program = format!("tests/fuzz/src/bin/{target}.rs");
            assert!(shell::root().join(program).is_file(), "no target {target}: {line}");
        }
    }
}
