use std::fmt;

use tandem_stats::summarize;

use super::{
    claim::Verdict,
    measure::{Measure, Unit},
    schedule::{Found, Values},
};

/// What a benchmark run found.
pub struct Report {
    measures: Vec<Measure>,
    found: Found,
    seed: u64,
}

impl Report {
    pub(crate) fn new(measures: Vec<Measure>, found: Found, seed: u64) -> Self {
        Self { measures, found, seed }
    }

    /// Whether nothing that is asked for was missed.
    pub fn holds(&self) -> bool {
        let empty = Values::new();
        let verdicts = self.measures.iter().enumerate().flat_map(|(at, measure)| {
            let values = self.found.values.get(&at).unwrap_or(&empty);
            measure.claims.iter().filter_map(|claim| claim.judge(values, measure.unit, self.seed))
        });
        verdicts.into_iter().all(|judged| judged.verdict != Verdict::Missed)
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, measure: &Measure, values: &Values) -> fmt::Result {
        let heading = format!("{}: {}, {}", measure.name, measure.title, measure.unit.name());
        writeln!(f, "\n{heading}")?;
        writeln!(
            f,
            "  {:<16} {:>4} {:>9}   {:<20} {:>9} {:>9}",
            "", "n", "median", "95 % interval", "min", "max"
        )?;
        for (name, values) in values {
            let Ok(estimate) = summarize(values, self.seed) else { continue };
            let text = |value| measure.unit.text(value);
            let [low, high] = estimate.ci95.map(text);
            writeln!(
                f,
                "  {name:<16} {:>4} {:>9}   {:<20} {:>9} {:>9}",
                estimate.n,
                text(estimate.median),
                format!("{low} to {high}"),
                text(estimate.min),
                text(estimate.max)
            )?;
        }
        for claim in measure.claims {
            let asked = claim.asked(measure.unit);
            match claim.judge(values, measure.unit, self.seed) {
                Some(it) => writeln!(f, "  {asked}: {}: {}", it.verdict, it.found)?,
                None => writeln!(f, "  {asked}: not measured")?,
            }
        }
        measure.notes.iter().try_for_each(|note| writeln!(f, "  {note}"))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let empty = Values::new();
        for (at, measure) in self.measures.iter().enumerate() {
            self.write(f, measure, self.found.values.get(&at).unwrap_or(&empty))?;
        }
        writeln!(f)?;
        for remark in &self.found.remarks {
            writeln!(f, "{remark}")?;
        }
        writeln!(f, "seed {}", self.seed)
    }
}

impl Unit {
    fn name(self) -> &'static str {
        match self {
            Self::Time => "ms",
            Self::Memory => "MiB",
            Self::Count => "number",
            Self::Share => "%",
        }
    }

    fn text(self, value: f64) -> String {
        match self {
            Self::Time => format!("{:.1}", value / 1e6),
            Self::Memory => format!("{:.1}", value / f64::from(1 << 20)),
            Self::Count => format!("{value:.0}"),
            Self::Share => format!("{value:.2}"),
        }
    }
}

/// A value with its unit.
pub(crate) fn shown(unit: Unit, value: f64) -> String {
    match unit {
        Unit::Count => unit.text(value),
        _ => format!("{} {}", unit.text(value), unit.name()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::bench::claim::{Bound, Claim};

    const MEASURE: Measure = Measure {
        name: "answer",
        title: "to the first answer",
        unit: Unit::Time,
        claims: &[
            Claim::Ratio { above: "docker", below: "container", bound: Bound::AtLeast(2.5) },
            Claim::Ratio { above: "podman", below: "container", bound: Bound::AtLeast(1.5) },
        ],
        notes: &["all run the same image"],
        contenders: &[],
    };

    fn report(container: f64, docker: f64) -> Report {
        let values = |ms: f64| (0..5).map(|i| (ms + f64::from(i)) * 1e6).collect();
        let values = Values::from([("container", values(container)), ("docker", values(docker))]);
        let found = Found { values: BTreeMap::from([(0, values)]), remarks: Vec::new() };
        Report::new(vec![MEASURE], found, 1)
    }

    #[test]
    fn a_missed_claim_is_said_and_fails() {
        let good = report(300.0, 900.0);
        assert!(good.holds(), "{good}");
        let text = good.to_string();
        assert!(text.contains("docker ÷ container, asked ≥ 2.5: met: 2.99"), "{text}");
        assert!(text.contains("podman ÷ container, asked ≥ 1.5: not measured"), "{text}");
        assert!(text.contains("all run the same image"), "{text}");
        let bad = report(300.0, 500.0);
        assert!(!bad.holds());
        assert!(bad.to_string().contains("MISSED"), "{bad}");
    }
}
