//! Stages side by side.

use std::{fmt::Write as _, time::Duration};

use tokio::time::timeout;

use super::{Bench, bench::files};
use crate::BuildEvent;

/// For what would hang for good; no test is that slow.
const FOREVER: Duration = Duration::from_mins(1);

#[tokio::test]
async fn independent_stages_are_built_at_once() {
    let bench = Bench::new();
    // Neither step ends before the other has begun.
    let text = "FROM scratch AS one\nRUN meet /one\nFROM scratch AS two\nRUN meet /two\nFROM scratch\nCOPY --from=one / /\nCOPY --from=two / /";
    let built = timeout(FOREVER, bench.build(text)).await.expect("one waits for the other");
    assert_eq!(bench.files(&built), files(&[("one", "644 met"), ("two", "644 met")]));
    let lines: Vec<u32> = built.steps.iter().map(|step| step.line).collect();
    assert_eq!(lines, [1, 2, 3, 4, 5, 6, 7], "the steps are told in the Dockerfile's order");
}

#[tokio::test]
async fn what_two_stages_have_in_common_is_made_once() {
    let bench = Bench::new();
    let text = "FROM scratch AS one\nRUN write /same x\nRUN write /one x\nFROM scratch AS two\nRUN write /same x\nRUN write /two x\nFROM one\nCOPY --from=two / /";
    let built = bench.build(text).await;
    assert_eq!(bench.runs(), 3);
    let found = bench.files(&built);
    assert_eq!(found, files(&[("one", "644 x"), ("same", "644 x"), ("two", "644 x")]));
}

#[tokio::test]
async fn a_stage_that_fails_ends_the_others() {
    let bench = Bench::new();
    let text = "FROM scratch AS one\nRUN hang\nFROM scratch AS two\nRUN fail 3\nFROM one\nCOPY --from=two / /";
    let error = timeout(FOREVER, bench.refused(text)).await.expect("the other goes on");
    assert!(error.to_string().contains("Dockerfile:4"), "{error}");
    assert_eq!(bench.left_over(), Vec::<std::path::PathBuf>::new());
}

#[tokio::test]
async fn many_stages_that_wait_for_each_other_end() {
    let bench = Bench::new();
    let mut text = "FROM scratch AS s0\nRUN write /f0 x\n".to_owned();
    for at in 1..60 {
        let (before, other) = (at - 1, at / 2);
        let _ = writeln!(text, "FROM s{before} AS s{at}\nRUN write /f{at} x");
        let _ = writeln!(text, "COPY --from=s{other} / /from");
    }
    let built = timeout(FOREVER, bench.build(&text)).await.expect("no stage waits in a ring");
    assert!(bench.files(&built).contains_key("from/f29"));
    let events = bench.events.lock().unwrap();
    let begun = |event: &&BuildEvent| matches!(event, BuildEvent::StepStarted { .. });
    assert_eq!(events.iter().filter(begun).count(), built.steps.len());
}
