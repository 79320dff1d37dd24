//! A job of our program that goes on when it is told to, and what its instance
//! draws from the host meanwhile.

use std::time::Duration;

use tandem_model::{Exit, InstanceRecord, Resources, Sample};
use tandem_probe::{Throttling, cgroup_throttling};

use super::bench::{Bench, told};
use crate::{LogOptions, RunOptions};

/// How long processor time is counted: ten of the periods in which a quota is
/// given out (sched-bwc.rst).
const WINDOW: Duration = Duration::from_secs(1);

/// How often a job is looked at while it goes on.
const LOOK: Duration = Duration::from_millis(20);

/// One instance in which the program works.
pub(super) struct Job<'b> {
    bench: &'b Bench<'b>,
    record: InstanceRecord,
    /// Most memory that it was seen to hold of the host's, bytes (PSS).
    pub(super) most: Option<u64>,
}

/// Processor time that an instance got.
pub(super) struct Supply {
    /// Processors.
    pub(super) cpus: f64,
    /// How much a quota held it back meanwhile; `None` where none can.
    pub(super) held_back: Option<Throttling>,
}

impl<'b> Job<'b> {
    /// Starts it and waits until it keeps its processors busy.
    pub(super) async fn start(bench: &'b Bench<'_>, options: RunOptions) -> Result<Self, String> {
        let name = options.name.clone().unwrap_or_default();
        bench.app.run(options, &mut |_| {}, &mut |_| {}).await.map_err(told)?;
        bench.says(&name, "pressing").await?;
        let record = bench.app.inspect(&name).map_err(told)?;
        let job = Self { bench, record, most: None };
        bench.same_program(job.lines().await?.iter().map(String::as_str))?;
        Ok(job)
    }

    fn name(&self) -> &str {
        &self.record.spec.name
    }

    /// What it has said.
    async fn lines(&self) -> Result<Vec<String>, String> {
        let mut lines = Vec::new();
        let mut take = |line: tandem_backend::LogLine| lines.push(line.text.trim_end().to_owned());
        self.bench.app.logs(self.name(), LogOptions::default(), &mut take).await.map_err(told)?;
        Ok(lines)
    }

    async fn sample(&self) -> Result<Sample, String> {
        let backend = self.bench.app.backend(self.record.spec.backend);
        backend.sample(&self.record).await.map_err(|e| e.to_string())
    }

    /// Memory that it holds of the host's now, bytes.
    pub(super) async fn holds(&self) -> Result<u64, String> {
        Ok(self.sample().await?.memory.pss)
    }

    /// Processors that it gets, by the host's count of its time.
    pub(super) async fn supply(&self) -> Result<Supply, String> {
        let held_back = || cgroup_throttling(&self.record.runtime.cgroups);
        let (before, held) = (self.sample().await?, held_back());
        tokio::time::sleep(WINDOW).await;
        let (after, holds) = (self.sample().await?, held_back());
        let time = after.cpu_ns.saturating_sub(before.cpu_ns) as f64;
        Ok(Supply {
            cpus: time / after.at.since(before.at).max(1) as f64,
            held_back: holds.zip(held).map(|(after, before)| after.since(before)),
        })
    }

    /// Tells it to go on and waits until it says a line; `false` when it ended
    /// before it could.
    pub(super) async fn goes_on(&mut self, until: &str) -> Result<bool, String> {
        self.bench.app.signal(self.name(), "USR1").await.map_err(told)?;
        let end = tokio::time::Instant::now() + self.bench.limit;
        loop {
            // The state before the log: what is written in between is seen.
            let ended = !self.bench.app.inspect(self.name()).map_err(told)?.state.is_up();
            let done = self.lines().await?.iter().any(|line| line == until);
            // It may end at any moment.
            if let Ok(sample) = self.sample().await {
                self.most = self.most.max(Some(sample.memory.pss));
            }
            if done {
                return Ok(true);
            }
            if ended {
                return Ok(false);
            }
            if tokio::time::Instant::now() > end {
                return Err(format!("{} does not go on: it never said `{until}`", self.name()));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// The largest amount that it said it has, bytes.
    pub(super) async fn reached(&self) -> Result<u64, String> {
        Ok(last_number(&self.lines().await?))
    }

    /// Gives it other limits while it runs.
    pub(super) async fn give(&self, resources: &Resources) -> Result<(), String> {
        let backend = self.bench.app.backend(self.record.spec.backend);
        backend.update(&self.record.id, resources).await.map_err(|e| e.to_string())
    }

    /// How it ended.
    pub(super) fn exit(&self) -> Result<Option<Exit>, String> {
        Ok(self.bench.app.inspect(self.name()).map_err(told)?.exit)
    }

    /// Ends it.
    pub(super) async fn end(self) {
        self.bench.remove(self.name()).await;
    }
}

fn last_number(lines: &[String]) -> u64 {
    lines.iter().rev().find_map(|line| line.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_reached_is_the_last_amount_that_was_told() {
        let lines = ["digest sha256:1", "pressing", "16777216", "33554432", "holding"];
        assert_eq!(last_number(&lines.map(str::to_owned)), 33_554_432);
        assert_eq!(last_number(&[]), 0);
    }
}
