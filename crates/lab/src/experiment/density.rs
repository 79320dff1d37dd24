use async_trait::async_trait;
use tandem_model::{BackendKind, InstanceId, Lane, ResultDocument, Verdict};

use super::{Bench, Experiment, Method, TrialEnd};
use crate::{
    analysis::verdicts,
    instruments::{MachineMemory, available_memory},
    trial::Balance,
};

/// Instances side by side, one more at a time.
pub(super) struct Density;

/// The part of the memory that is free at the start which stays free.
const RESERVE: f64 = 0.3;

impl Method for Density {
    fn id(&self) -> &'static str {
        "density"
    }

    fn compared(&self) -> &'static [&'static str] {
        &["marginal_memory", "marginal_disk", "launch_last", "fits"]
    }

    fn judge(&self, document: &ResultDocument) -> Vec<Verdict> {
        verdicts::density(document)
    }
}

#[async_trait]
impl Experiment for Density {
    fn lacks(&self, lane: Lane) -> Option<&'static str> {
        (lane.backend == BackendKind::Process)
            .then_some("bare processes share the host's ports, and the second finds its port taken")
    }

    async fn trial(&self, bench: &mut Bench<'_, '_>) -> Result<(), TrialEnd> {
        let available = available_memory()
            .ok_or_else(|| TrialEnd::Failed("cannot read /proc/meminfo".to_owned()))?;
        let before = MachineMemory::read(bench.backend(), &[]).await;
        let available = available as f64;
        let reserve = available * RESERVE;
        let (mut running, mut last) = (Vec::new(), 0.0_f64);
        let mut totals = Vec::new();
        for number in 1..=bench.most_instances() {
            // Two more of the last one's size must fit, else it is enough.
            let free = available_memory().unwrap_or(0) as f64;
            if number > 1 && free - 2.0 * last < reserve {
                bench.note("stopped_by", "the memory guard: a part of the machine stays free");
                break;
            }
            bench.say(&format!("instance {number}"));
            let app = bench.launch(|_| {}).await?;
            let nth = f64::from(number);
            if let Some(time) = app.number("first_response") {
                bench.point("launch", nth, time);
                bench.number(if number == 1 { "launch_first" } else { "launch_last" }, time);
            }
            if let Some(disk) = app.number("instance_bytes") {
                bench.point("disk", nth, disk);
                bench.number("marginal_disk", disk);
            }
            running.push(app.id);
            // Shares of pages move when a sharer comes: all are read anew.
            let mut total = 0.0;
            for id in &running {
                let record = bench.work(bench.backend().inspect(id)).await?;
                let sample = bench.work(bench.backend().sample(&record)).await?;
                total += sample.memory.pss as f64;
            }
            last = total - totals.last().copied().unwrap_or(0.0);
            totals.push(total);
            bench.point("memory", nth, total);
            bench.number("instances", nth);
        }
        if let Some(before) = before {
            balance(bench, &running, before).await?;
        }
        if let [first, .., last] = totals[..] {
            let marginal = (last - first) / (totals.len() - 1) as f64;
            bench.number("marginal_memory", marginal);
            if marginal > 0.0 {
                bench.number("fits", ((available - reserve - first) / marginal).floor() + 1.0);
            }
        }
        Ok(())
    }
}

/// Holds the ledgers of all against what the machine has less.
async fn balance(
    bench: &mut Bench<'_, '_>,
    running: &[InstanceId],
    before: MachineMemory,
) -> Result<(), TrialEnd> {
    let mut records = Vec::new();
    for id in running {
        records.push(bench.work(bench.backend().inspect(id)).await?);
    }
    let after = MachineMemory::read(bench.backend(), &records).await;
    let Some(after) = after else { return Ok(()) };
    let mut ledgers = Vec::new();
    for record in &records {
        ledgers.push(bench.work(bench.backend().memory_ledger(record)).await?);
    }
    let found = Balance::of(before, after, &ledgers);
    bench.number("memory_host_change", found.change as f64);
    bench.number("memory_unexplained", found.unexplained as f64);
    Ok(())
}
