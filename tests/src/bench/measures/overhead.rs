//! What watching costs.

use std::{
    path::PathBuf,
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use tandem_probe::{Follower, thread_cpu_ns};

use crate::bench::{
    claim::{Bound, Claim},
    field::Field,
    ground::IMAGE,
    measure::{Contender, Measure, Prepare, Reading, Unit},
    peers::{Engine, Running},
    stage::Stage,
};

pub(super) const MEASURE: Measure = Measure {
    name: "overhead",
    title: "processor time of sampling 20 running instances ten times a second, of one processor",
    unit: Unit::Share,
    claims: &[Claim::Median { of: CONTAINER, bound: Bound::AtMost(2.0) }],
    notes: &[
        "The same readings as in experiments, of 20 containers that run hello-flask and are not \
         asked anything: processor time, cgroup memory and resident pages each time, PSS when the \
         resident pages have changed and every ten seconds. Time in the kernel is counted.",
    ],
    contenders: &[(CONTAINER, ENGINE)],
};

const CONTAINER: &str = "container";

const ENGINE: Prepare = |name, field: &Field| Ok(Box::new(Watching(field.engine(name)?)));

const INSTANCES: usize = 20;

/// Ten a second.
const PERIOD: Duration = Duration::from_millis(100);

/// Long enough that every instance's PSS is read anew twice.
const ROUNDS: u32 = 250;

struct Watching(Rc<dyn Engine>);

impl Contender for Watching {
    fn is_slow(&self) -> bool {
        true
    }

    fn trial(&mut self, _: &Stage) -> Result<Vec<Reading>> {
        let names: Vec<String> = (1..=INSTANCES).map(|it| format!("bench-watched-{it}")).collect();
        let running = names
            .iter()
            .map(|name| Running::start(&*self.0, name, &[IMAGE]))
            .collect::<Result<Vec<_>>>()?;
        let watched = names.iter().map(|name| self.follower(name)).collect::<Result<Vec<_>>>()?;
        let share = share_of_watching(watched);
        running.into_iter().try_for_each(Running::end)?;
        Ok(vec![(CONTAINER, share?)])
    }
}

impl Watching {
    fn follower(&self, name: &str) -> Result<Follower> {
        let record = self.0.call(&["inspect", name])?.json()?;
        let runtime = &record[0]["runtime"];
        let process = runtime["process"]["pid"].as_u64().context("our instance has no process")?;
        let cgroups: Vec<PathBuf> = serde_json::from_value(runtime["cgroups"].clone())?;
        Ok(Follower::new(process.try_into()?, &cgroups))
    }
}

/// Processor time of this thread while it samples, in per cent of the time
/// that passes.
fn share_of_watching(mut watched: Vec<Follower>) -> Result<f64> {
    // Apps that are still starting are not what is asked about.
    std::thread::sleep(Duration::from_secs(3));
    let (begin, before) = (Instant::now(), thread_cpu_ns());
    for round in 1..=ROUNDS {
        for one in &mut watched {
            ensure!(one.sample().is_some(), "an instance has ended");
        }
        std::thread::sleep((begin + PERIOD * round).saturating_duration_since(Instant::now()));
    }
    let busy = thread_cpu_ns().saturating_sub(before);
    Ok(100.0 * busy as f64 / begin.elapsed().as_nanos() as f64)
}
