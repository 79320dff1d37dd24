//! Every fuzz target (`fuzz/src/bin`) as an ordinary test: its corpus as it is,
//! and so many changes of it, the same ones every time. The search itself is
//! `cargo xtask fuzz`; `TANDEM_REPLAY_SECONDS` makes this one longer, with
//! other changes each time.

#![expect(
    unused_attributes,
    unused_imports,
    dead_code,
    clippy::pedantic,
    reason = "the targets are programs of libFuzzer's"
)]

// What the targets take for crates is this one.
extern crate self as libfuzzer_sys;
extern crate self as tandem_fuzz;

#[path = "fuzz/src/lib.rs"]
mod shared;

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use libtest_mimic::{Arguments, Failed, Trial};
use rand::{Rng, RngExt as _, SeedableRng as _, rngs::ChaCha12Rng};

pub use shared::*;

/// What makes a program in the other workspace makes a function here.
#[macro_export]
macro_rules! fuzz_target {
    (|$data:ident: &[u8]| $body:block) => {
        pub(crate) fn run($data: &[u8]) $body
    };
}

macro_rules! targets {
    ($($name:ident,)*) => {
        #[path = "fuzz/src/bin"]
        mod bins {
            $(pub(crate) mod $name;)*
        }

        const TARGETS: &[(&str, fn(&[u8]))] = &[$((stringify!($name), bins::$name::run),)*];
    };
}

targets! {
    archive,
    attach,
    disk,
    dns,
    dockerfile,
    dockerignore,
    drawing,
    engine_output,
    extract,
    foreign_disk,
    guest_channel,
    http,
    image_reference,
    kernel,
    layer,
    lesson,
    log,
    manifests,
    options,
    package_sources,
    packed,
    packed_disk,
    pax,
    qmp,
    registry_answer,
    result,
    users,
}

/// Changed inputs for each target, and how long they may take.
const RUNS: usize = 300;
const LIMIT: Duration = Duration::from_secs(2);

fn main() {
    let arguments = Arguments::from_args();
    // The search beside this one may have it too.
    let far = Path::new("/tmp/tandem-fuzz-outside");
    let was_there = far.exists();
    let all = TARGETS.iter().map(|&(name, run)| {
        Trial::test(format!("fuzz::{name}"), move || Target { name, run }.replay())
    });
    let known = Trial::test("fuzz::every_target_is_replayed", every_target_is_replayed);
    let conclusion = libtest_mimic::run(&arguments, all.chain([known]).collect());
    if !was_there {
        let _ = fs::remove_dir_all(far);
    }
    conclusion.exit();
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

fn every_target_is_replayed() -> Result<(), Failed> {
    let mut names: Vec<String> = fs::read_dir(folder().join("src/bin"))?
        .flatten()
        .filter_map(|it| Some(it.file_name().to_str()?.strip_suffix(".rs")?.to_owned()))
        .collect();
    names.sort();
    assert_eq!(names, TARGETS.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    Ok(())
}

struct Target {
    name: &'static str,
    run: fn(&[u8]),
}

impl Target {
    fn replay(&self) -> Result<(), Failed> {
        let corpus = fs::read_dir(folder().join("corpus").join(self.name))?;
        let mut paths: Vec<PathBuf> = corpus.flatten().map(|it| it.path()).collect();
        paths.sort();
        assert!(!paths.is_empty(), "no seeds");
        let seeds: Vec<Vec<u8>> = paths.iter().map(fs::read).collect::<Result<_, _>>()?;
        for (path, seed) in paths.iter().zip(&seeds) {
            self.once(seed).map_err(|why| format!("{}: {why}", path.display()))?;
        }
        let seconds = std::env::var("TANDEM_REPLAY_SECONDS").ok().and_then(|it| it.parse().ok());
        let limit = seconds.map_or(LIMIT, Duration::from_secs);
        let mut random = match seconds {
            Some(_) => rand::make_rng(),
            None => ChaCha12Rng::seed_from_u64(7),
        };
        let begun = Instant::now();
        let mut runs = 0;
        while begun.elapsed() < limit && (seconds.is_some() || runs < RUNS) {
            let input = changed(&seeds, &mut random);
            runs += 1;
            self.once(&input).map_err(|why| {
                let find = std::env::temp_dir().join(format!("tandem-find-{}", self.name));
                let _ = fs::write(&find, &input);
                format!("{why}; the input is {}", find.display())
            })?;
        }
        if seconds.is_some() {
            eprintln!("{}: {runs} runs", self.name);
        }
        Ok(())
    }

    fn once(&self, input: &[u8]) -> Result<(), String> {
        let begun = Instant::now();
        catch_unwind(AssertUnwindSafe(|| (self.run)(input))).map_err(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            text.or_else(|| panic.downcast_ref::<&str>().map(|it| (*it).to_owned()))
                .unwrap_or_else(|| "it panicked".to_owned())
        })?;
        match begun.elapsed() {
            time if time > Duration::from_secs(120) => Err(format!("it took {time:?}")),
            _ => Ok(()),
        }
    }
}

/// Bytes that readers trip over.
const ODD: [u8; 14] = *b"\0\x01\x7f\x80\xff\n \"/.-09{";

/// A seed with some changes.
fn changed(seeds: &[Vec<u8>], random: &mut impl Rng) -> Vec<u8> {
    let mut input = seeds[random.random_range(0..seeds.len())].clone();
    for _ in 0..random.random_range(1..6) {
        let at = random.random_range(0..=input.len());
        let length = random.random_range(0..=16_usize.min(input.len() - at));
        match random.random_range(0..7) {
            0 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << random.random_range(0..8);
                }
            }
            1 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte = ODD[random.random_range(0..ODD.len())];
                }
            }
            2 => drop(input.drain(at..at + length)),
            3 => {
                let again: Vec<u8> = input[at..at + length].repeat(random.random_range(1..4));
                input.splice(at..at, again);
            }
            4 => {
                let new: Vec<u8> = (0..length).map(|_| random.random()).collect();
                input.splice(at..at + length, new);
            }
            5 => input.truncate(at),
            _ => {
                let other = &seeds[random.random_range(0..seeds.len())];
                let from = random.random_range(0..=other.len());
                let to = (from + random.random_range(0..600)).min(other.len());
                input.splice(at..at, other[from..to].iter().copied());
            }
        }
    }
    input.truncate(1 << 16);
    input
}
