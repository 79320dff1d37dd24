//! `run --rm IMAGE true`: everything that a container costs beside its app.

use std::rc::Rc;

use anyhow::Result;

use crate::bench::{
    claim::{Bound, Claim},
    field::Field,
    ground::IMAGE,
    measure::{Contender, Measure, Prepare, Reading, Unit},
    peers::{BareRunc, DOCKER, Engine, PODMAN},
    stage::Stage,
};

pub(super) const MEASURE: Measure = Measure {
    name: "run",
    title: "`run --rm IMAGE true` to its end",
    unit: Unit::Time,
    claims: &[
        Claim::Ratio { above: DOCKER, below: "container", bound: Bound::AtLeast(10.0) },
        Claim::Ratio { above: PODMAN, below: "container", bound: Bound::AtLeast(4.0) },
        Claim::Ratio { above: ALONE, below: "runc", bound: Bound::AtMost(1.2) },
    ],
    notes: &[
        "Docker, Podman and container: each with its defaults, the bridge network among them.",
        "container-alone has --network none. runc runs container-alone's own bundle: the same \
         namespaces, capabilities, limits, mounts and masked paths, Docker's system call filter, \
         and an overlay of the same layers that is mounted and taken away within the time. It \
         keeps no record, log or supervisor.",
    ],
    contenders: &[
        ("container", ENGINE),
        (ALONE, |name, field| Ok(engine(name, &["--network", "none"], field.engine("container")?))),
        (DOCKER, ENGINE),
        (PODMAN, ENGINE),
        ("runc", |name, field| {
            let (docker, folder) = (field.docker()?, field.folder(name)?);
            Ok(Box::new(BareRunc::prepare(name, &field.ground, &docker, folder)?))
        }),
    ],
};

const ALONE: &str = "container-alone";

const ENGINE: Prepare = |name, field: &Field| Ok(engine(name, &[], field.engine(name)?));

fn engine(
    name: &'static str,
    options: &'static [&'static str],
    engine: Rc<dyn Engine>,
) -> Box<dyn Contender> {
    Box::new(RunTrue { name, options, engine })
}

struct RunTrue {
    name: &'static str,
    options: &'static [&'static str],
    engine: Rc<dyn Engine>,
}

impl Contender for RunTrue {
    fn trial(&mut self, stage: &Stage) -> Result<Vec<Reading>> {
        let words = [&["--rm"], self.options, &["--entrypoint", "true", IMAGE]].concat();
        Ok(vec![(self.name, stage.time(self.engine.run_command(&words))?)])
    }
}
