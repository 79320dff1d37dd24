//! How long a launch takes, slice by slice. Printed, not judged: machines are
//! noisy. `cargo test -p tandem-container --test engine -- --ignored bench`.

use std::time::Duration;

use anyhow::{Context as _, Result};
use libtest_mimic::Trial;
use tandem_model::BackendKind;

use crate::{trial, world::World};

pub(crate) fn all() -> Vec<Trial> {
    vec![trial("bench::launch", launch).with_ignored_flag(true)]
}

const ROUNDS: usize = 15;

fn launch() -> Result<()> {
    let world = World::new()?;
    for lane in [BackendKind::Process, BackendKind::Container] {
        let mut slices: Vec<(String, Vec<f64>)> = Vec::new();
        let mut note = |name: &str, nanoseconds: u64| {
            let value = nanoseconds as f64 / 1e6;
            match slices.iter_mut().find(|(known, _)| known == name) {
                Some((_, values)) => values.push(value),
                None => slices.push((name.to_owned(), vec![value])),
            }
        };
        for _ in 0..ROUNDS {
            let spec = world.spec(lane, &["sleep", "1000"]);
            let request = tandem_probe::now();
            let record = world.start(spec)?;
            let started = tandem_probe::now();
            note("supervisor", record.phases.first().context("no phase")?.start.since(request));
            for phase in &record.phases {
                note(&phase.name, phase.end.since(phase.start));
            }
            let end = record.phases.last().context("no phase")?.end;
            note("report", started.since(end));
            note("whole", started.since(request));
            let stop = tandem_probe::now();
            world.stop(&record, Duration::ZERO)?;
            note("stop", tandem_probe::now().since(stop));
        }
        eprintln!("{lane}, median of {ROUNDS} in ms:");
        for (name, mut values) in slices {
            values.sort_by(f64::total_cmp);
            eprintln!("  {name:<12}{:8.2}", values[values.len() / 2]);
        }
    }
    Ok(())
}
