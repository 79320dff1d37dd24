//! What commands that measure have in common: live lines, table, files.

use std::path::Path;

use anyhow::Context as _;
use tandem_model::{OutcomeKind, ResultDocument, RunEvent, Summary, VerdictOutcome};
use tandem_report::{
    format_comparison_interval, format_duration, format_ratio, format_summary_interval,
    format_value, lane_name,
};

use super::Context;
use crate::{
    grammar::Delivery,
    output::{json, line, plain, table},
};

/// Prints a result, or its document, and writes the files that were asked
/// for. The exit code says whether every lane was measured.
pub(super) fn deliver(
    context: &Context,
    result: &ResultDocument,
    delivery: &Delivery,
) -> anyhow::Result<u8> {
    let file = delivery.json.as_deref();
    if file == Some(Path::new("-")) {
        json(result)?;
    } else {
        print(context, result);
    }
    if let Some(file) = file.filter(|file| *file != Path::new("-")) {
        let mut text = serde_json::to_string_pretty(result)?;
        text.push('\n');
        std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    if let Some(dir) = &delivery.report {
        let files = tandem_report::write_report(dir, result)
            .with_context(|| format!("cannot write the report to {}", dir.display()))?;
        context.say(&format!(
            "report: {} ({} files)",
            dir.join("report.html").display(),
            files.len()
        ));
    }
    let measured = |lane: &str| {
        result
            .trials
            .iter()
            .any(|t| t.lane == lane && !t.warmup && t.outcome == OutcomeKind::Measured)
    };
    let complete = result.lanes.iter().all(|lane| measured(&lane.id));
    Ok(if complete { 0 } else { 125 })
}

/// What happens, as plain lines on standard error.
pub(super) fn report(context: &Context, event: &RunEvent) {
    match event {
        RunEvent::Preparing { message, .. } => context.say(&plain(message)),
        RunEvent::Log { line, .. } if context.verbose => context.say(&format!("  {}", plain(line))),
        RunEvent::Planned { image, digest, base_substituted, lanes, .. } => {
            context.say(&format!("{image} is {digest}"));
            if let Some(base) = base_substituted {
                context.say(&format!("its base is {base}, in place of the Dockerfile's"));
            }
            for lane in lanes {
                if let Some(reason) = &lane.unavailable {
                    context.say(&format!("lane {} cannot run: {}", lane.id, plain(reason)));
                }
            }
        }
        RunEvent::Parity { parity } if parity.fair => {
            context.say("parity: every lane runs the same image, gives the same answer, has the same limits");
        }
        RunEvent::Parity { parity } => {
            for difference in &parity.differences {
                context.say(&format!("parity: UNFAIR: {}", plain(difference)));
            }
        }
        RunEvent::FirstResponse { lane, index, elapsed_ns, .. } => {
            context.say(&format!(
                "{lane} #{index}: first answer after {}",
                format_duration(*elapsed_ns)
            ));
        }
        RunEvent::TrialFinished { lane, index, outcome: OutcomeKind::Failed, reason } => {
            let reason = reason.as_deref().unwrap_or("no reason known");
            context.say(&format!("{lane} #{index}: failed: {}", reason.trim_end()));
        }
        RunEvent::Kept { name, url, .. } => {
            context
                .say(&format!("{name} keeps running at {url} (end it with `tandem rm -f {name}`)"));
        }
        RunEvent::Warning { message } => context.say(&format!("warning: {}", plain(message))),
        RunEvent::Stopped { cleaned, .. } => {
            for thing in cleaned {
                context.say(&format!("cleaned up: {}", plain(thing)));
            }
        }
        _ => {}
    }
}

/// What the table shows without `--verbose`; the result document has all.
const PRINCIPAL: [&str; 4] = ["first_response", "memory_host", "image_bytes", "instance_bytes"];

/// Whether a metric is one of those that an experiment is about.
fn is_principal(context: &Context, experiment: &str, metric: &str) -> bool {
    let about = context.app.describe_experiment(experiment).map_or(&PRINCIPAL[..], |it| it.metrics);
    context.verbose
        || about.iter().any(|name| match name.strip_suffix(".*") {
            // Parts are many; what they add up to is enough.
            Some("phase" | "memory_ledger" | "disk_ledger") => false,
            Some(family) => metric.split_once('.').is_some_and(|(it, _)| it == family),
            None => metric == *name,
        })
}

/// The table and the verdicts.
pub(super) fn print(context: &Context, result: &ResultDocument) {
    let shown = |metric: &str| is_principal(context, &result.experiment, metric);
    let rows: Vec<_> = result
        .summary
        .iter()
        .filter(|summary| shown(&summary.metric))
        .map(|summary| row(result, summary))
        .collect();
    line("");
    table(&["LANE", "METRIC", "MEDIAN", "95 % INTERVAL", "N"], &rows);
    line("");
    for comparison in result.comparisons.iter().filter(|it| shown(&it.metric)) {
        let interval = format_comparison_interval(result, comparison);
        let interval = match interval.strip_suffix(" (range)") {
            Some(range) => format!("range {range}"),
            None => format!("95 % interval {interval}"),
        };
        line(&format!(
            "{}: {} has {} that of {} ({interval})",
            plain(&comparison.metric),
            plain(&lane_name(&comparison.b)),
            format_ratio(comparison.ratio),
            plain(&lane_name(&comparison.a)),
        ));
    }
    line("");
    for verdict in &result.verdicts {
        let (word, color) = match verdict.outcome {
            VerdictOutcome::Supported => ("supported", "32"),
            VerdictOutcome::Refuted => ("refuted", "31"),
            VerdictOutcome::Inconclusive => ("not enough evidence", "33"),
            VerdictOutcome::NotMeasured => ("not measured", "33"),
        };
        let word =
            if context.color { format!("\x1b[{color}m{word}\x1b[0m") } else { word.to_owned() };
        line(&format!("{}: {word}", plain(&verdict.claim)));
        line(&format!("  {}", plain(&verdict.why)));
    }
    for warning in &result.warnings {
        line(&format!("to be known: {}", plain(warning)));
    }
    for it in &result.predictions {
        line(&format!("{} Expected: {}", plain(&it.question), plain(&it.expected)));
        if let Some(explanation) = &it.explanation {
            line(&format!("  Explained: {}", plain(explanation)));
        }
    }
}

fn row(result: &ResultDocument, summary: &Summary) -> Vec<String> {
    let accelerator =
        result.lanes.iter().find(|lane| lane.id == summary.lane).and_then(|lane| lane.accelerator);
    let lane = match accelerator {
        Some(accelerator) => format!("{} ({accelerator})", summary.lane),
        None => summary.lane.clone(),
    };
    vec![
        lane,
        summary.metric.clone(),
        format_value(summary.median, summary.unit),
        format_summary_interval(summary),
        summary.n.to_string(),
    ]
}
