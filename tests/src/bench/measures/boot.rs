//! The micro profile beside a distribution's way of booting the same root.

use std::rc::Rc;

use anyhow::Result;
use tandem_probe::{now, wait_for_first_response};

use crate::bench::{
    claim::{Bound, Claim},
    field::Field,
    ground::IMAGE,
    measure::{Contender, Measure, Prepare, Reading, Unit},
    peers::{Engine, GENERIC, Generic, Running, patient, phases},
    stage::Stage,
};

pub(super) const MEASURE: Measure = Measure {
    name: "boot",
    title: "the same root booted by `vm` and by a bzImage with Debian's initial RAM disk",
    unit: Unit::Time,
    claims: &[
        Claim::Ratio { above: GENERIC, below: VM, bound: Bound::AtLeast(1.5) },
        Claim::Ratio { above: GENERIC_USER, below: VM_USER, bound: Bound::AtLeast(2.0) },
    ],
    notes: &[
        "generic: Debian's cloud kernel as a bzImage with the initial RAM disk that its package \
         makes for any machine, started by hand on a copy of our disk, with the same size and \
         processor, under TCG, with Debian's own kernel command line. No supervisor.",
        "The first line of each: from the command to the first 200. The second (-user): from the \
         moment when the processors run to the execution of the app, told by the guest at a \
         port of QEMU's; firmware, unpacking of the kernel and initial RAM disk are in it.",
    ],
    contenders: &[(VM, OURS), (GENERIC, THEIRS)],
};

const VM: &str = "vm";
const VM_USER: &str = "vm-user";
const GENERIC_USER: &str = "generic-user";

const OURS: Prepare = |name, field: &Field| Ok(Box::new(Micro(field.engine(name)?)));

const THEIRS: Prepare =
    |_, field: &Field| Ok(Box::new(Distribution(Generic::prepare(&field.ground, &field.same()?)?)));

const MACHINE: &str = "bench-boot";

struct Micro(Rc<dyn Engine>);

impl Contender for Micro {
    fn is_slow(&self) -> bool {
        true
    }

    fn trial(&mut self, stage: &Stage) -> Result<Vec<Reading>> {
        let (publish, address) = self.0.publish()?;
        let begin = now();
        let running = Running::start(&*self.0, MACHINE, &["-p", &publish, IMAGE])?;
        let first = stage.runtime.block_on(wait_for_first_response(address, "/", patient()))?;
        let phases = phases(&*self.0, MACHINE)?;
        running.end()?;
        let ours = ["firmware", "kernel", "userspace"];
        let user = phases.iter().filter(|(name, _)| ours.contains(&&***name));
        Ok(vec![
            (VM, first.at.since(begin) as f64),
            (VM_USER, user.map(|(_, length)| length).sum()),
        ])
    }
}

struct Distribution(Generic);

impl Contender for Distribution {
    fn is_slow(&self) -> bool {
        true
    }

    fn trial(&mut self, stage: &Stage) -> Result<Vec<Reading>> {
        let (mut hand, address) = self.0.start()?;
        let begin = hand.go()?;
        let user = hand.mark()?;
        let first = stage.runtime.block_on(wait_for_first_response(address, "/", patient()))?;
        Ok(vec![
            (GENERIC, first.at.since(hand.started) as f64),
            (GENERIC_USER, user.since(begin) as f64),
        ])
    }
}
