//! Two more ways to keep what a container has: an image of it, and a copy of
//! its volume. Of both a new instance is made.

use serde_json::json;
use tandem_model::{BackendKind, ErrorCode, ImageRef, Lane, parse_volume};
use tandem_probe::now;

use super::{
    Metrics, Note,
    bench::{Bench, told},
    names::{REBUILT, name_of},
    snapshot::{connect, is_answered, look, write},
    storage::is_there,
};
use crate::CommitRequest;

/// Where the volume, and the one that it is copied to, are mounted.
const VOLUME: &str = "/tandem-data";
const COPY: &str = "/tandem-copy";

/// Whether a lane has these ways: the engine that keeps a container's files is
/// ours, and no machine can be made an image of.
pub(super) fn has_ways(lane: Lane) -> bool {
    lane.backend == BackendKind::Container
}

/// Makes an image of a running instance, kills that and launches the image.
pub(super) async fn committed(
    bench: &Bench<'_>,
    lane: Lane,
    index: u32,
    metrics: &mut Metrics,
    note: Note<'_>,
) -> Result<(), String> {
    note("making an image of the instance");
    let name = bench.name("origin", lane, index);
    let launched = bench.launch(bench.options(lane, &name)).await?;
    write(bench, &name, "before").await?;
    let connection = connect(&launched.record).await?;
    let tag = name_of(REBUILT, &format!("{}-{index}-commit", bench.prefix));
    let mut request = CommitRequest {
        instance: name.clone(),
        name: Some(tag.parse::<ImageRef>().map_err(|e| e.to_string())?),
        author: None,
        message: None,
        changes: Vec::new(),
        pause: true,
    };
    let begin = now();
    let mut image = bench.app.commit(&request).await;
    if image.as_ref().is_err_and(|e| e.code() == ErrorCode::Unavailable) {
        // Nobody writes to it meanwhile, so it need not stand still.
        request.pause = false;
        image = bench.app.commit(&request).await;
    }
    let image = image.map_err(told)?;
    metrics.insert("commit_time".into(), json!(now().since(begin)));
    metrics.insert("commit_bytes".into(), json!(image.layers.last().map(|layer| layer.size)));
    write(bench, &name, "after").await?;
    note("launching a new instance of that image where the old one was");
    // A client that knows the address finds the new one there.
    let ports = launched.record.ports;
    bench.remove(&name).await;
    let name = bench.name("anew", lane, index);
    let mut options = bench.options(lane, &name);
    (options.image, options.ports) = (tag, ports);
    bench.launch(options).await?;
    look(bench, &name, "_from_commit", metrics).await?;
    metrics.insert("survives.connection_from_commit".into(), json!(is_answered(connection).await));
    bench.remove(&name).await;
    Ok(())
}

/// Copies a volume into another one, which a new instance mounts.
pub(super) async fn copied(
    bench: &Bench<'_>,
    lane: Lane,
    index: u32,
    metrics: &mut Metrics,
    note: Note<'_>,
) -> Result<(), String> {
    note("copying its volume and mounting the copy in a new instance");
    let mount =
        |volume: &str, at: &str| parse_volume(&format!("{volume}:{at}")).map_err(|e| e.to_string());
    let [data, copy] = ["data", "copy"].map(|of| bench.name(of, lane, index));
    bench.own_volume(&data)?;
    bench.own_volume(&copy)?;
    let name = bench.name("keeper", lane, index);
    let mut options = bench.options(lane, &name);
    options.options.mounts = vec![mount(&data, VOLUME)?, mount(&copy, COPY)?];
    bench.launch(options).await?;
    write(bench, &name, "before").await?;
    let mark = format!("{VOLUME}/mark");
    bench.must(&name, &format!("echo before > {mark}")).await?;
    let begin = now();
    bench.must(&name, &format!("cp -a {VOLUME}/. {COPY}/")).await?;
    metrics.insert("volume_copy_time".into(), json!(now().since(begin)));
    bench.must(&name, &format!("echo after > {mark}")).await?;
    bench.remove(&name).await;
    let name = bench.name("holder", lane, index);
    let mut options = bench.options(lane, &name);
    options.options.mounts = vec![mount(&copy, VOLUME)?];
    bench.launch(options).await?;
    let seen = is_there(bench, &name, &mark, "before").await?;
    metrics.insert("survives.volume_from_copy".into(), seen);
    look(bench, &name, "_from_copy", metrics).await?;
    bench.remove(&name).await;
    Ok(())
}
