//! A live chart is drawn.

use std::hint::black_box;

use anyhow::{Result, ensure};
use tandem_probe::now;
use tandem_report::{LaneSeries, Size, Theme, memory_chart};

use crate::bench::{
    claim::{Bound, Claim},
    measure::{Contender, Measure, Reading, Unit},
    stage::Stage,
};

pub(super) const MEASURE: Measure = Measure {
    name: "frame",
    title: "a frame of a chart of lines with 10,000 points, drawn and packed for the page",
    unit: Unit::Time,
    claims: &[Claim::Median { of: CHART, bound: Bound::AtMost(8e6) }],
    notes: &[
        "Memory of two lanes over time with 5,000 samples each, 900 by 260 pixels: the SVG, its \
         scales and its table as JSON. Every frame has other values.",
    ],
    contenders: &[(CHART, |_, _| Ok(Box::new(Frames { number: 0 })))],
};

const CHART: &str = "chart";

/// Samples of each lane.
const POINTS: u32 = 5_000;

/// Frames in a trial.
const FRAMES: u32 = 10;

struct Frames {
    number: u32,
}

impl Contender for Frames {
    fn trial(&mut self, _: &Stage) -> Result<Vec<Reading>> {
        let mut readings = Vec::new();
        for _ in 0..FRAMES {
            self.number += 1;
            let series = [lane("container", self.number, 4e7), lane("vm/micro", self.number, 2e8)];
            let begin = now();
            let chart = memory_chart(&series, Size { width: 900, height: 260 }, Theme::Light);
            let packed = serde_json::to_string(black_box(&chart))?;
            let elapsed = now().since(begin);
            ensure!(packed.len() > 10_000, "the chart is empty: {packed}");
            readings.push((CHART, elapsed as f64));
        }
        Ok(readings)
    }
}

/// Samples that jump about, so that no column of pixels is alike.
fn lane(name: &str, seed: u32, scale: f64) -> LaneSeries {
    let mut state = u64::from(seed) * 2 + 1;
    let points = (0..POINTS).map(|at| {
        // A linear congruential generator (Knuth's MMIX) is random enough.
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let share = f64::from(u32::try_from(state >> 40).unwrap_or_default()) / f64::from(1 << 24);
        [f64::from(at) * 1e6, scale * (0.5 + share / 2.0)]
    });
    let points = points.collect();
    LaneSeries {
        lane: name.to_owned(),
        points,
        first_response_ns: Some(1e9),
        ..LaneSeries::default()
    }
}
