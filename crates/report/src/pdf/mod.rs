//! A report as pages for paper, A4 upright.
//!
//! [`sheet`] lays words and charts out on pages, [`table`] the tables;
//! [`ink`] writes the pages. A page is an SVG like the charts, so that fonts
//! are chosen in one place and whatever cannot be shown in one is shown in
//! another.

mod ink;
mod sheet;
mod table;

use tandem_model::{ResultDocument, VerdictOutcome};

use crate::{
    chart::Size,
    command::equivalent_command,
    fonts,
    from_result::from_result,
    tables,
    text::{Weight, width},
    theme::{Palette, Theme},
    words::{self, outcome_words, parity_words, title_of},
    write::ReportError,
};
use sheet::{CONTENT, LEFT, Pen, Sheets};

/// Width at which charts are drawn before they are scaled to the page: their
/// words are about as large as the others then.
const CHART_WIDTH: u32 = 760;

/// Columns that a trial is known by.
const TRIAL_KEYS: usize = 3;

/// Everything a result says, as a PDF document for paper: dark on white. It
/// bears no time of its making, so the same result gives the same bytes on a
/// machine with the same fonts.
pub fn report_pdf(result: &ResultDocument) -> Result<Vec<u8>, ReportError> {
    let options = fonts::of_system()?;
    let mut sheets = Sheets::new();
    fill(&mut sheets, result);
    ink::write(sheets, &title_of(result), &options)
}

fn fill(sheets: &mut Sheets, result: &ResultDocument) {
    let palette = Theme::Light.palette();
    heading(sheets, result, palette);
    headline(sheets, result, palette);
    verdicts(sheets, result, palette);
    warnings(sheets, result, palette);
    let charts = from_result(result, Size::wide(CHART_WIDTH), Theme::Light);
    if let Some(first) = charts.first() {
        sheets.heading_of("Charts", &first.chart);
    }
    for named in &charts {
        sheets.chart(&named.chart);
    }
    for (title, table) in tables::sections(result) {
        sheets.heading(title);
        table::draw(sheets, &table, if title == "Every trial" { TRIAL_KEYS } else { 1 });
    }
    sheets.heading("The same from the command line");
    sheets.boxed(&equivalent_command(result));
    if !charts.is_empty() {
        sheets.heading("Data of the charts");
    }
    for named in &charts {
        table::draw(sheets, &named.chart.table, 1);
    }
}

fn heading(sheets: &mut Sheets, result: &ResultDocument, palette: &Palette) {
    sheets.text(&result.subject.name, Pen::bold(20.0, palette.ink));
    sheets.skip(2.0);
    let line = format!(
        "{} · {} · {}",
        result.experiment,
        words::when(result),
        result.subject.digest.short()
    );
    sheets.text(&line, Pen::regular(9.5, palette.soft));
    let (parity, fair) = parity_words(result);
    sheets.text(parity, Pen::regular(9.5, if fair { palette.good } else { palette.warn }));
    sheets.skip(10.0);
}

/// The first comparison as a large number with what it says beside it.
fn headline(sheets: &mut Sheets, result: &ResultDocument, palette: &Palette) {
    let Some(headline) = words::headline(result) else { return };
    let number = Pen::bold(32.0, palette.ink);
    let after = LEFT + width(&headline.ratio, number.size, Weight::Bold) + 16.0;
    let room = (LEFT + CONTENT - after).max(160.0);
    let sentence = Pen::regular(10.5, palette.ink);
    let interval = Pen::regular(9.5, palette.soft);
    let lines = [(&headline.sentence, sentence), (&headline.interval, interval)];
    let lines: Vec<(String, Pen)> = lines
        .into_iter()
        .flat_map(|(text, pen)| pen.flow(text, room).into_iter().map(move |line| (line, pen)))
        .collect();
    let beside: f64 = lines.iter().map(|(_, pen)| pen.line()).sum();
    let height = number.line().max(beside);
    sheets.need(height);
    let top = sheets.y();
    sheets.put(&headline.ratio, LEFT, top + (height - number.line()) / 2.0, number);
    let mut y = top + (height - beside) / 2.0;
    for (line, pen) in lines {
        sheets.put(&line, after, y, pen);
        y += pen.line();
    }
    sheets.skip(height + 6.0);
}

fn verdicts(sheets: &mut Sheets, result: &ResultDocument, palette: &Palette) {
    if result.verdicts.is_empty() {
        return;
    }
    sheets.heading("Verdicts");
    for verdict in &result.verdicts {
        let colour = match verdict.outcome {
            VerdictOutcome::Supported => palette.good,
            VerdictOutcome::Refuted => palette.warn,
            VerdictOutcome::Inconclusive | VerdictOutcome::NotMeasured => palette.soft,
        };
        sheets.together(&[
            (&verdict.claim, Pen::bold(10.5, palette.ink)),
            (outcome_words(verdict.outcome), Pen::bold(9.5, colour)),
            (&verdict.why, Pen::regular(9.5, palette.soft)),
        ]);
        sheets.skip(7.0);
    }
}

fn warnings(sheets: &mut Sheets, result: &ResultDocument, palette: &Palette) {
    if result.warnings.is_empty() {
        return;
    }
    sheets.heading("To be known");
    for warning in &result.warnings {
        sheets.together(&[(&format!("• {warning}"), Pen::regular(9.5, palette.ink))]);
        sheets.skip(2.0);
    }
}
