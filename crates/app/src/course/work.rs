//! The same work inside and outside; from an edit to an answer.

use std::{fs, path::Path};

use serde_json::json;
use tandem_build::{BuildOptions, samples::materialize};
use tandem_model::Lane;
use tandem_probe::now;

use super::{
    Metrics, Note,
    bench::{Bench, told},
};
use crate::{Cancel, build::has_dockerfile};

/// Computes, moves memory and writes files, and says when each is done. The
/// host's clock reads the times from the log.
const WORK: &str = "
import os
print('begin', flush=True)
total = 0
for number in range(4000000): total = (total * 31 + number) & 0xffffffff
print('cpu', flush=True)
block = bytearray(64 << 20)
for number in range(24): copy = bytes(block)
print('memory', flush=True)
file = os.open('/tmp/tandem-work', os.O_CREAT | os.O_WRONLY)
data = b'x' * (1 << 20)
for number in range(96): os.write(file, data)
os.fsync(file)
print('disk', flush=True)
";

pub(super) async fn overhead(
    bench: &Bench<'_>,
    lane: Lane,
    index: u32,
    note: Note<'_>,
) -> Result<Metrics, String> {
    note("computing, copying memory, writing files");
    let options = bench.options(lane, &bench.name("work", lane, index));
    let (_, lines) = bench.to_the_end(options, &["python3", "-c", WORK]).await?;
    let at = |word: &str| lines.iter().find(|(_, line)| line == word).map(|(at, _)| *at);
    let mut metrics = Metrics::new();
    for (metric, from, to) in [
        ("cpu_time", "begin", "cpu"),
        ("memory_time", "cpu", "memory"),
        ("disk_time", "memory", "disk"),
    ] {
        let (Some(from), Some(to)) = (at(from), at(to)) else {
            let last = lines.last().map_or("nothing", |(_, line)| line.as_str());
            return Err(format!("the work was not done; its last line was: {last:.200}"));
        };
        metrics.insert(metric.into(), json!(u64::try_from(to - from).unwrap_or(0)));
    }
    Ok(metrics)
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
    let tag = format!("{}:{index}", bench.prefix);
    let result = rebuilds(bench, &dir, &tag, lane, index, note).await;
    let _ = bench.app.remove_image(&tag, true);
    result
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
    metrics.insert("build_cold".into(), json!(once(bench, dir, tag, true).await?));
    note("building again");
    metrics.insert("build_cached".into(), json!(once(bench, dir, tag, false).await?));
    note("changing a line");
    let source = newest_source(dir)?;
    let text = fs::read_to_string(&source).map_err(|e| e.to_string())?;
    fs::write(&source, format!("{text}\n# changed {index}\n")).map_err(|e| e.to_string())?;
    let begin = now();
    once(bench, dir, tag, false).await?;
    metrics.insert("rebuild_time".into(), json!(now().since(begin)));
    let name = bench.name("app", lane, index);
    let mut options = bench.options(lane, &name);
    tag.clone_into(&mut options.image);
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
