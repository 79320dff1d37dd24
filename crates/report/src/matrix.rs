//! What was so and what was not: a row for each question, a cell for each
//! lane.

use tandem_model::Accelerator;

use crate::{
    canvas::{Anchor, Canvas, Pen},
    chart::{Chart, Size, Table},
    header::{Header, PAD},
    lane::{Look, accelerator_note, lane_name, lane_title, looks},
    text::{Weight, fit, width, wrap},
    theme::{Palette, Theme},
};

/// How often something was so in a lane's trials.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// Trials in which it was so.
    pub yes: usize,
    /// Trials that looked.
    pub of: usize,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatrixLane {
    /// Lane id, as in the result.
    pub lane: String,
    /// What ran its machine, if it has one.
    pub accelerator: Option<Accelerator>,
    /// A cell for each question.
    pub counts: Vec<Count>,
}

const SIZE: f64 = 12.5;
const LINE: f64 = 17.0;
const ROW: f64 = 12.0;
const MARK: f64 = 5.0;
/// From the left edge of a cell to its words.
const WORDS: f64 = 2.0 * MARK + 8.0;
const APART: f64 = 18.0;

/// Where the cells are.
enum Cells {
    /// In columns that begin there.
    Columns(Vec<f64>),
    /// Beneath the question, one after the other, with the lane's name.
    Beneath,
}

/// Draws the questions over the lanes.
pub fn matrix_chart(
    title: &str,
    questions: &[String],
    lanes: &[MatrixLane],
    size: Size,
    theme: Theme,
) -> Chart {
    let palette = theme.palette();
    let chart_width = size.drawn_width();
    let header = Header::lay(title, &note(lanes), chart_width);
    let ids: Vec<&str> = lanes.iter().map(|lane| lane.lane.as_str()).collect();
    let looks = looks(&ids, theme);
    let (room, cells) = lay(questions, lanes, chart_width);
    let texts: Vec<Vec<String>> =
        questions.iter().map(|question| wrap(question, room, 3, SIZE, Weight::Regular)).collect();
    let flows: Vec<Vec<(f64, usize)>> =
        (0..questions.len()).map(|row| flow(lanes, row, chart_width)).collect();
    let lines = |row: usize| match cells {
        Cells::Columns(_) => texts[row].len().max(1),
        Cells::Beneath => texts[row].len() + flows[row].last().map_or(0, |(_, line)| line + 1),
    };
    let head = if matches!(cells, Cells::Columns(_)) { 26.0 } else { 0.0 };
    let rows: f64 = (0..questions.len()).map(|row| lines(row) as f64 * LINE + ROW).sum();
    let natural = header.bottom() + head + rows + PAD / 2.0;
    let height = natural.max(size.least_height());
    let extra = (height - natural) / questions.len().max(1) as f64;

    let canvas = Canvas::new(chart_width, height, theme);
    header.draw(&canvas, palette);
    let soft = Pen { size: SIZE, weight: Weight::Regular, colour: palette.soft };
    let mut y = header.bottom();
    if let Cells::Columns(columns) = &cells {
        for (lane, (x, look)) in lanes.iter().zip(columns.iter().zip(&looks)) {
            let pen = Pen { weight: Weight::Bold, colour: look.text, ..soft };
            canvas.text(&lane_name(&lane.lane), *x, y + 8.0, Anchor::Left, pen);
        }
        y += head;
    }
    for (row, text) in texts.iter().enumerate() {
        canvas.line((PAD, y), (chart_width - PAD, y), 1.0, palette.line);
        let top = y + f64::midpoint(ROW, extra);
        let middle = |line: usize| top + LINE * (line as f64 + 0.5);
        for (line, words) in text.iter().enumerate() {
            canvas.text(words, PAD, middle(line), Anchor::Left, soft);
        }
        for (at, (lane, look)) in lanes.iter().zip(&looks).enumerate() {
            let Some(count) = lane.counts.get(row) else { continue };
            canvas.open(&lane.lane);
            match &cells {
                Cells::Columns(columns) => {
                    draw_cell(&canvas, (columns[at], middle(0)), *count, *look, palette);
                }
                Cells::Beneath => {
                    let (x, line) = flows[row][at];
                    let place = (x, middle(text.len() + line));
                    draw_cell(&canvas, place, *count, *look, palette);
                    let pen = Pen { weight: Weight::Bold, colour: look.text, ..soft };
                    let x = x + WORDS + width(&words(*count), SIZE, Weight::Bold) + 6.0;
                    canvas.text(&short_name(lane, chart_width), x, place.1, Anchor::Left, pen);
                }
            }
            canvas.close();
        }
        y += lines(row) as f64 * LINE + ROW + extra;
    }
    canvas.finish(title, Vec::new(), table(title, questions, lanes))
}

/// The room of the questions, and where the cells are: in columns where a
/// third of the width is left for the questions.
fn lay(questions: &[String], lanes: &[MatrixLane], chart_width: f64) -> (f64, Cells) {
    let columns: Vec<f64> = lanes
        .iter()
        .map(|lane| {
            let cells = lane.counts.iter().map(|it| WORDS + width(&words(*it), SIZE, Weight::Bold));
            let name = width(&lane_name(&lane.lane), SIZE, Weight::Bold);
            cells.fold(name, f64::max) + APART
        })
        .collect();
    let whole = chart_width - 2.0 * PAD;
    let longest = questions.iter().map(|it| width(it, SIZE, Weight::Regular)).fold(0.0, f64::max);
    let left = whole - columns.iter().sum::<f64>();
    if left < (whole / 3.0).max(120.0) {
        return (whole, Cells::Beneath);
    }
    let room = left.min(longest + APART);
    let mut x = PAD + room;
    let places = columns.iter().map(|wide| {
        let place = x;
        x += wide;
        place
    });
    (room - APART / 2.0, Cells::Columns(places.collect()))
}

/// Place and line of each lane's cell of a row, where cells flow.
fn flow(lanes: &[MatrixLane], row: usize, chart_width: f64) -> Vec<(f64, usize)> {
    let (mut x, mut line) = (PAD, 0);
    let place = |lane: &MatrixLane| {
        let count = lane.counts.get(row).copied().unwrap_or_default();
        let name = width(&short_name(lane, chart_width), SIZE, Weight::Bold);
        let wide = WORDS + width(&words(count), SIZE, Weight::Bold) + 6.0 + name;
        if x > PAD && x + wide > chart_width - PAD {
            (x, line) = (PAD, line + 1);
        }
        let place = (x, line);
        x += wide + APART;
        place
    };
    lanes.iter().map(place).collect()
}

fn short_name(lane: &MatrixLane, chart_width: f64) -> String {
    fit(&lane_name(&lane.lane), chart_width * 0.4, SIZE, Weight::Bold)
}

fn words(Count { yes, of }: Count) -> String {
    match (yes, of) {
        (_, 0) => "–".to_owned(),
        (0, _) => "no".to_owned(),
        (yes, of) if yes >= of => "yes".to_owned(),
        (yes, of) => format!("{yes} of {of}"),
    }
}

/// A full mark for yes, a hollow one for no, none where nobody looked.
fn draw_cell(
    canvas: &Canvas,
    (x, middle): (f64, f64),
    count: Count,
    look: Look,
    palette: &Palette,
) {
    let ink = Pen { size: SIZE, weight: Weight::Bold, colour: palette.ink };
    if count.of > 0 {
        let hollow = count.yes < count.of;
        canvas.mark((x + MARK, middle), MARK, look.shape, look.fill, hollow);
    }
    canvas.text(&words(count), x + WORDS, middle, Anchor::Left, ink);
}

fn note(lanes: &[MatrixLane]) -> String {
    let most = lanes.iter().flat_map(|lane| &lane.counts).map(|count| count.of).max();
    let mut notes = match most.unwrap_or(0) {
        0 => Vec::new(),
        1 => vec!["one trial a lane".to_owned()],
        most => vec![format!("yes or no in all of {most} trials")],
    };
    notes.extend(accelerator_note(lanes.iter().map(|one| (one.lane.as_str(), one.accelerator))));
    notes.join(" · ")
}

fn table(title: &str, questions: &[String], lanes: &[MatrixLane]) -> Table {
    let mut table = Table::new(title, &["Question", "Lane", "Answer", "Trials"]);
    for (row, question) in questions.iter().enumerate() {
        for lane in lanes {
            let count = lane.counts.get(row).copied().unwrap_or_default();
            table.rows.push(vec![
                question.clone(),
                lane_title(&lane.lane, lane.accelerator),
                words(count),
                count.of.to_string(),
            ]);
        }
    }
    table
}
