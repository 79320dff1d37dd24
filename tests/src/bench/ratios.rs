use std::{collections::BTreeMap, fmt};

use tandem_stats::{Ratio, ratio_of_medians, summarize};

use super::{docker, qemu, schedule::Trials, tandem};

/// A ratio that is asked for: numerator, denominator, and where it must lie.
struct Target {
    above: &'static str,
    below: &'static str,
    bound: Bound,
    meaning: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

impl Bound {
    fn holds(self, ratio: f64) -> bool {
        match self {
            Self::AtLeast(bound) => ratio >= bound,
            Self::AtMost(bound) => ratio <= bound,
        }
    }
}

const TARGETS: [Target; 3] = [
    Target {
        above: docker::NAME,
        below: tandem::CONTAINER.name,
        bound: Bound::AtLeast(2.0),
        meaning: "Docker's first answer against our container's",
    },
    Target {
        above: tandem::CONTAINER.name,
        below: tandem::PROCESS.name,
        bound: Bound::AtMost(1.3),
        meaning: "our container's first answer against the bare process",
    },
    Target {
        above: tandem::VM.name,
        below: qemu::NAME,
        bound: Bound::AtMost(1.6),
        meaning: "our machine's first answer against QEMU started by hand",
    },
];

/// What a benchmark run found.
#[derive(Debug)]
pub struct Report {
    by_contender: BTreeMap<&'static str, Vec<f64>>,
    absent: Vec<String>,
    seed: u64,
}

impl Report {
    pub(crate) fn new(trials: Trials, absent: Vec<String>, seed: u64) -> Self {
        let mut by_contender: BTreeMap<&'static str, Vec<f64>> = BTreeMap::new();
        for (name, elapsed) in trials {
            by_contender.entry(name).or_default().push(elapsed);
        }
        Self { by_contender, absent, seed }
    }

    /// Whether every ratio that could be measured lies where it must.
    pub fn holds(&self) -> bool {
        TARGETS
            .iter()
            .filter_map(|target| Some((target, self.ratio(target)?)))
            .all(|(target, ratio)| target.bound.holds(ratio.ratio))
    }

    fn ratio(&self, target: &Target) -> Option<Ratio> {
        let of = |name| self.by_contender.get(name);
        ratio_of_medians(of(target.below)?, of(target.above)?, self.seed).ok()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nfirst answer, ms     n   median   95 % interval       min      max")?;
        for (name, values) in &self.by_contender {
            let Ok(estimate) = summarize(values, self.seed) else { continue };
            let ms = |ns: f64| ns / 1e6;
            let [low, high] = estimate.ci95.map(ms);
            writeln!(
                f,
                "{name:<16} {:>5} {:>8.1}   {:<18} {:>6.1} {:>8.1}",
                estimate.n,
                ms(estimate.median),
                format!("{low:.1} to {high:.1}"),
                ms(estimate.min),
                ms(estimate.max)
            )?;
        }
        writeln!(f)?;
        for target in &TARGETS {
            let name = format!("{} / {}", target.above, target.below);
            let Some(ratio) = self.ratio(target) else {
                writeln!(f, "{name}: not measured ({})", target.meaning)?;
                continue;
            };
            let (sign, bound) = match target.bound {
                Bound::AtLeast(bound) => ("at least", bound),
                Bound::AtMost(bound) => ("at most", bound),
            };
            let verdict = if target.bound.holds(ratio.ratio) { "holds" } else { "DOES NOT HOLD" };
            writeln!(
                f,
                "{name}: {:.2} (95 % interval {:.2} to {:.2}, n = {} and {}), asked {sign} {bound}: {verdict}\n    {}",
                ratio.ratio, ratio.ci95[0], ratio.ci95[1], ratio.n_b, ratio.n_a, target.meaning
            )?;
        }
        for reason in &self.absent {
            writeln!(f, "not measured: {reason}")?;
        }
        writeln!(f, "seed {}", self.seed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(container: f64, process: f64, docker: f64) -> Report {
        let trial = |name, ms: f64| (0..5).map(move |i| (name, (ms + f64::from(i)) * 1e6));
        let trials = trial(tandem::CONTAINER.name, container)
            .chain(trial(tandem::PROCESS.name, process))
            .chain(trial(docker::NAME, docker))
            .collect();
        Report::new(trials, Vec::new(), 1)
    }

    #[test]
    fn a_missed_target_is_said_and_fails() {
        let good = report(300.0, 280.0, 900.0);
        assert!(good.holds(), "{good}");
        assert!(good.to_string().contains("docker / container: 2.99"), "{good}");
        assert!(good.to_string().contains("vm / qemu: not measured"), "{good}");
        let bad = report(300.0, 200.0, 500.0);
        assert!(!bad.holds());
        assert_eq!(bad.to_string().matches("DOES NOT HOLD").count(), 2, "{bad}");
    }
}
