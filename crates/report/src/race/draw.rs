use super::{
    labels::{LINE, PHASE},
    layout::{Body, CONDITION, Layout, NAME, OPEN, Row, VALUE},
};
use crate::{
    axis::{TICK, draw_x},
    canvas::{Anchor, Canvas, Pen},
    chart::{Axis, Chart, Panel, Rect, Table},
    header::PAD,
    text::{Weight, width},
    theme::{Palette, Theme},
};

pub(super) fn draw(layout: &Layout, table: Table, theme: Theme) -> Chart {
    let palette = theme.palette();
    let canvas = Canvas::new(layout.width, layout.height, theme);
    layout.header.draw(&canvas, palette);
    let words = Pen { size: TICK, weight: Weight::Regular, colour: palette.faint };
    let grid = Pen { colour: palette.line, ..words };
    let plot = layout.plot;
    let bounds = (PAD - 4.0, layout.width - 2.0);
    draw_x(&canvas, &layout.ticks, plot, bounds, |ns| plot.x + ns * layout.scale, (grid, words));
    for row in &layout.rows {
        canvas.open(&row.id);
        draw_name(&canvas, row, palette);
        draw_body(&canvas, row, layout, palette);
        canvas.close();
    }
    let domain = [0.0, plot.width / layout.scale];
    let panel = Panel { lane: None, plot, x: Axis { domain, unit: "ns".into() }, y: None };
    canvas.finish(&layout.title, vec![panel], table)
}

fn draw_name(canvas: &Canvas, row: &Row, palette: &Palette) {
    let name = Pen { size: NAME, weight: Weight::Bold, colour: row.look.text };
    let soft = Pen { size: CONDITION, weight: Weight::Regular, colour: palette.soft };
    let middle = row.bar.y + row.bar.height / 2.0;
    if row.above {
        let y = row.bar.y - 14.0;
        canvas.label(&row.name, PAD, y, name);
        let after = PAD + width(&row.name, NAME, Weight::Bold) + 8.0;
        if !row.condition.is_empty() {
            canvas.label(&row.condition, after, y, soft);
        }
        return;
    }
    let edge = row.bar.x - 12.0;
    if row.condition.is_empty() {
        canvas.text(&row.name, edge, middle, Anchor::Right, name);
    } else {
        canvas.text(&row.name, edge, middle - 8.0, Anchor::Right, name);
        canvas.text(&row.condition, edge, middle + 8.0, Anchor::Right, soft);
    }
}

fn draw_body(canvas: &Canvas, row: &Row, layout: &Layout, palette: &Palette) {
    let bar = row.bar;
    let middle = bar.y + bar.height / 2.0;
    let soft = Pen { size: PHASE, weight: Weight::Regular, colour: palette.soft };
    let (slices, labels, value, value_x, finish, whisker) = match &row.body {
        Body::Bar { slices, labels, value, value_x, finish, whisker } => {
            (slices, labels, value, *value_x, *finish, *whisker)
        }
        Body::Words(lines) => {
            let pen = Pen { size: CONDITION + 0.5, ..soft };
            let first = if lines.len() > 1 { bar.y + LINE / 2.0 } else { middle };
            for (at, line) in lines.iter().enumerate() {
                canvas.label(
                    line,
                    bar.x + if row.above { 0.0 } else { 4.0 },
                    first + LINE * at as f64,
                    pen,
                );
            }
            return;
        }
    };
    let at = |ns: f64| bar.x + ns * layout.scale;
    for (index, slice) in slices.iter().enumerate() {
        let (x, end) = (at(slice.start), at(slice.end));
        canvas.rect(Rect { x, width: end - x, ..bar }, slice.fill);
        // A hairline of ground parts slices that are wide enough to lose it.
        if index > 0 && end - x > 4.0 {
            canvas.line((x, bar.y), (x, bar.bottom()), 1.0, palette.surface);
        }
    }
    if finish.is_none() {
        draw_open_end(canvas, row, palette);
    }
    for &index in &labels.inside {
        let slice = &slices[index];
        let right = whisker.map_or(at(slice.end), |(low, _)| at(slice.end).min(low - 2.0));
        let pen = Pen { colour: palette.text_on(slice.fill), ..soft };
        let centre = f64::midpoint(at(slice.start), right);
        canvas.text(&slice.words, centre, middle, Anchor::Middle, pen);
    }
    if let Some((low, high)) = whisker {
        canvas.line((low, middle), (high, middle), 1.5, palette.ink);
        for end in [low, high] {
            canvas.line((end, middle - 5.0), (end, middle + 5.0), 1.5, palette.ink);
        }
    }
    if let Some(x) = finish {
        canvas.line((x, bar.y - 5.0), (x, bar.bottom() + 5.0), 2.0, palette.ink);
    }
    let bold = Pen { size: VALUE, weight: Weight::Bold, colour: palette.ink };
    canvas.label(value, value_x, middle, bold);
    if let Some(words) = &labels.beside {
        canvas.label(words, value_x + width(value, VALUE, Weight::Bold) + 10.0, middle, soft);
    }
    for (x, line, words) in &labels.beneath {
        canvas.label(words, *x, bar.bottom() + 5.0 + LINE * (*line as f64 + 0.5), soft);
    }
}

/// Three strokes that fade: the bar is still growing.
fn draw_open_end(canvas: &Canvas, row: &Row, palette: &Palette) {
    for (at, strength) in [0.5, 0.3, 0.15].into_iter().enumerate() {
        let x = row.bar.right() + 3.0 + at as f64 * (OPEN / 3.0);
        let stroke = Rect { x, width: 4.0, ..row.bar };
        canvas.rect(stroke, row.look.fill.over(palette.surface, strength));
    }
}
