//! What lanes use over time, or with more and more instances: one line a lane.

mod downsample;
mod labels;
mod quantity;

use tandem_model::Accelerator;

use crate::{
    axis::{TICK, Ticks, draw_x},
    canvas::{Anchor, Canvas, Pen},
    chart::{Axis, Chart, Panel, Rect, Size, Table},
    header::{Header, NARROW, PAD},
    lane::{Look, accelerator_note, lane_name, lane_title, looks},
    text::{Weight, width},
    theme::{Palette, Theme},
};
pub(crate) use downsample::downsample;
use labels::{End, place_ends};
pub use quantity::Growth;
use quantity::{Along, CPU, MEMORY, Quantity};

/// A lane's use over time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LaneSeries {
    /// Lane id, as in the result.
    pub lane: String,
    /// What ran its machine, if it has one.
    pub accelerator: Option<Accelerator>,
    /// Nanoseconds since the request, and the value: processors busy, or
    /// bytes.
    pub points: Vec<[f64; 2]>,
    /// When the first answer came, nanoseconds since the request.
    pub first_response_ns: Option<f64>,
}

/// Height when none is asked for.
const HEIGHT: f64 = 220.0;
const LEAST_HEIGHT: f64 = 140.0;
/// Space beneath the plot for the words of its axis.
const BELOW: f64 = 22.0 + PAD / 2.0;
/// Processors busy over the time since the request, a line a lane.
pub fn cpu_chart(series: &[LaneSeries], size: Size, theme: Theme) -> Chart {
    draw(&CPU, series, size, theme)
}

/// Memory over the time since the request, a line a lane.
pub fn memory_chart(series: &[LaneSeries], size: Size, theme: Theme) -> Chart {
    draw(&MEMORY, series, size, theme)
}

/// What grows with the number of instances, a line a lane. A point is a number
/// of instances and the value; `more` is a further note.
pub fn growth_chart(
    growth: Growth,
    series: &[LaneSeries],
    more: &str,
    size: Size,
    theme: Theme,
) -> Chart {
    draw_with(&growth.quantity(), series, more, size, theme)
}

/// The picture before anything is drawn.
struct Frame {
    header: Header,
    width: f64,
    height: f64,
    panel: Panel,
    /// Ends of the axes, from zero.
    x_max: f64,
    y_max: f64,
    y_ticks: Ticks,
    /// What stands at the end of each line, and on how many lines of text.
    words: Vec<[String; 2]>,
    label_lines: usize,
}

impl Frame {
    fn lay(quantity: &Quantity, series: &[LaneSeries], more: &str, size: Size) -> Self {
        let width = size.drawn_width();
        let header = Header::lay(quantity.title, &note(quantity, series, more), width);
        let label_lines = if width < NARROW && series.len() > 1 { 2 } else { 1 };
        let words = words(quantity, series, width);
        let margin = words.iter().map(|words| labels::wide(words, label_lines)).fold(0.0, f64::max);

        let points = || series.iter().flat_map(|lane| &lane.points);
        let finite = || points().filter(|point| point.iter().all(|value| value.is_finite()));
        let highest = finite().map(|point| point[1]).fold(quantity.least, f64::max);
        let latest = finite().map(|point| point[0]).fold(0.0, f64::max);
        let (y_max, x_max) = (
            (quantity.round_up)(highest),
            if latest > 0.0 { latest } else { quantity.along.least() },
        );
        let y_ticks = (quantity.ticks)(y_max, 5);
        let left = PAD + 8.0 + widest(&y_ticks);

        let top = header.bottom() + 4.0;
        let least = if size.height == 0 { HEIGHT } else { LEAST_HEIGHT };
        // Every line's label has room even when all lines end in one place.
        let room = labels::height(label_lines) * (series.len() + 1) as f64;
        let height = size.least_height().max(least).max(top + BELOW + room.max(80.0) + PAD / 2.0);
        let plot = Rect {
            x: left,
            y: top,
            width: (width - PAD - margin - 12.0 - left).max(40.0),
            height: height - top - BELOW,
        };
        let panel = Panel {
            lane: None,
            plot,
            x: Axis { domain: [0.0, x_max], unit: quantity.along.unit().into() },
            y: Some(Axis { domain: [0.0, y_max], unit: quantity.unit.into() }),
        };
        Self { header, width, height, panel, x_max, y_max, y_ticks, words, label_lines }
    }

    fn x(&self, ns: f64) -> f64 {
        self.panel.plot.x + ns / self.x_max * self.panel.plot.width
    }

    fn y(&self, value: f64) -> f64 {
        let plot = self.panel.plot;
        plot.bottom() - value.clamp(0.0, self.y_max) / self.y_max * plot.height
    }
}

fn draw(quantity: &Quantity, series: &[LaneSeries], size: Size, theme: Theme) -> Chart {
    draw_with(quantity, series, "", size, theme)
}

/// `more` is a further note.
fn draw_with(
    quantity: &Quantity,
    series: &[LaneSeries],
    more: &str,
    size: Size,
    theme: Theme,
) -> Chart {
    let frame = Frame::lay(quantity, series, more, size);
    let palette = theme.palette();
    let canvas = Canvas::new(frame.width, frame.height, theme);
    frame.header.draw(&canvas, palette);
    draw_axes(&canvas, &frame, quantity.along, palette);
    let ids: Vec<&str> = series.iter().map(|lane| lane.lane.as_str()).collect();
    let mut ends = Vec::new();
    let mut paths = Vec::new();
    for ((lane, look), words) in series.iter().zip(looks(&ids, theme)).zip(&frame.words) {
        canvas.open(&lane.lane);
        let path = draw_line(&canvas, &frame, lane, look);
        canvas.close();
        if let Some(&(x, y)) = path.last() {
            ends.push(End { x, y, words: words.clone(), look, own: paths.len() });
        }
        paths.push(path);
    }
    let plot = frame.panel.plot;
    let bounds = Rect { width: frame.width - PAD + 4.0 - plot.x, ..plot };
    for (end, place) in place_ends(&ends, &paths, bounds, frame.label_lines) {
        labels::draw(&canvas, end, place, frame.label_lines, palette);
    }
    canvas.finish(quantity.title, vec![frame.panel], table(quantity, series))
}

fn draw_axes(canvas: &Canvas, frame: &Frame, along: Along, palette: &Palette) {
    let faint = Pen { size: TICK, weight: Weight::Regular, colour: palette.faint };
    let grid = Pen { colour: palette.line, ..faint };
    let plot = frame.panel.plot;
    for (value, word) in &frame.y_ticks.0 {
        let y = frame.y(*value);
        canvas.line((plot.x, y), (plot.right(), y), 1.0, grid.colour);
        canvas.text(word, plot.x - 8.0, y, Anchor::Right, faint);
    }
    let ticks = along.ticks(frame.x_max, if frame.width < NARROW { 4 } else { 7 });
    let no_lines = Rect { y: plot.bottom(), height: 0.0, ..plot };
    draw_x(canvas, &ticks, no_lines, (2.0, frame.width - 2.0), |ns| frame.x(ns), (grid, faint));
}

/// Draws a line with its marks and returns its path in pixels.
fn draw_line(canvas: &Canvas, frame: &Frame, lane: &LaneSeries, look: Look) -> Vec<(f64, f64)> {
    let columns = columns(frame.panel.plot.width);
    let points = downsample(&lane.points, frame.panel.x.domain, columns);
    let path: Vec<(f64, f64)> = points.iter().map(|(x, y)| (frame.x(*x), frame.y(*y))).collect();
    canvas.series(&frame.panel, &points, 2.0, look.fill);
    if let Some(end) = path.last() {
        canvas.mark(*end, 3.5, look.shape, look.fill, false);
    }
    let answered = lane.first_response_ns.map(|first| frame.x(first));
    if let Some((x, y)) = answered.and_then(|x| Some((x, value_at(&path, x)?))) {
        canvas.mark((x, y), 4.5, look.shape, look.fill, true);
    }
    path
}

fn note(quantity: &Quantity, series: &[LaneSeries], more: &str) -> String {
    let mut notes = vec![quantity.note.to_owned()];
    notes.extend((!more.is_empty()).then(|| more.to_owned()));
    notes.extend(accelerator_note(series.iter().map(|one| (one.lane.as_str(), one.accelerator))));
    let answered = series.iter().any(|lane| lane.first_response_ns.is_some());
    notes.extend(answered.then(|| "hollow mark: first answer".to_owned()));
    notes.join(" · ")
}

fn words(quantity: &Quantity, series: &[LaneSeries], chart_width: f64) -> Vec<[String; 2]> {
    let of_lane = |lane: &LaneSeries| {
        let last = lane.points.last().map_or(f64::NAN, |point| point[1]);
        // A chart of one lane stands on that lane's card.
        let name = (series.len() > 1).then(|| labels::short(&lane_name(&lane.lane), chart_width));
        [name.unwrap_or_default(), (quantity.format)(last)]
    };
    series.iter().map(of_lane).collect()
}

fn widest(ticks: &Ticks) -> f64 {
    ticks.0.iter().map(|(_, word)| width(word, TICK, Weight::Regular)).fold(0.0, f64::max)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a plot is a few thousand pixels wide"
)]
fn columns(width: f64) -> usize {
    width.ceil() as usize
}

/// Where a path stands at `x`, between its points.
fn value_at(path: &[(f64, f64)], x: f64) -> Option<f64> {
    let after = path.iter().position(|point| point.0 >= x)?;
    let (right, left) = (path[after], path[after.saturating_sub(1)]);
    let share = if right.0 > left.0 { (x - left.0) / (right.0 - left.0) } else { 1.0 };
    Some(left.1 + (right.1 - left.1) * share.clamp(0.0, 1.0))
}

fn table(quantity: &Quantity, series: &[LaneSeries]) -> Table {
    let mut table =
        Table::new(quantity.title, &["Lane", "Last", "Mean of samples", "Highest", "Samples"]);
    for lane in series {
        let values: Vec<f64> =
            lane.points.iter().map(|point| point[1]).filter(|value| value.is_finite()).collect();
        let highest = values.iter().copied().fold(f64::NAN, f64::max);
        // Not the statistics' mean: that one sorts, which live data has no time for.
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        table.rows.push(vec![
            lane_title(&lane.lane, lane.accelerator),
            (quantity.format)(values.last().copied().unwrap_or(f64::NAN)),
            (quantity.format)(mean),
            (quantity.format)(highest),
            values.len().to_string(),
        ]);
    }
    table
}
