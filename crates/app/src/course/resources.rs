//! Growing demand for processors and memory: within a limit, without one, and
//! where somebody gives more while it runs.

use serde_json::json;
use tandem_lab::available_memory;
use tandem_model::{BackendKind, Lane, Resources};
use tandem_probe::now;

use super::{
    Metrics, Note,
    bench::Bench,
    is_vm,
    job::{Job, Supply},
};
use crate::RunOptions;

/// What a program without a limit leaves to everybody else.
const LEAVE: u64 = 512 << 20;

/// What is given beside what the program asks for: a guest has a kernel and a
/// system in its memory.
const ROOM: u64 = 256 << 20;

/// What is asked for, and what there is within the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wants {
    threads: u32,
    bytes: u64,
    limit: Resources,
}

impl Wants {
    /// Half as much again as the limit's memory and twice its processors, as far
    /// as the machine has them; `None` where it has too little memory.
    fn of(given: Resources, spare: u64, processors: u32) -> Option<Self> {
        let memory = given.memory_bytes.unwrap_or(512 << 20).min(384 << 20);
        let bytes = (memory * 3 / 2).min(spare);
        let asked = given.milli_cpus.map_or(2, |milli| milli.div_ceil(1000));
        let threads = asked.min(processors).max(1);
        // A machine has whole processors, or a part of one.
        let milli = if threads == 1 { 500 } else { threads / 2 * 1000 };
        let limit = Resources { memory_bytes: Some(memory), milli_cpus: Some(milli), ..given };
        (bytes > memory).then_some(Self { threads, bytes, limit })
    }

    /// With so much it gets all that it asks for.
    fn enough(self, lane: Lane) -> Resources {
        let milli = self.limit.milli_cpus.unwrap_or(1000);
        // What a machine has of a part of a processor is settled at its start.
        let stays = is_vm(lane) && !milli.is_multiple_of(1000);
        Resources {
            memory_bytes: Some(self.bytes + ROOM),
            milli_cpus: Some(if stays { milli } else { self.threads * 1000 }),
            ..self.limit
        }
    }

    /// Less than it began with: a machine's balloon takes the rest.
    fn less(self) -> Resources {
        let memory = self.limit.memory_bytes.map(|bytes| bytes / 3 * 2);
        Resources { memory_bytes: memory, ..self.limit }
    }

    fn job(self, bench: &Bench<'_>, lane: Lane, name: &str, leave: u64) -> RunOptions {
        let numbers = [u64::from(self.threads), self.bytes, leave].map(|it| it.to_string());
        let [threads, bytes, leave] = &numbers;
        bench.working(lane, name, &["demand", threads, bytes, leave])
    }
}

pub(super) async fn elasticity(
    bench: &Bench<'_>,
    lane: Lane,
    index: u32,
    note: Note<'_>,
) -> Result<Metrics, String> {
    let spare = available_memory().unwrap_or(1 << 30) / 3;
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let wants = Wants::of(bench.resources, spare, u32::try_from(processors).unwrap_or(u32::MAX))
        .ok_or("this machine has too little free memory to ask for more than the limit")?;
    let digest = bench.program.as_ref().map(ToString::to_string);
    let mut metrics = Metrics::from([
        ("demand_bytes".to_owned(), json!(wants.bytes)),
        ("demand_cpus".to_owned(), json!(wants.threads)),
        ("work_digest".to_owned(), json!(digest)),
    ]);
    // Nothing holds a bare process to a limit.
    if lane.backend != BackendKind::Process {
        note("demanding more and more within a limit");
        let name = bench.name("limited", lane, index);
        limited(bench, wants, wants.job(bench, lane, &name, 0), &mut metrics).await?;
        note("giving it more while it runs");
        let name = bench.name("given", lane, index);
        given(bench, wants, lane, wants.job(bench, lane, &name, 0), &mut metrics).await?;
    }
    // A machine has always some size.
    if !is_vm(lane) {
        note("demanding more and more without a limit");
        let name = bench.name("free", lane, index);
        free(bench, wants.job(bench, lane, &name, LEAVE), &mut metrics).await?;
    }
    Ok(metrics)
}

async fn limited(
    bench: &Bench<'_>,
    wants: Wants,
    mut options: RunOptions,
    metrics: &mut Metrics,
) -> Result<(), String> {
    options.resources = wants.limit;
    let milli = wants.limit.milli_cpus.unwrap_or(1000);
    metrics.insert("limit_bytes".into(), json!(wants.limit.memory_bytes));
    metrics.insert("limit_cpus".into(), json!(f64::from(milli) / 1000.0));
    let mut job = Job::start(bench, options).await?;
    let Supply { cpus, held_back } = job.supply().await?;
    metrics.insert("got_cpus".into(), json!(cpus));
    if let Some(held) = held_back {
        metrics.insert("throttled".into(), json!(held.throttled > 0));
        metrics.insert("throttled_time".into(), json!(held.time_ns));
        metrics.insert("throttled_periods".into(), json!(held.throttled));
        metrics.insert("periods".into(), json!(held.periods));
    }
    let begin = now();
    let lasted = job.goes_on("holding").await?;
    metrics.insert("elapsed_time".into(), json!(now().since(begin)));
    metrics.insert("reached_bytes".into(), json!(job.reached().await?));
    metrics.insert("memory_host".into(), json!(job.most));
    let exit = if lasted { None } else { job.exit()? };
    let killed = exit.is_some_and(|exit| exit.out_of_memory || exit.code == 137);
    metrics.insert("killed_for_memory".into(), json!(killed));
    job.end().await;
    Ok(())
}

async fn free(
    bench: &Bench<'_>,
    mut options: RunOptions,
    metrics: &mut Metrics,
) -> Result<(), String> {
    (options.resources.memory_bytes, options.resources.milli_cpus) = (None, None);
    let mut job = Job::start(bench, options).await?;
    metrics.insert("got_without_limit_cpus".into(), json!(job.supply().await?.cpus));
    job.goes_on("holding").await?;
    metrics.insert("reached_without_limit_bytes".into(), json!(job.reached().await?));
    metrics.insert("memory_host_without_limit".into(), json!(job.most));
    job.end().await;
    Ok(())
}

/// Somebody gives it what it asks for, and takes it back when it wants it no
/// more: a control group's numbers, or processors and memory that a machine was
/// started with room for, and its balloon.
async fn given(
    bench: &Bench<'_>,
    wants: Wants,
    lane: Lane,
    mut options: RunOptions,
    metrics: &mut Metrics,
) -> Result<(), String> {
    let enough = wants.enough(lane);
    options.resources = wants.limit;
    if is_vm(lane) {
        options.options.room = Resources { pids: None, ..enough };
    }
    let mut job = Job::start(bench, options).await?;
    let begin = now();
    if let Err(why) = job.give(&enough).await {
        metrics.insert("allocate_refused".into(), json!(why));
        job.end().await;
        return Ok(());
    }
    metrics.insert("allocate_lag".into(), json!(now().since(begin)));
    metrics.insert("got_when_given_cpus".into(), json!(job.supply().await?.cpus));
    let lasted = job.goes_on("holding").await?;
    metrics.insert("reached_when_given_bytes".into(), json!(job.reached().await?));
    metrics.insert("memory_host_when_given".into(), json!(job.most));
    if lasted && job.goes_on("freed").await? {
        metrics.insert("memory_host_freed".into(), json!(job.holds().await?));
        match job.give(&wants.less()).await {
            Ok(()) => {
                metrics.insert("memory_host_taken_back".into(), json!(job.holds().await?));
            }
            Err(why) => {
                metrics.insert("take_back_refused".into(), json!(why));
            }
        }
    }
    job.end().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn given(memory: u64, milli: u32) -> Resources {
        Resources { memory_bytes: Some(memory), milli_cpus: Some(milli), pids: Some(9) }
    }

    #[test]
    fn more_is_asked_for_than_there_is() {
        let wants = Wants::of(given(512 << 20, 2000), 8 * GIB, 2).unwrap();
        let limit = given(384 << 20, 1000);
        assert_eq!(wants, Wants { threads: 2, bytes: 576 << 20, limit });
        let enough = wants.enough(Lane::VM_MICRO);
        assert_eq!((enough.milli_cpus, enough.pids), (Some(2000), Some(9)));
        assert!(enough.memory_bytes > Some(wants.bytes));
        assert_eq!(wants.less().memory_bytes, Some(256 << 20));
        let odd = Wants::of(given(96 << 20, 2500), 8 * GIB, 8).unwrap();
        assert_eq!((odd.threads, odd.limit.milli_cpus), (3, Some(1000)));
    }

    #[test]
    fn a_small_machine_is_asked_for_what_it_has() {
        // Of one processor the half; a VM's part stays what it was.
        let wants = Wants::of(given(512 << 20, 1000), 8 * GIB, 1).unwrap();
        assert_eq!((wants.threads, wants.limit.milli_cpus), (1, Some(500)));
        assert_eq!(wants.enough(Lane::VM_MICRO).milli_cpus, Some(500));
        assert_eq!(wants.enough(Lane::CONTAINER).milli_cpus, Some(1000));
        // No more than the spare, and never less than the limit.
        assert_eq!(Wants::of(given(96 << 20, 2000), 100 << 20, 2).unwrap().bytes, 100 << 20);
        assert_eq!(Wants::of(given(96 << 20, 2000), 96 << 20, 2), None);
    }
}
