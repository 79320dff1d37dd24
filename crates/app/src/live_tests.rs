use tandem_model::{Lane, LaneInfo};

use super::*;

const VIEW: ChartView = ChartView {
    theme: Theme::Light,
    race: Size { width: 900, height: 0 },
    cpu: Size { width: 450, height: 180 },
    memory: Size { width: 450, height: 180 },
};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn planned() -> Live {
    let lane =
        |lane: Lane| LaneInfo { id: lane.to_string(), lane, accelerator: None, unavailable: None };
    let mut live = Live::default();
    let event = RunEvent::Planned {
        experiment: "compare".into(),
        image: "hello-flask:latest".into(),
        digest: "sha256:0".into(),
        base_substituted: None,
        lanes: vec![lane(Lane::CONTAINER), lane(Lane::VM_MICRO)],
        trials: 2,
        warmup: 0,
    };
    live.apply(ms(0), &event);
    live
}

/// A trial of the container that answers after `answer` milliseconds.
fn trial(live: &mut Live, index: u32, begin: u64, answer: u64) {
    let lane = || "container".to_owned();
    live.apply(ms(begin), &RunEvent::TrialStarted { lane: lane(), index, warmup: false });
    let (name, end_ns) = ("app".to_owned(), answer * 1_000_000);
    let phase = RunEvent::Phase { lane: lane(), index, name, start_ns: 0, end_ns };
    live.apply(ms(begin + answer), &phase);
    let url = "http://127.0.0.1:8080/".to_owned();
    let first = RunEvent::FirstResponse { lane: lane(), index, elapsed_ns: end_ns, url };
    live.apply(ms(begin + answer), &first);
    let outcome = OutcomeKind::Measured;
    live.apply(
        ms(begin + answer + 50),
        &RunEvent::TrialFinished { lane: lane(), index, outcome, reason: None },
    );
}

#[test]
fn a_lane_runs_on_the_clock_until_it_answers() {
    let mut live = planned();
    let start = RunEvent::TrialStarted { lane: "container".into(), index: 0, warmup: false };
    live.apply(ms(1000), &start);
    assert!(live.is_ticking());
    let race = live.race(ms(1250));
    let RaceState::Running { elapsed_ns, .. } = race.lanes[0].state else { panic!("{race:?}") };
    assert!((elapsed_ns - 250e6).abs() < 1.0);
    assert_eq!(race.lanes[1].state, RaceState::Waiting);
    assert_eq!(race.note, "trial 1 of 2");
}

#[test]
fn trials_that_are_over_show_their_median() {
    let mut live = planned();
    trial(&mut live, 0, 0, 300);
    trial(&mut live, 1, 1000, 400);
    assert!(!live.is_ticking());
    let race = live.race(ms(2000));
    let RaceState::Finished { median_ns, n, ref phases, .. } = race.lanes[0].state else {
        panic!("{race:?}")
    };
    assert!((median_ns - 350e6).abs() < 1.0 && n == 2 && phases[0].end_ns == 350_000_000);
    assert_eq!(race.expected_ns, Some(400e6));
}

#[test]
fn events_of_another_trial_change_nothing() {
    let mut live = planned();
    trial(&mut live, 0, 0, 300);
    let sample = |index| RunEvent::Sample {
        lane: "container".into(),
        index,
        at_ns: 1,
        cpus: 0.5,
        memory: 4096,
    };
    live.apply(ms(400), &sample(7));
    assert!(live.draw(ms(500), &VIEW).cpu.is_none());
    live.apply(ms(400), &sample(0));
    let charts = live.draw(ms(500), &VIEW);
    assert_eq!(charts.cpu.unwrap().curves[0].points, [[1.0, 0.5]]);
    assert_eq!(charts.memory.unwrap().curves[0].points, [[1.0, 4096.0]]);
}

#[test]
fn a_failed_lane_says_why_and_nothing_is_drawn_before_the_plan() {
    assert_eq!(Live::default().draw(ms(0), &VIEW), Charts::default());
    let mut live = planned();
    let start = RunEvent::TrialStarted { lane: "vm/micro".into(), index: 0, warmup: false };
    live.apply(ms(0), &start);
    let failed = RunEvent::TrialFinished {
        lane: "vm/micro".into(),
        index: 0,
        outcome: OutcomeKind::Failed,
        reason: Some("no answer within 60 s".into()),
    };
    live.apply(ms(60_000), &failed);
    let race = live.race(ms(60_001));
    assert_eq!(race.lanes[1].state, RaceState::Failed { reason: "no answer within 60 s".into() });
    assert!(live.draw(ms(60_001), &VIEW).race.unwrap().svg.contains("no answer within 60"));
}
