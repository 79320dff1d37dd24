//! What a snapshot keeps: in place, from the files alone, and on another
//! server, which a second home stands for; and what the ways keep that only a
//! container has.

use std::time::Duration;

use serde_json::json;
use tandem_model::{BackendKind, InstanceRecord, Lane};
use tandem_probe::now;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{
    Metrics, Note,
    bench::{Bench, address_of, told},
    is_vm,
    storage::{is_there, share},
    ways::{committed, copied, has_ways},
};

/// The one is on disk, the other in memory and nowhere else.
const MARKS: [(&str, &str); 2] = [("disk", "/tandem-mark"), ("memory", "/dev/shm/tandem-mark")];

/// The snapshot with all that the lane can keep, and the one of its files.
const WHOLE: &str = "safe";
const FILES: &str = "files";

pub(super) async fn snapshot(
    bench: &Bench<'_>,
    lane: Lane,
    index: u32,
    note: Note<'_>,
) -> Result<Metrics, String> {
    let (name, launched) = bench.launch_app(lane, index).await?;
    write(bench, &name, "before").await?;
    let mut metrics = Metrics::new();
    // A container's where it can be: CRIU has to know the kernel, and the app
    // must be one that it knows.
    let record = bench.app.inspect(&name).map_err(told)?;
    let mut with_memory = is_vm(lane)
        || (lane.backend == BackendKind::Container
            && bench.app.refuse_memory(&record).await.is_ok());
    let connection = connect(&record).await?;
    note("taking a snapshot");
    let begin = now();
    let mut taken = bench.app.snapshot(&name, WHOLE, with_memory).await;
    if let (Err(e), true) = (&taken, with_memory && !is_vm(lane)) {
        note(&format!("the files alone: {e}"));
        with_memory = false;
        taken = bench.app.snapshot(&name, WHOLE, with_memory).await;
    }
    let taken = taken.map_err(told)?;
    metrics.insert("snapshot_time".into(), json!(now().since(begin)));
    metrics.insert("with_memory".into(), json!(with_memory));
    metrics.insert("snapshot_pause".into(), json!(taken.pause_ns));
    let rows = bench.app.snapshots(&name).map_err(told)?;
    if let Some(row) = rows.first() {
        metrics.insert("snapshot_bytes".into(), json!(row.size_bytes));
    }
    if with_memory {
        bench.app.snapshot(&name, FILES, false).await.map_err(told)?;
    }
    write(bench, &name, "after").await?;
    note("spilling coffee: the instance is killed");
    bench.app.kill(&name, "KILL").await.map_err(told)?;
    bench.app.wait(&name).await.map_err(told)?;
    note("restoring");
    let begin = now();
    restored(bench, &name, WHOLE, with_memory, launched.record.clone()).await?;
    metrics.insert("restore_time".into(), json!(now().since(begin)));
    look(bench, &name, "", &mut metrics).await?;
    metrics.insert("survives.connection".into(), json!(is_answered(connection).await));
    bench.app.stop(&name, None).await.map_err(told)?;
    note("restoring on another server: in a second home");
    elsewhere(bench, &name, with_memory, &mut metrics).await?;
    if with_memory {
        note("restoring from the files alone");
        restored(bench, &name, FILES, false, launched.record).await?;
        look(bench, &name, "_from_files", &mut metrics).await?;
    }
    bench.remove(&name).await;
    if has_ways(lane) {
        committed(bench, lane, index, &mut metrics, note).await?;
        copied(bench, lane, index, &mut metrics, note).await?;
    }
    Ok(metrics)
}

/// A client that has a connection when the snapshot is taken, and says nothing
/// on it until the restore.
pub(super) async fn connect(record: &InstanceRecord) -> Result<TcpStream, String> {
    let address = address_of(record)?;
    TcpStream::connect(address).await.map_err(|e| format!("{address} cannot be connected to: {e}"))
}

/// Whether the app hears on it still.
pub(super) async fn is_answered(mut connection: TcpStream) -> bool {
    let asked = async {
        connection.write_all(b"GET / HTTP/1.0\r\n\r\n").await?;
        connection.read(&mut [0]).await
    };
    let answer = tokio::time::timeout(PATIENCE, asked).await;
    matches!(answer, Ok(Ok(count)) if count > 0)
}

/// What a client waits that has heard nothing of a restore.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) async fn write(bench: &Bench<'_>, name: &str, mark: &str) -> Result<(), String> {
    for (_, path) in MARKS {
        bench.must(name, &format!("echo {mark} > {path}")).await?;
    }
    Ok(())
}

/// Which marks are those of the snapshot.
pub(super) async fn look(
    bench: &Bench<'_>,
    name: &str,
    way: &str,
    metrics: &mut Metrics,
) -> Result<(), String> {
    for (mark, path) in MARKS {
        let seen = is_there(bench, name, path, "before").await?;
        metrics.insert(format!("survives.{mark}{way}"), seen);
    }
    Ok(())
}

/// Restores and waits until the app answers.
async fn restored(
    bench: &Bench<'_>,
    name: &str,
    snapshot: &str,
    memory: bool,
    record: InstanceRecord,
) -> Result<(), String> {
    bench.app.restore(name, snapshot, None, memory).await.map_err(told)?;
    if !bench.app.inspect(name).map_err(told)?.state.is_up() {
        bench.app.start(name).await.map_err(told)?;
    }
    bench.answered(record).await.map(drop)
}

/// Carries the stopped instance with its snapshots into an empty home and
/// restores it there.
async fn elsewhere(
    bench: &Bench<'_>,
    name: &str,
    with_memory: bool,
    metrics: &mut Metrics,
) -> Result<(), String> {
    let scratch = bench.app.home.scratch("snapshot").map_err(|e| e.to_string())?;
    let file = scratch.path().join("instance.tandem");
    bench.app.export_instance(name, &file).await.map_err(told)?;
    let other = bench.open_elsewhere(scratch)?;
    share(&bench.app.home.kernels(), &other.home.kernels())
        .map_err(|e| format!("cannot give the second home a kernel: {e}"))?;
    let record = other.import_instance(&file, None).await.map_err(told)?;
    let there = bench.there(&other);
    // A checkpoint decides what processes may do, so it never leaves its home.
    let memory = with_memory && record.spec.backend == BackendKind::Vm;
    restored(&there, name, WHOLE, memory, record).await?;
    look(&there, name, "_elsewhere", metrics).await?;
    there.remove(name).await;
    Ok(())
}
