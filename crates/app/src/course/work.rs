//! The same work inside and outside; from an edit to an answer.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    path::Path,
    time::Duration,
};

use serde_json::json;
use tandem_build::{BuildOptions, samples::materialize};
use tandem_model::{BackendKind, Lane, PortMap, Protocol};
use tandem_probe::{closed_loop, lateness_ns, now, open_loop};
use tandem_stats::quantile;

use super::{
    Metrics, Note,
    bench::{Bench, address_of, told},
    names::{REBUILT, name_of},
};
use crate::{Cancel, RunOptions, build::has_dockerfile};

/// What the disk job writes, MiB.
const FILE: &str = "96";

/// Between two requests when latency is measured; the same in every lane.
const INTERVAL: Duration = Duration::from_millis(25);

/// How long requests are sent, at a rate and as fast as they are answered.
const SENDING: Duration = Duration::from_secs(3);

/// Requests under way at a time, as fast as they are answered.
const WORKERS: u32 = 8;

pub(super) async fn overhead(
    bench: &Bench<'_>,
    lane: Lane,
    index: u32,
    note: Note<'_>,
) -> Result<Metrics, String> {
    note("computing, copying memory, writing and reading files");
    let name = bench.name("work", lane, index);
    let options = bench.lasting(lane, &name, &["measure", "/tmp", FILE]);
    let (_, lines) = bench.to_the_end(options).await?;
    let digest = bench.same_program(lines.iter().map(|(_, line)| line.as_str()))?;
    let mut metrics = Metrics::from([("work_digest".to_owned(), json!(digest))]);
    let at = |word: &str| {
        let is = |line: &str| line.split(' ').next() == Some(word);
        lines.iter().find(|(_, line)| is(line)).map(|(at, _)| *at)
    };
    for (from, to) in [
        ("begin", "cpu"),
        ("cpu", "memory"),
        ("disk", "disk_write"),
        ("disk_write", "disk_read"),
        ("disk_read", "disk_random"),
        ("disk_random", "disk_sync"),
    ] {
        let (Some(begin), Some(end)) = (at(from), at(to)) else {
            let last = lines.last().map_or("nothing", |(_, line)| line.as_str());
            return Err(format!("the work was not done; its last line was: {last:.200}"));
        };
        let metric = if to == "disk_write" { "disk_time".to_owned() } else { format!("{to}_time") };
        metrics.insert(metric, json!(u64::try_from(end - begin).unwrap_or(0)));
    }
    note("answering requests");
    answers(bench, lane, index, &mut metrics).await?;
    Ok(metrics)
}

/// How quickly the same little server answers: alone, and as often as it can.
async fn answers(
    bench: &Bench<'_>,
    lane: Lane,
    index: u32,
    metrics: &mut Metrics,
) -> Result<(), String> {
    let mut port = bench.port.ok_or("the image exposes no port that could be asked")?;
    let (mut ip, mut ports) = ("0.0.0.0", Vec::new());
    if lane.backend == BackendKind::Process {
        // It shares the host's network: asked without anything between, for it
        // is what the others are compared with, and out of reach of others.
        (ip, port) = ("127.0.0.1", free_port().map_err(|e| format!("no port is free: {e}"))?);
        ports.push(PortMap::anywhere(port, Protocol::Tcp).at(port));
    }
    let name = bench.name("serve", lane, index);
    let address = format!("{ip}:{port}");
    let options = RunOptions { ports, ..bench.working(lane, &name, &["serve", &address]) };
    let launched = bench.launch(options).await?;
    let address = address_of(&launched.record)?;
    let limit = Duration::from_secs(5);
    // The first answers pay for what is loaded late.
    closed_loop(address, "/", WORKERS, SENDING / 6, limit).await;
    let end = tokio::time::sleep(SENDING);
    let shots = open_loop(address, "/", INTERVAL, limit, end).await;
    let answered = shots.iter().filter(|shot| shot.error.is_none());
    let times: Vec<f64> = answered.map(|shot| shot.ended.since(shot.intended) as f64).collect();
    metrics.insert("prober_lag".to_owned(), json!(lateness_ns(&shots)));
    for (metric, at) in [("latency_p50", 0.5), ("latency_p99", 0.99)] {
        let value = quantile(&times, at).map_err(|_| "no request was answered".to_owned())?;
        metrics.insert(metric.to_owned(), json!(value));
    }
    let busy = closed_loop(address, "/", WORKERS, SENDING, limit).await;
    metrics.insert("throughput".to_owned(), json!(busy.per_second()));
    let failed = (shots.len() - times.len()) as u64 + busy.failed;
    metrics.insert("failed_requests".to_owned(), json!(failed));
    bench.remove(&name).await;
    Ok(())
}

/// A port that nobody has at this moment.
fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

pub(super) async fn build(
    bench: &Bench<'_>,
    subject: &str,
    lane: Lane,
    index: u32,
    note: Note<'_>,
) -> Result<Metrics, String> {
    let scratch = bench.app.home.scratch("edit").map_err(|e| e.to_string())?;
    let dir = scratch.path().join("project");
    if has_dockerfile(Path::new(subject)) {
        tandem_image::copy_tree(Path::new(subject), &dir, None).map_err(|e| e.to_string())?;
    } else {
        materialize(subject, &dir)
            .map_err(|_| format!("{subject} is an image: name a sample or a folder to build"))?;
    }
    // Names of the run's own, which go when the trial is over: the subject's
    // stays where it is.
    let tag = name_of(REBUILT, &format!("{}-{index}", bench.prefix));
    rebuilds(bench, &dir, &tag, lane, index, note).await
}

async fn rebuilds(
    bench: &Bench<'_>,
    dir: &Path,
    tag: &str,
    lane: Lane,
    index: u32,
    note: Note<'_>,
) -> Result<Metrics, String> {
    let mut metrics = Metrics::new();
    note("building without a cache");
    let cold = once(bench, dir, &format!("{tag}-cold"), true).await?;
    metrics.insert("build_cold".into(), json!(cold));
    note("building again");
    let again = once(bench, dir, &format!("{tag}-again"), false).await?;
    metrics.insert("build_cached".into(), json!(again));
    note("changing a line");
    let source = newest_source(dir)?;
    let text = fs::read_to_string(&source).map_err(|e| e.to_string())?;
    fs::write(&source, format!("{text}\n# changed {index}\n")).map_err(|e| e.to_string())?;
    let begin = now();
    let edited = format!("{tag}-edited");
    once(bench, dir, &edited, false).await?;
    metrics.insert("rebuild_time".into(), json!(now().since(begin)));
    let name = bench.name("app", lane, index);
    let mut options = bench.options(lane, &name);
    options.image = edited;
    bench.launch(options).await?;
    metrics.insert("edit_to_response".into(), json!(now().since(begin)));
    bench.remove(&name).await;
    Ok(metrics)
}

async fn once(bench: &Bench<'_>, dir: &Path, tag: &str, no_cache: bool) -> Result<u64, String> {
    let options = BuildOptions {
        context: dir.to_owned(),
        tags: vec![tag.parse().map_err(|e| format!("{e}"))?],
        corporate_network: true,
        no_cache,
        // The next build of the subject must make the image that it made.
        forget: true,
        ..BuildOptions::default()
    };
    let begin = now();
    let (mut quiet, mut silent, cancel) = (|_: &str, _: &str| {}, |_| {}, Cancel::new());
    let building = bench.app.build_with_stand_in(options, &mut quiet, &mut silent, &cancel);
    Box::pin(building).await.map_err(told)?;
    Ok(now().since(begin))
}

/// The file that a person would edit: the app's source.
fn newest_source(dir: &Path) -> Result<std::path::PathBuf, String> {
    let entries = fs::read_dir(dir).map_err(|e| e.to_string())?;
    let mut sources: Vec<_> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|end| end == "py"))
        .collect();
    sources.sort();
    sources.into_iter().next().ok_or_else(|| "the project has no Python file to change".to_owned())
}
