//! From one page to the next.

use std::path::PathBuf;

use anyhow::{Result, ensure};

use crate::bench::{
    claim::{Bound, Claim},
    field::Field,
    measure::{Contender, Measure, Prepare, Reading, Unit},
    peers::window::{SOON, WINDOW, Window, check},
    stage::Stage,
};

pub(super) const MEASURE: Measure = Measure {
    name: "pages",
    title: "from the click on a page's name to the frame that shows what is on it",
    unit: Unit::Time,
    claims: &[Claim::Each { of: PAGE, bound: Bound::AtMost(100e6) }],
    notes: &[
        "Each trial visits all eight pages three times; the first visit, which asks the machine \
         and reads files, does not count.",
    ],
    contenders: &[(WINDOW, VISITING)],
};

const PAGE: &str = "page";

const VISITING: Prepare = |name, field: &Field| {
    check(name)?;
    Ok(Box::new(Visiting { home: field.ground.home().to_owned() }))
};

/// Pages in an order in which neighbours differ, each with what is on it.
const PAGES: [(&str, &str); 8] = [
    ("workbench", "[data-testid=project-folder], main h1, main h2"),
    ("images", "[data-testid^=image-row-]"),
    ("experiments", "[data-testid=experiment-card-startup]"),
    ("lessons", "[data-testid^=lesson-card-]"),
    ("results", "[data-testid=results-list], [data-testid=results-empty]"),
    ("doctor", "[data-testid^=doctor-item-]"),
    ("settings", "[data-testid=settings-theme]"),
    ("lab", "[data-testid=lab-launch]"),
];

/// Hands over how long each took, in milliseconds.
const VISIT: &str = "
    const pages = PAGES, done = arguments[0];
    const frame = () => new Promise(requestAnimationFrame);
    (async () => {
        const times = [];
        for (const [page, shown] of pages) {
            const begin = performance.now();
            document.querySelector(`[data-testid=nav-${page}]`).click();
            const there = () => document.querySelector(`[data-testid=nav-${page}][aria-current]`)
                && document.querySelector(shown);
            do await frame(); while (!there());
            // What was there at that frame's beginning is on the screen at its end.
            await frame();
            times.push(performance.now() - begin);
        }
        done(times);
    })();";

struct Visiting {
    home: PathBuf,
}

impl Contender for Visiting {
    fn is_slow(&self) -> bool {
        true
    }

    fn trial(&mut self, _: &Stage) -> Result<Vec<Reading>> {
        let window = Window::open(WINDOW, &self.home)?;
        let all: Vec<String> =
            PAGES.iter().map(|(page, shown)| format!("['{page}', '{shown}']")).collect();
        let script = VISIT.replace("PAGES", &format!("[{}]", all.join(", ")));
        // The doctor's probes take a while, once.
        for (page, shown) in PAGES {
            window.desktop.click(&format!("nav-{page}"))?;
            window.wait(page, &format!("return !!document.querySelector('{shown}')"), 2 * SOON)?;
        }
        let mut readings = Vec::new();
        for _ in 0..2 {
            let times = window.numbers(&script)?;
            ensure!(times.len() == PAGES.len(), "{times:?}");
            for ((page, _), ms) in PAGES.iter().zip(times) {
                readings.extend([(PAGE, ms * 1e6), (page, ms * 1e6)]);
            }
        }
        window.close()?;
        Ok(readings)
    }
}
