//! Memory of four machines of one image.

use std::time::Duration;

use anyhow::{Context as _, Result};
use tandem_probe::{pss_of, wait_for_first_response};

use super::template::{FROM_TEMPLATE, Micro};
use crate::bench::{
    claim::{Bound, Claim},
    field::Field,
    measure::{Contender, Measure, Reading, Unit},
    peers::{Running, patient},
    stage::Stage,
};

pub(super) const MEASURE: Measure = Measure {
    name: "sharing",
    title: "proportional set size of four micro machines that run hello-flask",
    unit: Unit::Memory,
    claims: &[Claim::Ratio { above: TEMPLATE, below: COLD, bound: Bound::AtMost(0.7) }],
    notes: &[
        "QEMU and the supervisor of all four, a second after each has answered once. What they \
         share with one another is divided by those who share it.",
    ],
    contenders: &[
        (COLD, |name, field| prepared(name, &[], field)),
        (TEMPLATE, |name, field| prepared(name, FROM_TEMPLATE, field)),
    ],
};

const COLD: &str = "cold";
const TEMPLATE: &str = "template";

const NAMES: [&str; 4] = ["bench-one", "bench-two", "bench-three", "bench-four"];

/// Until what a launch needed is given back.
const SETTLE: Duration = Duration::from_secs(1);

fn prepared(
    name: &'static str,
    options: &'static [&'static str],
    field: &Field,
) -> Result<Box<dyn Contender>> {
    Ok(Box::new(Four { name, micro: Micro::new(options, field)? }))
}

struct Four {
    name: &'static str,
    micro: Micro,
}

impl Contender for Four {
    fn is_slow(&self) -> bool {
        true
    }

    fn trial(&mut self, stage: &Stage) -> Result<Vec<Reading>> {
        let mut machines = Vec::new();
        let mut processes = Vec::new();
        for name in NAMES {
            let (machine, address) = self.micro.start(name)?;
            machines.push(machine);
            stage.runtime.block_on(wait_for_first_response(address, "/", patient()))?;
            let record = self.micro.engine.call(&["inspect", name])?.json()?;
            let qemu = record[0]["runtime"]["process"]["pid"].as_u64();
            processes.push(qemu.context("our machine has no QEMU")?.try_into()?);
            processes.extend(self.micro.engine.keepers(name)?);
        }
        std::thread::sleep(SETTLE);
        let bytes = pss_of(&processes).context("no PSS can be read")?;
        machines.into_iter().try_for_each(Running::end)?;
        Ok(vec![(self.name, bytes as f64)])
    }
}
