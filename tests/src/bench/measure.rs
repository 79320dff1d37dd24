use anyhow::Result;

use super::{claim::Claim, field::Field, stage::Stage};

/// One question that several contenders answer.
#[derive(Clone, Copy)]
pub(crate) struct Measure {
    /// What `--only` calls it.
    pub(crate) name: &'static str,
    /// What is measured, for the heading.
    pub(crate) title: &'static str,
    pub(crate) unit: Unit,
    /// What is asked for.
    pub(crate) claims: &'static [Claim],
    /// What is equal and what is not, a sentence each.
    pub(crate) notes: &'static [&'static str],
    /// Who may take part, by name, with how each is made ready.
    pub(crate) contenders: &'static [(&'static str, Prepare)],
}

/// Makes a contender ready. The error is why it cannot take part here.
pub(crate) type Prepare = fn(&'static str, &Field) -> Result<Box<dyn Contender>>;

/// What the values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Nanoseconds, shown in milliseconds.
    Time,
    /// Bytes, shown in MiB.
    Memory,
    /// A number of things.
    Count,
    /// Per cent.
    Share,
}

/// One value, and whose it is.
pub(crate) type Reading = (&'static str, f64);

/// Somebody who takes part in a measure.
pub(crate) trait Contender {
    /// Whether a trial takes seconds: such contenders get fewer.
    fn is_slow(&self) -> bool {
        false
    }

    /// One trial: what it found, in the measure's unit. Whatever it made is
    /// gone afterwards, also when it failed.
    fn trial(&mut self, stage: &Stage) -> Result<Vec<Reading>>;
}
