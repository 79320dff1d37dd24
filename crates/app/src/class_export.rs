//! A class's results as one file, to be kept, printed or handed round.

use std::fmt::Write as _;

use tandem_lab::{Class, ClassGroup, ClassMetric, Over};
use tandem_model::{Accelerator, Unit};
use tandem_report::{
    Folio, FolioSection, Table, Theme, csv_cell, folio_html, folio_markdown, format_ratio,
    format_ratio_interval, format_value, format_value_interval, lane_name, lane_title,
    metric_words,
};

use crate::{AppError, class::charts};

/// As what a class's results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, ts_rs::TS)]
#[serde(rename_all = "snake_case")]
pub enum ClassFormat {
    /// Charts and tables that need nothing else.
    Html,
    /// The tables as text.
    Markdown,
    /// Each machine's number, a row each.
    Csv,
}

/// Width of the charts.
const WIDTH: u32 = 900;

/// A class's results over its machines as one file; with `all` every metric,
/// not only those that an experiment is about.
///
/// # Errors
/// When nothing of it counts.
pub fn export_class(class: &Class, all: bool, format: ClassFormat) -> Result<String, AppError> {
    if class.groups.is_empty() {
        let why = class.refused.first().map(|it| format!(" ({}: {})", it.file, it.why));
        return Err(AppError::Usage(format!(
            "nothing of it counts{}: name files that `tandem result export --format json` wrote",
            why.unwrap_or_default()
        )));
    }
    Ok(match format {
        ClassFormat::Html => folio_html(&folio(class, all, true)),
        ClassFormat::Markdown => folio_markdown(&folio(class, all, false)),
        ClassFormat::Csv => csv(class, all),
    })
}

fn folio(class: &Class, all: bool, drawn: bool) -> Folio {
    let mut sections: Vec<_> = class.groups.iter().map(|it| section(it, all, drawn)).collect();
    if !class.refused.is_empty() {
        let told = class.refused.iter().map(|it| format!("{}: {}", it.file, it.why));
        let (title, notes) = ("Not counted".to_owned(), told.collect());
        sections.push(FolioSection { title, notes, ..FolioSection::default() });
    }
    Folio {
        title: "Results of a class".to_owned(),
        about: "Each machine counts once, with its own median and its own ratio; machines are never pooled, and a virtual machine under software emulation is a lane of its own.".to_owned(),
        sections,
    }
}

fn section(group: &ClassGroup, all: bool, drawn: bool) -> FolioSection {
    let metrics = || group.metrics.iter().filter(|metric| all || metric.main);
    let charts = metrics().filter(|_| drawn).flat_map(|metric| {
        let of = |theme| charts(metric, WIDTH, theme);
        let both = of(Theme::Light).into_iter().zip(of(Theme::Dark));
        both.map(|(mut light, dark)| {
            // Several experiments in one file each have a place of their own.
            light.name = format!("{}-{}-{}", group.experiment, metric.metric, light.name);
            [light, dark]
        })
    });
    let few = (group.machines.len() < 3)
        .then(|| "fewer than three machines: the interval is only their range".to_owned());
    FolioSection {
        title: format!("{} of {} ({})", group.experiment, group.subject, group.digest.short()),
        notes: few.into_iter().collect(),
        charts: charts.collect(),
        tables: vec![machines(group), summary(metrics())],
    }
}

fn empty(caption: &str, header: &[&str]) -> Table {
    let header = header.iter().map(|&word| word.to_owned()).collect();
    Table { caption: caption.to_owned(), header, rows: Vec::new() }
}

fn machines(group: &ClassGroup) -> Table {
    let mut table = empty("the machines", &["#", "Files", "Processor", "Cores", "To be known"]);
    for (number, one) in (1..).zip(&group.machines) {
        table.rows.push(vec![
            number.to_string(),
            one.files.join(", "),
            one.machine.cpu.clone(),
            one.machine.cores.to_string(),
            one.notes.join("; "),
        ]);
    }
    table
}

fn summary<'a>(metrics: impl Iterator<Item = &'a ClassMetric>) -> Table {
    let caption = "how the machines' medians and ratios lie, with the median over machines and its percentile-bootstrap 95 % interval";
    let header = ["Metric", "Lane", "Machines", "Median", "Interval", "Range"];
    let mut table = empty(caption, &header);
    for metric in metrics {
        let words = metric_words(&metric.metric);
        let mut push = |name: String, over: Over, shown: [String; 3]| {
            let [median, interval, range] = shown;
            let row = vec![words.clone(), name, over.n.to_string(), median, interval, range];
            table.rows.push(row);
        };
        let unit = metric.unit;
        for lane in &metric.lanes {
            let over = lane.over;
            let shown = [
                format_value(over.median, unit),
                format_value_interval(over.ci95, unit),
                format_value_interval([over.min, over.max], unit),
            ];
            push(lane_title(&lane.lane, lane.accelerator), over, shown);
        }
        for ratio in &metric.ratios {
            let over = ratio.over;
            let shown = [
                format_ratio(over.median),
                format_ratio_interval(over.ci95),
                format_ratio_interval([over.min, over.max]),
            ];
            let name = lane_title(&ratio.b, ratio.accelerator);
            push(format!("{name} ÷ {}", lane_name(&ratio.a)), over, shown);
        }
    }
    table
}

/// Each machine's own estimate (RFC 4180).
fn csv(class: &Class, all: bool) -> String {
    let mut out = String::from(
        "experiment,subject,digest,machine,files,metric,unit,lane,accelerator,divided_by,n,value,low,high\r\n",
    );
    for group in &class.groups {
        for metric in group.metrics.iter().filter(|metric| all || metric.main) {
            let mut rows = |lane: &str,
                            by: &str,
                            accelerator: Option<Accelerator>,
                            unit: Unit,
                            machines: &[tandem_lab::OnMachine]| {
                for one in machines {
                    let files = group.machines.get(one.machine as usize);
                    let files = files.map(|it| it.files.join("; ")).unwrap_or_default();
                    let cells = [
                        csv_cell(&group.experiment),
                        csv_cell(&group.subject),
                        group.digest.to_string(),
                        (one.machine + 1).to_string(),
                        csv_cell(&files),
                        csv_cell(&metric.metric),
                        unit_word(unit),
                        csv_cell(lane),
                        accelerator.map(Accelerator::as_str).unwrap_or_default().to_owned(),
                        csv_cell(by),
                        one.n.to_string(),
                        one.value.to_string(),
                        one.ci95[0].to_string(),
                        one.ci95[1].to_string(),
                    ];
                    let _ = write!(out, "{}\r\n", cells.join(","));
                }
            };
            for lane in &metric.lanes {
                rows(&lane.lane, "", lane.accelerator, metric.unit, &lane.machines);
            }
            for ratio in &metric.ratios {
                rows(&ratio.b, &ratio.a, ratio.accelerator, Unit::Ratio, &ratio.machines);
            }
        }
    }
    out
}

/// The unit as results spell it.
fn unit_word(unit: Unit) -> String {
    serde_json::to_value(unit)
        .ok()
        .and_then(|it| it.as_str().map(str::to_owned))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{class::class_results, recordings::RECORDED};

    /// The recorded results as files that a class handed in.
    fn handed_in(dir: &std::path::Path) {
        for (number, packed) in RECORDED.iter().enumerate() {
            let mut text = String::new();
            let mut reader = flate2::read::GzDecoder::new(*packed);
            std::io::Read::read_to_string(&mut reader, &mut text).unwrap();
            std::fs::write(dir.join(format!("{number}.json")), text).unwrap();
        }
        std::fs::write(dir.join("<bad>.json"), "{").unwrap();
    }

    #[test]
    fn a_class_is_one_file_that_needs_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        handed_in(dir.path());
        let class = class_results(&[dir.path().to_owned()], false).unwrap();
        let page = export_class(&class, false, ClassFormat::Html).unwrap();
        assert!(page.matches("<svg").count() >= 2 * 12, "{}", page.matches("<svg").count());
        assert!(page.contains("startup of hello-flask") && page.contains("&lt;bad&gt;.json"));
        for loading in ["<script", "<link", "<img", " src=", "url(", "@import"] {
            assert!(!page.contains(loading), "{loading}");
        }
        let text = export_class(&class, false, ClassFormat::Markdown).unwrap();
        assert!(text.contains("## startup of hello-flask") && text.contains("## Not counted"));
        let rows = export_class(&class, true, ClassFormat::Csv).unwrap();
        let head = rows.lines().next().unwrap().split(',').count();
        assert!(rows.lines().count() > 50 && rows.contains("first_response"), "{rows}");
        let plain: Vec<_> = rows.lines().filter(|row| !row.contains('"')).collect();
        assert!(plain.len() > 50 && plain.iter().all(|row| row.split(',').count() == head));
    }

    #[test]
    fn nothing_that_counts_is_said() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a.json"), "{").unwrap();
        let class = class_results(&[dir.path().to_owned()], false).unwrap();
        let told = export_class(&class, false, ClassFormat::Html).unwrap_err().to_string();
        assert!(told.contains("nothing of it counts (a.json: "), "{told}");
    }
}
