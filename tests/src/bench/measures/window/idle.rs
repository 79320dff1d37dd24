//! The window when nothing happens.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::Result;

use crate::bench::{
    claim::{Bound, Claim},
    field::Field,
    measure::{Contender, Measure, Prepare, Reading, Unit},
    peers::window::{EMPTY, WINDOW, Window, check},
    stage::Stage,
};

pub(super) const MEASURE: Measure = Measure {
    name: "idle",
    title: "processor time of an open window in which nothing happens, of one processor",
    unit: Unit::Share,
    claims: &[Claim::Median { of: WINDOW, bound: Bound::AtMost(1.0) }],
    notes: &["Over ten seconds, ten seconds after it could be used, with the view's processes."],
    contenders: &[(WINDOW, WATCHED), (EMPTY, WATCHED)],
};

const WATCHED: Prepare = |name, field: &Field| {
    check(name)?;
    Ok(Box::new(Idle { name, home: field.ground.home().to_owned() }))
};

/// Probes of the machine have ended until then.
const SETTLE: Duration = Duration::from_secs(10);
const SPAN: Duration = Duration::from_secs(10);

struct Idle {
    name: &'static str,
    home: PathBuf,
}

impl Contender for Idle {
    fn is_slow(&self) -> bool {
        true
    }

    fn trial(&mut self, _: &Stage) -> Result<Vec<Reading>> {
        let window = Window::open(self.name, &self.home)?;
        std::thread::sleep(SETTLE);
        let (begin, before) = (Instant::now(), window.processor_time());
        std::thread::sleep(SPAN);
        let busy = window.processor_time().saturating_sub(before);
        let share = 100.0 * busy as f64 / begin.elapsed().as_nanos() as f64;
        window.close()?;
        Ok(vec![(self.name, share)])
    }
}
