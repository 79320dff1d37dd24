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
        let cold = self.both("build_cold").map_or(0.0, |(c, v)| f64::midpoint(c, v));
        let told = format!(
            "From the changed line to the answer the VM took {} times as long as the container ({}); a build without a cache takes {}.",
            found.times(),
            found.numbers(),
            format_duration(cold)
        );
        Some((outcome, joined(&[told, evidence])))
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
        // How much is too much is a matter of taste: never refuted.
        let outcome = match below(&all, BEARABLE) {
            VerdictOutcome::Supported if !few => VerdictOutcome::Supported,
            _ => VerdictOutcome::Inconclusive,
        };
        Some((
            outcome,
            joined(&[
                format!(
                    "Beside a neighbour that keeps something busy without end, the slowest answers (p99) took so many times as long in the container and in the VM: {}.",
                    told.join("; ")
                ),
                self.few_requests().unwrap_or_default(),
                if few { too_few() } else { String::new() },
            ]),
        ))
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
