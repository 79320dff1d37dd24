//! Persistence, snapshots, moving to another home.

use std::{path::Path, sync::Mutex};

use serde_json::{Value, json};
use tandem_model::{BackendKind, Lane, parse_volume};
use tandem_probe::now;

use super::{
    Metrics, Note,
    bench::{Bench, told},
    is_vm,
};
use crate::App;

/// Whether a file inside still says what it should.
async fn is_there(bench: &Bench<'_>, name: &str, path: &str, mark: &str) -> Result<Value, String> {
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

pub(super) async fn snapshot(
    bench: &Bench<'_>,
    lane: Lane,
    index: u32,
    note: Note<'_>,
) -> Result<Metrics, String> {
    let name = bench.name("app", lane, index);
    let launched = bench.launch(bench.options(lane, &name)).await?;
    // The one is on disk, the other in memory and nowhere else.
    let marks = [("survives.disk", "/tandem-mark"), ("survives.memory", "/dev/shm/tandem-mark")];
    for (_, path) in marks {
        bench.must(&name, &format!("echo before > {path}")).await?;
    }
    let mut metrics = Metrics::new();
    // A container's where it can be: CRIU has to know the kernel, and the app
    // must be one that it knows.
    let record = bench.app.inspect(&name).map_err(told)?;
    let mut with_memory = is_vm(lane)
        || (lane.backend == BackendKind::Container
            && bench.app.refuse_memory(&record).await.is_ok());
    note("taking a snapshot");
    let begin = now();
    let mut taken = bench.app.snapshot(&name, "safe", with_memory).await;
    if let (Err(e), true) = (&taken, with_memory && !is_vm(lane)) {
        note(&format!("the files alone: {e}"));
        with_memory = false;
        taken = bench.app.snapshot(&name, "safe", with_memory).await;
    }
    let taken = taken.map_err(told)?;
    metrics.insert("snapshot_time".into(), json!(now().since(begin)));
    metrics.insert("with_memory".into(), json!(with_memory));
    metrics.insert("snapshot_pause".into(), json!(taken.pause_ns));
    let rows = bench.app.snapshots(&name).map_err(told)?;
    if let Some(row) = rows.first() {
        metrics.insert("snapshot_bytes".into(), json!(row.size_bytes));
    }
    for (_, path) in marks {
        bench.must(&name, &format!("echo after > {path}")).await?;
    }
    note("spilling coffee: the instance is killed");
    bench.app.kill(&name, "KILL").await.map_err(told)?;
    bench.app.wait(&name).await.map_err(told)?;
    note("restoring");
    let begin = now();
    bench.app.restore(&name, "safe", None, with_memory).await.map_err(told)?;
    if !bench.app.inspect(&name).map_err(told)?.state.is_up() {
        bench.app.start(&name).await.map_err(told)?;
    }
    bench.answered(launched.record).await?;
    metrics.insert("restore_time".into(), json!(now().since(begin)));
    for (metric, path) in marks {
        metrics.insert(metric.into(), is_there(bench, &name, path, "before").await?);
    }
    Ok(metrics)
}

pub(super) async fn portability(
    bench: &Bench<'_>,
    lane: Lane,
    index: u32,
    note: Note<'_>,
) -> Result<Metrics, String> {
    let name = bench.name("app", lane, index);
    let launched = bench.launch(bench.options(lane, &name)).await?;
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
fn share(from: &Path, to: &Path) -> std::io::Result<()> {
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
    let record = other.import_instance(file, None).map_err(told)?;
    metrics.insert("import_time".into(), json!(now().since(begin)));
    metrics.insert("digest".into(), json!(record.spec.digest.to_string()));
    other.start(name).await.map_err(told)?;
    let there = Bench {
        app: other,
        image: bench.image.clone(),
        program: None,
        port: bench.port,
        resources: bench.resources,
        prefix: bench.prefix.clone(),
        limit: bench.limit,
        elsewhere: Mutex::default(),
    };
    let (_, at, answer) = there.answered(record).await?;
    metrics.insert("moved_response".into(), json!(at.since(begin)));
    metrics.insert("same_answer".into(), json!(answer == body));
    metrics
        .insert("file_came_along".into(), is_there(&there, name, "/tandem-mark", "carried").await?);
    Ok(())
}
