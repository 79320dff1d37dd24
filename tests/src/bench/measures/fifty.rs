//! Whether the fiftieth container starts as quickly as the first.

use anyhow::Result;

use crate::bench::{
    claim::{Bound, Claim},
    ground::IMAGE,
    measure::{Contender, Measure, Reading, Unit},
    peers::{Engine as _, Running, Tandem},
    stage::Stage,
};

pub(super) const MEASURE: Measure = Measure {
    name: "fifty",
    title: "`run -d` to its end, as the first container and as the fiftieth",
    unit: Unit::Time,
    claims: &[Claim::Ratio { above: FIFTIETH, below: FIRST, bound: Bound::AtMost(1.3) }],
    notes: &[
        "Each trial starts one container five times with none beside it, then five times with \
              forty-nine that run.",
    ],
    contenders: &[("container", |name, field| {
        Ok(Box::new(Fifty(Tandem::new(&field.ground, name)?)))
    })],
};

const FIRST: &str = "first";
const FIFTIETH: &str = "fiftieth";

/// Starts of each kind in a trial.
const TIMES: usize = 5;

struct Fifty(Tandem);

const SLEEP: [&str; 4] = ["--entrypoint", "sleep", IMAGE, "3600"];

impl Fifty {
    fn starts(&self, stage: &Stage, who: &'static str) -> Result<Vec<Reading>> {
        const NAME: &str = "bench-fifty";
        (0..TIMES)
            .map(|_| {
                let words = [&["-d", "--name", NAME][..], &SLEEP].concat();
                let elapsed = stage.time(self.0.run_command(&words));
                self.0.call(&["rm", "-f", NAME])?;
                Ok((who, elapsed?))
            })
            .collect()
    }
}

impl Contender for Fifty {
    fn is_slow(&self) -> bool {
        true
    }

    fn trial(&mut self, stage: &Stage) -> Result<Vec<Reading>> {
        let mut readings = self.starts(stage, FIRST)?;
        let names: Vec<String> = (1..50).map(|number| format!("bench-fifty-{number}")).collect();
        let others = names
            .iter()
            .map(|name| Running::start(&self.0, name, &SLEEP))
            .collect::<Result<Vec<_>>>()?;
        readings.extend(self.starts(stage, FIFTIETH)?);
        others.into_iter().try_for_each(Running::end)?;
        Ok(readings)
    }
}
