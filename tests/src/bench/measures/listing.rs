//! Stored results are listed.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::{
    bench::{
        claim::{Bound, Claim},
        field::Field,
        ground::{IMAGE, tandem_in},
        measure::{Contender, Measure, Prepare, Reading, Unit},
        stage::Stage,
    },
    process,
};

pub(super) const MEASURE: Measure = Measure {
    name: "listing",
    title: "`result ls --json` with 100,000 stored trials",
    unit: Unit::Time,
    claims: &[Claim::Median { of: LISTED, bound: Bound::AtMost(100e6) }],
    notes: &[
        "The whole command, in a home with 200 results of 500 trials each, which came in with \
         `result import`: copies of one that was measured here.",
    ],
    contenders: &[(LISTED, PREPARED)],
};

const LISTED: &str = "listed";

const RESULTS: usize = 200;
const TRIALS: usize = 500;

const PREPARED: Prepare = |_, field: &Field| {
    let home = field.folder("home-of-results")?;
    eprintln!("storing {} trials", RESULTS * TRIALS);
    let model = measured(field)?;
    let files = field.folder("results")?;
    let mut words = vec!["result".to_owned(), "import".to_owned()];
    for number in 0..RESULTS {
        let path = files.join(format!("{number}.json"));
        fs::write(&path, copy(&model, number)?.to_string())?;
        words.push(path.to_string_lossy().into_owned());
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    process::run(tandem_in(&home, &words), Duration::from_mins(10))?.ok()?;
    Ok(Box::new(Listing { home }))
};

/// A small result, measured without isolation: the quickest.
fn measured(field: &Field) -> Result<Value> {
    let path = field.folder("results-model")?.join("model.json");
    let name = path.to_string_lossy().into_owned();
    let lanes = ["--lanes", "process", "--trials", "2"];
    let words =
        [&["experiment", "run", "startup", "--subject", IMAGE], &lanes[..], &["--json", &name]];
    field.ground.tandem(&words.concat())?;
    Ok(serde_json::from_slice(&fs::read(&path)?)?)
}

/// The result with another id and many trials.
fn copy(model: &Value, number: usize) -> Result<Value> {
    let mut document = model.clone();
    document["id"] = format!("bench{number:07}").into();
    let trials = document["trials"].as_array().context("a result without trials")?.clone();
    let last = trials.last().context("a result with no trial")?;
    // Trials that are all the same have a summary that is quickly reckoned.
    let summaries = document["summary"].as_array_mut().context("a result without a summary")?;
    summaries.retain(|it| last["metrics"][it["metric"].as_str().unwrap_or_default()].is_number());
    for summary in summaries {
        let value = last["metrics"][summary["metric"].as_str().unwrap_or_default()].clone();
        summary["n"] = TRIALS.into();
        summary["ci95"] = json!([value, value]);
        for name in ["median", "min", "max"] {
            summary[name] = value.clone();
        }
    }
    let many = (0..TRIALS).map(|index| {
        let mut trial = last.clone();
        trial["index"] = index.into();
        trial
    });
    document["trials"] = many.collect();
    Ok(document)
}

struct Listing {
    home: PathBuf,
}

impl Contender for Listing {
    fn trial(&mut self, stage: &Stage) -> Result<Vec<Reading>> {
        let words = ["result", "ls", "--json"];
        let elapsed = stage.time(tandem_in(&self.home, &words))?;
        let rows =
            process::run(tandem_in(&self.home, &words), Duration::from_mins(1))?.ok()?.json()?;
        let trials: u64 =
            rows.as_array().into_iter().flatten().filter_map(|row| row["trials"].as_u64()).sum();
        ensure!(trials == (RESULTS * TRIALS) as u64, "{trials} trials are listed");
        Ok(vec![(LISTED, elapsed)])
    }
}
