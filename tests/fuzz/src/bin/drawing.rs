#![no_main]
//! Foreign results as pictures, pages and tables: what passes the import is
//! drawn, and nothing in it becomes markup.

use libfuzzer_sys::fuzz_target;
use tandem_fuzz::{altered, assert_own_markup, choice};
use tandem_lab::read_document;
use tandem_report::{
    Size, Theme, equivalent_command, from_result, report_csv, report_html, report_markdown,
    report_pdf, report_png,
};

const BASE: &str = include_str!("../../corpus/drawing/result");

fuzz_target!(|data: &[u8]| {
    let (way, changes) = choice(data);
    let document = match read_document(data) {
        Ok(document) => document,
        Err(_) => match read_document(&altered(BASE, changes)) {
            Ok(document) => document,
            Err(_) => return,
        },
    };
    for theme in Theme::ALL {
        for named in from_result(&document, Size::wide(300 + 40 * (way as u32 % 16)), theme) {
            assert_own_markup(&named.chart.svg);
            assert!(!named.chart.svg.contains("NaN") && !named.chart.svg.contains("\"inf"));
        }
    }
    assert_own_markup(&report_html(&document));
    let markdown = report_markdown(&document);
    let (text, command) = markdown.rsplit_once("```sh\n").expect("it ends with the command");
    assert!(!text.contains('<') && !text.contains(odd), "markup in {text}");
    assert_eq!(command.matches("```").count(), 1, "{command}");
    for row in report_csv(&document).lines() {
        assert!(!row.starts_with(['=', '+', '@']), "{row}");
    }
    assert!(shlex::split(&equivalent_command(&document)).is_some());
    // These take longer.
    if way % 8 == 0 {
        if let Ok(pages) = report_pdf(&document) {
            assert!(pages.starts_with(b"%PDF-"));
            for bad in [&b"/JavaScript"[..], b"/Launch", b"/URI", b"/OpenAction", b"/GoToR"] {
                assert!(!pages.windows(bad.len()).any(|part| part == bad));
            }
        }
        let _ = report_png(&document, Theme::Light);
    }
});

fn odd(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') || (c.is_control() && c != '\n')
}
