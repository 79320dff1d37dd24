//! What an instance can see and do, and what it feels of its neighbours.

use std::{net::SocketAddr, time::Duration};

use serde_json::json;
use tandem_lab::available_memory;
use tandem_model::Lane;
use tandem_probe::{lateness_ns, open_loop};
use tandem_stats::quantile;

use super::{
    Metrics, Note,
    bench::{Bench, address_of},
    is_vm,
    program::PROGRAM,
};

/// Processes that the bomb may have.
const FUSE: u32 = 64;

/// Processes that it tries to start.
const BOMB: u32 = 400;

pub(super) async fn isolation(
    bench: &Bench<'_>,
    lane: Lane,
    index: u32,
    note: Note<'_>,
) -> Result<Metrics, String> {
    let name = bench.name("app", lane, index);
    let mut options = bench.options(lane, &name);
    options.resources.pids = Some(FUSE);
    let launched = bench.launch(options).await?;
    let mut metrics = Metrics::new();
    // The same number in the same boot of the same kernel.
    let boot = "/proc/sys/kernel/random/boot_id";
    let ours = std::fs::read_to_string(boot).unwrap_or_default();
    let theirs = bench.must(&name, &format!("cat {boot}")).await?;
    metrics.insert("own_kernel".into(), json!(ours.trim() != theirs));
    metrics.insert("kernel".into(), json!(bench.must(&name, "uname -r").await?));
    // Our own process, by its number and its command line.
    let own = std::process::id();
    let line = std::fs::read_to_string(format!("/proc/{own}/cmdline")).unwrap_or_default();
    let seen = bench.sh(&name, &format!("cat /proc/{own}/cmdline 2>/dev/null")).await?;
    let sees = !line.is_empty() && seen.text.trim_end_matches('\0') == line.trim_end_matches('\0');
    metrics.insert("sees_host_processes".into(), json!(sees));
    let count = bench.must(&name, "ls -d /proc/[0-9]* | wc -l").await?;
    metrics.insert("processes_seen".into(), json!(count.parse::<u64>().unwrap_or(0)));
    let devices = bench.must(&name, "ls -lR /dev | grep -c '^[bc]' || true").await?;
    metrics.insert("devices_seen".into(), json!(devices.parse::<u64>().unwrap_or(0)));
    // A file of the host that nobody could guess.
    let scratch = bench.app.home.scratch("canary").map_err(|e| e.to_string())?;
    let canary = scratch.path().join("canary");
    std::fs::write(&canary, "host").map_err(|e| e.to_string())?;
    let seen = bench.sh(&name, &format!("cat '{}' 2>/dev/null", canary.display())).await?;
    metrics.insert("sees_host_files".into(), json!(seen.text == "host"));
    let mount = "mkdir -p /tmp/m && mount -t tmpfs none /tmp/m && umount /tmp/m";
    metrics.insert("can_mount".into(), json!(bench.sh(&name, mount).await?.is_ok()));
    note("letting a bomb of processes go off");
    let digest = bench.inside(&name, &[PROGRAM, "digest"]).await?;
    let digest = bench.same_program(digest.text.lines())?;
    metrics.insert("work_digest".into(), json!(digest));
    let said = bench.inside(&name, &[PROGRAM, "bomb", &BOMB.to_string()]).await?;
    let started = said.text.lines().find_map(|line| line.strip_prefix("started "));
    // A bomb that could not even speak started none.
    let started: u32 = started.and_then(|count| count.parse().ok()).unwrap_or(0);
    metrics.insert("bomb_processes".into(), json!(started));
    metrics.insert("contained.bomb".into(), json!(started < BOMB));
    hog(bench, &name, &mut metrics, note).await?;
    bench.answered(launched.record).await?;
    Ok(metrics)
}

/// Lets a program take more memory than the instance was given; the machine's
/// own is guarded. The app must answer afterwards.
async fn hog(
    bench: &Bench<'_>,
    name: &str,
    metrics: &mut Metrics,
    note: Note<'_>,
) -> Result<(), String> {
    let Some(limit) = bench.resources.memory_bytes else { return Ok(()) };
    let wanted = limit + limit / 2;
    if available_memory().is_none_or(|free| free / 3 < wanted) {
        return Ok(());
    }
    note("letting a program take more and more memory");
    let said = bench.inside(name, &[PROGRAM, "grow", &wanted.to_string(), "0"]).await?;
    let reached: u64 = said.text.lines().rev().find_map(|line| line.parse().ok()).unwrap_or(0);
    metrics.insert("hog_bytes".into(), json!(reached));
    metrics.insert("contained.hog".into(), json!(!said.is_ok() && reached <= limit));
    Ok(())
}

/// How long the answers are measured; under emulation they are few.
fn watch(lane: Lane) -> Duration {
    Duration::from_secs(if is_vm(lane) { 10 } else { 3 })
}

pub(super) async fn neighbour(
    bench: &Bench<'_>,
    lane: Lane,
    index: u32,
    note: Note<'_>,
) -> Result<Metrics, String> {
    let (_, launched) = bench.launch_app(lane, index).await?;
    let address = address_of(&launched.record)?;
    let mut metrics = Metrics::new();
    note("measuring alone");
    // The first answers pay for what is loaded late.
    latencies(address, lane, Duration::from_millis(800)).await;
    let alone = latencies(address, lane, watch(lane)).await;
    record(&mut metrics, "", &alone)?;
    for (kind, suffix) in
        [("cpu", "_beside"), ("memory", "_beside_memory"), ("disk", "_beside_disk")]
    {
        note(&format!("measuring beside a neighbour: {kind}"));
        let beside = bench.name(&format!("noise-{kind}"), lane, index);
        let options = bench.lasting(lane, &beside, &["burn", kind, LONGEST]);
        bench.app.run(options, &mut |_| {}, &mut |_| {}).await.map_err(|e| e.to_string())?;
        bench.says(&beside, "burning").await?;
        record(&mut metrics, suffix, &latencies(address, lane, watch(lane)).await)?;
        bench.remove(&beside).await;
    }
    Ok(metrics)
}

/// Seconds after which a neighbour ends whatever became of us.
const LONGEST: &str = "120";

fn record(metrics: &mut Metrics, suffix: &str, found: &Answers) -> Result<(), String> {
    if found.times.is_empty() {
        return Err("no request was answered".to_owned());
    }
    for (name, at) in [("latency_p50", 0.5), ("latency_p99", 0.99)] {
        let value = quantile(&found.times, at).map_err(|e| e.to_string())?;
        metrics.insert(format!("{name}{suffix}"), json!(value));
    }
    metrics.insert(format!("prober{suffix}_lag"), json!(found.late));
    metrics.insert(format!("requests{suffix}"), json!(found.times.len() + found.failed));
    metrics.insert(format!("failed_requests{suffix}"), json!(found.failed));
    Ok(())
}

struct Answers {
    /// From the moment each request was to be sent, nanoseconds.
    times: Vec<f64>,
    failed: usize,
    /// How late we were ourselves with them, nanoseconds.
    late: Option<u64>,
}

async fn latencies(address: SocketAddr, lane: Lane, time: Duration) -> Answers {
    let interval = Duration::from_millis(if is_vm(lane) { 400 } else { 5 });
    let end = tokio::time::sleep(time);
    let shots = open_loop(address, "/", interval, Duration::from_secs(5), end).await;
    let answered = shots.iter().filter(|shot| shot.error.is_none());
    let times: Vec<f64> = answered.map(|shot| shot.ended.since(shot.intended) as f64).collect();
    Answers { failed: shots.len() - times.len(), late: lateness_ns(&shots), times }
}
