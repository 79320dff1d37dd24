//! The pictures as they are, byte for byte. `UPDATE_GOLDEN=1` rewrites them;
//! look at what changed before committing it.

use std::{env, fs, path::PathBuf};

use tandem_model::TrialPhase;
use tandem_report::{
    Chart, RaceData, RaceLane, RaceState, Size, Theme, from_result, race_chart, race_of,
};

use crate::{common, experiments};

fn check(name: &str, chart: &Chart) {
    let path =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}.svg"));
    if env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &chart.svg).unwrap();
        return;
    }
    let golden = fs::read_to_string(&path)
        .unwrap_or_else(|e| panic!("{}: {e}; UPDATE_GOLDEN=1 writes it", path.display()));
    if let Some((line, (old, new))) =
        golden.lines().zip(chart.svg.lines()).enumerate().find(|(_, (old, new))| old != new)
    {
        panic!("{name}: line {} is\n{new}\nand was\n{old}\nUPDATE_GOLDEN=1 accepts it", line + 1);
    }
    assert_eq!(golden.len(), chart.svg.len(), "{name}: one has more lines");
}

#[test]
fn charts_of_a_result() {
    let document = common::document();
    for theme in Theme::ALL {
        for width in [1440, 900, 500] {
            for named in from_result(&document, Size::wide(width), theme) {
                // One width suffices for the second theme: only colours change.
                if theme == Theme::Light || width == 900 {
                    check(&format!("{}-{width}-{}", named.name, theme.as_str()), &named.chart);
                }
            }
        }
    }
}

#[test]
fn charts_of_experiments() {
    for document in experiments::experiments() {
        for (width, theme) in [(900, Theme::Light), (900, Theme::Dark), (400, Theme::Light)] {
            let charts = from_result(&document, Size::wide(width), theme);
            assert!(!charts.is_empty(), "{} has no picture", document.experiment);
            for named in charts {
                let name = format!("{}-{}", document.experiment, named.name);
                check(&format!("{name}-{width}-{}", theme.as_str()), &named.chart);
            }
        }
    }
}

fn phase(name: &str, start_ns: u64, end_ns: u64) -> TrialPhase {
    TrialPhase { name: name.into(), start_ns, end_ns }
}

fn live() -> RaceData {
    let mut data = race_of(&common::document());
    data.note = "trial 1 of 10".into();
    data.expected_ns = Some(8e9);
    data.lanes[1].state = RaceState::Running {
        phases: vec![
            phase("disk", 0, 50_000_000),
            phase("spawn", 50_000_000, 130_000_000),
            phase("kernel", 130_000_000, 2_540_000_000),
        ],
        elapsed_ns: 3.2e9,
    };
    data.lanes.push(RaceLane {
        id: "process".into(),
        accelerator: None,
        state: RaceState::Waiting,
    });
    data
}

fn troubled() -> RaceData {
    let mut data = race_of(&common::document());
    let vm = &mut data.lanes[1].state;
    *vm = RaceState::Unavailable {
        reason:
            "QEMU is not installed: qemu-system-x86_64 was not found on PATH; install the package \
                 qemu-system-x86 and try again"
                .into(),
    };
    data.lanes.push(RaceLane {
        id: "container#2".into(),
        accelerator: None,
        state: RaceState::Failed { reason: "exit code 1: <script>alert(1)</script>".into() },
    });
    data
}

#[test]
fn race_while_it_runs() {
    check("race-live-900-light", &race_chart(&live(), Size::wide(900), Theme::Light));
    check("race-live-500-dark", &race_chart(&live(), Size::wide(500), Theme::Dark));
}

#[test]
fn race_with_lanes_that_cannot_run() {
    check("race-troubled-900-light", &race_chart(&troubled(), Size::wide(900), Theme::Light));
    check("race-troubled-500-dark", &race_chart(&troubled(), Size::wide(500), Theme::Dark));
}
