//! A start from a template beside a boot.

use std::{net::SocketAddr, rc::Rc};

use anyhow::Result;
use tandem_probe::{get, now, wait_for_first_response};

use crate::bench::{
    claim::{Bound, Claim},
    field::Field,
    ground::IMAGE,
    measure::{Contender, Measure, Reading, Unit},
    peers::{Engine, Running, patient},
    stage::Stage,
};

pub(super) const MEASURE: Measure = Measure {
    name: "template",
    title: "hello-flask in a micro machine from the command to its first and tenth answer",
    unit: Unit::Time,
    claims: &[Claim::Ratio { above: COLD, below: TEMPLATE, bound: Bound::AtLeast(10.0) }],
    notes: &[
        "Ten requests one after the other; -tenth is the time from the command to the end of the \
         tenth. The template is made before anything is timed. Under TCG.",
    ],
    contenders: &[
        (COLD, |name, field| prepared(name, &[], field)),
        (TEMPLATE, |name, field| prepared(name, FROM_TEMPLATE, field)),
    ],
};

const COLD: &str = "cold";
const TEMPLATE: &str = "template";

/// What `run` is told for a start from the memory of the booted app.
pub(super) const FROM_TEMPLATE: &[&str] = &["--template", "auto"];

fn prepared(
    name: &'static str,
    options: &'static [&'static str],
    field: &Field,
) -> Result<Box<dyn Contender>> {
    Ok(Box::new(Start { name, micro: Micro::new(options, field)? }))
}

/// Micro machines of hello-flask, started in one way.
pub(super) struct Micro {
    options: &'static [&'static str],
    pub(super) engine: Rc<dyn Engine>,
}

impl Micro {
    pub(super) fn new(options: &'static [&'static str], field: &Field) -> Result<Self> {
        Ok(Self { options, engine: field.engine("vm")? })
    }

    /// One of this name, and where it will answer.
    pub(super) fn start<'a>(&'a self, name: &'a str) -> Result<(Running<'a>, SocketAddr)> {
        let (publish, address) = self.engine.publish()?;
        let words = [self.options, &["-p", &publish, IMAGE]].concat();
        Ok((Running::start(&*self.engine, name, &words)?, address))
    }
}

struct Start {
    name: &'static str,
    micro: Micro,
}

impl Contender for Start {
    fn is_slow(&self) -> bool {
        true
    }

    fn trial(&mut self, stage: &Stage) -> Result<Vec<Reading>> {
        let begin = now();
        let (running, address) = self.micro.start("bench-template")?;
        let (first, tenth) = stage.runtime.block_on(async {
            let first = wait_for_first_response(address, "/", patient()).await?.at;
            for _ in 1..10 {
                let body = get(address, "/", patient().limit).await?;
                anyhow::ensure!(body.status == 200, "it answered with status {}", body.status);
            }
            Ok((first, now()))
        })?;
        running.end()?;
        let tenth_name = if self.name == COLD { "cold-tenth" } else { "template-tenth" };
        Ok(vec![(self.name, first.since(begin) as f64), (tenth_name, tenth.since(begin) as f64)])
    }
}
