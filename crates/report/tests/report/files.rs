//! The files of a report: complete, self-contained, and safe whatever the
//! names in the result.

use std::fs;

use tandem_model::{OutcomeKind, ResultDocument};
use tandem_report::{
    RaceState, Size, Theme, equivalent_command, from_result, race_of, report_csv, report_html,
    typical_phases, write_report,
};

use crate::common;

#[test]
fn a_report_has_all_its_files() {
    let dir = tempfile::tempdir().unwrap();
    let document = common::document();
    let paths = write_report(&dir.path().join("new/report"), &document).unwrap();
    let names: Vec<&str> = paths.iter().map(|p| p.file_name().unwrap().to_str().unwrap()).collect();
    for name in [
        "report.html",
        "result.json",
        "race-light.svg",
        "race-dark.svg",
        "distribution-light.svg",
        "cpu-dark.svg",
        "memory-light.svg",
        "memory-ledger-light.svg",
    ] {
        assert!(names.contains(&name), "{name} is not in {names:?}");
    }
    let stored = fs::read_to_string(&paths[1]).unwrap();
    assert_eq!(serde_json::from_str::<ResultDocument>(&stored).unwrap(), document);
    // Nothing but the finished files is left.
    let left = fs::read_dir(dir.path().join("new/report")).unwrap().count();
    assert_eq!(left, paths.len());
    assert_eq!(write_report(&dir.path().join("new/report"), &document).unwrap(), paths);
}

#[test]
fn results_keep_their_contract() {
    let schema = include_str!("../../../../tests/fixtures/result-1.schema.json");
    let schema = serde_json::from_str(schema).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let stored = serde_json::to_value(common::document()).unwrap();
    let errors: Vec<String> = validator.iter_errors(&stored).map(|e| e.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}");
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let error = write_report(&file.join("report"), &common::document()).unwrap_err().to_string();
    assert!(error.contains(file.to_str().unwrap()), "{error}");
}

#[test]
fn the_page_says_what_the_result_says() {
    let page = report_html(&common::document());
    for words in [
        "0.34 s",
        "8.31 s",
        "24.4×",
        "Supported",
        "software emulation",
        "An Invented Processor",
        "tandem compare hello-flask --lanes container,vm/micro --trials 10 --seed 4711",
        "stands in for the one in the Dockerfile",
        "VM · micro, emulated",
        "4711",
    ] {
        assert!(page.contains(words), "{words}");
    }
    assert!(!page.contains("<script") && !page.contains("<link") && !page.contains("@import"));
    assert!(!page.contains("src=") && !page.contains("url("));
    assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
}

#[test]
fn foreign_text_cannot_become_markup() {
    let evil = "</title><script>alert(1)</script><img src=x onerror='a()'>\u{202e}\u{1b}[31m";
    let mut document = common::document();
    document.subject.name = evil.into();
    document.subject.image = evil.into();
    document.subject.base = Some(evil.into());
    document.experiment = evil.into();
    document.machine.cpu = evil.into();
    document.machine.virtualised = Some(evil.into());
    document.verdicts[0].claim = evil.into();
    document.verdicts[0].why = evil.into();
    document.warnings.push(evil.into());
    document.lanes[0].id = evil.into();
    document.lanes[0].engine = evil.into();
    document.lanes[0].parity.differences.push(evil.into());
    document.lanes[0].parity.fair = false;
    document.design.order.push(evil.into());
    document.summary[0].lane = evil.into();
    document.summary[0].metric = evil.into();
    document.comparisons[0].metric = evil.into();
    document.comparisons[0].a = evil.into();
    for trial in &mut document.trials {
        trial.outcome = OutcomeKind::Failed;
        trial.reason = Some(evil.into());
        trial.phases[0].name = evil.into();
        trial.metrics.insert(evil.into(), evil.into());
        trial.metrics.insert(format!("disk_ledger.{evil}"), 7.into());
    }
    let page = report_html(&document);
    let charts = from_result(&document, Size::wide(900), Theme::Light);
    for text in charts.iter().map(|named| &named.chart.svg).chain([&page]) {
        for bad in ["<script", "<img", "onerror='", "\u{202e}", "\u{1b}"] {
            assert!(!text.contains(bad), "{bad}");
        }
    }
    assert!(equivalent_command(&document).contains(r"onerror='\''a()'\''>"));
}

#[test]
fn a_list_in_place_of_a_number_is_one_cell() {
    let mut document = common::document();
    document.trials.truncate(1);
    document.trials[0].metrics = [("list".to_owned(), serde_json::json!([1, "=1+1"]))].into();
    let csv = report_csv(&document);
    assert!(csv.lines().nth(1).unwrap().ends_with(r#",list,"[1,""=1+1""]","#), "{csv}");
}

#[test]
fn ledgers_come_from_the_metrics_of_the_last_trial() {
    let ledgers = tandem_report::ledgers_of(&common::document(), "memory");
    let names = |at: usize| ledgers[at].ledger.entries.iter().map(|e| e.name.as_str()).collect();
    let (container, vm): (Vec<&str>, Vec<&str>) = (names(0), names(1));
    assert_eq!(container, ["app anonymous", "files it alone uses", "kernel", "supervisor"]);
    assert_eq!(vm, ["emulator", "guest kernel and cache", "guest's app", "unexplained"]);
    assert_eq!(ledgers[1].ledger.total(), 341 << 20);
    assert!(tandem_report::ledgers_of(&common::document(), "disk").is_empty());
}

#[test]
fn slices_add_up_to_the_median() {
    let document = common::document();
    let race = race_of(&document);
    for lane in &race.lanes {
        let RaceState::Finished { phases, median_ns, .. } = &lane.state else { panic!("{lane:?}") };
        assert_eq!(phases[0].start_ns, 0);
        assert!(phases.windows(2).all(|pair| pair[0].end_ns == pair[1].start_ns), "{phases:?}");
        let end = phases[phases.len() - 1].end_ns as f64;
        assert!((end - median_ns).abs() / median_ns < 1e-3, "{end} {median_ns}");
    }
    assert!(typical_phases(&[]).is_empty());
}

#[test]
fn a_range_is_not_called_an_interval() {
    let mut document = common::document();
    for summary in &mut document.summary {
        summary.n = 2;
    }
    assert_eq!(race_of(&document).note, "median of 2 · whiskers: range");
    assert!(report_html(&document).contains(">range "));
    document.summary[0].n = 10;
    assert_eq!(race_of(&document).note, "medians of 2 to 10 · whiskers: range");
}

#[test]
fn a_result_without_measurements_shows_reasons() {
    let mut document = common::document();
    document.summary.clear();
    document.comparisons.clear();
    for trial in &mut document.trials {
        trial.outcome = OutcomeKind::Failed;
        trial.reason = Some("the app never answered".into());
    }
    let charts = from_result(&document, Size::wide(900), Theme::Light);
    assert_eq!(charts.len(), 1, "a failure is no zero");
    assert!(charts[0].chart.svg.contains("failed: the app never answered"));
    assert!(report_html(&document).contains("the app never answered"));
    document.trials.clear();
    assert!(from_result(&document, Size::wide(900), Theme::Light).is_empty());
}
