//! Live charts for a long time.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};

use crate::bench::{
    claim::{Bound, Claim},
    field::Field,
    measure::{Contender, Measure, Prepare, Reading, Unit},
    peers::window::{SOON, WINDOW, Window, check},
    stage::Stage,
};

pub(super) const MEASURE: Measure = Measure {
    name: "live",
    title: "proportional set size of the window while charts are drawn some ten times a second",
    unit: Unit::Memory,
    claims: &[Claim::Ratio { above: LATE, below: EARLY, bound: Bound::AtMost(1.05) }],
    notes: &[
        "A comparison of hello-flask as a container and as a plain process goes on all the time \
         (--live-seconds, 600 with --slow). The memory is read once a second: early in the \
         second quarter of that time, late in the last. The first quarter warms up.",
    ],
    contenders: &[(WINDOW, DRAWING)],
};

const EARLY: &str = "early";
const LATE: &str = "late";

const DRAWING: Prepare = |name, field: &Field| {
    check(name)?;
    Ok(Box::new(Live { home: field.ground.home().to_owned(), span: field.live }))
};

/// Frames a second that are the least which counts as live charts.
const LEAST_RATE: f64 = 5.0;

/// Chooses lanes that start quickly and as many trials as there may be.
const CHOOSE: &str = "
    const one = (id) => document.querySelector(`[data-testid=${id}]`);
    const set = (id, wanted) => { if (one(id).checked !== wanted) one(id).click(); };
    set('option-lane-container', true); set('option-lane-process', true);
    set('option-lane-vm', false); set('option-keep', false);
    const trials = one('option-trials');
    trials.value = trials.max;
    trials.dispatchEvent(new Event('input', { bubbles: true }));";

/// Counts how often the race is drawn anew.
const COUNT: &str = "
    window.frames_drawn = 0;
    const area = document.querySelector('main');
    new MutationObserver((all) => {
        const race = document.querySelector('[data-testid=lab-race-chart]');
        if (race && all.some((one) => race.contains(one.target))) window.frames_drawn += 1;
    }).observe(area, { childList: true, subtree: true, characterData: true, attributes: true });";

const STAGE: &str = "document.querySelector('[data-testid=lab-status]').dataset.stage";

struct Live {
    home: PathBuf,
    span: Duration,
}

impl Contender for Live {
    fn is_slow(&self) -> bool {
        true
    }

    fn trial(&mut self, stage: &Stage) -> Result<Vec<Reading>> {
        let window = Window::open(WINDOW, &self.home)?;
        let desktop = &window.desktop;
        desktop.click("lab-options")?;
        desktop.wait("option-trials", SOON)?;
        desktop.script(CHOOSE)?;
        desktop.click("lab-options")?;
        desktop.click("lab-launch")?;
        let racing = format!("return {STAGE} === 'racing'");
        window.wait("the first launch", &racing, Duration::from_mins(3))?;
        desktop.script(COUNT)?;
        let (begin, mut readings) = (Instant::now(), Vec::new());
        while begin.elapsed() < self.span && !stage.is_interrupted() {
            std::thread::sleep(Duration::from_secs(1));
            let quarter = 4.0 * begin.elapsed().as_secs_f64() / self.span.as_secs_f64();
            match quarter {
                1.0..2.0 => readings.push((EARLY, window.memory()?)),
                3.0..4.0 => readings.push((LATE, window.memory()?)),
                _ => {}
            }
            // A hundred trials are over before ten minutes are.
            desktop.script(&format!(
                "if ({STAGE} === 'finished') document.querySelector('[data-testid=lab-launch]').click()"
            ))?;
        }
        let drawn = desktop.script("return window.frames_drawn")?.as_f64().unwrap_or_default();
        let rate = drawn / begin.elapsed().as_secs_f64();
        // Closing cancels the comparison and cleans up.
        window.close()?;
        ensure!(rate >= LEAST_RATE, "the charts were drawn only {rate:.1} times a second");
        Ok(readings)
    }
}
