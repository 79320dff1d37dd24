//! `cargo xtask record`: the results that come with the program, made anew on
//! this machine.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::{
    build, shell,
    system::{self, Group},
};

/// Every experiment with its lanes and what else it is asked for.
const EXPERIMENTS: [(&str, &str, &[&str]); 12] = [
    ("startup", "process,container,vm", &[]),
    ("size", "container,vm", &[]),
    ("density", "container,vm", &["--instances", "3"]),
    ("build", "container,vm", &[]),
    ("resize", "container,vm", &[]),
    ("elasticity", "container,vm", &[]),
    ("snapshot", "container,vm", &[]),
    ("persistence", "container,vm", &[]),
    ("portability", "container,vm", &[]),
    ("isolation", "container,vm", &[]),
    ("overhead", "process,container,vm", &[]),
    ("neighbour", "container,vm", &[]),
];

/// With fewer an interval of a median holds the truth less often than it says.
const LEAST: u64 = 6;

/// What is to be recorded.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    ids: Vec<String>,
    trials: u64,
    seed: u64,
    /// Where optimised programs are already.
    programs: Option<PathBuf>,
}

impl Options {
    /// Reads `ID… [--trials N] [--seed N] [--programs FOLDER]`.
    pub(crate) fn parse(words: &[String]) -> Result<Self> {
        let mut options = Self { ids: Vec::new(), trials: LEAST, seed: 1, programs: None };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().with_context(|| format!("{word} needs a value"));
            match word.as_str() {
                "--trials" => {
                    options.trials = value()?.parse().context("--trials takes a number")?;
                }
                "--seed" => options.seed = value()?.parse().context("--seed takes a number")?,
                "--programs" => options.programs = Some(value()?.into()),
                id if EXPERIMENTS.iter().any(|(known, ..)| *known == id) => {
                    options.ids.push(id.to_owned());
                }
                other => bail!("`{other}` is no experiment and no option of `record`"),
            }
        }
        let least = LEAST;
        ensure!(
            options.trials >= LEAST,
            "a recording has {least} trials at least: --trials {least}"
        );
        Ok(options)
    }

    fn wants(&self, id: &str) -> bool {
        self.ids.is_empty() || self.ids.iter().any(|wanted| wanted == id)
    }
}

/// Builds for release and runs each experiment in a home of its own. A
/// recording is replaced only by a whole result of a quiet machine; the others
/// stay, and the error at the end says why.
pub(crate) fn run(options: &Options) -> Result<()> {
    let programs = if let Some(folder) = &options.programs {
        shell::root().join(folder)
    } else {
        system::setup(&[Group::Build, Group::Run])?;
        build::release(false)?;
        build::programs(build::Profile::Release)
    };
    let folder = build::target_dir().join("record");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut left = Vec::new();
    for (id, lanes, more) in EXPERIMENTS.into_iter().filter(|(id, ..)| options.wants(id)) {
        let file = folder.join(format!("{id}.json"));
        let made = measure(&programs, &folder, &file, options, (id, lanes, more));
        match made.and_then(|()| take(&file, id, options.trials)) {
            Ok(to) => println!("recorded {}", to.display()),
            Err(e) => {
                println!("{id} stays as it was: {e:#}");
                left.push(id);
            }
        }
    }
    ensure!(
        left.is_empty(),
        "not recorded: {}; let the machine rest and name them again",
        left.join(" ")
    );
    Ok(())
}

fn measure(
    programs: &Path,
    folder: &Path,
    file: &Path,
    options: &Options,
    (id, lanes, more): (&str, &str, &[&str]),
) -> Result<()> {
    // A run that fails leaves none of an earlier one.
    if file.exists() {
        fs::remove_file(file).with_context(|| format!("cannot remove {}", file.display()))?;
    }
    let (trials, seed) = (options.trials.to_string(), options.seed.to_string());
    let mut tandem = shell::command(programs.join("tandem"), &["experiment", "run", id]);
    tandem.args(["--lanes", lanes, "--trials", &trials, "--seed", &seed]).args(more);
    tandem.arg("--json").arg(file).env("TANDEM_HOME", folder.join("home"));
    shell::run(&mut tandem)
}

/// Puts a result among the recordings, when it is worth it.
fn take(file: &Path, id: &str, trials: u64) -> Result<PathBuf> {
    let text =
        fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let result: Value = serde_json::from_str(&text).context("the result is no JSON")?;
    is_worth_it(&result, id, trials)?;
    let to = shell::root().join(format!("crates/app/recordings/{id}.json.gz"));
    // Without name and time the same result gives the same bytes.
    let output = shell::command("gzip", &["-9", "-n", "-c"]).arg(file).output();
    let output = output.context("cannot run gzip")?;
    ensure!(output.status.success(), "gzip ended with {}", output.status);
    let draft = to.with_extension("gz.new");
    fs::write(&draft, output.stdout).and_then(|()| fs::rename(&draft, &to))?;
    Ok(to)
}

/// Whether a result may stand for its experiment: every lane measured every
/// trial, and nobody else was at work.
fn is_worth_it(result: &Value, id: &str, trials: u64) -> Result<()> {
    ensure!(result["experiment"] == id, "it is a result of {}", result["experiment"]);
    let list = |name: &str| result[name].as_array().with_context(|| format!("it has no {name}"));
    for lane in list("lanes")? {
        let counts = |trial: &&Value| {
            trial["lane"] == lane["id"]
                && trial["outcome"] == "measured"
                && trial["warmup"] == false
        };
        let measured = list("trials")?.iter().filter(counts).count() as u64;
        let lane = lane["id"].as_str().unwrap_or("a lane");
        ensure!(measured >= trials, "{lane} measured {measured} of {trials} trials");
    }
    ensure!(!list("verdicts")?.is_empty(), "nothing was judged");
    let disturbed = |text: &&str| {
        ["of the processors busy", "was resumed", "clock was set", "machine slept"]
            .iter()
            .any(|words| text.contains(words))
    };
    let warning = list("warnings")?.iter().filter_map(Value::as_str).find(disturbed);
    match warning {
        Some(warning) => bail!("{warning}"),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn options_are_experiments_and_numbers() {
        let options = Options::parse(&words("size startup --trials 8 --seed 3")).unwrap();
        assert_eq!((options.trials, options.seed), (8, 3));
        assert!(options.wants("size") && !options.wants("build"));
        assert!(Options::parse(&[]).unwrap().wants("build"));
        for wrong in ["sise", "--trials 5", "--trials", "--seed x"] {
            assert!(Options::parse(&words(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_whole_results_of_a_quiet_machine_are_taken() {
        let result = |warning: &str, outcome: &str| {
            let trial = |lane: &str, outcome: &str| json!({ "lane": lane, "outcome": outcome, "warmup": false });
            json!({
                "experiment": "size",
                "lanes": [{ "id": "container" }, { "id": "vm/micro" }],
                "trials": [trial("container", "measured"), trial("vm/micro", outcome)],
                "verdicts": [{}],
                "warnings": [warning],
            })
        };
        let judged =
            |value: &Value, trials| is_worth_it(value, "size", trials).map_err(|e| e.to_string());
        assert_eq!(judged(&result("vm/micro: one trial shows no spread", "measured"), 1), Ok(()));
        let few = judged(&result("", "measured"), 2).unwrap_err();
        assert!(few.contains("container measured 1 of 2"), "{few}");
        let failed = judged(&result("", "failed"), 1).unwrap_err();
        assert!(failed.contains("vm/micro measured 0 of 1"), "{failed}");
        let busy = "other programs kept 60 % of the processors busy when the trials began";
        assert!(judged(&result(busy, "measured"), 1).is_err());
        assert!(is_worth_it(&result("", "measured"), "build", 1).is_err());
    }
}
