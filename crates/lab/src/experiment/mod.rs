//! The experiments: each a claim of the article with a method that judges it.
//!
//! An experiment is a small type. The engine ([`crate::run`]) finds and
//! prepares the lanes, draws the order, makes the trials, writes each down at
//! once, checks parity, judges and cleans up; the experiment says what one
//! trial is, on a [`Bench`] that launches instances and takes down numbers.
//! Whatever a trial made is gone after it, however it ended.
//!
//! A new experiment is a type here, a line in [`experiment`] and an entry of
//! the [`CATALOGUE`]. One that needs more than a backend can do (images,
//! snapshots, commands inside) is a type of the caller's, for
//! [`crate::run_with`].

mod bench;
mod catalogue;
mod density;
mod launches;
mod resize;

use async_trait::async_trait;
use tandem_model::{Lane, ResultDocument, Verdict};

pub use bench::{Bench, Launched, Load};
pub use catalogue::{CATALOGUE, Description, describe};

/// Why a trial has no numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrialEnd {
    /// Somebody cancelled the run.
    Cancelled,
    /// It was tried and went wrong; the reason.
    Failed(String),
}

/// How the trials of an experiment are looked at, by whom they were made does
/// not matter.
pub trait Method: Send + Sync {
    /// Its id in the catalogue.
    fn id(&self) -> &'static str;

    /// Metrics that are compared between lanes and told while it runs, the
    /// one that matters most first.
    fn compared(&self) -> &'static [&'static str];

    /// The claims, judged by the raw trials and summaries of a result.
    fn judge(&self, document: &ResultDocument) -> Vec<Verdict>;
}

/// A question with a method.
#[async_trait]
pub trait Experiment: Method {
    /// Warm-up trials that it cannot do without.
    fn least_warmup(&self) -> u32 {
        0
    }

    /// Whether answers of the app are compared before anything counts. What
    /// looks at other things than answers says no: its lanes run one image by
    /// construction.
    fn compares_answers(&self) -> bool {
        true
    }

    /// What a lane lacks for it, a sentence's end; `None` when it can be
    /// measured there.
    fn lacks(&self, _lane: Lane) -> Option<&'static str> {
        None
    }

    /// Whether its times are read from the time of day (from logs), so that a
    /// trial during which somebody set the clock has none.
    fn reads_the_time_of_day(&self) -> bool {
        false
    }

    /// Takes away what it made beside the bench, however the trial ended; a
    /// line for each thing.
    async fn clean_up(&self) -> Vec<String> {
        Vec::new()
    }

    /// One trial in one lane. Numbers and instances belong to the bench.
    async fn trial(&self, bench: &mut Bench<'_, '_>) -> Result<(), TrialEnd>;
}

/// The experiment with this id, when this version has it. `compare` is the
/// short name of `startup` and `size` in one run.
pub fn experiment(id: &str) -> Option<Box<dyn Experiment>> {
    Some(match id {
        "compare" => Box::new(launches::Compare),
        "startup" => Box::new(launches::Startup),
        "size" => Box::new(launches::Size),
        "density" => Box::new(density::Density),
        "resize" => Box::new(resize::Resize),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_and_the_code_agree() {
        assert_eq!(CATALOGUE.len(), 12);
        for description in CATALOGUE {
            let found = experiment(description.id);
            assert!(found.is_none() || description.missing.is_none(), "{}", description.id);
            assert!(found.is_none_or(|found| found.id() == description.id));
            // One look at what cannot be otherwise, or enough for a verdict.
            let least = u32::try_from(tandem_stats::judge::Thresholds::default().min_trials);
            let trials = description.trials;
            assert!(trials == 1 || trials >= least.unwrap(), "{}", description.id);
        }
    }
}
