//! Results as plain text: comma-separated values and Markdown.

use std::fmt::Write as _;

use tandem_model::{
    OutcomeKind, ResultDocument, VerdictOutcome,
    format::{format_comparison_interval, format_ratio, format_summary_interval, format_value},
};

use crate::{command::equivalent_command, lane::lane_title};

/// Every raw number of a result, a row each (RFC 4180): times in nanoseconds,
/// sizes in bytes. A trial without numbers is a row with its reason.
pub fn report_csv(result: &ResultDocument) -> String {
    let mut out = String::from("lane,accelerator,trial,warmup,outcome,metric,value,reason\r\n");
    for trial in &result.trials {
        let lane = result.lanes.iter().find(|lane| lane.id == trial.lane);
        let accelerator =
            lane.and_then(|lane| lane.accelerator).map(tandem_model::Accelerator::as_str);
        let start = [
            cell(&trial.lane),
            accelerator.unwrap_or_default().to_owned(),
            trial.index.to_string(),
            trial.warmup.to_string(),
            outcome(trial.outcome).to_owned(),
        ]
        .join(",");
        if trial.metrics.is_empty() {
            let reason = cell(trial.reason.as_deref().unwrap_or_default());
            let _ = write!(out, "{start},,,{reason}\r\n");
        }
        for (metric, value) in &trial.metrics {
            let value = match value {
                serde_json::Value::Null => String::new(),
                serde_json::Value::String(text) => cell(text),
                // A list of somebody else's would be several cells.
                list if list.is_array() || list.is_object() => cell(&list.to_string()),
                number => number.to_string(),
            };
            let _ = write!(out, "{start},{},{value},\r\n", cell(metric));
        }
    }
    out
}

fn outcome(kind: OutcomeKind) -> &'static str {
    match kind {
        OutcomeKind::Measured => "measured",
        OutcomeKind::Unavailable => "unavailable",
        OutcomeKind::Failed => "failed",
    }
}

/// A field, quoted where it must be. A spreadsheet would run what begins like
/// a formula, so such a text gets an apostrophe.
pub fn cell(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']);
    let text = if formula { format!("'{text}") } else { text.to_owned() };
    if text.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

/// The verdicts, the summary and the ratios of a result as Markdown.
pub fn report_markdown(result: &ResultDocument) -> String {
    let mut out = format!(
        "# {}: {}\n\n{} · {} · `{}`\n\n## Verdicts\n\n",
        line(&result.subject.name),
        line(&result.experiment),
        result.started_at.strftime("%Y-%m-%d %H:%M UTC"),
        line(&result.machine.cpu),
        result.subject.digest.short()
    );
    for verdict in &result.verdicts {
        let word = match verdict.outcome {
            VerdictOutcome::Supported => "supported",
            VerdictOutcome::Refuted => "refuted",
            VerdictOutcome::Inconclusive => "not enough evidence",
            VerdictOutcome::NotMeasured => "not measured",
        };
        let _ = writeln!(out, "- **{}**: {word}. {}", line(&verdict.claim), line(&verdict.why));
    }
    out.push_str(
        "\n## Summary\n\n| metric | lane | median | 95 % interval | n |\n|---|---|---:|---|---:|\n",
    );
    for s in &result.summary {
        let lane = result.lanes.iter().find(|lane| lane.id == s.lane);
        let title = lane_title(&s.lane, lane.and_then(|lane| lane.accelerator));
        let (median, interval) = (format_value(s.median, s.unit), format_summary_interval(s));
        let _ = writeln!(
            out,
            "| `{}` | {} | {median} | {interval} | {} |",
            line(&s.metric),
            line(&title),
            s.n
        );
    }
    out.push_str("\n## Ratios\n\n");
    for c in &result.comparisons {
        let _ = writeln!(
            out,
            "- `{}`: {} of {} by {} ({})",
            line(&c.metric),
            format_ratio(c.ratio),
            line(&c.b),
            line(&c.a),
            format_comparison_interval(result, c)
        );
    }
    if !result.warnings.is_empty() {
        out.push_str("\n## To be known\n\n");
        for warning in &result.warnings {
            let _ = writeln!(out, "- {}", line(warning));
        }
    }
    let _ = write!(out, "\n```sh\n{}\n```\n", equivalent_command(result).replace("```", ""));
    out
}

/// Foreign text for one line of Markdown: no breaks, no markup.
pub(crate) fn line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if c.is_control() => out.push(' '),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {}
            '<' => out.push_str("&lt;"),
            '|' | '*' | '`' | '[' | ']' | '\\' => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_and_never_formulas() {
        assert_eq!(cell("a,\"b\""), "\"a,\"\"b\"\"\"");
        for begin in ["=", "+", "-", "@", "\t"] {
            assert_eq!(cell(&format!("{begin}1")), format!("'{begin}1"));
        }
        for begin in ["\r", "\n"] {
            assert_eq!(cell(&format!("{begin}=1")), format!("\"'{begin}=1\""));
        }
        assert_eq!(line("a|b\n<x>"), "a\\|b &lt;x>");
        assert_eq!(line("*a* `b` [c](d) \\ \u{202e}e"), "\\*a\\* \\`b\\` \\[c\\](d) \\\\ e");
    }
}
