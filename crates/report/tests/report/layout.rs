//! At no size, with no data, does text leave the picture or lie on other
//! text.

use proptest::prelude::*;
use tandem_model::{Accelerator, TrialPhase, Unit};
use tandem_report::{
    Amounts, Chart, Count, LaneAmount, LaneLedger, LaneLoad, LaneSeries, LaneTrials, MarkOf,
    MatrixLane, RaceData, RaceLane, RaceState, Size, Theme, bars_chart, cpu_chart,
    distribution_chart, dots_chart, from_result, ledger_chart, matrix_chart, memory_chart,
    race_chart, timeline_chart,
};

use crate::{common, experiments};

struct Text {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
    words: String,
}

fn attribute<'a>(element: &'a str, name: &str) -> Option<&'a str> {
    let from = element.find(&format!(" {name}=\""))? + name.len() + 3;
    element[from..].split('"').next()
}

fn number(element: &str, name: &str) -> f64 {
    attribute(element, name).unwrap().parse().unwrap()
}

/// The texts of a picture with the boxes that a narrow face gives them: each
/// character half an em wide or less, so that what is reported as an overlap is one.
fn texts(svg: &str) -> Vec<Text> {
    let elements = svg.split("<text").skip(1).map(|rest| rest.split("</text>").next().unwrap());
    elements
        .map(|element| {
            let words =
                element.split_once('>').unwrap().1.replace("&#39;", "'").replace("&lt;", "<");
            let size = number(element, "font-size");
            let narrow = |c: char| "fijlrt .,:;'|!()".contains(c);
            let width: f64 = words.chars().map(|c| size * if narrow(c) { 0.25 } else { 0.5 }).sum();
            let x = number(element, "x");
            let left = match attribute(element, "text-anchor") {
                Some("middle") => x - width / 2.0,
                Some("end") => x - width,
                _ => x,
            };
            let baseline = number(element, "y");
            Text { left, right: left + width, top: baseline - size * 0.7, bottom: baseline, words }
        })
        .collect()
}

fn assert_tidy(chart: &Chart) {
    let texts = texts(&chart.svg);
    let (width, height) = (chart.scales.width, chart.scales.height);
    for (at, one) in texts.iter().enumerate() {
        assert!(
            one.left >= -1.0 && one.right <= width + 1.0 && one.top >= 0.0 && one.bottom <= height,
            "`{}` leaves the picture of {width} × {height}:\n{}",
            one.words,
            chart.svg
        );
        for other in &texts[..at] {
            let apart = one.left >= other.right
                || other.left >= one.right
                || one.top >= other.bottom
                || other.top >= one.bottom;
            assert!(apart, "`{}` lies on `{}`:\n{}", one.words, other.words, chart.svg);
        }
    }
    for panel in &chart.scales.panels {
        let plot = panel.plot;
        assert!(plot.width > 0.0 && plot.height > 0.0 && plot.x >= 0.0, "{plot:?}");
        assert!(plot.x + plot.width <= width && plot.y + plot.height <= height, "{plot:?}");
        assert!(panel.x.domain[0] < panel.x.domain[1], "{:?}", panel.x);
    }
    for row in &chart.table.rows {
        assert_eq!(row.len(), chart.table.header.len());
    }
    assert!(!chart.svg.contains("style=") && !chart.svg.contains("<style"));
    assert!(!chart.svg.contains("=\"NaN") && !chart.svg.contains("=\"inf"), "{}", chart.svg);
}

fn phases() -> impl Strategy<Value = Vec<TrialPhase>> {
    let name = prop::sample::select(vec![
        "rootfs",
        "network",
        "create",
        "disk",
        "spawn",
        "kernel",
        "userspace",
        "app",
        "a long name",
    ]);
    prop::collection::vec((name, 0..3_000_000_000_u64, 0..5_u32), 0..8).prop_map(|parts| {
        let mut at = 0;
        let phases = parts.into_iter().map(|(name, length, divide)| {
            let length = length / 30_u64.pow(divide);
            at += length;
            TrialPhase { name: name.into(), start_ns: at - length, end_ns: at }
        });
        phases.collect()
    })
}

fn state() -> impl Strategy<Value = RaceState> {
    prop_oneof![
        Just(RaceState::Waiting),
        (phases(), 0.0..2e9_f64).prop_map(|(phases, more)| {
            let elapsed_ns = phases.last().map_or(0.0, |phase| phase.end_ns as f64) + more;
            RaceState::Running { phases, elapsed_ns }
        }),
        (phases(), 0.0..0.2_f64, 1..30_u32).prop_map(|(phases, spread, n)| {
            let median_ns = phases.last().map_or(1e6, |phase| phase.end_ns as f64);
            let ci95 = (n > 2).then_some([median_ns * (1.0 - spread), median_ns * (1.0 + spread)]);
            RaceState::Finished { phases, median_ns, ci95, n }
        }),
        "[a-z ]{0,200}".prop_map(|reason| RaceState::Unavailable { reason }),
        any::<String>().prop_map(|reason| RaceState::Failed { reason }),
    ]
}

fn id() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "container",
        "vm/micro",
        "process",
        "container#2",
        "vm/micro@kvm",
        "not a lane at all but a long name",
    ])
    .prop_map(str::to_owned)
}

fn accelerator() -> impl Strategy<Value = Option<Accelerator>> {
    prop::sample::select(vec![None, Some(Accelerator::Kvm), Some(Accelerator::Tcg)])
}

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.0), Just(f64::NAN), 1e-9..1e13_f64]
}

fn size() -> impl Strategy<Value = Size> {
    (0..1600_u32, 0..900_u32).prop_map(|(width, height)| Size { width, height })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_race_is_tidy(lanes in prop::collection::vec((id(), accelerator(), state()), 0..6), size in size()) {
        let lanes = lanes.into_iter().map(|(id, accelerator, state)| RaceLane { id, accelerator, state });
        let data = RaceData {
            title: "From the request to the first answer".into(),
            note: "median of 10 · whiskers: 95 % interval".into(),
            lanes: lanes.collect(),
            expected_ns: None,
        };
        assert_tidy(&race_chart(&data, size, Theme::Light));
    }

    #[test]
    fn lines_are_tidy(
        lanes in prop::collection::vec((id(), accelerator(), prop::collection::vec(0.0..3.0_f64, 0..60)), 0..4),
        size in size(),
        step in 1e6..1e10_f64,
    ) {
        let series: Vec<LaneSeries> = lanes
            .into_iter()
            .map(|(lane, accelerator, values)| LaneSeries {
                lane,
                accelerator,
                first_response_ns: (values.len() > 5).then_some(step * 3.0),
                points: values.into_iter().enumerate().map(|(at, v)| [at as f64 * step, v]).collect(),
            })
            .collect();
        assert_tidy(&cpu_chart(&series, size, Theme::Dark));
        let bytes: Vec<LaneSeries> = series
            .into_iter()
            .map(|mut lane| { lane.points.iter_mut().for_each(|point| point[1] *= 3e8); lane })
            .collect();
        assert_tidy(&memory_chart(&bytes, size, Theme::Dark));
    }

    #[test]
    fn ledgers_are_tidy(
        lanes in prop::collection::vec((id(), prop::collection::vec(("[a-z ]{1,40}", 0..1_u64 << 33), 0..7)), 0..4),
        size in size(),
    ) {
        let ledgers: Vec<LaneLedger> = lanes
            .into_iter()
            .map(|(lane, entries)| {
                let mut found = LaneLedger { lane, ..LaneLedger::default() };
                for (name, bytes) in entries {
                    found.ledger.push(name, bytes);
                }
                found
            })
            .collect();
        assert_tidy(&ledger_chart("Where the memory went", &ledgers, size, Theme::Light));
    }

    #[test]
    fn amounts_are_tidy(
        groups in prop::collection::vec(("[a-z ]{0,60}", prop::collection::vec((id(), value(), value(), 0..9_u32), 1..5)), 0..4),
        size in size(),
    ) {
        let of = |(lane, median, far, n): (String, f64, f64, u32)| LaneAmount {
            lane, accelerator: None, median, ci95: [median.min(far), median.max(far)], n,
        };
        let groups: Vec<Amounts> = groups
            .into_iter()
            .map(|(name, lanes)| Amounts { name, lanes: lanes.into_iter().map(of).collect() })
            .collect();
        for unit in [Unit::Ns, Unit::Bytes] {
            assert_tidy(&bars_chart("Amounts", unit, &groups, size, Theme::Light));
        }
        assert_tidy(&dots_chart("Ratios", "container", &groups, size, Theme::Light));
    }

    #[test]
    fn matrices_are_tidy(
        questions in prop::collection::vec("[a-z ]{1,80}", 0..5),
        lanes in prop::collection::vec((id(), prop::collection::vec((0..9_usize, 0..9_usize), 0..6)), 0..7),
        size in size(),
    ) {
        let of = |(lane, counts): (String, Vec<(usize, usize)>)| MatrixLane {
            lane,
            accelerator: None,
            counts: counts.into_iter().map(|(yes, of)| Count { yes, of }).collect(),
        };
        let lanes: Vec<MatrixLane> = lanes.into_iter().map(of).collect();
        assert_tidy(&matrix_chart("What is so", &questions, &lanes, size, Theme::Light));
    }

    #[test]
    fn timelines_are_tidy(
        loads in prop::collection::vec((id(), prop::collection::vec((value(), value()), 0..40), prop::collection::vec(value(), 0..40), "[a-z ]{0,90}"), 0..4),
        size in size(),
    ) {
        let of = |(lane, answered, lost, words): (String, Vec<(f64, f64)>, Vec<f64>, String)| LaneLoad {
            lane,
            accelerator: Some(Accelerator::Tcg),
            changes: answered.iter().take(3).map(|(at, took)| [*at, *took]).collect(),
            answered: answered.into_iter().map(|(at, took)| [at, took]).collect(),
            lost,
            words: vec![words],
        };
        let loads: Vec<LaneLoad> = loads.into_iter().map(of).collect();
        assert_tidy(&timeline_chart("A load", &loads, size, Theme::Light));
    }

    #[test]
    fn distributions_are_tidy(
        lanes in prop::collection::vec((id(), prop::collection::vec(1e6..1e10_f64, 1..40)), 0..4),
        size in size(),
    ) {
        let lanes: Vec<LaneTrials> = lanes
            .into_iter()
            .map(|(lane, values)| {
                let found = tandem_stats::summarize(&values, 1).unwrap();
                LaneTrials { lane, name: None, accelerator: None, values, median: found.median, ci95: found.ci95 }
            })
            .collect();
        let chart = |mark| distribution_chart("Every trial", Unit::Ns, &lanes, mark, size, Theme::Light);
        assert_tidy(&chart(MarkOf::Trial));
        assert_tidy(&chart(MarkOf::Machine));
    }
}

#[test]
fn every_chart_of_a_result_is_tidy_at_every_width() {
    let mut documents = experiments::experiments();
    documents.push(common::document());
    for document in documents {
        for width in (280..1500).step_by(20) {
            for named in from_result(&document, Size::wide(width), Theme::Light) {
                assert_tidy(&named.chart);
            }
        }
    }
}
