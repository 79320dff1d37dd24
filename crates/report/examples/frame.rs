//! How long a frame of a live chart takes: `cargo run --release -p
//! tandem-report --example frame`. A note for those who change the charts; no
//! test asserts a time.

use std::{hint::black_box, time::Instant};

use tandem_model::TrialPhase;
use tandem_report::{
    LaneSeries, RaceData, RaceLane, RaceState, Size, Theme, cpu_chart, memory_chart, race_chart,
};

const FRAMES: u32 = 500;

#[expect(clippy::print_stdout, reason = "the figures are what the example is for")]
fn time(name: &str, mut frame: impl FnMut() -> usize) {
    black_box(frame());
    let start = Instant::now();
    let bytes = (0..FRAMES).map(|_| black_box(frame())).max().unwrap_or(0);
    println!(
        "{name}: {:.3} ms a frame, {bytes} bytes",
        start.elapsed().as_secs_f64() * 1e3 / f64::from(FRAMES)
    );
}

fn main() {
    let ids = ["container", "vm/micro", "process", "container#2"];
    let phases =
        ["disk", "spawn", "kernel", "userspace", "app"].iter().zip(0_u64..).map(|(name, at)| {
            TrialPhase {
                name: (*name).into(),
                start_ns: at * 1_000_000_000,
                end_ns: (at + 1) * 1_000_000_000,
            }
        });
    let phases: Vec<TrialPhase> = phases.collect();
    let lanes = ids.iter().map(|id| RaceLane {
        id: (*id).into(),
        accelerator: None,
        state: RaceState::Running { phases: phases.clone(), elapsed_ns: 6e9 },
    });
    let race = RaceData {
        title: "A race".into(),
        note: "a note".into(),
        lanes: lanes.collect(),
        expected_ns: None,
    };
    // An hour at ten samples a second.
    let series = ids.map(|lane| LaneSeries {
        lane: lane.into(),
        accelerator: None,
        points: (0..36_000)
            .map(|i| [f64::from(i) * 1e8, f64::from(i * 7919 % 1000) / 1000.0])
            .collect(),
        first_response_ns: Some(8e9),
    });
    let size = Size { width: 1440, height: 300 };
    time("race, 4 lanes", || race_chart(&race, size, Theme::Light).svg.len());
    time("processor, 4 lanes of 36,000 samples", || {
        cpu_chart(&series, size, Theme::Light).svg.len()
    });
    time("memory, 4 lanes of 36,000 samples", || {
        memory_chart(&series, size, Theme::Dark).svg.len()
    });
}
