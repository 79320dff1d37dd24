//! Amounts side by side: for each thing that was measured a row a lane, all on
//! one scale, with intervals.

mod scale;

use tandem_model::{
    Accelerator, Unit,
    format::{format_value, format_value_interval},
};

use crate::{
    axis::{TICK, draw_x, unit_word},
    canvas::{Anchor, Canvas, Pen},
    chart::{Axis, Chart, Panel, Rect, Size, Table},
    from_result::interval_words,
    header::{Header, NARROW, PAD},
    lane::{Look, accelerator_note, lane_name, lane_title, looks},
    text::{Weight, fit, width},
    theme::{Palette, Theme},
};
use scale::Scale;

/// What a lane's trials say of one amount.
#[derive(Debug, Clone, PartialEq)]
pub struct LaneAmount {
    /// Lane id, as in the result.
    pub lane: String,
    /// What ran its machine, if it has one.
    pub accelerator: Option<Accelerator>,
    /// The median.
    pub median: f64,
    /// Its interval.
    pub ci95: [f64; 2],
    /// Trials.
    pub n: u32,
}

/// One thing that was measured, in all lanes that have it.
#[derive(Debug, Clone, PartialEq)]
pub struct Amounts {
    /// What it is, in words.
    pub name: String,
    /// The lanes.
    pub lanes: Vec<LaneAmount>,
}

const BAR: f64 = 14.0;
const LINE: f64 = 24.0;
const HEAD: f64 = 24.0;
const BETWEEN: f64 = 10.0;
const NAME: f64 = 12.5;
const BELOW: f64 = 22.0 + PAD / 2.0;

/// How amounts are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    /// Bars from zero.
    Bars,
    /// Dots on a logarithmic axis, on which half and twice are equally far
    /// from one.
    Dots,
}

struct Row<'a> {
    of: &'a LaneAmount,
    look: Look,
    name: String,
    value: String,
    interval: String,
    middle: f64,
}

struct Group<'a> {
    name: String,
    middle: f64,
    rows: Vec<Row<'a>>,
}

struct Layout<'a> {
    header: Header,
    height: f64,
    plot: Rect,
    scale: Scale,
    groups: Vec<Group<'a>>,
}

impl Layout<'_> {
    fn x(&self, value: f64) -> f64 {
        self.plot.x + self.scale.share(value) * self.plot.width
    }
}

/// Bars from zero, of amounts of one unit.
pub fn bars_chart(title: &str, unit: Unit, groups: &[Amounts], size: Size, theme: Theme) -> Chart {
    let groups = those(groups, |_| true);
    draw((title, &note(&groups)), (unit, Style::Bars), &groups, size, theme)
}

/// How many times as much as in the lane `base`, on a logarithmic axis; ratios
/// that are not above zero are left out.
pub fn dots_chart(title: &str, base: &str, groups: &[Amounts], size: Size, theme: Theme) -> Chart {
    let groups = those(groups, |of| of.median > 0.0 && of.ci95[0] > 0.0);
    let note = [format!("line: as in {}", lane_name(base)), note(&groups)].join(" · ");
    draw((title, &note), (Unit::Ratio, Style::Dots), &groups, size, theme)
}

/// The amounts that can be drawn: all numbers, and what else is asked of them.
fn those(groups: &[Amounts], also: fn(&LaneAmount) -> bool) -> Vec<Amounts> {
    let numbers =
        |of: &LaneAmount| [of.ci95[0], of.median, of.ci95[1]].iter().all(|value| value.is_finite());
    let of = |group: &Amounts| {
        let all = group.lanes.iter().filter(|of| numbers(of) && also(of));
        Amounts { name: group.name.clone(), lanes: all.cloned().collect() }
    };
    groups.iter().map(of).filter(|group| !group.lanes.is_empty()).collect()
}

fn draw(
    (title, note): (&str, &str),
    (unit, style): (Unit, Style),
    groups: &[Amounts],
    size: Size,
    theme: Theme,
) -> Chart {
    let palette = theme.palette();
    let layout = lay((title, note), (unit, style), groups, size, theme);
    let canvas = Canvas::new(size.drawn_width(), layout.height, theme);
    layout.header.draw(&canvas, palette);
    let faint = Pen { size: TICK, weight: Weight::Regular, colour: palette.faint };
    let grid = Pen { colour: palette.line, ..faint };
    let bounds = (PAD - 4.0, size.drawn_width() - 2.0);
    let ticks = layout.scale.ticks(unit, size.drawn_width() < NARROW);
    draw_x(&canvas, &ticks, layout.plot, bounds, |value| layout.x(value), (grid, faint));
    if style == Style::Dots {
        let (one, plot) = (layout.x(1.0), layout.plot);
        canvas.line((one, plot.y), (one, plot.bottom()), 1.5, palette.soft);
    }
    let soft = Pen { size: NAME, weight: Weight::Bold, colour: palette.soft };
    for group in &layout.groups {
        canvas.label(&group.name, PAD, group.middle, soft);
        for row in &group.rows {
            canvas.open(&row.of.lane);
            draw_row(&canvas, row, &layout, style, palette);
            canvas.close();
        }
    }
    // Whoever points at it reckons with a linear axis.
    let panel = (style == Style::Bars && !groups.is_empty()).then(|| {
        let x = Axis { domain: layout.scale.domain(), unit: unit_word(unit).to_owned() };
        Panel { lane: None, plot: layout.plot, x, y: None }
    });
    canvas.finish(title, panel.into_iter().collect(), table(title, unit, groups))
}

fn lay<'a>(
    (title, note): (&str, &str),
    (unit, style): (Unit, Style),
    groups: &'a [Amounts],
    size: Size,
    theme: Theme,
) -> Layout<'a> {
    let chart_width = size.drawn_width();
    let header = Header::lay(title, note, chart_width);
    let ids = ids_of(groups);
    let looks = looks(&ids, theme);
    let name = |id: &str| fit(&lane_name(id), chart_width * 0.28, NAME, Weight::Bold);
    let all = || groups.iter().flat_map(|group| &group.lanes);
    let narrow = chart_width < NARROW;
    let interval = |of: &LaneAmount| match of.n {
        // A single trial has none, and a small picture no room.
        0 | 1 => String::new(),
        _ if narrow => String::new(),
        _ => format_value_interval(of.ci95, unit),
    };
    let widest = |texts: &mut dyn Iterator<Item = String>, size: f64, weight: Weight| {
        texts.map(|text| width(&text, size, weight)).fold(0.0, f64::max)
    };
    let names = widest(&mut ids.iter().map(|id| name(id)), NAME, Weight::Bold);
    let values = widest(&mut all().map(|of| format_value(of.median, unit)), NAME, Weight::Bold);
    let intervals = widest(&mut all().map(&interval), TICK, Weight::Regular);
    let left = PAD + names + 12.0;
    let words = values + 10.0 + if intervals > 0.0 { intervals + 8.0 } else { 0.0 };
    let width = (chart_width - PAD - words - left).max(24.0);
    let scale = Scale::over(style, all().flat_map(|of| [of.ci95[0], of.median, of.ci95[1]]));

    let top = header.bottom();
    let natural = top + BELOW + groups.iter().map(height_of).sum::<f64>();
    let height = natural.max(size.least_height());
    let extra = (height - natural) / (groups.len() + 1) as f64;
    let mut y = top;
    let mut laid = Vec::new();
    for group in groups {
        y += extra;
        let middle = y + HEAD / 2.0;
        let rows = group.lanes.iter().enumerate().map(|(at, of)| Row {
            of,
            look: looks[ids.iter().position(|id| *id == of.lane).unwrap_or(0)],
            name: name(&of.lane),
            value: format_value(of.median, unit),
            interval: interval(of),
            middle: y + HEAD + LINE * (at as f64 + 0.5),
        });
        let name = fit(&group.name, chart_width - 2.0 * PAD, NAME, Weight::Bold);
        laid.push(Group { name, middle, rows: rows.collect() });
        y += height_of(group);
    }
    let plot = Rect { x: left, y: top, width, height: height - top - BELOW };
    Layout { header, height, plot, scale, groups: laid }
}

fn height_of(group: &Amounts) -> f64 {
    HEAD + LINE * group.lanes.len() as f64 + BETWEEN
}

/// Every lane once, in the order in which it comes.
fn ids_of(groups: &[Amounts]) -> Vec<&str> {
    let mut ids: Vec<&str> = Vec::new();
    for lane in groups.iter().flat_map(|group| &group.lanes) {
        if !ids.contains(&lane.lane.as_str()) {
            ids.push(&lane.lane);
        }
    }
    ids
}

fn draw_row(canvas: &Canvas, row: &Row<'_>, layout: &Layout<'_>, style: Style, palette: &Palette) {
    let start = layout.plot.x;
    let bold = Pen { size: NAME, weight: Weight::Bold, colour: row.look.text };
    canvas.text(&row.name, start - 12.0, row.middle, Anchor::Right, bold);
    let end = layout.x(row.of.median);
    let bar = Rect { x: start, y: row.middle - BAR / 2.0, width: end - start, height: BAR };
    if style == Style::Bars {
        canvas.rect(bar, row.look.fill);
    }
    let [low, high] = row.of.ci95.map(|value| layout.x(value));
    if row.of.n != 1 && high > low {
        canvas.line((low, row.middle), (high, row.middle), 1.5, palette.ink);
        for end in [low, high] {
            canvas.line((end, row.middle - 4.0), (end, row.middle + 4.0), 1.5, palette.ink);
        }
    }
    if style == Style::Dots {
        canvas.mark((end, row.middle), 5.0, row.look.shape, row.look.fill, false);
    }
    let ink = Pen { colour: palette.ink, ..bold };
    let x = end.max(high) + 10.0;
    canvas.label(&row.value, x, row.middle, ink);
    let soft = Pen { size: TICK, weight: Weight::Regular, colour: palette.soft };
    if !row.interval.is_empty() {
        let x = x + width(&row.value, NAME, Weight::Bold) + 8.0;
        canvas.label(&row.interval, x, row.middle, soft);
    }
}

fn note(groups: &[Amounts]) -> String {
    let all = || groups.iter().flat_map(|group| &group.lanes);
    let (least, most) = all().fold((u32::MAX, 0), |(l, m), of| (l.min(of.n), m.max(of.n)));
    let mut notes = match (least, most) {
        (_, 0) => Vec::new(),
        (1, 1) => vec!["one trial a lane, so no interval".to_owned()],
        (least, most) if least == most => {
            vec![format!("median of {most} · whiskers: {}", interval_words(most))]
        }
        (least, most) => {
            vec![format!("medians of {least} to {most} · whiskers: {}", interval_words(least))]
        }
    };
    let mut seen: Vec<(&str, Option<Accelerator>)> = Vec::new();
    for of in all() {
        if !seen.iter().any(|(lane, _)| *lane == of.lane) {
            seen.push((&of.lane, of.accelerator));
        }
    }
    notes.extend(accelerator_note(seen.into_iter()));
    notes.join(" · ")
}

fn table(title: &str, unit: Unit, groups: &[Amounts]) -> Table {
    let mut table = Table::new(title, &["Measured", "Lane", "Median", "Interval", "Trials"]);
    for group in groups {
        for of in &group.lanes {
            let interval =
                if of.n > 1 { format_value_interval(of.ci95, unit) } else { String::new() };
            table.rows.push(vec![
                group.name.clone(),
                lane_title(&of.lane, of.accelerator),
                format_value(of.median, unit),
                interval,
                of.n.to_string(),
            ]);
        }
    }
    table
}
