//! Every trial as a mark, with the median and its interval.

mod swarm;

use tandem_model::{Accelerator, Unit};

use crate::{
    axis::{TICK, draw_x, ticks_between, unit_word},
    canvas::{Anchor, Canvas, Pen},
    chart::{Axis, Chart, Panel, Rect, Size, Table},
    from_result::interval_words,
    header::{Header, NARROW, PAD},
    lane::{Look, accelerator_note, lane_name, lane_title, looks},
    text::{Weight, fit, width},
    theme::Theme,
};
use swarm::swarm;
use tandem_model::format::{format_value, format_value_interval};

/// What a mark stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarkOf {
    /// A trial of one run.
    Trial,
    /// A whole machine: the median of its trials.
    Machine,
}

impl MarkOf {
    fn word(self) -> &'static str {
        match self {
            Self::Trial => "trial",
            Self::Machine => "machine",
        }
    }
}

/// The values of one row: the trials of a lane, or its medians on machines.
#[derive(Debug, Clone, PartialEq)]
pub struct LaneTrials {
    /// Lane id, as in the result.
    pub lane: String,
    /// What its row is called, where it is not the lane's own name.
    pub name: Option<String>,
    /// What ran its machine, if it has one.
    pub accelerator: Option<Accelerator>,
    /// One value a measured trial, in the metric's unit.
    pub values: Vec<f64>,
    /// Their median.
    pub median: f64,
    /// Its 95 % interval.
    pub ci95: [f64; 2],
}

/// Lanes whose medians differ by more than this factor get axes of their own:
/// on a common one the spread of the smaller cannot be seen.
const COMMON: f64 = 4.0;
const RADIUS: f64 = 4.0;
const AXIS: f64 = 26.0;
const BETWEEN: f64 = 14.0;

struct Row<'a> {
    trials: &'a LaneTrials,
    look: Look,
    domain: [f64; 2],
    plot: Rect,
    marks: Vec<(f64, f64)>,
}

/// The picture before anything is drawn.
struct Layout<'a> {
    header: Header,
    width: f64,
    height: f64,
    narrow: bool,
    rows: Vec<Row<'a>>,
    /// Places and domains of the axes: one, or one a row.
    axes: Vec<(Rect, [f64; 2])>,
}

/// Draws every value of every lane: filled marks, hollow ones for values
/// beyond Tukey's fences, a line at the median and a band for its interval.
pub fn distribution_chart(
    title: &str,
    unit: Unit,
    lanes: &[LaneTrials],
    mark: MarkOf,
    size: Size,
    theme: Theme,
) -> Chart {
    let palette = theme.palette();
    let lanes: Vec<&LaneTrials> = lanes.iter().filter(|lane| !lane.values.is_empty()).collect();
    let words: Vec<[String; 3]> =
        lanes.iter().map(|lane| words(lane, unit, size.drawn_width())).collect();
    let layout = lay((title, mark), &lanes, &words, size, theme);
    let canvas = Canvas::new(layout.width, layout.height, theme);
    layout.header.draw(&canvas, palette);
    let faint = Pen { size: TICK, weight: Weight::Regular, colour: palette.faint };
    let grid = Pen { colour: palette.line, ..faint };
    let bounds = (PAD - 4.0, layout.width - 2.0);
    for (plot, [low, high]) in &layout.axes {
        let ticks = ticks_between(*low, *high, unit, if layout.narrow { 4 } else { 7 });
        let scale = |value: f64| plot.x + (value - low) / (high - low) * plot.width;
        draw_x(&canvas, &ticks, *plot, bounds, scale, (grid, faint));
    }
    for (row, words) in layout.rows.iter().zip(&words) {
        canvas.open(&row.trials.lane);
        draw_row(&canvas, row, theme);
        draw_words(&canvas, row, words, layout.narrow, theme);
        canvas.close();
    }
    let own = own_axes(&lanes);
    let panels = layout.axes.iter().enumerate().map(|(at, (plot, domain))| Panel {
        lane: own.then(|| lanes[at].lane.clone()),
        plot: *plot,
        x: Axis { domain: *domain, unit: unit_word(unit).to_owned() },
        y: None,
    });
    canvas.finish(title, panels.collect(), table(title, unit, mark, &lanes))
}

fn lay<'a>(
    (title, mark): (&str, MarkOf),
    lanes: &[&'a LaneTrials],
    words: &[[String; 3]],
    size: Size,
    theme: Theme,
) -> Layout<'a> {
    let chart_width = size.drawn_width();
    let narrow = chart_width < NARROW;
    let own = own_axes(lanes);
    let header = Header::lay(title, &note(lanes, mark, own), chart_width);
    let (name_column, value_column) = if narrow { (0.0, 0.0) } else { columns(words) };
    let (left, right) = (PAD + name_column, chart_width - PAD - value_column);
    // A lane that is there more than once looks the same in all its rows.
    let mut ids: Vec<&str> = Vec::new();
    for lane in lanes {
        if !ids.contains(&lane.lane.as_str()) {
            ids.push(&lane.lane);
        }
    }
    let of_lanes = looks(&ids, theme);
    let look = |id: &str| ids.iter().position(|of| *of == id).map(|at| of_lanes[at]);

    let top = header.bottom();
    let mut y = top + 4.0;
    let mut rows = Vec::new();
    for (trials, look) in lanes.iter().filter_map(|lane| Some((lane, look(&lane.lane)?))) {
        if narrow {
            y += 22.0;
        }
        let domain = if own { domain(&[*trials], own) } else { domain(lanes, own) };
        let place = Rect { x: left, y, width: right - left, height: 0.0 };
        let row = Row::lay(trials, look, domain, place);
        y += row.plot.height + if own { AXIS + BETWEEN } else { BETWEEN };
        rows.push(row);
    }
    let natural = (y - BETWEEN).max(top) + if own { 0.0 } else { AXIS } + PAD / 2.0;
    let height = natural.max(size.least_height());
    let extra = (height - natural) / (rows.len() + 1) as f64;
    for (at, row) in rows.iter_mut().enumerate() {
        row.lower(extra * (at + 1) as f64);
    }
    let axes = if own {
        rows.iter().map(|row| (row.plot, row.domain)).collect()
    } else {
        let whole =
            Rect { x: left, y: top, width: right - left, height: height - AXIS - PAD / 2.0 - top };
        rows.first().map(|row| (whole, row.domain)).into_iter().collect()
    };
    Layout { header, width: chart_width, height, narrow, rows, axes }
}

impl<'a> Row<'a> {
    /// A row at `place`, as high as its marks need.
    fn lay(trials: &'a LaneTrials, look: Look, domain: [f64; 2], place: Rect) -> Self {
        let scale = place.width / (domain[1] - domain[0]);
        let places: Vec<f64> =
            trials.values.iter().map(|value| place.x + (value - domain[0]) * scale).collect();
        let (offsets, reach) = swarm(&places, RADIUS);
        let plot = Rect { height: 2.0 * (reach + RADIUS + 8.0), ..place };
        let middle = plot.y + plot.height / 2.0;
        let marks = places.into_iter().zip(offsets).map(|(x, dy)| (x, middle + dy)).collect();
        Self { trials, look, domain, plot, marks }
    }

    fn lower(&mut self, by: f64) {
        self.plot.y += by;
        for mark in &mut self.marks {
            mark.1 += by;
        }
    }
}

fn note(lanes: &[&LaneTrials], mark: MarkOf, own: bool) -> String {
    let least = lanes.iter().map(|lane| lane.values.len()).min().unwrap_or(0);
    let band = interval_words(u32::try_from(least).unwrap_or(u32::MAX));
    let mut notes = vec![format!("mark: {} · line: median · band: {band}", mark.word())];
    notes.extend(own.then(|| "scales differ".to_owned()));
    let unnamed = lanes.iter().filter(|one| one.name.is_none());
    notes.extend(accelerator_note(unnamed.map(|one| (one.lane.as_str(), one.accelerator))));
    notes.join(" · ")
}

fn draw_row(canvas: &Canvas, row: &Row<'_>, theme: Theme) {
    let palette = theme.palette();
    let plot = row.plot;
    let at = |value: f64| {
        plot.x + (value - row.domain[0]) / (row.domain[1] - row.domain[0]) * plot.width
    };
    let [low, high] = row.trials.ci95.map(at);
    let band = Rect { x: low, width: high - low, ..plot };
    canvas.rect(band, row.look.fill.over(palette.surface, 0.16));
    let median = at(row.trials.median);
    canvas.line((median, plot.y), (median, plot.bottom()), 2.0, palette.ink);
    let outliers = tandem_stats::outliers(&row.trials.values).unwrap_or_default();
    for (at, mark) in row.marks.iter().enumerate() {
        let hollow = outliers.get(at).copied().unwrap_or(false);
        canvas.mark(*mark, RADIUS, row.look.shape, row.look.fill, hollow);
    }
}

fn draw_words(canvas: &Canvas, row: &Row<'_>, words: &[String; 3], narrow: bool, theme: Theme) {
    let palette = theme.palette();
    let [name, value, interval] = words;
    let middle = row.plot.y + row.plot.height / 2.0;
    let name_pen = Pen { size: 13.0, weight: Weight::Bold, colour: row.look.text };
    let value_pen = Pen { size: 15.0, weight: Weight::Bold, colour: palette.ink };
    let soft = Pen { size: TICK, weight: Weight::Regular, colour: palette.soft };
    if narrow {
        let y = row.plot.y - 12.0;
        let mut x = PAD;
        for (text, pen) in [(name, name_pen), (value, value_pen), (interval, soft)] {
            // The interval stands in the table too; half of it says nothing.
            if x + width(text, pen.size, pen.weight) <= row.plot.right() {
                canvas.label(text, x, y, pen);
            }
            x += width(text, pen.size, pen.weight) + 10.0;
        }
    } else {
        let x = row.plot.right() + 16.0;
        canvas.text(name, row.plot.x - 12.0, middle, Anchor::Right, name_pen);
        canvas.text(value, x, middle - 9.0, Anchor::Left, value_pen);
        canvas.text(interval, x, middle + 10.0, Anchor::Left, soft);
    }
}

fn own_axes(lanes: &[&LaneTrials]) -> bool {
    let medians = || lanes.iter().map(|lane| lane.median);
    let (low, high) = (medians().fold(f64::INFINITY, f64::min), medians().fold(0.0, f64::max));
    lanes.len() > 1 && high > low * COMMON
}

/// From zero on a common axis; around the values on an own one.
fn domain(lanes: &[&LaneTrials], own: bool) -> [f64; 2] {
    let values = || lanes.iter().flat_map(|lane| lane.values.iter().chain(&lane.ci95)).copied();
    let (low, high) =
        (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
    if own {
        let margin = ((high - low) * 0.06).max(high.abs() * 0.01).max(f64::MIN_POSITIVE);
        [low - margin, high + margin]
    } else {
        [0.0_f64.min(low), if high > 0.0 { high * 1.04 } else { 1.0 }]
    }
}

fn words(lane: &LaneTrials, unit: Unit, chart_width: f64) -> [String; 3] {
    let interval = format_value_interval(lane.ci95, unit);
    let name = lane.name.clone().unwrap_or_else(|| lane_name(&lane.lane));
    [
        fit(&name, chart_width * 0.3, 13.0, Weight::Bold),
        format_value(lane.median, unit),
        format!("{interval} · n = {}", lane.values.len()),
    ]
}

fn columns(words: &[[String; 3]]) -> (f64, f64) {
    let widest = |at: usize, size: f64, weight: Weight| {
        words.iter().map(|words| width(&words[at], size, weight)).fold(0.0, f64::max)
    };
    let value = widest(1, 15.0, Weight::Bold).max(widest(2, TICK, Weight::Regular));
    (widest(0, 13.0, Weight::Bold) + 12.0, value + 16.0)
}

fn table(title: &str, unit: Unit, mark: MarkOf, lanes: &[&LaneTrials]) -> Table {
    let heading = if mark == MarkOf::Trial { "Trial" } else { "Machine" };
    let mut table = Table::new(title, &["Lane", heading, "Value", "Beyond the fences"]);
    for lane in lanes {
        let outliers = tandem_stats::outliers(&lane.values).unwrap_or_default();
        for (at, value) in lane.values.iter().enumerate() {
            let marked = outliers.get(at).copied().unwrap_or(false);
            table.rows.push(vec![
                lane.name.clone().unwrap_or_else(|| lane_title(&lane.lane, lane.accelerator)),
                (at + 1).to_string(),
                format_value(*value, unit),
                if marked { "yes" } else { "no" }.to_owned(),
            ]);
        }
    }
    table
}
