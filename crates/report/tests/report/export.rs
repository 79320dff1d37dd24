//! Pictures of pixels and pages, decoded and read again.

use resvg::tiny_skia::Pixmap;
use tandem_report::{Size, Theme, from_result, report_pdf, report_png, report_svg};

use crate::{common, pdf};

/// All that is written on all pages, without spaces: words may break anywhere
/// between two lines.
fn words(pages: &[Vec<String>]) -> String {
    pages.iter().flatten().flat_map(|line| line.chars()).filter(|c| !c.is_whitespace()).collect()
}

fn dense(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}

#[test]
fn a_picture_has_every_chart_at_twice_its_size() {
    let document = common::document();
    for theme in Theme::ALL {
        let png = report_png(&document, theme).unwrap();
        let picture = Pixmap::decode_png(&png).unwrap();
        let charts = from_result(&document, Size::wide(900), theme);
        let height: f64 = charts.iter().map(|it| it.chart.scales.height).sum();
        let gaps = 12.0 * (charts.len() - 1) as f64;
        assert_eq!(picture.width(), 1800);
        assert!((f64::from(picture.height()) - 2.0 * (height + gaps)).abs() < 1.0);
        // The ground, both lanes, and the text are all in it.
        let palette = theme.palette();
        for colour in [palette.surface, palette.container, palette.vm, palette.ink] {
            let of = |pixel: &resvg::tiny_skia::PremultipliedColorU8| {
                (pixel.red(), pixel.green(), pixel.blue()) == (colour.0, colour.1, colour.2)
            };
            assert!(picture.pixels().iter().filter(|pixel| of(pixel)).count() > 100, "{colour:?}");
        }
        assert_eq!(png, report_png(&document, theme).unwrap(), "another picture the second time");
    }
}

#[test]
fn a_vector_picture_has_every_chart_below_the_one_before() {
    let document = common::document();
    for theme in Theme::ALL {
        let svg = report_svg(&document, theme).unwrap();
        let charts = from_result(&document, Size::wide(900), theme);
        assert_eq!(svg.matches("<svg ").count(), 1 + charts.len());
        assert_eq!(svg.matches("</svg>").count(), 1 + charts.len());
        let mut top = 0.0;
        for named in &charts {
            let body = named.chart.svg.trim_start_matches("<svg ");
            assert!(svg.contains(&format!("<svg y=\"{top}\" {body}")), "{}", named.name);
            top += named.chart.scales.height + 12.0;
        }
        assert!(svg.contains(&format!("viewBox=\"0 0 900 {}\"", top - 12.0)));
    }
}

#[test]
fn pages_say_what_the_result_says() {
    let document = common::document();
    let file = report_pdf(&document).unwrap();
    let pages = pdf::pages(&file);
    assert_eq!(pages.len(), 5);
    assert_eq!(pages[0][0], "hello-flask");
    for (at, page) in pages.iter().enumerate() {
        let foot = [document.subject.name.clone() + " · compare", format!("{} / 5", at + 1)];
        assert_eq!(
            page.iter().filter(|line| foot.contains(line)).count(),
            2,
            "page {at}: {page:?}"
        );
    }
    let all = words(&pages);
    for text in [
        "24.4×",
        "95 % interval 23.7–25.1, n = 10 a lane",
        "so the ratio is not the hypervisor's.",
        "KVM is not usable here",
        "same image and limits in all lanes",
        "An Invented Processor · 2 cores",
        "stands in for the one in the Dockerfile",
        "sha256:9f3c41ab9f3c41ab",
        "From the request to the first answer",
        "kernel 2.41 s",
        "100 % is one processor",
        "guest kernel and cache 96.0 MiB",
        "1 processor",
        "tandem compare hello-flask --lanes container,vm/micro --trials 10 --seed 4711",
    ] {
        assert!(all.contains(&dense(text)), "{text}");
    }
    assert_eq!(file, report_pdf(&document).unwrap(), "other pages the second time");
}

#[test]
fn a_long_table_goes_on_without_loss() {
    let mut document = common::document();
    let reason =
        |index| format!("reason {index}: →µ–é, and a-word-without-a-space-{}", "x".repeat(200));
    let first = document.trials[0].clone();
    document.trials.clear();
    for index in 0..150 {
        let mut trial = first.clone();
        trial.index = index;
        trial.outcome = tandem_model::OutcomeKind::Failed;
        trial.reason = Some(reason(index));
        document.trials.push(trial);
    }
    // Higher than any page.
    document.trials[70].reason = Some(format!("begins {} ends", "again and again ".repeat(2000)));
    let pages = pdf::pages(&report_pdf(&document).unwrap());
    let all = words(&pages);
    for index in (0..150).filter(|index| *index != 70) {
        assert!(
            all.contains(&dense(&format!("{}Container{}failed:", index + 1, index + 1))),
            "{index}"
        );
        assert!(all.contains(&format!("reason{index}:→µ–é,")), "{index}");
    }
    assert!(all.matches(&"x".repeat(30)).count() >= 149);
    assert_eq!(all.matches("again").count(), 4000);
    let tables = pages.iter().filter(|page| page.iter().any(|line| line == "Outcome")).count();
    assert!(tables > 10, "{tables} pages of {} have the headings", pages.len());
}

#[test]
fn a_wide_table_becomes_several_with_every_number() {
    let mut document = common::document();
    for (at, trial) in document.trials.iter_mut().enumerate() {
        for metric in 0..24 {
            let value = at * 1000 + metric;
            trial.metrics.insert(format!("a_metric_{metric}"), value.into());
        }
    }
    let pages = pdf::pages(&report_pdf(&document).unwrap());
    let has = |text: &str| pages.iter().flatten().filter(|line| *line == text).count();
    for at in 0..document.trials.len() {
        for metric in 0..24 {
            let number = tandem_report::format_number((at * 1000 + metric) as f64);
            assert!(has(&number) > 0, "{number}");
        }
    }
    assert!((0..24).all(|metric| words(&pages).contains(&format!("ametric{metric}"))));
    assert!(has("Trial") >= 3, "the keys stand in each part");
}

/// Whatever names and reasons say, there are pages.
#[test]
fn foreign_words_stay_words() {
    let mut document = common::document();
    document.subject.name = "</text><script>&\u{202e}\u{0}\n漢字 \u{1f600}".into();
    document.warnings = vec![String::new(), " ".into(), "<image href=\"/etc/passwd\"/>".into()];
    document.lanes[1].parity.fair = false;
    document.lanes[1].parity.differences = vec!["one has <b>more</b>".into()];
    let pages = pdf::pages(&report_pdf(&document).unwrap());
    let all = words(&pages);
    assert!(all.contains("</text><script>&"), "{:?}", pages[0]);
    assert!(all.contains("notafaircomparison") && all.contains("onehas<b>more</b>"));
    assert!(all.contains("<imagehref=\"/etc/passwd\"/>"));
    report_png(&document, Theme::Dark).unwrap();
}

#[test]
fn a_result_without_anything_still_has_a_page() {
    let mut document = common::document();
    document.warnings.clear();
    document.trials.clear();
    document.summary.clear();
    document.comparisons.clear();
    document.verdicts.clear();
    document.lanes.clear();
    assert_eq!(pdf::pages(&report_pdf(&document).unwrap()).len(), 1);
    let none = report_png(&document, Theme::Light).unwrap_err().to_string();
    assert!(none.contains("no picture"), "{none}");
}
