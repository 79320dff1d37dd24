use std::collections::BTreeSet;

use super::{LINE, NAME, NARROW, Strip};
use crate::{
    axis::{TICK, draw_x, time_ticks},
    canvas::{Anchor, Canvas, Pen},
    chart::Rect,
    header::PAD,
    lane::Look,
    lines::downsample,
    text::Weight,
    theme::Palette,
};

/// How high a stroke for a lost request is.
const STROKE: f64 = 9.0;

/// A lane: its words, then its plot with changes, strokes and lines.
pub(super) fn strip(
    canvas: &Canvas,
    strip: &Strip<'_>,
    look: Look,
    chart_width: f64,
    palette: &Palette,
) {
    let bold = Pen { size: NAME, weight: Weight::Bold, colour: look.text };
    let soft = Pen { size: NAME, weight: Weight::Regular, colour: palette.soft };
    canvas.text(&strip.name, PAD, strip.top + LINE / 2.0, Anchor::Left, bold);
    for (at, line) in strip.lines.iter().enumerate() {
        canvas.text(line, PAD, strip.top + LINE * (at as f64 + 1.5), Anchor::Left, soft);
    }
    let plot = strip.panel.plot;
    let [_, long] = strip.panel.x.domain;
    let x = |at: f64| plot.x + ((at - strip.begin) / long).clamp(0.0, 1.0) * plot.width;
    // What others hand in may have any number of them.
    for [at, took] in strip.load.changes.iter().take(100) {
        let (from, to) = (x(*at), x(at + took.max(0.0)));
        let left = from.min(plot.right() - 2.0);
        let band = Rect { x: left, width: (to - left).max(2.0), ..plot };
        canvas.rect(band, palette.warn.over(palette.surface, 0.22));
    }
    axes(canvas, strip, chart_width, palette);
    let lost = strokes(canvas, strip, x, palette);
    line(canvas, strip, look, &lost);
}

fn axes(canvas: &Canvas, strip: &Strip<'_>, chart_width: f64, palette: &Palette) {
    let faint = Pen { size: TICK, weight: Weight::Regular, colour: palette.faint };
    let grid = Pen { colour: palette.line, ..faint };
    let plot = strip.panel.plot;
    let top = strip.panel.y.as_ref().map_or(1.0, |axis| axis.domain[1]);
    for (value, word) in &strip.y_ticks.0 {
        let y = plot.bottom() - value / top * plot.height;
        canvas.line((plot.x, y), (plot.right(), y), 1.0, grid.colour);
        canvas.text(word, plot.x - 8.0, y, Anchor::Right, faint);
    }
    let [_, long] = strip.panel.x.domain;
    let ticks = time_ticks(long, if chart_width < NARROW { 4 } else { 7 });
    let beneath = Rect { y: plot.bottom(), height: 0.0, ..plot };
    let scale = |ns: f64| plot.x + ns / long * plot.width;
    draw_x(canvas, &ticks, beneath, (2.0, chart_width - 2.0), scale, (grid, faint));
}

/// A stroke for each column of pixels in which a request was lost; their
/// columns.
fn strokes(
    canvas: &Canvas,
    strip: &Strip<'_>,
    x: impl Fn(f64) -> f64,
    palette: &Palette,
) -> BTreeSet<u32> {
    let lost = strip.load.lost.iter().filter(|at| at.is_finite());
    let columns: BTreeSet<u32> = lost.map(|at| column(x(*at))).collect();
    let top = strip.panel.plot.y;
    for at in &columns {
        let x = f64::from(*at);
        canvas.line((x, top - STROKE - 2.0), (x, top - 2.0), 1.0, palette.ink);
    }
    columns
}

/// The line of answers, broken where requests were lost.
fn line(canvas: &Canvas, strip: &Strip<'_>, look: Look, lost: &BTreeSet<u32>) {
    let panel = &strip.panel;
    let points: Vec<[f64; 2]> =
        strip.load.answered.iter().map(|[at, took]| [at - strip.begin, *took]).collect();
    let columns = usize::try_from(column(panel.plot.width)).unwrap_or(1).max(1);
    let points = downsample(&points, panel.x.domain, columns);
    let [_, long] = panel.x.domain;
    let place = |at: f64| column(panel.plot.x + at / long * panel.plot.width);
    let broken = |a: f64, b: f64| lost.range(place(a)..=place(b)).next().is_some();
    for part in points.chunk_by(|a, b| !broken(a.0, b.0)) {
        match part {
            [(at, took)] => {
                let top = panel.y.as_ref().map_or(1.0, |axis| axis.domain[1]);
                let x = panel.plot.x + at / long * panel.plot.width;
                let y = panel.plot.bottom() - (took / top).clamp(0.0, 1.0) * panel.plot.height;
                canvas.mark((x, y), 1.5, look.shape, look.fill, false);
            }
            part => canvas.series(panel, part, 1.5, look.fill),
        }
    }
}

/// The column of pixels at a place.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
fn column(x: f64) -> u32 {
    x.round() as u32
}
