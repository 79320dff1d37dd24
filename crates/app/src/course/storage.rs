//! Persistence, and moving to another home.

use std::path::Path;

use serde_json::{Value, json};
use tandem_model::{Lane, parse_volume};
use tandem_probe::now;

use super::{
    Metrics, Note,
    bench::{Bench, told},
};
use crate::App;

/// Whether a file inside still says what it should.
pub(super) async fn is_there(
    bench: &Bench<'_>,
    name: &str,
    path: &str,
    mark: &str,
) -> Result<Value, String> {
    let said = bench.sh(name, &format!("cat {path} 2>/dev/null")).await?;
    Ok(json!(said.text == mark))
}

pub(super) async fn persistence(
    bench: &Bench<'_>,
    lane: Lane,
    index: u32,
    note: Note<'_>,
) -> Result<Metrics, String> {
    let name = bench.name("app", lane, index);
    let data = format!("{}-data", bench.prefix);
    bench.own_volume(&data)?;
    let volume = parse_volume(&format!("{data}:/tandem-data")).map_err(|e| e.to_string())?;
    let mut options = bench.options(lane, &name);
    options.options.mounts.push(volume.clone());
    let launched = bench.launch(options).await?;
    bench.must(&name, "echo kept > /tandem-layer").await?;
    bench.must(&name, "echo kept > /tandem-data/file").await?;
    let mut metrics = Metrics::from([("has_volume".to_owned(), json!(true))]);
    note("restarting");
    bench.app.restart(&name, None, None).await.map_err(told)?;
    bench.answered(launched.record).await?;
    metrics.insert(
        "survives.layer_restart".into(),
        is_there(bench, &name, "/tandem-layer", "kept").await?,
    );
    let seen = is_there(bench, &name, "/tandem-data/file", "kept").await?;
    metrics.insert("survives.volume_restart".into(), seen);
    note("making it anew");
    bench.app.remove(&name, true, false).await.map_err(told)?;
    let mut anew = bench.options(lane, &name);
    anew.options.mounts.push(volume);
    bench.launch(anew).await?;
    metrics.insert(
        "survives.layer_anew".into(),
        is_there(bench, &name, "/tandem-layer", "kept").await?,
    );
    let seen = is_there(bench, &name, "/tandem-data/file", "kept").await?;
    metrics.insert("survives.volume_anew".into(), seen);
    Ok(metrics)
}

pub(super) async fn portability(
    bench: &Bench<'_>,
    lane: Lane,
    index: u32,
    note: Note<'_>,
) -> Result<Metrics, String> {
    let (name, launched) = bench.launch_app(lane, index).await?;
    bench.must(&name, "echo carried > /tandem-mark").await?;
    bench.app.stop(&name, None).await.map_err(told)?;
    let scratch = bench.app.home.scratch("portability").map_err(|e| e.to_string())?;
    let file = scratch.path().join("instance.tandem");
    note("exporting");
    let begin = now();
    bench.app.export_instance(&name, &file).await.map_err(told)?;
    let mut metrics = Metrics::from([("export_time".to_owned(), json!(now().since(begin)))]);
    let bytes = std::fs::metadata(&file).map_err(|e| e.to_string())?.len();
    metrics.insert("export_bytes".into(), json!(bytes));
    note("importing into an empty home");
    let other = bench.open_elsewhere(scratch)?;
    share(&bench.app.home.kernels(), &other.home.kernels())
        .map_err(|e| format!("cannot give the second home a kernel: {e}"))?;
    elsewhere(bench, &other, &name, &file, &launched.body, &mut metrics).await?;
    let digest = launched.record.spec.digest.to_string();
    let same = metrics.get("digest").and_then(Value::as_str) == Some(digest.as_str());
    metrics.insert("same_digest".into(), json!(same));
    Ok(metrics)
}

/// A hypervisor's kernel is no part of what is carried, and to fetch one is no
/// part of what is measured.
pub(super) fn share(from: &Path, to: &Path) -> std::io::Result<()> {
    let entries = match std::fs::read_dir(from) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    std::fs::create_dir_all(to)?;
    for entry in entries {
        let entry = entry?;
        let there = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            share(&entry.path(), &there)?;
        } else if !there.exists() {
            std::fs::copy(entry.path(), &there)?;
        }
    }
    Ok(())
}

/// The instance in its second home.
async fn elsewhere(
    bench: &Bench<'_>,
    other: &App,
    name: &str,
    file: &Path,
    body: &[u8],
    metrics: &mut Metrics,
) -> Result<(), String> {
    let begin = now();
    let record = other.import_instance(file, None).await.map_err(told)?;
    metrics.insert("import_time".into(), json!(now().since(begin)));
    metrics.insert("digest".into(), json!(record.spec.digest.to_string()));
    other.start(name).await.map_err(told)?;
    let there = bench.there(other);
    let (_, at, answer) = there.answered(record).await?;
    metrics.insert("moved_response".into(), json!(at.since(begin)));
    metrics.insert("same_answer".into(), json!(answer == body));
    metrics
        .insert("file_came_along".into(), is_there(&there, name, "/tandem-mark", "carried").await?);
    Ok(())
}
