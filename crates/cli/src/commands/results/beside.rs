//! Results side by side as text.

use std::fmt::Write as _;

use tandem_app::{Against, CellBeside, SideBySide};
use tandem_report::{
    format_bytes, format_ratio, format_ratio_interval, format_value, format_value_interval,
    lane_title, metric_words,
};

use crate::output::{line, plain, table};

pub(super) fn print(beside: &SideBySide, all: bool) {
    for (number, run) in (1..).zip(&beside.runs) {
        let machine = &run.machine;
        line(&format!(
            "{number}  {}  {} of {} ({})",
            run.id,
            plain(&run.experiment),
            plain(&run.subject.name),
            run.subject.digest.short()
        ));
        line(&format!(
            "   {}, {} cores, {}, {}",
            plain(&machine.cpu),
            machine.cores,
            format_bytes(machine.memory_bytes),
            plain(&machine.os)
        ));
        for lane in &run.lanes {
            let title = lane_title(&lane.id, lane.accelerator);
            line(&format!("   {}: {}", plain(&title), plain(&lane.engine)));
        }
        for note in run.apart.iter().chain(&run.differs) {
            line(&format!("   {}", plain(note)));
        }
    }
    let headings: Vec<String> = (1..=beside.runs.len()).map(|number| number.to_string()).collect();
    let mut headings: Vec<&str> = headings.iter().map(String::as_str).collect();
    headings.splice(0..0, ["METRIC", "LANE"]);
    let shown = beside.rows.iter().filter(|row| all || row.main);
    let rows: Vec<Vec<String>> = shown
        .map(|row| {
            let cells = row.cells.iter().map(cell);
            [plain(&metric_words(&row.metric)), plain(&row.lane)].into_iter().chain(cells).collect()
        })
        .collect();
    line("");
    table(&headings, &rows);
    reasons(beside, all);
}

/// `0.34 s (0.33–0.36 s, n = 10) = 1.20× (1.1–1.3×): larger`.
fn cell(cell: &CellBeside) -> String {
    let Some(it) = &cell.estimate else { return "–".to_owned() };
    let interval = format_value_interval(it.ci95, it.unit);
    let mut text = format!("{} ({interval}, n = {})", format_value(it.median, it.unit), it.n);
    if let Some(Against::Ratio { ratio, ci95, finding }) = &cell.against {
        let (ratio, interval) = (format_ratio(*ratio), format_ratio_interval(*ci95));
        let _ = write!(text, " = {ratio} ({interval}): {}", finding.words());
    }
    text
}

/// Why ratios are missing, once for each reason.
fn reasons(beside: &SideBySide, all: bool) {
    let mut said = Vec::new();
    for row in beside.rows.iter().filter(|row| all || row.main) {
        for (number, cell) in (1..).zip(&row.cells) {
            if let Some(Against::Apart { why }) = &cell.against {
                let text = if beside.runs[number - 1].apart.is_some() {
                    format!("no ratio for {number}: {why}")
                } else {
                    format!("no ratio for {number}, {}: {why}", plain(&row.lane))
                };
                if !said.contains(&text) {
                    said.push(text);
                }
            }
        }
    }
    for text in said {
        line(&plain(&text));
    }
}
