//! `update --memory` of a running container.

use std::rc::Rc;

use anyhow::Result;

use crate::bench::{
    claim::{Bound, Claim},
    field::Field,
    ground::IMAGE,
    measure::{Contender, Measure, Prepare, Reading, Unit},
    peers::{DOCKER, Engine, Running},
    stage::Stage,
};

pub(super) const MEASURE: Measure = Measure {
    name: "update",
    title: "`update --memory` of a running container",
    unit: Unit::Time,
    claims: &[Claim::Ratio { above: DOCKER, below: "container", bound: Bound::AtLeast(5.0) }],
    notes: &["Both answer when the kernel has taken the new limit; ours also reads it back."],
    contenders: &[("container", ENGINE), (DOCKER, ENGINE)],
};

const ENGINE: Prepare =
    |name, field: &Field| Ok(Box::new(Updates { name, engine: field.engine(name)? }));

const CONTAINER: &str = "bench-update";

/// Limits to change to, one after the other.
pub(super) const LIMITS: [&str; 4] = ["224m", "256m", "240m", "272m"];

struct Updates {
    name: &'static str,
    engine: Rc<dyn Engine>,
}

impl Contender for Updates {
    fn is_slow(&self) -> bool {
        true
    }

    fn trial(&mut self, stage: &Stage) -> Result<Vec<Reading>> {
        let words = ["--memory", "256m", "--entrypoint", "sleep", IMAGE, "600"];
        let running = Running::start(&*self.engine, CONTAINER, &words)?;
        let mut readings = Vec::new();
        for limit in LIMITS {
            let command = self.engine.command(&["update", "--memory", limit, CONTAINER]);
            readings.push((self.name, stage.time(command)?));
        }
        running.end()?;
        Ok(readings)
    }
}
