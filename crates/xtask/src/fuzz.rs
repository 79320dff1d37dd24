//! `cargo xtask fuzz`: what reads foreign bytes, against libFuzzer.
//!
//! The targets are a workspace of their own in `tests/fuzz`, built here as
//! cargo-fuzz would: with counters on every branch and the address sanitizer.
//! What a search has found worth keeping lies in `target/fuzz/corpus`, besides
//! the seeds that come with the repository.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

use anyhow::{Context as _, Result, bail};

use crate::{build, fuzz_ledger, shell};

const FOLDER: &str = "tests/fuzz";

/// The address sanitizer wants to be told where it is.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// What makes libFuzzer see which way the code goes.
const FLAGS: &[&str] = &[
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cllvm-args=-simplifycfg-branch-fold-threshold=0",
    "-Zsanitizer=address",
];

/// Seconds for one input, memory in all and in one piece in MiB: more is a
/// find.
const LIMITS: &[&str] = &["-timeout=10", "-rss_limit_mb=1536", "-malloc_limit_mb=256"];

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    targets: Vec<String>,
    seconds: u64,
}

impl Options {
    pub(crate) fn parse(words: &[String]) -> Result<Self> {
        let mut options = Self { targets: Vec::new(), seconds: 30 };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (word.as_str(), None),
            };
            match name {
                "--seconds" => {
                    let value = value.or_else(|| words.next().map(String::as_str));
                    let seconds = value.and_then(|value| value.parse().ok());
                    // libFuzzer takes zero for no end.
                    options.seconds = seconds
                        .filter(|seconds| *seconds > 0)
                        .context("--seconds wants a number from 1, e.g. --seconds 60")?;
                }
                _ if name.starts_with('-') => bail!("`fuzz` knows only --seconds N and targets"),
                _ => options.targets.push(word.clone()),
            }
        }
        Ok(options)
    }
}

/// Builds the targets and searches with each for a while; one line each. The
/// code is 1 when anything was found.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let known = known(&shell::root().join(FOLDER).join("src/bin"))?;
    if let Some(odd) = options.targets.iter().find(|name| !known.contains(name)) {
        bail!("`{odd}` is not a fuzz target: expected some of {}", known.join(", "));
    }
    let targets = if options.targets.is_empty() { &known } else { &options.targets };
    let place = build::target_dir().join("fuzz");
    shell::run(&mut building(&place, &options.targets))?;
    let memory = Memory::new()?;
    let mut found = 0;
    for name in targets {
        let search = search(name, &place, &memory, options.seconds)?;
        println!("{name:<16} {search}");
        if search.seconds >= fuzz_ledger::LONG {
            let hours = fuzz_ledger::add(&search.entry(name))? as f64 / 3600.0;
            println!("{:<16} {hours:.2} h of long searches in all", "");
        }
        found += u32::from(search.find.is_some());
    }
    Ok(if found == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A target is a program.
fn known(folder: &Path) -> Result<Vec<String>> {
    let files = fs::read_dir(folder).with_context(|| format!("{}", folder.display()))?;
    let names = files
        .flatten()
        .filter_map(|file| Some(file.file_name().to_str()?.strip_suffix(".rs")?.to_owned()));
    let mut names: Vec<String> = names.collect();
    names.sort();
    Ok(names)
}

fn building(place: &Path, targets: &[String]) -> Command {
    let manifest = format!("{FOLDER}/Cargo.toml");
    let mut cargo = shell::cargo(&["build", "--locked", "--manifest-path", &manifest]);
    cargo.args(["--target", TARGET, "--target-dir"]).arg(place);
    for target in targets {
        cargo.args(["--bin", target]);
    }
    // The sanitizer comes with the stable toolchain, but not its flag.
    cargo.env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", FLAGS.join(" "));
    cargo.env_remove("CARGO_ENCODED_RUSTFLAGS").env_remove("CARGO_TARGET_DIR");
    cargo
}

/// A folder in memory for the targets' files, gone in the end: a target that
/// crashes leaves them behind.
struct Memory(PathBuf);

impl Memory {
    fn new() -> Result<Self> {
        let shared = Path::new("/dev/shm");
        let parent = if shared.is_dir() { shared.to_owned() } else { std::env::temp_dir() };
        let path = parent.join(format!("tandem-fuzz-{}", std::process::id()));
        fs::create_dir_all(&path).with_context(|| format!("{}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What one search came to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Search {
    runs: u64,
    /// Branches that some input reached.
    covered: u64,
    seconds: u64,
    /// Seconds of processor time: on a busy machine the clock says too much.
    worked: u64,
    find: Option<Find>,
}

/// An input that a target does not survive.
#[derive(Debug, Default, PartialEq, Eq)]
struct Find {
    file: String,
    why: String,
}

impl std::fmt::Display for Search {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { runs, covered, seconds, find, .. } = self;
        write!(f, "{runs:>10} runs in {seconds:>3} s, {covered:>6} branches, ")?;
        match find {
            None => f.write_str("no crash"),
            Some(Find { file, why }) => write!(f, "crashed by {file}: {why}"),
        }
    }
}

fn search(name: &str, place: &Path, memory: &Memory, seconds: u64) -> Result<Search> {
    let program = place.join(TARGET).join("debug").join(name);
    let finds = place.join("finds");
    let grown = place.join("corpus").join(name);
    for folder in [&finds, &grown] {
        fs::create_dir_all(folder).with_context(|| format!("{}", folder.display()))?;
    }
    let mut command = shell::command(&program, LIMITS);
    command.args(["-print_final_stats=1", &format!("-max_total_time={seconds}")]);
    command.arg(format!("-artifact_prefix={}/{name}-", finds.display()));
    command.arg(grown).args(Some(seeds(name)).filter(|seeds| seeds.is_dir()));
    // What is not given back at the end is no find.
    command.env("ASAN_OPTIONS", "detect_leaks=0").env("TMPDIR", &memory.0);
    let before = fuzz_ledger::worked_by_children()?;
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", program.display()))?;
    let told = child.stderr.take().context("no pipe from the target")?;
    let mut search = Search::default();
    for line in BufReader::new(told).split(b'\n') {
        search.take(&String::from_utf8_lossy(&line?));
    }
    let status = child.wait()?;
    search.worked = fuzz_ledger::worked_by_children()?.saturating_sub(before);
    if let Some(find) = &mut search.find
        && let Some(near) = find.file.strip_prefix(&format!("{}/", shell::root().display()))
    {
        find.file = near.to_owned();
    }
    if !status.success() && search.find.is_none() {
        let why = format!("it ended with {status} before any input");
        search.find = Some(Find { file: "nothing".to_owned(), why });
    }
    Ok(search)
}

fn seeds(name: &str) -> PathBuf {
    shell::root().join(FOLDER).join("corpus").join(name)
}

impl Search {
    fn entry<'a>(&self, target: &'a str) -> fuzz_ledger::Entry<'a> {
        let Self { runs, covered, worked, find, .. } = self;
        let (seconds, runs, branches) = (*worked, *runs, *covered);
        fuzz_ledger::Entry { target, seconds, runs, branches, found: find.is_some() }
    }

    /// Reads one line of libFuzzer's, or of a panic.
    fn take(&mut self, line: &str) {
        let number = |text: &str| text.split_whitespace().next()?.parse().ok();
        if let Some((_, rest)) = line.split_once(" cov: ") {
            self.covered = number(rest).unwrap_or(self.covered);
        }
        if let Some(rest) = line.strip_prefix("stat::number_of_executed_units:") {
            self.runs = number(rest).unwrap_or(self.runs);
        } else if let Some(rest) = line.strip_prefix("Done ") {
            // `Done 123 runs in 31 second(s)`
            let seconds = rest.split_once(" in ").and_then(|(_, rest)| number(rest));
            self.seconds = seconds.unwrap_or(self.seconds);
        } else if let Some((_, file)) = line.split_once("Test unit written to ") {
            file.trim().clone_into(&mut self.find.get_or_insert_default().file);
        } else if let Some((_, place)) = line.split_once(" panicked at ") {
            let find = self.find.get_or_insert_default();
            // The sentence is in the next line.
            find.why = format!("{place} ");
        } else if let Some(find) = self.find.as_mut().filter(|find| find.why.ends_with(": ")) {
            find.why.extend(line.chars().filter(|c| !c.is_control()).take(200));
        } else if let Some((_, why)) = line.split_once("ERROR: ") {
            let find = self.find.get_or_insert_default();
            // The panic itself says more than what libFuzzer makes of it.
            if find.why.is_empty() {
                why.clone_into(&mut find.why);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn options_name_targets_and_a_time() {
        let options = Options::parse(&words("http --seconds 5 qmp")).unwrap();
        assert_eq!(options, Options { targets: words("http qmp"), seconds: 5 });
        assert_eq!(Options::parse(&words("--seconds=7")).unwrap().seconds, 7);
        for bad in ["--seconds", "--seconds 0", "--seconds x", "--jobs 2"] {
            assert!(Options::parse(&words(bad)).is_err(), "{bad}");
        }
        let unknown = Options::parse(&words("nonsense")).unwrap();
        assert!(run(&unknown).unwrap_err().to_string().contains("image_reference"));
    }

    #[test]
    fn what_libfuzzer_says_becomes_one_line() {
        let mut search = Search::default();
        for line in [
            "#2\tINITED cov: 12 ft: 13 corp: 1/1b exec/s: 0 rss: 40Mb",
            "#65536\tpulse  cov: 90 ft: 200 corp: 60/1Kb lim: 652 exec/s: 32768 rss: 60Mb",
            "Done 70001 runs in 3 second(s)",
            "stat::number_of_executed_units: 70001",
        ] {
            search.take(line);
        }
        assert_eq!(search.to_string(), "     70001 runs in   3 s,     90 branches, no crash");
        for line in [
            "thread '<unnamed>' (7) panicked at src/bin/log.rs:20:5:",
            "it is open",
            "==7== ERROR: libFuzzer: deadly signal",
            "artifact_prefix='x/'; Test unit written to x/log-crash-12",
        ] {
            search.take(line);
        }
        let find = search.find.unwrap();
        assert_eq!(find.file, "x/log-crash-12");
        assert_eq!(find.why, "src/bin/log.rs:20:5: it is open");
    }

    #[test]
    fn every_folder_of_seeds_has_its_target() {
        let folder = shell::root().join(FOLDER);
        let known = known(&folder.join("src/bin")).unwrap();
        assert!(known.len() > 20);
        for seeds in fs::read_dir(folder.join("corpus")).unwrap().flatten() {
            let name = seeds.file_name().to_string_lossy().into_owned();
            assert!(known.contains(&name), "no target has the seeds {name}");
        }
    }
}
