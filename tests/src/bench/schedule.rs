use std::collections::BTreeMap;

use anyhow::{Result, bail};
use rand::{Rng as _, SeedableRng as _, rngs::ChaCha12Rng};

use super::{
    Options,
    measure::{Contender, Reading},
    report::shown,
    stage::Stage,
};

/// Values by contender, in the order in which they were measured.
pub(crate) type Values = BTreeMap<&'static str, Vec<f64>>;

/// A contender in a measure.
pub(crate) struct Entry {
    /// The measure's place in the list of those that are made.
    pub(crate) measure: usize,
    pub(crate) unit: super::measure::Unit,
    /// `measure: contender`, for people.
    pub(crate) label: String,
    pub(crate) contender: Box<dyn Contender>,
}

/// What a run found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Values by measure.
    pub(crate) values: BTreeMap<usize, Values>,
    /// Who could not be measured, and trials that failed, with the reason.
    pub(crate) remarks: Vec<String>,
}

/// One unmeasured trial of each warms the page cache and shows who can. Then
/// all trials of all measures in one shuffled order.
pub(crate) fn run(entries: &mut [Entry], options: &Options, stage: &Stage) -> Result<Found> {
    let mut found = Found::default();
    let mut sizes = Vec::new();
    for entry in entries.iter_mut() {
        let slow = entry.contender.is_slow();
        let size = if slow { options.slow_trials } else { options.trials };
        match trial(entry, stage)? {
            Ok(readings) => {
                eprintln!("{}: {} (warm-up)", entry.label, texts(entry, &readings));
                sizes.push(size);
            }
            Err(error) => {
                eprintln!("{}: not measured: {error:#}", entry.label);
                found.remarks.push(format!("{}: not measured: {error:#}", entry.label));
                sizes.push(0);
            }
        }
    }
    let order = order(&sizes, options.seed);
    for (number, at) in order.iter().enumerate() {
        let entry = &mut entries[*at];
        let place = format!("{:>3}/{} {}", number + 1, order.len(), entry.label);
        match trial(entry, stage)? {
            Ok(readings) => {
                eprintln!("{place}: {}", texts(entry, &readings));
                let values = found.values.entry(entry.measure).or_default();
                for (who, value) in readings {
                    values.entry(who).or_default().push(value);
                }
            }
            Err(error) => {
                eprintln!("{place}: failed: {error:#}");
                found.remarks.push(format!("{}: a trial failed: {error:#}", entry.label));
            }
        }
    }
    Ok(found)
}

/// The outer error is a person's wish to end.
fn trial(entry: &mut Entry, stage: &Stage) -> Result<Result<Vec<Reading>>> {
    let outcome = entry.contender.trial(stage);
    if stage.is_interrupted() {
        bail!("interrupted");
    }
    Ok(outcome)
}

fn texts(entry: &Entry, readings: &[Reading]) -> String {
    let texts: Vec<String> = readings.iter().map(|(_, value)| shown(entry.unit, *value)).collect();
    texts.join(", ")
}

/// Every index as often as its size says, shuffled (Fisher and Yates).
fn order(sizes: &[usize], seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> =
        sizes.iter().enumerate().flat_map(|(at, size)| vec![at; *size]).collect();
    let mut generator = ChaCha12Rng::seed_from_u64(seed);
    for last in (1..order.len()).rev() {
        let scaled = u64::from(generator.next_u32()) * (last as u64 + 1);
        order.swap(last, usize::try_from(scaled >> 32).unwrap_or_default());
    }
    order
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, rc::Rc};

    use anyhow::bail;

    use super::*;
    use crate::bench::measure::Unit;

    #[test]
    fn the_order_is_a_shuffle_that_the_seed_repeats() {
        let first = order(&[20, 5, 20], 7);
        assert_eq!(first, order(&[20, 5, 20], 7));
        assert_ne!(first, order(&[20, 5, 20], 8));
        let count = |at| first.iter().filter(|other| **other == at).count();
        assert_eq!((count(0), count(1), count(2)), (20, 5, 20));
        // Interleaved: neither half holds all of anybody.
        assert!(first[..22].contains(&0) && first[22..].contains(&0));
    }

    /// Fails in the trials that it is told to.
    struct Scripted {
        log: Rc<RefCell<Vec<&'static str>>>,
        name: &'static str,
        slow: bool,
        fails: &'static [usize],
        done: usize,
    }

    impl Contender for Scripted {
        fn is_slow(&self) -> bool {
            self.slow
        }

        fn trial(&mut self, _: &Stage) -> Result<Vec<Reading>> {
            self.log.borrow_mut().push(self.name);
            self.done += 1;
            if self.fails.contains(&self.done) {
                bail!("told to");
            }
            Ok(vec![(self.name, 1e6)])
        }
    }

    #[test]
    fn a_failed_trial_is_told_and_a_failed_warm_up_excludes() {
        let log = Rc::new(RefCell::new(Vec::new()));
        let entry = |name, slow, fails| {
            let contender = Box::new(Scripted { log: log.clone(), name, slow, fails, done: 0 });
            Entry { measure: 0, unit: Unit::Time, label: name.to_owned(), contender }
        };
        let mut entries = [
            entry("good", false, &[]),
            entry("slow", true, &[]),
            entry("absent", false, &[1]),
            entry("shaky", false, &[3]),
        ];
        let options =
            Options::parse(&["--trials".into(), "4".into(), "--slow-trials".into(), "2".into()]);
        let found = run(&mut entries, &options.unwrap(), &Stage::new().unwrap()).unwrap();
        let count = |name| found.values[&0].get(name).map_or(0, Vec::len);
        assert_eq!(["good", "slow", "absent", "shaky"].map(count), [4, 2, 0, 3]);
        assert_eq!(found.remarks.len(), 2, "{:?}", found.remarks);
        assert_eq!(log.borrow()[..4], ["good", "slow", "absent", "shaky"]);
        assert_eq!(log.borrow().iter().filter(|name| **name == "absent").count(), 1);
    }
}
