//! Where memory or disk went: bars whose parts add up.

use tandem_model::{Accelerator, Ledger};

use crate::{
    axis::{TICK, Ticks, byte_ticks, draw_x},
    canvas::{Anchor, Canvas, Pen},
    chart::{Axis, Chart, Panel, Rect, Size, Table},
    header::{Header, NARROW, PAD},
    lane::{Look, accelerator_note, lane_name, lane_title, looks},
    text::{Weight, fit, width},
    theme::{Colour, Palette, Theme},
};
use tandem_model::format::format_bytes;

const BAR: f64 = 28.0;
const BETWEEN: f64 = 20.0;
const LINE: f64 = 20.0;
const SIZE: f64 = 12.5;
const SWATCH: f64 = 10.0;
const APART: f64 = 22.0;
const NAME: f64 = 13.0;
/// As large as the race's values, and for the same reason.
const TOTAL: f64 = 16.0;

/// Where memory or disk of one lane went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LaneLedger {
    /// Lane id, as in the result.
    pub lane: String,
    /// What ran its machine, if it has one.
    pub accelerator: Option<Accelerator>,
    /// The parts.
    pub ledger: Ledger,
}

struct Part {
    words: String,
    fill: Colour,
    /// Place of the swatch; the words follow it.
    x: f64,
    line: usize,
}

/// The picture before anything is drawn.
struct Layout<'a> {
    header: Header,
    width: f64,
    height: f64,
    narrow: bool,
    plot: Rect,
    /// Pixels for a byte.
    scale: f64,
    ticks: Ticks,
    rows: Vec<Row<'a>>,
}

struct Row<'a> {
    lane: &'a LaneLedger,
    look: Look,
    name: String,
    total: String,
    /// Upper edge of the bar.
    y: f64,
    parts: Vec<Part>,
}

/// One bar a lane, all on one scale, every part named beneath with its bytes.
pub fn ledger_chart(title: &str, ledgers: &[LaneLedger], size: Size, theme: Theme) -> Chart {
    let palette = theme.palette();
    let layout = lay(title, ledgers, size, theme);
    let canvas = Canvas::new(layout.width, layout.height, theme);
    layout.header.draw(&canvas, palette);
    let faint = Pen { size: TICK, weight: Weight::Regular, colour: palette.faint };
    let grid = Pen { colour: palette.line, ..faint };
    let (plot, scale) = (layout.plot, layout.scale);
    let bounds = (PAD - 4.0, layout.width - 2.0);
    draw_x(&canvas, &layout.ticks, plot, bounds, |bytes| plot.x + bytes * scale, (grid, faint));
    for row in &layout.rows {
        canvas.open(&row.lane.lane);
        draw_row(&canvas, row, &layout, palette);
        canvas.close();
    }
    let x = Axis { domain: [0.0, plot.width / scale], unit: "bytes".into() };
    let panel = Panel { lane: None, plot, x, y: None };
    canvas.finish(title, vec![panel], table(title, ledgers))
}

fn lay<'a>(title: &str, ledgers: &'a [LaneLedger], size: Size, theme: Theme) -> Layout<'a> {
    let ground = theme.palette().surface;
    let chart_width = size.drawn_width();
    let mut notes = vec!["parts add up to the whole".to_owned()];
    notes.extend(accelerator_note(ledgers.iter().map(|one| (one.lane.as_str(), one.accelerator))));
    let header = Header::lay(title, &notes.join(" · "), chart_width);
    let narrow = chart_width < NARROW;
    let ids: Vec<&str> = ledgers.iter().map(|lane| lane.lane.as_str()).collect();
    let short = |id: &&str| fit(&lane_name(id), chart_width * 0.3, NAME, Weight::Bold);
    let names: Vec<String> = ids.iter().map(short).collect();
    let totals = ledgers.iter().map(|lane| format_bytes(lane.ledger.total()));
    let totals: Vec<String> = totals.collect();
    let widest = |texts: &[String], size: f64| {
        texts.iter().map(|text| width(text, size, Weight::Bold)).fold(0.0, f64::max)
    };
    let column = if narrow { 0.0 } else { widest(&names, NAME) + 12.0 };
    let (left, right) = (PAD + column, chart_width - PAD);
    let largest = ledgers.iter().map(|lane| lane.ledger.total()).max().unwrap_or(0).max(1) as f64;
    let scale = (right - left - widest(&totals, TOTAL) - 10.0).max(1.0) / largest;

    let top = header.bottom();
    let mut y = top + 4.0;
    let mut rows = Vec::new();
    let lanes = ledgers.iter().zip(looks(&ids, theme)).zip(names.into_iter().zip(totals));
    for ((lane, look), (name, total)) in lanes {
        if narrow {
            y += 20.0;
        }
        let parts = lay_parts(&lane.ledger, look.fill, ground, (left, right));
        let lines = parts.iter().map(|part| part.line + 1).max().unwrap_or(0);
        rows.push(Row { lane, look, name, total, y, parts });
        y += BAR + 4.0 + LINE * lines as f64 + BETWEEN;
    }
    let below = 22.0 + PAD / 2.0;
    let natural = (y - BETWEEN + 12.0).max(top + BAR) + below;
    let height = natural.max(size.least_height());
    let extra = (height - natural) / (rows.len() + 1) as f64;
    for (at, row) in rows.iter_mut().enumerate() {
        row.y += extra * (at + 1) as f64;
    }
    let plot = Rect { x: left, y: top, width: right - left, height: height - top - below };
    let ticks = byte_ticks(largest, if narrow { 4 } else { 7 });
    Layout { header, width: chart_width, height, narrow, plot, scale, ticks, rows }
}

fn draw_row(canvas: &Canvas, row: &Row<'_>, layout: &Layout<'_>, palette: &Palette) {
    let bar = Rect { x: layout.plot.x, y: row.y, width: 0.0, height: BAR };
    let middle = bar.y + BAR / 2.0;
    let name = Pen { size: NAME, weight: Weight::Bold, colour: row.look.text };
    if layout.narrow {
        canvas.label(&row.name, PAD, bar.y - 11.0, name);
    } else {
        canvas.text(&row.name, bar.x - 12.0, middle, Anchor::Right, name);
    }
    draw_bar(canvas, &row.lane.ledger, &row.parts, bar, layout.scale, palette);
    let ink = Pen { size: TOTAL, weight: Weight::Bold, colour: palette.ink };
    let end = bar.x + row.lane.ledger.total() as f64 * layout.scale;
    canvas.label(&row.total, end + 10.0, middle, ink);
}

fn draw_bar(
    canvas: &Canvas,
    ledger: &Ledger,
    parts: &[Part],
    bar: Rect,
    scale: f64,
    palette: &Palette,
) {
    let soft = Pen { size: SIZE, weight: Weight::Regular, colour: palette.soft };
    let mut x = bar.x;
    for (index, (entry, part)) in ledger.entries.iter().zip(parts).enumerate() {
        let width = entry.bytes as f64 * scale;
        canvas.rect(Rect { x, width, ..bar }, part.fill);
        if index > 0 && width > 4.0 {
            canvas.line((x, bar.y), (x, bar.bottom()), 1.5, palette.surface);
        }
        x += width;
        let middle = bar.bottom() + 4.0 + LINE * (part.line as f64 + 0.5);
        let swatch = Rect { x: part.x, y: middle - SWATCH / 2.0, width: SWATCH, height: SWATCH };
        canvas.label(&part.words, part.x + SWATCH + 6.0, middle, soft);
        canvas.rect(swatch, part.fill);
    }
}

/// Swatches and words: one after the other where there is room, in columns
/// where they take more than a line.
fn lay_parts(
    ledger: &Ledger,
    lane: Colour,
    ground: Colour,
    (left, right): (f64, f64),
) -> Vec<Part> {
    let mark = SWATCH + 6.0;
    let words: Vec<String> = ledger
        .entries
        .iter()
        .map(|entry| {
            let bytes = format_bytes(entry.bytes as f64);
            let used = width(&bytes, SIZE, Weight::Regular) + 6.0;
            let room = right - left - mark - used;
            format!("{} {bytes}", fit(&entry.name, room, SIZE, Weight::Regular))
        })
        .collect();
    let widths: Vec<f64> =
        words.iter().map(|w| mark + width(w, SIZE, Weight::Regular) + APART).collect();
    let widest = widths.iter().copied().fold(0.0, f64::max);
    let in_one_line = widths.iter().sum::<f64>() - APART <= right - left;
    let columns = (2..=words.len().max(2))
        .rev()
        .find(|columns| widest * *columns as f64 - APART <= right - left)
        .unwrap_or(1);
    let count = words.len();
    let mut x = left;
    let place = |(at, words): (usize, String)| {
        let (place, line) = if in_one_line {
            (x, 0)
        } else {
            (left + (at % columns) as f64 * widest, at / columns)
        };
        x += widths[at];
        let fill = lane.over(ground, strength(&ledger.entries[at].name, at, count));
        Part { words, fill, x: place, line }
    };
    words.into_iter().enumerate().map(place).collect()
}

/// The first part has the full colour, the following ones less and less;
/// what nobody explains is the faintest.
fn strength(name: &str, at: usize, count: usize) -> f64 {
    if name.starts_with("unexplained") {
        return 0.16;
    }
    1.0 - 0.72 * at as f64 / count.saturating_sub(1).max(3) as f64
}

fn table(title: &str, ledgers: &[LaneLedger]) -> Table {
    let mut table = Table::new(title, &["Lane", "Part", "Size", "Bytes"]);
    for LaneLedger { lane, accelerator, ledger } in ledgers {
        let name = lane_title(lane, *accelerator);
        for entry in &ledger.entries {
            table.rows.push(vec![
                name.clone(),
                entry.name.clone(),
                format_bytes(entry.bytes as f64),
                entry.bytes.to_string(),
            ]);
        }
        let total = ledger.total();
        table.rows.push(vec![name, "total".into(), format_bytes(total as f64), total.to_string()]);
    }
    table
}
