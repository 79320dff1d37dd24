//! What a report says in words, whatever it is written as.

use tandem_model::{
    Comparison, ResultDocument, Summary, VerdictOutcome,
    format::{format_bytes, format_ratio, format_ratio_interval},
};

use crate::{
    from_result::{interval_words, part_words},
    lane::lane_title,
};

/// A metric id in words: `first_response` is the `time to the first answer`.
pub fn metric_words(metric: &str) -> String {
    match metric {
        "first_response" => "time to the first answer".to_owned(),
        "memory_host" => "memory of this machine".to_owned(),
        "image_bytes" => "size of the image".to_owned(),
        "instance_bytes" => "disk added by the instance".to_owned(),
        other => match other.split_once('.') {
            Some((kind, part)) => format!("{}: {}", kind.replace('_', " "), part_words(part)),
            None => other.replace('_', " "),
        },
    }
}

/// The title of a report.
pub(crate) fn title_of(result: &ResultDocument) -> String {
    format!("{} · {}", result.subject.name, result.experiment)
}

/// When it was measured.
pub(crate) fn when(result: &ResultDocument) -> String {
    result.started_at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// Whether a cell is a short number, which does not part from its unit.
pub(crate) fn is_whole(cell: &str) -> bool {
    cell.chars().count() <= 24 && cell.starts_with(|c: char| c.is_ascii_digit())
}

/// How a verdict is called.
pub(crate) fn outcome_words(outcome: VerdictOutcome) -> &'static str {
    match outcome {
        VerdictOutcome::Supported => "Supported",
        VerdictOutcome::Refuted => "Refuted",
        VerdictOutcome::Inconclusive => "Not enough evidence",
        VerdictOutcome::NotMeasured => "Not measured",
    }
}

/// What is to be known of the lanes before their numbers are compared, and
/// whether it is good.
pub(crate) fn parity_words(result: &ResultDocument) -> (&'static str, bool) {
    if result.lanes.iter().all(|lane| lane.parity.fair) {
        ("same image and limits in all lanes", true)
    } else {
        ("not a fair comparison: see the lanes below", false)
    }
}

/// The first comparison, as a large number with what it says.
pub(crate) struct Headline {
    pub(crate) ratio: String,
    pub(crate) sentence: String,
    pub(crate) interval: String,
}

/// The headline of a result that compares anything.
pub(crate) fn headline(result: &ResultDocument) -> Option<Headline> {
    let comparison = result.comparisons.first()?;
    let title = |id: &str| {
        let lane = result.lanes.iter().find(|lane| lane.id == id);
        lane_title(id, lane.and_then(|lane| lane.accelerator))
    };
    Some(Headline {
        ratio: format_ratio(comparison.ratio),
        sentence: format!(
            "{} of {} divided by that of {}",
            metric_words(&comparison.metric),
            title(&comparison.b),
            title(&comparison.a)
        ),
        interval: format!(
            "{} {}",
            interval_words(least_n(result, comparison)),
            format_ratio_interval(comparison.ci95)
        ),
    })
}

/// Trials on the side that has fewer.
fn least_n(result: &ResultDocument, comparison: &Comparison) -> u32 {
    let of = |summary: &&Summary| {
        summary.metric == comparison.metric
            && [&comparison.a, &comparison.b].contains(&&summary.lane)
    };
    result.summary.iter().filter(of).map(|summary| summary.n).min().unwrap_or(0)
}

/// A limit in words.
pub(crate) fn limits(resources: &tandem_model::Resources) -> String {
    let memory = resources.memory_bytes.map(format_bytes);
    let cpus = resources.milli_cpus.map(|milli| match milli {
        1000 => "1 processor".to_owned(),
        milli => format!("{} processors", f64::from(milli) / 1000.0),
    });
    let pids = resources.pids.map(|pids| format!("{pids} processes"));
    let parts: Vec<String> = [memory, cpus, pids].into_iter().flatten().collect();
    if parts.is_empty() { "none".to_owned() } else { parts.join(" · ") }
}
