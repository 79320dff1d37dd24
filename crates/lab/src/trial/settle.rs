use std::time::Duration;

use serde_json::Value;
use tandem_backend::BackendError;
use tandem_model::{InstanceRecord, Ledger, RunEvent, TrialPhase};
use tandem_probe::FirstResponse;
use tokio::time::{Instant, sleep_until};

use super::{attempt::Attempt, balance::Balance};
use crate::{
    experiment::TrialEnd as End,
    instruments::{Asked, MachineMemory, Prober, Sampler},
    parity::{Observed, facts},
    stage::Stage,
};

/// How long an app that has answered is left alone before its memory and disk
/// are looked at.
const SETTLE: Duration = Duration::from_millis(300);

impl Attempt<'_> {
    pub(super) fn record_times(&mut self, phases: &[TrialPhase], first: &FirstResponse) {
        self.metric("first_response", first.at.since(self.t0));
        self.metric("probe_attempts", first.attempts);
        self.metric("response_bytes", first.body.len() as u64);
        for phase in phases {
            let name = format!("phase.{}", phase.name);
            // A phase may come twice.
            let before = self.metrics.get(&name).and_then(Value::as_u64).unwrap_or_default();
            self.metric(&name, before + (phase.end_ns - phase.start_ns));
        }
        if self.request.beside_kept {
            self.metrics.insert("beside_kept_instance".to_owned(), Value::Bool(true));
        }
    }

    /// What is measured after the first answer: the tenth one, memory, disk.
    pub(super) async fn settle(
        &mut self,
        record: &InstanceRecord,
        first: &FirstResponse,
        prober: Prober,
        mut sampler: Sampler,
        stage: &mut Stage<'_>,
    ) -> Result<Observed, End> {
        let cancelled = stage.cancelled();
        tokio::pin!(cancelled);
        let mut rest = prober.rest;
        let mut asked = None;
        let calm = Instant::now() + SETTLE;
        while asked.is_none() || Instant::now() < calm {
            tokio::select! {
                biased;
                () = &mut cancelled => return Err(End::Cancelled),
                found = &mut rest, if asked.is_none() => asked = Some(found.ok()),
                Some(sample) = sampler.samples.recv() => self.sample(sample, stage),
                () = sleep_until(calm), if asked.is_some() => {}
            }
        }
        let sampler_cpu = sampler.stop().await;
        self.record_instruments(asked.flatten(), sampler_cpu, stage);
        self.record_use(record, stage).await;
        let backend = self.lane.setup.backend.as_ref();
        let mut facts = facts(backend, record, first.status);
        facts.extend(self.lane.setup.facts.clone());
        Ok(Observed { facts, body: first.body.clone() })
    }

    fn record_instruments(
        &mut self,
        asked: Option<Asked>,
        sampler_cpu: Option<u64>,
        stage: &mut Stage<'_>,
    ) {
        if let Some(cpu_ns) = sampler_cpu {
            self.metric("sampler_cpu", cpu_ns);
        }
        let Some(asked) = asked else { return };
        self.metric("prober_cpu", asked.cpu_ns);
        match asked.tenth {
            Ok(at) => self.metric("tenth_response", at.since(self.t0)),
            Err(why) => {
                self.metrics.insert("tenth_response".to_owned(), Value::Null);
                stage.warn(format!("{}: the tenth response was not measured: {why}", self.lane.id));
            }
        }
    }

    /// Memory and disk. What a backend cannot tell is missing, not zero.
    async fn record_use(&mut self, record: &InstanceRecord, stage: &mut Stage<'_>) {
        let backend = self.lane.setup.backend.clone();
        // Before anybody is asked, which takes memory too.
        let ours = std::slice::from_ref(record);
        let after = MachineMemory::read(backend.as_ref(), ours).await;
        if let Some(sample) = self.told("memory", backend.sample(record).await, stage) {
            self.metric("memory_host", sample.memory.pss);
            self.metric("processes", u64::from(sample.processes));
            if let Some(bytes) = sample.memory.cgroup {
                self.metric("memory_cgroup", bytes);
            }
        }
        let mut memory = self.told("memory ledger", backend.memory_ledger(record).await, stage);
        if let (Some(ledger), Some((before, after))) = (&mut memory, self.before.zip(after)) {
            let found = Balance::of(before, after, [&*ledger]);
            self.metrics.insert("memory_host_change".to_owned(), found.change.into());
            self.metrics.insert("memory_unexplained".to_owned(), found.unexplained.into());
            if let Ok(rest @ 1..) = u64::try_from(found.unexplained) {
                ledger.push("unexplained", rest);
            }
        }
        let disk = self.told("disk ledger", backend.disk_ledger(record).await, stage);
        self.ledger("memory_ledger", memory.as_ref());
        self.ledger("disk_ledger", disk.as_ref());
        if let Some(disk) = &disk {
            let (image, instance): (Vec<_>, Vec<_>) =
                disk.entries.iter().partition(|entry| is_shared(&entry.name));
            self.metric("image_bytes", image.iter().map(|entry| entry.bytes).sum());
            self.metric("instance_bytes", instance.iter().map(|entry| entry.bytes).sum());
        }
        for (name, bytes) in &self.lane.setup.sizes {
            self.metrics.insert(name.clone(), Value::from(*bytes));
        }
        if let (Some(memory), Some(disk)) = (memory, disk) {
            stage.emit(RunEvent::Ledgers { lane: self.lane.id.clone(), memory, disk });
        }
    }

    fn told<T>(
        &self,
        what: &str,
        result: Result<T, BackendError>,
        stage: &mut Stage<'_>,
    ) -> Option<T> {
        result
            .map_err(|e| stage.warn(format!("{}: the {what} was not measured: {e}", self.lane.id)))
            .ok()
    }

    fn ledger(&mut self, metric: &str, ledger: Option<&Ledger>) {
        for entry in ledger.iter().flat_map(|ledger| &ledger.entries) {
            self.metric(&format!("{metric}.{}", snake_case(&entry.name)), entry.bytes);
        }
    }

    fn metric(&mut self, name: &str, value: u64) {
        self.metrics.insert(name.to_owned(), Value::from(value));
    }
}

/// A ledger entry's name as a metric id: `app, mapped files` becomes
/// `app_mapped_files`.
fn snake_case(name: &str) -> String {
    let words = name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect::<Vec<_>>().join("_")
}

/// Whether a disk ledger's entry is shared by all instances of the image. Its
/// name then begins with `image`, `kernel` or `base` (see
/// [`tandem_backend::Backend::disk_ledger`]).
fn is_shared(name: &str) -> bool {
    ["image", "base", "kernel", "shared"].iter().any(|word| name.starts_with(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_metric_ids() {
        assert_eq!(snake_case("kernel, on the app's behalf"), "kernel_on_the_app_s_behalf");
        assert!(is_shared("image layers, shared by all instances"));
        assert!(!is_shared("files changed by the instance"));
    }
}
