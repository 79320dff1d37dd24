//! A saved state comes back: ours, and as plain QEMU does it.

use std::rc::Rc;

use anyhow::{Context as _, Result};
use tandem_probe::{now, wait_for_first_response};

use super::template::FROM_TEMPLATE;
use crate::bench::{
    claim::{Bound, Claim},
    field::Field,
    ground::IMAGE,
    measure::{Contender, Measure, Prepare, Reading, Unit},
    peers::{Engine, LOADVM, Running, SavedMachine, patient, phases},
    stage::Stage,
};

pub(super) const MEASURE: Measure = Measure {
    name: "restore",
    title: "the state of a booted hello-flask comes back, until the processors run",
    unit: Unit::Time,
    claims: &[Claim::Ratio { above: LOADVM, below: TEMPLATE, bound: Bound::AtLeast(2.0) }],
    notes: &[
        "loadvm: a QEMU started by hand, the same machine, kernel, disk and app, saved with \
         `savevm` and brought back with `loadvm` and `cont`. template: our restore, with the \
         guest's new identity, name and time in it.",
        "Both from the moment when QEMU's monitor answers. The lines -process count from the \
         start of the QEMU process.",
    ],
    contenders: &[(TEMPLATE, OURS), (LOADVM, THEIRS)],
};

const TEMPLATE: &str = "template";

const OURS: Prepare = |_, field: &Field| Ok(Box::new(Ours(field.engine("vm")?)));

const THEIRS: Prepare =
    |_, field: &Field| Ok(Box::new(Theirs(SavedMachine::prepare(&field.ground, field.same()?)?)));

const MACHINE: &str = "bench-restore";

struct Ours(Rc<dyn Engine>);

impl Contender for Ours {
    fn is_slow(&self) -> bool {
        true
    }

    fn trial(&mut self, stage: &Stage) -> Result<Vec<Reading>> {
        let (publish, address) = self.0.publish()?;
        let words = [FROM_TEMPLATE, &["-p", &publish, IMAGE]].concat();
        let running = Running::start(&*self.0, MACHINE, &words)?;
        stage.runtime.block_on(wait_for_first_response(address, "/", patient()))?;
        let phases = phases(&*self.0, MACHINE)?;
        running.end()?;
        let length = |name: &str| {
            phases
                .get(name)
                .copied()
                .with_context(|| format!("it has no phase `{name}`: {phases:?}"))
        };
        let state = length("restore")? + length("resume")?;
        Ok(vec![(TEMPLATE, state), ("template-process", length("spawn")? + state)])
    }
}

struct Theirs(SavedMachine);

impl Contender for Theirs {
    fn is_slow(&self) -> bool {
        true
    }

    fn trial(&mut self, stage: &Stage) -> Result<Vec<Reading>> {
        self.0.save(stage)?;
        let (mut hand, address) = self.0.start()?;
        let begin = now();
        hand.say("loadvm booted")?;
        let running = hand.go()?;
        stage.runtime.block_on(wait_for_first_response(address, "/", patient()))?;
        Ok(vec![
            (LOADVM, running.since(begin) as f64),
            ("loadvm-process", running.since(hand.started) as f64),
        ])
    }
}
