//! Requests that fail while limits change.

use std::{net::SocketAddr, rc::Rc, time::Duration};

use anyhow::{Result, ensure};
use tandem_probe::{ReadyOptions, Shot, open_loop, wait_for_first_response};
use tokio::sync::oneshot;

use super::update::LIMITS;
use crate::bench::{
    claim::{Bound, Claim},
    field::Field,
    ground::IMAGE,
    measure::{Contender, Measure, Prepare, Reading, Unit},
    peers::{DOCKER, Engine, Running},
    stage::Stage,
};

pub(super) const MEASURE: Measure = Measure {
    name: "requests",
    title: "failed requests of an open loop at 500 a second during updates",
    unit: Unit::Count,
    claims: &[Claim::Each { of: "container", bound: Bound::AtMost(0.0) }],
    notes: &[
        "Each trial sends some 1500 requests to hello-flask at fixed times, whatever becomes \
              of them, while the memory limit changes again and again.",
    ],
    contenders: &[("container", ENGINE), (DOCKER, ENGINE)],
};

const ENGINE: Prepare =
    |name, field: &Field| Ok(Box::new(UnderLoad { name, engine: field.engine(name)? }));

const CONTAINER: &str = "bench-requests";

/// 500 a second.
const INTERVAL: Duration = Duration::from_millis(2);

/// How long each trial sends.
const SPAN: Duration = Duration::from_secs(3);

/// A request that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(5);

struct UnderLoad {
    name: &'static str,
    engine: Rc<dyn Engine>,
}

impl Contender for UnderLoad {
    fn is_slow(&self) -> bool {
        true
    }

    fn trial(&mut self, stage: &Stage) -> Result<Vec<Reading>> {
        let (publish, address) = self.engine.publish()?;
        let words = ["--memory", "256m", "-p", &publish, IMAGE];
        let running = Running::start(&*self.engine, CONTAINER, &words)?;
        let ready = wait_for_first_response(address, "/", ReadyOptions::default());
        stage.runtime.block_on(ready)?;
        let shots = self.shoot(stage, address)?;
        running.end()?;
        let failed = shots.iter().filter(|shot| shot.error.is_some()).count();
        Ok(vec![(self.name, failed as f64)])
    }
}

impl UnderLoad {
    /// Sends requests while the limit changes as fast as the engine can.
    fn shoot(&self, stage: &Stage, address: SocketAddr) -> Result<Vec<Shot>> {
        let (end, ended) = oneshot::channel::<()>();
        let load = stage.runtime.spawn(async move {
            let until = async { drop(ended.await) };
            open_loop(address, "/", INTERVAL, PATIENCE, until).await
        });
        let begin = std::time::Instant::now();
        let mut changes = 0;
        for limit in LIMITS.iter().cycle() {
            if begin.elapsed() >= SPAN {
                break;
            }
            self.engine.call(&["update", "--memory", limit, CONTAINER])?;
            changes += 1;
        }
        drop(end);
        let shots = stage.runtime.block_on(load)?;
        // The last few may be late on a machine that is busy.
        let asked = SPAN.as_millis() / INTERVAL.as_millis() * 9 / 10;
        ensure!(
            changes > 1 && shots.len() as u128 >= asked,
            "the load was not as it was to be: {} requests, {changes} updates",
            shots.len()
        );
        Ok(shots)
    }
}
