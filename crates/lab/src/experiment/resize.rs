use std::time::Duration;

use async_trait::async_trait;
use tandem_model::{BackendKind, Resources, ResultDocument, Verdict};
use tandem_probe::{Shot, downtime_ns, lateness_ns, now};

use super::{Bench, Experiment, Launched, Method, TrialEnd};
use crate::analysis::verdicts;

/// Memory and processors changed under load: while the app runs, and with a
/// stop and a start.
pub(super) struct Resize;

/// Least and most time between two requests of the load.
const INTERVALS: [Duration; 2] = [Duration::from_millis(20), Duration::from_millis(500)];

/// Load before, between and after the changes.
const CALM: Duration = Duration::from_millis(600);

impl Method for Resize {
    fn id(&self) -> &'static str {
        "resize"
    }

    fn compared(&self) -> &'static [&'static str] {
        &["cold_resize_downtime", "cold_resize_lag", "resize_lag", "longest_gap"]
    }

    fn judge(&self, document: &ResultDocument) -> Vec<Verdict> {
        verdicts::resize(document)
    }
}

#[async_trait]
impl Experiment for Resize {
    async fn trial(&self, bench: &mut Bench<'_, '_>) -> Result<(), TrialEnd> {
        let given = bench.spec().resources;
        let bytes = given.memory_bytes.unwrap_or(512 << 20);
        let small = Resources { memory_bytes: Some(bytes), milli_cpus: Some(1000), ..given };
        let milli_cpus = Some(given.milli_cpus.unwrap_or(1000).max(1000));
        let large = Resources { memory_bytes: Some(bytes * 2), milli_cpus, ..given };
        let app = bench
            .launch(|spec| {
                spec.resources = small;
                if spec.backend == BackendKind::Vm {
                    spec.options.room = Resources { pids: None, ..large };
                }
            })
            .await?;
        let interval = pace(&app);
        bench.number("load_interval_time", interval.as_nanos() as f64);
        hot(bench, &app, interval, &small, &large).await?;
        cold(bench, &app, interval, &large).await
    }
}

/// A quarter of what the app answered at its start: an emulated machine that
/// is asked more often than it can answer would never come back.
fn pace(app: &Launched) -> Duration {
    let [least, most] = INTERVALS;
    let (first, tenth) = (app.number("first_response"), app.number("tenth_response"));
    let Some(nine) = tenth.zip(first).map(|(tenth, first)| (tenth - first).max(0.0)) else {
        return least;
    };
    Duration::from_secs_f64((nine / 9.0 * 4.0 / 1e9).min(most.as_secs_f64())).max(least)
}

/// Grows and shrinks the running instance.
async fn hot(
    bench: &mut Bench<'_, '_>,
    app: &Launched,
    interval: Duration,
    small: &Resources,
    large: &Resources,
) -> Result<(), TrialEnd> {
    bench.say("growing and shrinking it while it runs");
    let load = bench.load(app, interval);
    bench.pass(CALM).await?;
    let mut slowest = 0.0_f64;
    let mut held = None;
    for (to, word) in [(large, "grow"), (small, "shrink")] {
        let begin = now();
        let done = bench.unless_cancelled(bench.backend().update(&app.id, to)).await?;
        let lag = now().since(begin) as f64;
        bench.point("change", bench.at(begin), lag);
        if let Err(e) = done {
            bench.note("hot_refused", &format!("{word}: {e}"));
            break;
        }
        bench.number(&format!("{word}_lag"), lag);
        slowest = slowest.max(lag);
        let record = bench.work(bench.backend().inspect(&app.id)).await?;
        let holds = bench.work(bench.backend().sample(&record)).await?.memory.pss as f64;
        if let Some(held) = held.replace(holds) {
            bench.number("memory_returned", held - holds);
        }
        bench.pass(CALM).await?;
    }
    let shots = load.finish().await?;
    if !bench.metrics.contains_key("hot_refused") {
        bench.number("resize_lag", slowest);
        record(bench, "", &shots);
    }
    Ok(())
}

/// Stops it, changes it and starts it: the article's way.
async fn cold(
    bench: &mut Bench<'_, '_>,
    app: &Launched,
    interval: Duration,
    large: &Resources,
) -> Result<(), TrialEnd> {
    bench.say("stopping, changing and starting it");
    let load = bench.load(app, interval);
    bench.pass(CALM).await?;
    let begin = now();
    bench.work(bench.backend().stop(&app.id, None)).await?;
    bench.work(bench.backend().update(&app.id, large)).await?;
    let mut ignore = |_| {};
    bench.work(bench.backend().start(&app.id, &mut ignore)).await?;
    let back = bench.answer(app).await?;
    let lag = back.at.since(begin) as f64;
    bench.point("cold_change", bench.at(begin), lag);
    bench.number("cold_resize_lag", lag);
    bench.pass(CALM).await?;
    let shots = load.finish().await?;
    record(bench, "cold_", &shots);
    Ok(())
}

/// What clients saw.
fn record(bench: &mut Bench<'_, '_>, prefix: &str, shots: &[Shot]) {
    for shot in shots {
        let latency = shot.ended.since(shot.intended) as f64;
        let curve = if shot.error.is_none() { "latency" } else { "lost" };
        bench.point(&format!("{prefix}{curve}"), bench.at(shot.intended), latency);
    }
    let failed = shots.iter().filter(|shot| shot.error.is_some()).count();
    bench.number(&format!("{prefix}requests"), shots.len() as f64);
    bench.number(&format!("{prefix}failed_requests"), failed as f64);
    if let Some(late) = lateness_ns(shots) {
        bench.number(&format!("{prefix}prober_lag"), late as f64);
    }
    bench.number(&format!("{prefix}longest_gap"), longest_gap(shots) as f64);
    match downtime_ns(shots) {
        Some(time) => bench.number(&format!("{prefix}resize_downtime"), time as f64),
        None => bench.note(&format!("{prefix}resize_downtime"), "it did not answer any more"),
    }
}

/// The longest time between two answers that came one after the other.
fn longest_gap(shots: &[Shot]) -> u64 {
    let mut ends: Vec<_> =
        shots.iter().filter(|shot| shot.error.is_none()).map(|shot| shot.ended).collect();
    ends.sort();
    ends.windows(2).map(|pair| pair[1].since(pair[0])).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tandem_model::HostInstant;

    #[test]
    fn a_gap_is_between_answers_whatever_failed_meanwhile() {
        let shot = |at: u64, ok: bool| Shot {
            intended: HostInstant(at),
            sent: HostInstant(at),
            ended: HostInstant(at + 1),
            error: (!ok).then(|| "refused".to_owned()),
        };
        let shots = [shot(0, true), shot(10, false), shot(20, false), shot(35, true)];
        assert_eq!(longest_gap(&shots), 35);
        assert_eq!(longest_gap(&shots[..1]), 0);
    }
}
