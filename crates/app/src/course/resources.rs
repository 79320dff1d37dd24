//! Growing demand.

use serde_json::json;
use tandem_model::{BackendKind, Lane};
use tandem_probe::now;

use super::{Metrics, Note, bench::Bench};

/// Memory that programs can have without swapping, bytes.
fn available_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib << 10)
}

/// Takes memory in steps, touches it, and says how far it came.
const GROW: &str = "
import sys
held, step = [], 16 << 20
for number in range(int(sys.argv[1]) // step):
    held.append(bytearray(b'x') * step)
    print((number + 1) * step, flush=True)
";

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
    let program = ["python3", "-c", GROW, text.as_str()];
    let mut metrics = Metrics::from([
        ("demand_bytes".to_owned(), json!(demand)),
        ("limit_bytes".to_owned(), json!(limit)),
    ]);
    note("growing within a limit");
    let name = bench.name("limited", lane, index);
    let mut options = bench.options(lane, &name);
    options.resources.memory_bytes = Some(limit);
    let begin = now();
    let (exit, lines) = bench.to_the_end(options, &program).await?;
    metrics.insert("elapsed_time".to_owned(), json!(now().since(begin)));
    metrics.insert("reached_bytes".to_owned(), json!(reached(&lines)?));
    let killed = exit.is_some_and(|exit| exit.out_of_memory || exit.code == 137);
    metrics.insert("killed_for_memory".to_owned(), json!(killed));
    if lane.backend != BackendKind::Vm {
        note("growing without a limit");
        let name = bench.name("free", lane, index);
        let mut options = bench.options(lane, &name);
        options.resources.memory_bytes = None;
        let (_, lines) = bench.to_the_end(options, &program).await?;
        metrics.insert("reached_without_limit_bytes".to_owned(), json!(reached(&lines)?));
    }
    Ok(metrics)
}

/// The last number that was printed.
fn reached(lines: &[(i128, String)]) -> Result<u64, String> {
    let mut numbers = lines.iter().rev().filter_map(|(_, line)| line.parse().ok());
    if let Some(last) = numbers.next() {
        return Ok(last);
    }
    match lines.last() {
        Some((_, line)) => Err(format!("the program said: {line:.200}")),
        None => Ok(0),
    }
}
