//! What has been searched so far: `tests/fuzz/ledger.csv`, a line for each
//! long search, so that hours add up over days and machines.

use std::{fs, io::Write as _, path::PathBuf};

use anyhow::{Context as _, Result};

use crate::shell;

/// Seconds by the clock from which a search is long enough to be written down.
pub(crate) const LONG: u64 = 300;

const HEAD: &str = "date,commit,target,seconds,runs,branches,found\n";

/// One search, as it is written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry<'a> {
    pub(crate) target: &'a str,
    /// Of processor time.
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

/// Seconds of processor time of all programs that this one has started and
/// that have ended.
pub(crate) fn worked_by_children() -> Result<u64> {
    let stat = fs::read_to_string("/proc/self/stat").context("/proc/self/stat")?;
    worked(&stat).context("/proc/self/stat has another form")
}

/// `cutime` and `cstime` of proc_pid_stat(5), in hundredths of a second on
/// x86-64. What stands before them is a name, which may have anything in it.
fn worked(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut ticks = fields.split(' ').skip(13).map(str::parse::<u64>);
    Some((ticks.next()?.ok()? + ticks.next()?.ok()?) / 100)
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
    fn a_childs_processor_time_is_read() {
        let stat = "7 (x) y) S 1 2 3 0 -1 4194560 11 22 0 0 10 20 450 260 20 0 1 0 99";
        assert_eq!(worked(stat), Some(7));
        assert_eq!(worked("7 (x) S 1 2"), None);
        assert!(worked_by_children().is_ok());
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
