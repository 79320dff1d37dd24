//! Memory of what stays beside one running container.

use std::{rc::Rc, time::Duration};

use anyhow::{Context as _, Result};
use tandem_probe::{ReadyOptions, pss_of, wait_for_first_response};

use crate::bench::{
    claim::{Bound, Claim},
    field::Field,
    ground::IMAGE,
    measure::{Contender, Measure, Prepare, Reading, Unit},
    peers::{DOCKER, Engine, Running},
    stage::Stage,
};

pub(super) const MEASURE: Measure = Measure {
    name: "resident",
    title: "proportional set size of what stays beside one running container",
    unit: Unit::Memory,
    claims: &[Claim::Ratio { above: DOCKER, below: "container", bound: Bound::AtLeast(5.0) }],
    notes: &[
        "Docker: containerd and its shim; dockerd and docker-proxy are not counted. Ours: the \
              supervisor, which is log writer and proxy too. Each with hello-flask published and \
              asked once.",
    ],
    contenders: &[("container", ENGINE), (DOCKER, ENGINE)],
};

const ENGINE: Prepare =
    |name, field: &Field| Ok(Box::new(Resident { name, engine: field.engine(name)? }));

const CONTAINER: &str = "bench-resident";

/// Until what a launch needed is given back.
const SETTLE: Duration = Duration::from_secs(1);

struct Resident {
    name: &'static str,
    engine: Rc<dyn Engine>,
}

impl Contender for Resident {
    fn is_slow(&self) -> bool {
        true
    }

    fn trial(&mut self, stage: &Stage) -> Result<Vec<Reading>> {
        let (publish, address) = self.engine.publish()?;
        let running = Running::start(&*self.engine, CONTAINER, &["-p", &publish, IMAGE])?;
        let ready = wait_for_first_response(address, "/", ReadyOptions::default());
        stage.runtime.block_on(ready)?;
        std::thread::sleep(SETTLE);
        let bytes = pss_of(&self.engine.keepers(CONTAINER)?).context("no PSS can be read")?;
        running.end()?;
        Ok(vec![(self.name, bytes as f64)])
    }
}
