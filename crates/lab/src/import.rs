use std::collections::BTreeSet;

mod follows;

use serde_json::Value;
use tandem_model::{Prediction, ResultDocument, SCHEMA, Unit};

use crate::unit_of;

/// Why a file is no result that can be taken in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// It is larger than any result.
    #[error("it is larger than {} MiB, more than any result has", LARGEST >> 20)]
    TooLarge,
    /// It is not JSON, or cut off.
    #[error("it is not a whole JSON document ({0}): export the result again")]
    NotJson(String),
    /// It is of another version, or something else.
    #[error(
        "it is `{0}`, and this version reads `{SCHEMA}`: export it with a Tandem of this version"
    )]
    OtherVersion(String),
    /// A field is missing or of another kind.
    #[error("it does not hold what a result holds: {0}")]
    Shape(String),
    /// Its parts contradict each other.
    #[error("its parts do not fit together: {0}")]
    Contradiction(String),
}

/// Largest file that is read, bytes.
const LARGEST: usize = 256 << 20;

/// Longest name of anything.
const LONGEST: usize = 200;

/// Reads a result document that may come from anybody, and checks that its
/// parts fit together: a reader may then index, divide and draw without
/// looking again.
pub fn read_document(bytes: &[u8]) -> Result<ResultDocument, ImportError> {
    if bytes.len() > LARGEST {
        return Err(ImportError::TooLarge);
    }
    let value: Value =
        serde_json::from_slice(bytes).map_err(|e| ImportError::NotJson(e.to_string()))?;
    match value.get("schema").and_then(Value::as_str) {
        Some(SCHEMA) => {}
        Some(other) => {
            return Err(ImportError::OtherVersion(
                other.chars().filter(|c| !c.is_control()).take(60).collect(),
            ));
        }
        None => return Err(ImportError::Shape("it names no `schema`".to_owned())),
    }
    if !texts_are_short(&value) {
        let reason = format!("a text in it has more than {TEXT} letters");
        return Err(ImportError::Contradiction(reason));
    }
    let document: ResultDocument =
        serde_json::from_value(value).map_err(|e| ImportError::Shape(e.to_string()))?;
    check(&document).map_err(ImportError::Contradiction)?;
    Ok(document)
}

/// Letters of any text.
const TEXT: usize = 4000;

fn texts_are_short(value: &Value) -> bool {
    match value {
        Value::String(text) => text.len() <= TEXT,
        Value::Array(values) => values.iter().all(texts_are_short),
        Value::Object(map) => {
            map.iter().all(|(name, value)| name.len() <= TEXT && texts_are_short(value))
        }
        _ => true,
    }
}

/// No result comes near these, and with more a reader would draw and compare
/// for hours.
fn check_amounts(document: &ResultDocument) -> Result<(), String> {
    let (mut phases, mut kinds) = (BTreeSet::new(), BTreeSet::new());
    let (mut metrics, mut points, mut parts) = (0, 0, 0);
    for trial in &document.trials {
        let of_ledger = |name: &&String| name.contains("_ledger.");
        kinds.extend(trial.metrics.keys().filter(|name| !of_ledger(name)));
        parts = parts.max(trial.metrics.keys().filter(of_ledger).count());
        phases.extend(trial.phases.iter().map(|phase| phase.name.as_str()));
        metrics += trial.metrics.len() + trial.phases.len() + trial.series.len();
        points += trial.series.values().map(Vec::len).sum::<usize>();
    }
    let differences = document.lanes.iter().map(|lane| lane.parity.differences.len()).sum();
    for (what, count, most) in [
        ("lanes", document.lanes.len(), 100),
        ("differences between lanes", differences, 1000),
        ("trials", document.trials.len(), 10_000),
        ("trials in its order", document.design.order.len(), 10_000),
        ("kinds of phases", phases.len(), 200),
        ("kinds of metrics", kinds.len(), 1000),
        ("values in a table of its trials", kinds.len() * document.trials.len(), 500_000),
        ("parts of a trial's ledgers", parts, 500),
        ("values of trials", metrics, 500_000),
        ("points of its lines", points, 5_000_000),
        ("summaries", document.summary.len(), 5000),
        ("ratios", document.comparisons.len(), 5000),
        ("verdicts", document.verdicts.len(), 100),
        ("warnings", document.warnings.len(), 500),
    ] {
        if count > most {
            return Err(format!("it has {count} {what}, and no result has more than {most}"));
        }
    }
    Ok(())
}

fn check(document: &ResultDocument) -> Result<(), String> {
    check_amounts(document)?;
    let plain = |name: &str| {
        !name.is_empty()
            && name.len() <= LONGEST
            && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    };
    if !plain(&document.id) || document.id.len() < 8 {
        return Err("its id is not a plain word of eight characters or more".to_owned());
    }
    if !plain(&document.experiment) {
        return Err("its experiment is not a plain word".to_owned());
    }
    if document.finished_at < document.started_at {
        return Err("it ended before it began".to_owned());
    }
    if document.lanes.is_empty() {
        return Err("it has no lane".to_owned());
    }
    let longest = |text: &str| text.chars().count() <= Prediction::LONGEST;
    let short = |it: &Prediction| {
        longest(&it.question)
            && longest(&it.expected)
            && it.explanation.as_deref().is_none_or(longest)
    };
    if document.predictions.len() > Prediction::MOST || !document.predictions.iter().all(short) {
        let (most, longest) = (Prediction::MOST, Prediction::LONGEST);
        return Err(format!(
            "it has more than {most} predictions, or one of more than {longest} characters"
        ));
    }
    let mut lanes = BTreeSet::new();
    for lane in &document.lanes {
        if lane.id.is_empty() || lane.id.len() > LONGEST || lane.id.chars().any(char::is_control) {
            return Err("a lane's id is no name".to_owned());
        }
        if !lanes.insert(lane.id.as_str()) {
            return Err(format!("the lane {} is there twice", lane.id));
        }
    }
    check_trials(document, &lanes)?;
    check_summary(document, &lanes)?;
    follows::check(document)
}

fn check_trials(document: &ResultDocument, lanes: &BTreeSet<&str>) -> Result<(), String> {
    for (number, trial) in document.trials.iter().enumerate() {
        if !lanes.contains(trial.lane.as_str()) {
            return Err(format!("trial {number} is of a lane that is not there"));
        }
        if trial.phases.iter().any(|phase| phase.end_ns < phase.start_ns) {
            return Err(format!("a phase of trial {number} ends before it begins"));
        }
        if trial.metrics.values().any(|value| value.is_array() || value.is_object()) {
            return Err(format!("a metric of trial {number} is no single value"));
        }
    }
    Ok(())
}

fn check_summary(document: &ResultDocument, lanes: &BTreeSet<&str>) -> Result<(), String> {
    for summary in &document.summary {
        let (metric, unit) = (&summary.metric, unit_of(&summary.metric));
        if !lanes.contains(summary.lane.as_str()) {
            return Err(format!("the summary of `{metric}` is of a lane that is not there"));
        }
        // What this version does not know may have any unit.
        if unit != Unit::Count && unit != summary.unit {
            let [is, should] = [summary.unit, unit].map(|it| {
                let word = serde_json::to_value(it).unwrap_or_default();
                word.as_str().unwrap_or("another unit").to_owned()
            });
            return Err(format!("`{metric}` is in {is}, not in {should}"));
        }
        let [low, high] = summary.ci95;
        if low > high || summary.min > summary.max || summary.n == 0 {
            return Err(format!("the interval of `{metric}` is upside down"));
        }
    }
    for comparison in &document.comparisons {
        if ![&comparison.a, &comparison.b].iter().all(|lane| lanes.contains(lane.as_str())) {
            return Err(format!(
                "a ratio of `{}` is of a lane that is not there",
                comparison.metric
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::analysis::{Warnings, complete, tests::document};

    fn whole() -> ResultDocument {
        let mut document = document(3);
        let compare = crate::experiment("compare").unwrap();
        complete(&mut document, compare.as_ref(), Warnings::default());
        document
    }

    fn bytes(document: &ResultDocument) -> Vec<u8> {
        serde_json::to_vec(document).unwrap()
    }

    #[test]
    fn what_was_exported_reads_back() {
        assert_eq!(read_document(&bytes(&whole())).unwrap(), whole());
    }

    #[test]
    fn no_number_changes_on_the_way() {
        let mut document = whole();
        // Read quickly instead of exactly, it would be its neighbour.
        let ratio = 20.076_543_209_256_542;
        document.comparisons[0].ci95 = [ratio, ratio];
        assert_eq!(read_document(&bytes(&document)).unwrap(), document);
    }

    #[test]
    fn wrong_units_lanes_and_versions_are_refused() {
        let refused = |change: fn(&mut ResultDocument)| {
            let mut document = whole();
            change(&mut document);
            read_document(&bytes(&document)).unwrap_err().to_string()
        };
        let text = refused(|d| d.summary[0].unit = Unit::Bytes);
        assert!(text.ends_with("`first_response` is in bytes, not in ns"), "{text}");
        assert!(refused(|d| d.trials[0].lane = "gone".into()).contains("not there"));
        assert!(refused(|d| d.lanes[1].id = "container".into()).contains("twice"));
        assert!(refused(|d| d.schema = "tandem.result/9".into()).contains("tandem.result/9"));
        assert!(refused(|d| d.id = "../../x".into()).contains("id"));
        assert!(refused(|d| d.lanes.clear()).contains("no lane"));
        assert!(refused(|d| d.experiment = "a b".into()).contains("its experiment"));
        assert!(refused(|d| d.finished_at -= jiff::SignedDuration::from_mins(1)).contains("ended"));
        assert!(refused(|d| d.lanes[1].id = "a\u{1b}".into()).contains("no name"));
        let phase = |d: &mut ResultDocument| {
            let name = "a".to_owned();
            d.trials[0].phases = vec![tandem_model::TrialPhase { name, start_ns: 9, end_ns: 3 }];
        };
        assert!(refused(phase).contains("ends before"));
        let list = |d: &mut ResultDocument| {
            d.trials[0].metrics.insert("a".to_owned(), Value::Array(Vec::new()));
        };
        assert!(refused(list).contains("no single value"));
        assert!(refused(|d| d.summary[0].lane = "gone".into()).contains("summary of"));
        assert!(refused(|d| d.comparisons[0].a = "gone".into()).contains("a ratio of"));
        assert!(!refused(|d| d.schema = "x\u{1b}y".into()).contains('\u{1b}'));
    }

    #[test]
    fn a_file_larger_than_any_result_is_not_read() {
        assert_eq!(read_document(&vec![0; LARGEST + 1]), Err(ImportError::TooLarge));
        assert!(matches!(read_document(&[0; 9]), Err(ImportError::NotJson(_))));
    }

    #[test]
    fn predictions_are_few_and_short() {
        let with = |count: usize, letters: usize| {
            let mut document = whole();
            let one = Prediction {
                question: "q".to_owned(),
                expected: "x".repeat(letters),
                explanation: None,
            };
            document.predictions = vec![one; count];
            read_document(&bytes(&document))
        };
        assert!(with(Prediction::MOST, 1).is_ok() && with(1, Prediction::LONGEST).is_ok());
        for refused in [with(Prediction::MOST + 1, 1), with(1, Prediction::LONGEST + 1)] {
            let text = refused.unwrap_err().to_string();
            assert!(text.contains("more than 500 predictions, or one of more than 2000"), "{text}");
        }
    }

    #[test]
    fn what_would_take_hours_to_draw_is_refused() {
        let refused = |change: &dyn Fn(&mut ResultDocument)| {
            let mut document = whole();
            change(&mut document);
            read_document(&bytes(&document)).unwrap_err().to_string()
        };
        let text = refused(&|d| {
            let phase = |at: u64| tandem_model::TrialPhase {
                name: at.to_string(),
                start_ns: at,
                end_ns: at + 1,
            };
            d.trials[0].phases = (0..300).map(phase).collect();
        });
        assert!(text.contains("kinds of phases"), "{text}");
        let with = |d: &mut ResultDocument, count: u32, prefix: &str| {
            let name = |at| (format!("{prefix}{at}"), Value::from(at));
            d.trials[0].metrics = (0..count).map(name).collect();
        };
        let text = refused(&|d| with(d, 1001, "m"));
        assert!(text.contains("kinds of metrics"), "{text}");
        let text = refused(&|d| with(d, 501, "memory_ledger."));
        assert!(text.contains("501 parts of a trial's ledgers"), "{text}");
        let text = refused(&|d| {
            with(d, 900, "m");
            d.trials = vec![d.trials[0].clone(); 9000];
        });
        assert!(text.contains("values in a table of its trials"), "{text}");
        let text = refused(&|d| d.warnings = vec!["x".to_owned(); 501]);
        assert!(text.contains("501 warnings"), "{text}");
        let text = refused(&|d| d.summary = vec![d.summary[0].clone(); 5001]);
        assert!(text.contains("5001 summaries"), "{text}");
        let text = refused(&|d| d.trials = vec![d.trials[0].clone(); 10_001]);
        assert!(text.contains("10001 trials"), "{text}");
        let text = refused(&|d| d.machine.cpu = "x".repeat(4001));
        assert!(text.contains("4000 letters"), "{text}");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn a_cut_off_file_is_refused(part in 0.0..1.0_f64) {
            let bytes = bytes(&whole());
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the length")]
            let end = ((bytes.len() as f64) * part) as usize;
            prop_assert!(matches!(read_document(&bytes[..end]), Err(ImportError::NotJson(_))));
        }

        #[test]
        fn a_changed_byte_never_panics(at in any::<prop::sample::Index>(), byte: u8) {
            let mut bytes = bytes(&whole());
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let _ = read_document(&bytes);
        }
    }
}
