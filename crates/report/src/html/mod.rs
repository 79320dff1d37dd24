//! A report as one HTML file: no scripts, nothing loaded from elsewhere.

mod table;

use std::fmt::Write as _;

use tandem_model::{ResultDocument, VerdictOutcome};

use crate::{
    chart::{NamedChart, Size, Table},
    command::equivalent_command,
    from_result::from_result,
    tables,
    text::escape,
    theme::Theme,
    words::{self, outcome_words, parity_words, title_of},
};

pub(crate) use table::html as table;

/// Everything a result says, as one HTML document. It holds each chart in
/// both themes and shows the one that the reader's system prefers; its own
/// content security policy forbids scripts and all loading.
pub fn report_html(result: &ResultDocument) -> String {
    let mut page = begin(&title_of(result));
    heading(&mut page, result);
    headline(&mut page, result);
    verdicts(&mut page, result);
    warnings(&mut page, result);
    charts(&mut page, result);
    for (title, table) in tables::sections(result) {
        section(&mut page, title, &table);
    }
    let _ = write!(
        page,
        "<section><h2>The same from the command line</h2>\n<pre>{}</pre></section>\n",
        escape(&equivalent_command(result))
    );
    end(&mut page);
    page
}

/// A page up to its first section. Its own content security policy forbids
/// scripts and all loading.
pub(crate) fn begin(title: &str) -> String {
    let mut page = String::with_capacity(256 * 1024);
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
         style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{}</title>\n<style>\n{}</style>\n</head>\n<body>\n<main>\n",
        escape(title),
        include_str!("report.css"),
    );
    page
}

/// The end of such a page.
pub(crate) fn end(page: &mut String) {
    page.push_str("</main>\n</body>\n</html>\n");
}

fn heading(page: &mut String, result: &ResultDocument) {
    let (parity, fair) = parity_words(result);
    let class = if fair { "good" } else { "warn" };
    let _ = write!(
        page,
        "<header><h1>{}</h1>\n<p class=\"soft\">{} · {} · <code>{}</code> · \
         <span class=\"{class}\">{parity}</span></p></header>\n",
        escape(&result.subject.name),
        escape(&result.experiment),
        escape(&words::when(result)),
        escape(result.subject.digest.short()),
    );
}

/// The first comparison as a large number with what it says.
fn headline(page: &mut String, result: &ResultDocument) {
    let Some(headline) = words::headline(result) else { return };
    let _ = write!(
        page,
        "<section class=\"hero\"><p class=\"number\">{}</p>\n<p>{}\
         <br><span class=\"soft\">{}</span></p></section>\n",
        escape(&headline.ratio),
        escape(&headline.sentence),
        escape(&headline.interval),
    );
}

fn verdicts(page: &mut String, result: &ResultDocument) {
    if result.verdicts.is_empty() {
        return;
    }
    page.push_str("<section><h2>Verdicts</h2>\n");
    for verdict in &result.verdicts {
        let word = outcome_words(verdict.outcome);
        let class = match verdict.outcome {
            VerdictOutcome::Supported => "good",
            VerdictOutcome::Refuted => "warn",
            VerdictOutcome::Inconclusive | VerdictOutcome::NotMeasured => "soft",
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
    page.push_str("<section><h2>To be known</h2>\n");
    list(page, &result.warnings);
    page.push_str("</section>\n");
}

/// Sentences as a list; nothing when there are none.
pub(crate) fn list(page: &mut String, sentences: &[String]) {
    if sentences.is_empty() {
        return;
    }
    page.push_str("<ul class=\"warnings\">\n");
    for sentence in sentences {
        let _ = writeln!(page, "<li>{}</li>", escape(sentence));
    }
    page.push_str("</ul>\n");
}

fn charts(page: &mut String, result: &ResultDocument) {
    let size = Size::wide(900);
    let light = from_result(result, size, Theme::Light);
    let dark = from_result(result, size, Theme::Dark);
    for (light, dark) in light.iter().zip(&dark) {
        chart(page, light, dark);
    }
}

/// A chart in both themes, with its data as a table.
pub(crate) fn chart(page: &mut String, light: &NamedChart, dark: &NamedChart) {
    let _ = write!(
        page,
        "<section class=\"chart\" id=\"{}\">\n<div class=\"light\">\n{}</div>\n\
         <div class=\"dark\">\n{}</div>\n<details><summary>Data of this chart</summary>\n{}\
         </details></section>\n",
        escape(&light.name),
        light.chart.svg,
        dark.chart.svg,
        table(&light.chart.table),
    );
}

fn section(page: &mut String, title: &str, rows: &Table) {
    let _ = write!(page, "<section><h2>{}</h2>\n{}</section>\n", escape(title), table(rows));
}
