use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use super::measures;

/// Live charts in a run that is not to take long. The view's memory grows in
/// its first half minute, whatever it draws.
const SHORT: Duration = Duration::from_mins(2);

/// As long as somebody may watch an experiment.
const LONG: Duration = Duration::from_mins(10);

/// What is measured, and how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Trials of each contender.
    pub trials: usize,
    /// Trials of those that take seconds: virtual machines, whole archives.
    pub slow_trials: usize,
    /// Seed of the order and of the intervals.
    pub seed: u64,
    /// How long a measure of live charts draws.
    pub live: Duration,
    /// Only these measures; empty means all.
    pub measures: Vec<String>,
    /// Only contenders with one of these names; empty means all.
    pub contenders: Vec<String>,
}

impl Options {
    /// Reads `--trials N`, `--slow-trials N`, `--seed N`, `--live-seconds N`,
    /// `--slow`, `--only MEASURE,…` and names of contenders.
    pub fn parse(words: &[String]) -> Result<Self> {
        let (measures, contenders) = (Vec::new(), Vec::new());
        let mut options =
            Self { trials: 20, slow_trials: 5, seed: 1, live: SHORT, measures, contenders };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().with_context(|| format!("{word} needs a value"));
            let number = |text: &String| -> Result<u64> {
                text.parse().with_context(|| format!("{word} {text}"))
            };
            match word.as_str() {
                "--trials" => options.trials = usize::try_from(number(value()?)?)?.max(1),
                "--slow-trials" => options.slow_trials = usize::try_from(number(value()?)?)?,
                "--seed" => options.seed = number(value()?)?,
                "--live-seconds" => options.live = Duration::from_secs(number(value()?)?.max(8)),
                "--slow" => options.live = LONG,
                "--only" => options.measures.extend(value()?.split(',').map(str::to_owned)),
                other if !other.starts_with('-') => options.contenders.push(other.to_owned()),
                other => bail!(
                    "`{other}` is unknown: expected --trials N, --slow-trials N, --seed N, --live-seconds N, --slow, --only MEASURE,… or names of contenders"
                ),
            }
        }
        options.check()?;
        Ok(options)
    }

    /// A name that is none would measure nothing, without a word.
    fn check(&self) -> Result<()> {
        let names: Vec<&str> = measures::ALL.iter().map(|measure| measure.name).collect();
        for name in &self.measures {
            ensure!(
                names.contains(&name.as_str()),
                "`{name}` is no measure: there are {}",
                names.join(", ")
            );
        }
        let mut known: Vec<&str> = measures::ALL
            .iter()
            .flat_map(|measure| measure.contenders.iter().map(|(name, _)| *name))
            .collect();
        known.sort_unstable();
        known.dedup();
        for name in &self.contenders {
            ensure!(
                known.contains(&name.as_str()),
                "`{name}` is no contender: there are {}",
                known.join(", ")
            );
        }
        Ok(())
    }

    /// Whether a measure was asked for.
    pub(crate) fn wants_measure(&self, name: &str) -> bool {
        self.measures.is_empty() || self.measures.iter().any(|other| other == name)
    }

    /// Whether a contender was asked for.
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.contenders.is_empty() || self.contenders.iter().any(|other| other == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Options> {
        Options::parse(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn options_are_numbers_and_names() {
        let options =
            parse(&["--trials", "5", "docker", "--seed", "9", "container", "--only", "run,load"])
                .unwrap();
        assert_eq!((options.trials, options.seed, options.slow_trials), (5, 9, 5));
        assert_eq!((options.live, parse(&["--slow"]).unwrap().live), (SHORT, LONG));
        assert!(options.wants("docker") && !options.wants("vm"));
        assert!(options.wants_measure("load") && !options.wants_measure("answer"));
    }

    #[test]
    fn what_is_unknown_is_refused() {
        for words in [&["--trials"][..], &["--speed"], &["--only", "rnu"], &["dokcer"]] {
            assert!(parse(words).is_err(), "{words:?}");
        }
    }
}
