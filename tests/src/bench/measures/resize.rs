//! A machine's memory and processors change: stopped, and while it runs.

use std::{
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use tandem_probe::{Shot, now, open_loop, wait_for_first_response};
use tokio::sync::oneshot;

use crate::bench::{
    claim::{Bound, Claim},
    ground::IMAGE,
    measure::{Contender, Measure, Reading, Unit},
    peers::{Engine, Running, patient},
    stage::Stage,
};

pub(super) const TIME: Measure = Measure {
    name: "resize",
    title: "`update` of a running micro machine, until the app answers with the new size",
    unit: Unit::Time,
    claims: &[Claim::Ratio { above: COLD, below: HOT, bound: Bound::AtLeast(20.0) }],
    notes: &[
        "Each trial boots one machine, changes its memory four times hot and once cold (stop, \
         change, start). The clock stops with the first 200 after the command has ended. Under \
         TCG.",
    ],
    contenders: &[("vm", |_, field| Ok(Box::new(Resize(field.engine("vm")?))))],
};

pub(super) const LOAD: Measure = Measure {
    name: "resize-requests",
    title: "failed requests of an open loop at 20 a second while a machine changes hot",
    unit: Unit::Count,
    claims: &[Claim::Each { of: HOT, bound: Bound::AtMost(0.0) }],
    notes: &[
        "Each trial sends requests at fixed times, whatever becomes of them, while memory grows \
         and shrinks twice and a processor is added. An emulated machine answers some 60 a second.",
    ],
    contenders: &[("vm", |_, field| Ok(Box::new(UnderLoad(field.engine("vm")?))))],
};

const HOT: &str = "hot";
const COLD: &str = "cold";

const MACHINE: &str = "bench-resize";

/// Room to change in.
const ROOM: [&str; 8] =
    ["--memory", "256m", "--max-memory", "768m", "--cpus", "1", "--max-cpus", "2"];

/// Sizes of the memory, one after the other.
const SIZES: [&str; 4] = ["384m", "512m", "384m", "256m"];

/// Twenty a second.
const INTERVAL: Duration = Duration::from_millis(50);

/// A request that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(10);

fn start<'a>(engine: &'a dyn Engine, stage: &Stage) -> Result<(Running<'a>, SocketAddr)> {
    let (publish, address) = engine.publish()?;
    let words = [&ROOM[..], &["-p", &publish, IMAGE]].concat();
    let running = Running::start(engine, MACHINE, &words)?;
    stage.runtime.block_on(wait_for_first_response(address, "/", patient()))?;
    Ok((running, address))
}

struct Resize(Rc<dyn Engine>);

impl Contender for Resize {
    fn is_slow(&self) -> bool {
        true
    }

    fn trial(&mut self, stage: &Stage) -> Result<Vec<Reading>> {
        let (running, address) = start(&*self.0, stage)?;
        let mut readings = Vec::new();
        let hot = SIZES.iter().map(|size| (HOT, "hot", *size));
        for (who, mode, size) in hot.chain([(COLD, "cold", "320m")]) {
            let begin = now();
            self.0.call(&["update", "--mode", mode, "--memory", size, MACHINE])?;
            let first = wait_for_first_response(address, "/", patient());
            let first = stage.runtime.block_on(first)?;
            readings.push((who, first.at.since(begin) as f64));
        }
        running.end()?;
        Ok(readings)
    }
}

struct UnderLoad(Rc<dyn Engine>);

impl Contender for UnderLoad {
    fn is_slow(&self) -> bool {
        true
    }

    fn trial(&mut self, stage: &Stage) -> Result<Vec<Reading>> {
        let (running, address) = start(&*self.0, stage)?;
        let shots = self.shoot(stage, address);
        running.end()?;
        let failed = shots?.iter().filter(|shot| shot.error.is_some()).count();
        Ok(vec![(HOT, failed as f64)])
    }
}

impl UnderLoad {
    fn shoot(&self, stage: &Stage, address: SocketAddr) -> Result<Vec<Shot>> {
        let (end, ended) = oneshot::channel::<()>();
        let load = stage.runtime.spawn(async move {
            let until = async { drop(ended.await) };
            open_loop(address, "/", INTERVAL, PATIENCE, until).await
        });
        let begin = Instant::now();
        let memory = SIZES.map(|size| ["--memory", size]);
        for change in memory.into_iter().chain([["--cpus", "2"]]) {
            // The load goes on for a while with each size.
            std::thread::sleep(Duration::from_millis(500));
            let [name, value] = change;
            self.0.call(&["update", "--mode", "hot", name, value, MACHINE])?;
        }
        let asked = begin.elapsed().as_millis() / INTERVAL.as_millis() * 9 / 10;
        drop(end);
        let shots = stage.runtime.block_on(load)?;
        ensure!(shots.len() as u128 >= asked, "only {} requests were sent", shots.len());
        Ok(shots)
    }
}
