//! From the program's start to a window that can be used.

use std::path::PathBuf;

use anyhow::Result;

use crate::bench::{
    claim::{Bound, Claim},
    field::Field,
    measure::{Contender, Measure, Prepare, Reading, Unit},
    peers::window::{EMPTY, WINDOW, Window, check},
    stage::Stage,
};

pub(super) const MEASURE: Measure = Measure {
    name: "window",
    title: "from the start of the program to a window that can be used",
    unit: Unit::Time,
    claims: &[Claim::Ratio { above: WINDOW, below: EMPTY, bound: Bound::AtMost(1.5) }],
    notes: &[
        "window: until the first frame in which something can be launched. empty: until the first \
         frame of a Tauri window with one word in it, built with the same toolkit and settings. \
         Each opens with folders of its own in which no view has been, on a virtual display.",
        "window's page, empty's page: until the page begins to load, which the toolkit takes.",
    ],
    contenders: &[(WINDOW, OPENING), (EMPTY, OPENING)],
};

/// What of it is over when the page begins to load.
const PAGE: &str = "window's page";
const EMPTY_PAGE: &str = "empty's page";

const OPENING: Prepare = |name, field: &Field| {
    check(name)?;
    Ok(Box::new(Opening { name, home: field.ground.home().to_owned() }))
};

struct Opening {
    name: &'static str,
    home: PathBuf,
}

impl Contender for Opening {
    fn is_slow(&self) -> bool {
        true
    }

    fn trial(&mut self, _: &Stage) -> Result<Vec<Reading>> {
        let window = Window::open(self.name, &self.home)?;
        let (page, after) = (window.page_after()?, window.usable_after()?);
        window.close()?;
        let toolkit = if self.name == EMPTY { EMPTY_PAGE } else { PAGE };
        Ok(vec![(self.name, after), (toolkit, page)])
    }
}
