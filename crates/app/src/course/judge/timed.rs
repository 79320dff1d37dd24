//! Claims about times: each ratio with its interval, and nothing decided by
//! fewer trials than can decide.

use tandem_lab::{Contrast, too_few, values};
use tandem_model::{
    BackendKind, LaneReport, VerdictOutcome,
    format::{format_duration, format_number},
};
use tandem_stats::median;

use super::{Judged, Pair};

/// How much slower an app may be for its wrapping to count as light.
const LIGHT: f64 = 1.15;

/// How many times as long the slowest answers may take beside a neighbour.
const BEARABLE: f64 = 3.0;

/// Requests from which on a 99th percentile is more than the slowest of them.
const HUNDRED: f64 = 100.0;

impl Pair<'_> {
    fn contrast(&self, metric: &str) -> Option<Contrast> {
        Contrast::of(self.document, metric, self.container, self.vm)
    }

    pub(super) fn build(&self) -> Judged {
        let found = self.contrast("edit_to_response")?;
        let (outcome, evidence) = found.judged();
        let told = format!(
            "From the changed line to the answer the VM took {} times as long as the container ({}).",
            found.times(),
            found.numbers()
        );
        let cold = self.both("build_cold").map(|(container, vm)| {
            format!(
                "A build without a cache, which is the same for both, took {} in the container's trials and {} in the VM's (medians).",
                format_duration(container),
                format_duration(vm)
            )
        });
        Some((outcome, joined(&[told, evidence, cold.unwrap_or_default()])))
    }

    pub(super) fn overhead(&self) -> Judged {
        let process = self.document.lanes.iter().find(|it| it.backend == BackendKind::Process)?;
        let beside = |lane| Contrast::of(self.document, "cpu_time", process, lane);
        let (container, vm) = (beside(self.container)?, beside(self.vm)?);
        let outcome = below(std::slice::from_ref(&container), LIGHT);
        let few = container.has_too_few() || vm.has_too_few();
        Some((
            if few { VerdictOutcome::Inconclusive } else { outcome },
            joined(&[
                format!(
                    "The verdict goes by computing, which took {} times the bare process's time in the container and {} times in the VM.",
                    container.brief(),
                    vm.brief()
                ),
                self.rush(process).unwrap_or_default(),
                if few { too_few() } else { String::new() },
            ]),
        ))
    }

    /// Answers a second beside the bare process's, a sentence.
    fn rush(&self, process: &LaneReport) -> Option<String> {
        let base = self.of(process, "throughput")?;
        let beside = |lane| Contrast::of(self.document, "throughput", process, lane);
        Some(format!(
            "The same server answered {} requests a second as a process; {} times as many in the container and {} times in the VM, their published ports included.",
            format_number(base),
            beside(self.container)?.brief(),
            beside(self.vm)?.brief()
        ))
    }

    pub(super) fn neighbour(&self) -> Judged {
        let shift = |lane, suffix: &str| {
            let during = format!("latency_p99_beside{suffix}");
            Contrast::between(self.document, ("latency_p99", lane), (&during, lane))
        };
        let (mut all, mut told) = (Vec::new(), Vec::new());
        for (suffix, busy) in [("", "processors"), ("_memory", "memory"), ("_disk", "disk")] {
            let found = shift(self.container, suffix).zip(shift(self.vm, suffix));
            let Some((container, vm)) = found else { continue };
            told.push(format!("{busy} {} and {}", container.brief(), vm.brief()));
            all.extend([container, vm]);
        }
        if told.is_empty() {
            return None;
        }
        let few = all.iter().any(Contrast::has_too_few);
        let failed = self.failed_requests();
        // How much is too much is a matter of taste: never refuted. Where
        // requests had no answer at all no percentile says how long they took.
        let outcome = match below(&all, BEARABLE) {
            VerdictOutcome::Supported if !few && failed.is_none() => VerdictOutcome::Supported,
            _ => VerdictOutcome::Inconclusive,
        };
        Some((
            outcome,
            joined(&[
                format!(
                    "Beside a neighbour that keeps something busy without end, the slowest answers (p99) took so many times as long in the container and in the VM: {}.",
                    told.join("; ")
                ),
                failed.unwrap_or_default(),
                self.few_requests().unwrap_or_default(),
                if few { too_few() } else { String::new() },
            ]),
        ))
    }

    /// Requests beside a neighbour that had no answer, a sentence where there
    /// were any.
    fn failed_requests(&self) -> Option<String> {
        let sum = |lane: &LaneReport, of: &str| -> f64 {
            let beside = ["_beside", "_beside_memory", "_beside_disk"];
            let all = |suffix| values(&self.document.trials, &lane.id, &format!("{of}{suffix}"));
            beside.into_iter().flat_map(all).sum()
        };
        let lanes = [self.container, self.vm];
        let [container, vm] = lanes.map(|lane| sum(lane, "failed_requests"));
        (container + vm > 0.0).then(|| {
            let [of_container, of_vm] = lanes.map(|lane| format_number(sum(lane, "requests")));
            format!(
                "Beside a neighbour {} of {of_container} requests to the container and {} of {of_vm} to the VM had no answer, and are in no percentile: the slowest answers were slower than that.",
                format_number(container),
                format_number(vm)
            )
        })
    }

    /// An emulated machine answers so rarely that its p99 is one answer.
    fn few_requests(&self) -> Option<String> {
        let least = |lane: &LaneReport| {
            let all = values(&self.document.trials, &lane.id, "requests");
            median(&all).ok()
        };
        let (container, vm) = (least(self.container)?, least(self.vm)?);
        (container.min(vm) < HUNDRED).then(|| {
            format!(
                "A trial asked the container {} times and the VM {} times; of fewer than a hundred answers, p99 is about the slowest.",
                format_number(container),
                format_number(vm)
            )
        })
    }
}

/// Whether all lie below a bound, by their intervals.
fn below(all: &[Contrast], bound: f64) -> VerdictOutcome {
    if all.iter().all(|it| it.ratio.ci95[1] < bound) {
        VerdictOutcome::Supported
    } else if all.iter().any(|it| it.ratio.ci95[0] > bound) {
        VerdictOutcome::Refuted
    } else {
        VerdictOutcome::Inconclusive
    }
}

fn joined(sentences: &[String]) -> String {
    let told: Vec<&str> =
        sentences.iter().map(String::as_str).filter(|it| !it.is_empty()).collect();
    told.join(" ")
}
