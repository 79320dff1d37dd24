use std::{collections::BTreeSet, fmt};

use tandem_model::{
    ResultDocument, Unit,
    format::{format_duration, format_number},
};
use tandem_stats::{coverage_bound, drift, median};

use super::values;
use crate::{StoreError, instruments::Disturbance};

/// A lane whose times spread more than this (standard deviation over mean) is
/// called noisy.
const NOISY: f64 = 0.25;

/// A load that is later than this part of its latency says more of itself
/// than of the app.
const LATE: f64 = 0.5;

/// Something that a reader must know besides the numbers. Each says what to do
/// next.
#[derive(Debug, Clone, PartialEq)]
enum Warning {
    FewTrials { lane: String, n: usize },
    Drift { lane: String, rho: f64 },
    Outliers { lane: String, count: u32, n: u32 },
    Noisy { lane: String, spread: f64 },
    LoadLate { lane: String, late: f64, latency: f64 },
    BusyMachine { busy: f64 },
    BaseSubstituted { base: String },
    Unfair { lane: String, differences: Vec<String> },
    LaneMissing { lane: String, reason: String },
    LaneGivenUp { lane: String, failures: u32 },
    SomeFailed { lane: String, failed: usize, of: usize },
    AnswersChange { lane: String },
    NotOnDisk { reason: String },
    ColdCache,
    Resumed { before: usize },
    ClockSet { lane: String, index: u32, by_ns: i64 },
    Suspended { lane: String, index: u32, for_ns: u64 },
    HeldStill { lane: String, index: u32, for_ns: u64 },
    Engine(String),
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FewTrials { lane, n: 1 } => {
                write!(f, "{lane}: one trial shows no spread; run at least 6 with --trials 6")
            }
            Self::FewTrials { lane, n } => write!(
                f,
                "{lane}: with {n} trials an interval of the median covers the truth at most {} % of the time; run at least 6 for 95 %",
                format_number(coverage_bound(*n) * 100.0)
            ),
            Self::Drift { lane, rho } => write!(
                f,
                "{lane}: times {} over the run; let the machine come to rest and run it again",
                if *rho > 0.0 { "rose" } else { "fell" }
            ),
            Self::Outliers { lane, count, n } => write!(
                f,
                "{lane}: {count} of {n} times lie far from the others; they are kept, look at the raw trials"
            ),
            Self::Noisy { lane, spread } => write!(
                f,
                "{lane}: times spread by {} % of their mean; close other programs and run more trials",
                format_number(spread * 100.0)
            ),
            Self::LoadLate { lane, late, latency } => write!(
                f,
                "{lane}: requests were sent up to {} late (p99), which is in their latencies of {} (median); close other programs and run it again",
                format_duration(*late),
                format_duration(*latency)
            ),
            Self::BusyMachine { busy } => write!(
                f,
                "other programs kept {} % of the processors busy when the trials began; close them and run it again",
                format_number(busy * 100.0)
            ),
            Self::BaseSubstituted { base } => write!(
                f,
                "the image was built on {base} in place of the base that its Dockerfile names; results hold for this base"
            ),
            Self::Unfair { lane, differences } => {
                write!(
                    f,
                    "{lane} did not run the same as the first lane: {}",
                    differences.join("; ")
                )
            }
            Self::LaneMissing { lane, reason } => write!(f, "{lane} was left out: {reason}"),
            Self::LaneGivenUp { lane, failures } => write!(
                f,
                "{lane} was given up after {failures} failures in a row; its trials say why"
            ),
            Self::SomeFailed { lane, failed, of } => write!(
                f,
                "{lane}: {failed} of {of} trials failed and are in no estimate; their reasons are with the raw trials"
            ),
            Self::AnswersChange { lane } => write!(
                f,
                "{lane}: the answer differs from launch to launch, so equal answers cannot be checked for this app"
            ),
            Self::NotOnDisk { reason } => write!(
                f,
                "trials are only in memory, for they could not be written: {reason}; save the result with --json"
            ),
            Self::ColdCache => f.write_str(
                "before each trial the files of the lane were dropped from the page cache; what other programs hold mapped, the engines' own programs and the disk's own cache stayed warm",
            ),
            Self::Resumed { before } => write!(
                f,
                "the run ended early and was resumed after {before} trials, in the same random order; what the machine did in between is not known"
            ),
            Self::ClockSet { lane, index, by_ns } => write!(
                f,
                "the machine's clock was set {} by {} during trial {index} of {lane}; launches are timed by another clock, but times of day around it are wrong",
                if *by_ns < 0 { "back" } else { "forward" },
                format_duration(by_ns.unsigned_abs() as f64)
            ),
            Self::Suspended { lane, index, for_ns } => write!(
                f,
                "the machine slept for {} during trial {index} of {lane}, which counts no time but cools caches and breaks connections; look at that trial, or run it again",
                format_duration(*for_ns as f64)
            ),
            Self::HeldStill { lane, index, for_ns } => write!(
                f,
                "Tandem itself was held still for {} during trial {index} of {lane} (Ctrl-Z, a debugger, or a machine without a moment for it), so its times may be too long; look at that trial, or run it again",
                format_duration(*for_ns as f64)
            ),
            Self::Engine(note) => f.write_str(note),
        }
    }
}

/// The warnings of a run, each once.
#[derive(Debug, Default)]
pub(crate) struct Warnings {
    found: Vec<Warning>,
    changing: BTreeSet<String>,
}

impl Warnings {
    pub(crate) fn of_engine(&mut self, note: String) -> String {
        self.add(Warning::Engine(note))
    }

    pub(crate) fn cold_cache(&mut self) -> String {
        self.add(Warning::ColdCache)
    }

    pub(crate) fn lane_missing(&mut self, lane: &str, reason: &str) -> String {
        self.add(Warning::LaneMissing { lane: lane.to_owned(), reason: reason.to_owned() })
    }

    pub(crate) fn lane_given_up(&mut self, lane: &str, failures: u32) -> String {
        self.add(Warning::LaneGivenUp { lane: lane.to_owned(), failures })
    }

    pub(crate) fn not_on_disk(&mut self, error: &StoreError) -> String {
        self.add(Warning::NotOnDisk { reason: error.to_string() })
    }

    pub(crate) fn answers_change(&mut self, lane: &str) {
        if self.changing.insert(lane.to_owned()) {
            self.add(Warning::AnswersChange { lane: lane.to_owned() });
        }
    }

    pub(crate) fn resumed(&mut self, before: usize) -> String {
        self.add(Warning::Resumed { before })
    }

    /// What happened to the clocks during a trial.
    pub(crate) fn disturbed(&mut self, lane: &str, index: u32, by: Disturbance) -> Vec<String> {
        let mut said = Vec::new();
        if by.was_set() {
            let lane = lane.to_owned();
            said.push(self.add(Warning::ClockSet { lane, index, by_ns: by.set_by }));
        }
        if by.was_held() {
            let lane = lane.to_owned();
            said.push(self.add(Warning::HeldStill { lane, index, for_ns: by.held_for }));
        }
        if by.slept() {
            let lane = lane.to_owned();
            said.push(self.add(Warning::Suspended { lane, index, for_ns: by.slept_for }));
        }
        said
    }

    /// Others kept this part of the processors busy when the trials began.
    pub(crate) fn machine_is_busy(&mut self, busy: f64) -> String {
        self.add(Warning::BusyMachine { busy })
    }

    /// Looks at a document whose summaries are there.
    pub(crate) fn of_document(&mut self, document: &ResultDocument, metric: &str) {
        if document.subject.base_substituted {
            let base = document.subject.base.clone().unwrap_or_else(|| "another image".to_owned());
            self.add(Warning::BaseSubstituted { base });
        }
        for lane in &document.lanes {
            self.of_lane(document, &lane.id, metric);
            let answered = document.summary.iter().any(|summary| summary.lane == lane.id);
            if answered && !lane.parity.fair {
                let differences = lane.parity.differences.clone();
                self.add(Warning::Unfair { lane: lane.id.clone(), differences });
            }
        }
    }

    fn of_lane(&mut self, document: &ResultDocument, id: &str, metric: &str) {
        let lane = id.to_owned();
        let tried: Vec<_> = document.trials.iter().filter(|t| t.lane == id && !t.warmup).collect();
        let failed =
            tried.iter().filter(|trial| trial.outcome == tandem_model::OutcomeKind::Failed).count();
        let times = values(&document.trials, id, metric);
        if failed > 0 && !times.is_empty() {
            self.add(Warning::SomeFailed { lane: lane.clone(), failed, of: tried.len() });
        }
        let middle = |metric: &str| median(&values(&document.trials, id, metric)).ok();
        if let Some((late, latency)) = middle("prober_lag").zip(middle("latency_p50"))
            && late > latency * LATE
        {
            self.add(Warning::LoadLate { lane: lane.clone(), late, latency });
        }
        let summary = document.summary.iter().find(|s| s.lane == id && s.metric == metric);
        // A yes or a no has no spread.
        if summary.is_some_and(|summary| summary.unit == Unit::Boolean) {
            return;
        }
        if (1..6).contains(&times.len()) {
            self.add(Warning::FewTrials { lane: lane.clone(), n: times.len() });
        }
        if let Ok(found) = drift(&times, document.design.seed)
            && found.is_significant()
        {
            self.add(Warning::Drift { lane: lane.clone(), rho: found.rho });
        }
        let Some(summary) = summary else { return };
        if summary.outliers > 0 {
            let (count, n) = (summary.outliers, summary.n);
            self.add(Warning::Outliers { lane: lane.clone(), count, n });
        }
        let spread = summary.stddev.map(|stddev| stddev / summary.mean);
        if let Some(spread) = spread.filter(|spread| *spread > NOISY) {
            self.add(Warning::Noisy { lane, spread });
        }
    }

    pub(crate) fn into_sentences(self) -> Vec<String> {
        self.found.iter().map(ToString::to_string).collect()
    }

    /// Adds a warning and returns its sentence.
    fn add(&mut self, warning: Warning) -> String {
        let sentence = warning.to_string();
        if !self.found.contains(&warning) {
            self.found.push(warning);
        }
        sentence
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::{complete, tests::document, tests::trial};

    fn sentences(mut document: ResultDocument) -> String {
        complete(
            &mut document,
            crate::experiment("compare").unwrap().as_ref(),
            Warnings::default(),
        );
        document.warnings.join("\n")
    }

    #[test]
    fn a_quiet_run_of_ten_trials_has_none() {
        assert_eq!(sentences(document(10)), "");
    }

    #[test]
    fn clocks_that_were_set_and_time_that_was_lost_are_said_once_each() {
        let mut warnings = Warnings::default();
        let quiet = warnings.disturbed("container", 1, Disturbance::default());
        assert!(quiet.is_empty(), "{quiet:?}");
        let by = Disturbance {
            set_by: -7_200_000_000_000,
            slept_for: 60_000_000_000,
            held_for: 900_000_000,
            elapsed: 1_000_000_000,
        };
        for _ in 0..2 {
            assert_eq!(warnings.disturbed("container", 3, by).len(), 3);
        }
        let kept = warnings.into_sentences();
        let [set, held, slept] = &kept[..] else { panic!("{kept:?}") };
        assert!(set.starts_with("the machine's clock was set back by 120 min"), "{set}");
        assert!(held.contains("held still for 0.90 s during trial 3 of container"), "{held}");
        assert!(slept.starts_with("the machine slept for 60.00 s during trial 3"), "{slept}");
    }

    #[test]
    fn what_weakens_a_result_is_said() {
        let few = sentences(document(5));
        assert!(few.contains("container: with 5 trials") && few.contains("93.8 %"), "{few}");
        let mut substituted = document(10);
        substituted.subject.base_substituted = true;
        substituted.subject.base = Some("localhost/base".to_owned());
        assert!(sentences(substituted).contains("built on localhost/base"));
        let mut noisy = document(0);
        for index in 1..=12 {
            let time = 1e9 + f64::from(index) * 5e8;
            noisy.trials.push(trial("container", index, &[("first_response", time)]));
        }
        let text = sentences(noisy);
        assert!(text.contains("times rose over the run"), "{text}");
        assert!(text.contains("spread by"), "{text}");
        let load = |late: f64| {
            let mut document = document(10);
            for trial in &mut document.trials {
                trial.metrics.insert("prober_lag".to_owned(), late.into());
                trial.metrics.insert("latency_p50".to_owned(), 4e6.into());
            }
            sentences(document)
        };
        assert_eq!(load(1e6), "");
        assert!(
            load(3e6).contains("vm/micro: requests were sent up to 3.0 ms late"),
            "{}",
            load(3e6)
        );
    }
}
