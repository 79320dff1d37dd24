//! Growing demand.

use serde_json::json;
use tandem_lab::available_memory;
use tandem_model::{BackendKind, Lane};
use tandem_probe::now;

use super::{Metrics, Note, bench::Bench};

/// What a program without a limit leaves to everybody else.
const LEAVE: u64 = 512 << 20;

pub(super) async fn elasticity(
    bench: &Bench<'_>,
    lane: Lane,
    index: u32,
    note: Note<'_>,
) -> Result<Metrics, String> {
    let limit = bench.resources.memory_bytes.unwrap_or(512 << 20).min(384 << 20);
    let spare = available_memory().unwrap_or(1 << 30) / 3;
    let demand = (limit * 3 / 2).min(spare);
    if demand <= limit {
        return Err("this machine has too little free memory to ask for more than the limit".into());
    }
    let text = demand.to_string();
    let mut metrics = Metrics::from([
        ("demand_bytes".to_owned(), json!(demand)),
        ("limit_bytes".to_owned(), json!(limit)),
    ]);
    note("growing within a limit");
    let name = bench.name("limited", lane, index);
    let mut options = bench.working(lane, &name, &["grow", &text, "0"]);
    options.resources.memory_bytes = Some(limit);
    let begin = now();
    let (exit, lines) = bench.to_the_end(options).await?;
    metrics.insert("elapsed_time".to_owned(), json!(now().since(begin)));
    let digest = bench.same_program(lines.iter().map(|(_, line)| line.as_str()))?;
    metrics.insert("work_digest".to_owned(), json!(digest));
    metrics.insert("reached_bytes".to_owned(), json!(reached(&lines)));
    let killed = exit.is_some_and(|exit| exit.out_of_memory || exit.code == 137);
    metrics.insert("killed_for_memory".to_owned(), json!(killed));
    if lane.backend != BackendKind::Vm {
        note("growing without a limit");
        let name = bench.name("free", lane, index);
        let leave = LEAVE.to_string();
        let mut options = bench.working(lane, &name, &["grow", &text, &leave]);
        options.resources.memory_bytes = None;
        let (_, lines) = bench.to_the_end(options).await?;
        bench.same_program(lines.iter().map(|(_, line)| line.as_str()))?;
        metrics.insert("reached_without_limit_bytes".to_owned(), json!(reached(&lines)));
    }
    Ok(metrics)
}

/// The last number that was printed.
fn reached(lines: &[(i128, String)]) -> u64 {
    lines.iter().rev().find_map(|(_, line)| line.parse().ok()).unwrap_or(0)
}
