//! A report as one HTML file: no scripts, nothing loaded from elsewhere.

mod tables;

use std::fmt::Write as _;

use tandem_model::{Comparison, ResultDocument, Summary, VerdictOutcome};

use crate::{
    chart::Size,
    command::equivalent_command,
    from_result::{from_result, interval_words},
    lane::lane_title,
    text::escape,
    theme::Theme,
};
use tandem_model::format::{format_bytes, format_ratio, format_ratio_interval};

/// Everything a result says, as one HTML document. It holds each chart in
/// both themes and shows the one that the reader's system prefers; its own
/// content security policy forbids scripts and all loading.
pub fn report_html(result: &ResultDocument) -> String {
    let mut page = String::with_capacity(256 * 1024);
    let title = format!("{} · {}", result.subject.name, result.experiment);
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
         style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{}</title>\n<style>\n{}</style>\n</head>\n<body>\n<main>\n",
        escape(&title),
        include_str!("report.css"),
    );
    heading(&mut page, result);
    headline(&mut page, result);
    verdicts(&mut page, result);
    warnings(&mut page, result);
    charts(&mut page, result);
    section(&mut page, "Summary", &tables::summary(result));
    section(&mut page, "Ratios", &tables::comparisons(result));
    section(&mut page, "How it was measured", &tables::design(result));
    section(&mut page, "Lanes", &tables::lanes(result));
    section(&mut page, "Machine", &tables::machine(result));
    section(&mut page, "Every trial", &tables::trials(result));
    let _ = write!(
        page,
        "<section><h2>The same from the command line</h2>\n<pre>{}</pre></section>\n\
         </main>\n</body>\n</html>\n",
        escape(&equivalent_command(result))
    );
    page
}

fn heading(page: &mut String, result: &ResultDocument) {
    let fair = result.lanes.iter().all(|lane| lane.parity.fair);
    let parity = if fair {
        "<span class=\"good\">same image and limits in all lanes</span>"
    } else {
        "<span class=\"warn\">not a fair comparison: see the lanes below</span>"
    };
    let _ = write!(
        page,
        "<header><h1>{}</h1>\n<p class=\"soft\">{} · {} · <code>{}</code> · {parity}</p></header>\n",
        escape(&result.subject.name),
        escape(&result.experiment),
        escape(&result.started_at.strftime("%Y-%m-%d %H:%M UTC").to_string()),
        escape(result.subject.digest.short()),
    );
}

/// Trials on the side that has fewer.
fn least_n(result: &ResultDocument, comparison: &Comparison) -> u32 {
    let of = |summary: &&Summary| {
        summary.metric == comparison.metric
            && [&comparison.a, &comparison.b].contains(&&summary.lane)
    };
    result.summary.iter().filter(of).map(|summary| summary.n).min().unwrap_or(0)
}

/// The first comparison as a large number with what it says.
fn headline(page: &mut String, result: &ResultDocument) {
    let Some(comparison) = result.comparisons.first() else { return };
    let title = |id: &str| {
        let accelerator =
            result.lanes.iter().find(|lane| lane.id == id).and_then(|lane| lane.accelerator);
        escape(&lane_title(id, accelerator))
    };
    let _ = write!(
        page,
        "<section class=\"hero\"><p class=\"number\">{}</p>\n<p>{} of {} divided by that of {}\
         <br><span class=\"soft\">{} {}</span></p></section>\n",
        format_ratio(comparison.ratio),
        escape(&tables::metric_words(&comparison.metric)),
        title(&comparison.b),
        title(&comparison.a),
        interval_words(least_n(result, comparison)),
        format_ratio_interval(comparison.ci95),
    );
}

fn verdicts(page: &mut String, result: &ResultDocument) {
    if result.verdicts.is_empty() {
        return;
    }
    page.push_str("<section><h2>Verdicts</h2>\n");
    for verdict in &result.verdicts {
        let (class, word) = match verdict.outcome {
            VerdictOutcome::Supported => ("good", "Supported"),
            VerdictOutcome::Refuted => ("warn", "Refuted"),
            VerdictOutcome::Inconclusive => ("soft", "Not enough evidence"),
            VerdictOutcome::NotMeasured => ("soft", "Not measured"),
        };
        let _ = write!(
            page,
            "<div class=\"verdict\"><p><strong>{}</strong></p>\n\
             <p><strong class=\"{class}\">{word}</strong></p>\n<p class=\"soft\">{}</p></div>\n",
            escape(&verdict.claim),
            escape(&verdict.why)
        );
    }
    page.push_str("</section>\n");
}

fn warnings(page: &mut String, result: &ResultDocument) {
    if result.warnings.is_empty() {
        return;
    }
    page.push_str("<section><h2>To be known</h2>\n<ul class=\"warnings\">\n");
    for warning in &result.warnings {
        let _ = writeln!(page, "<li>{}</li>", escape(warning));
    }
    page.push_str("</ul></section>\n");
}

fn charts(page: &mut String, result: &ResultDocument) {
    let size = Size::wide(900);
    let light = from_result(result, size, Theme::Light);
    let dark = from_result(result, size, Theme::Dark);
    for (light, dark) in light.into_iter().zip(dark) {
        let _ = write!(
            page,
            "<section class=\"chart\" id=\"{}\">\n<div class=\"light\">\n{}</div>\n\
             <div class=\"dark\">\n{}</div>\n<details><summary>Data of this chart</summary>\n{}\
             </details></section>\n",
            escape(&light.name),
            light.chart.svg,
            dark.chart.svg,
            tables::html(&light.chart.table),
        );
    }
}

fn section(page: &mut String, title: &str, table: &crate::chart::Table) {
    if !table.rows.is_empty() {
        let _ = write!(
            page,
            "<section><h2>{}</h2>\n{}</section>\n",
            escape(title),
            tables::html(table)
        );
    }
}

/// A limit in words.
fn limits(resources: &tandem_model::Resources) -> String {
    let memory = resources.memory_bytes.map(format_bytes);
    let cpus =
        resources.milli_cpus.map(|milli| format!("{} processors", f64::from(milli) / 1000.0));
    let pids = resources.pids.map(|pids| format!("{pids} processes"));
    let parts: Vec<String> = [memory, cpus, pids].into_iter().flatten().collect();
    if parts.is_empty() { "none".to_owned() } else { parts.join(" · ") }
}
