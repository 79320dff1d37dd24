use crate::{
    canvas::{Canvas, Pen},
    chart::Rect,
    lane::Look,
    text::{Weight, fit, width},
    theme::Palette,
};

const SIZE: f64 = 12.5;
const LINE: f64 = 16.0;

/// The end of a line, and what is written there.
pub(super) struct End {
    pub(super) x: f64,
    pub(super) y: f64,
    /// Name, which may be empty, and last value.
    pub(super) words: [String; 2],
    pub(super) look: Look,
    /// The line's own path among all.
    pub(super) own: usize,
}

/// A name that leaves most of the picture to the lines.
pub(super) fn short(name: &str, chart_width: f64) -> String {
    fit(name, chart_width * 0.28, SIZE, Weight::Bold)
}

/// How wide a label is on `lines` lines.
pub(super) fn wide(words: &[String; 2], lines: usize) -> f64 {
    let [name, value] = words;
    let (name, value) = (width(name, SIZE, Weight::Bold), width(value, SIZE, Weight::Regular));
    match (name > 0.0, lines) {
        (false, _) => value,
        (true, 1) => name + 6.0 + value,
        (true, _) => name.max(value),
    }
}

/// A place for each label, right of its line's end and as near as it can be
/// without touching another label or another line; ends that lie together
/// are spread, and nothing leaves `bounds`.
pub(super) fn place_ends<'a>(
    ends: &'a [End],
    paths: &[Vec<(f64, f64)>],
    bounds: Rect,
    lines: usize,
) -> Vec<(&'a End, (f64, f64))> {
    let height = height(lines);
    let mut order: Vec<&End> = ends.iter().collect();
    order.sort_by(|a, b| a.y.total_cmp(&b.y));
    let mut taken: Vec<Rect> = Vec::new();
    let mut placed = Vec::new();
    for end in order {
        let label = wide(&end.words, lines);
        let x = (end.x + 10.0).min(bounds.right() - label);
        let y_range = (bounds.y, (bounds.bottom() - height / 2.0).max(bounds.y));
        let rect = |shift: f64| {
            let middle = (end.y + shift).clamp(y_range.0, y_range.1);
            Rect { x, y: middle - height / 2.0, width: label, height }
        };
        // Down and up in steps of a pixel, nearest first.
        let shifts = (0..400).map(|step| {
            let size = f64::from((step + 1) / 2);
            if step % 2 == 0 { size } else { -size }
        });
        let free_of_labels = |rect: &Rect| !taken.iter().any(|other| touch(*rect, *other));
        let others = paths.iter().enumerate().filter(|(at, _)| *at != end.own);
        let boxes: Vec<Rect> =
            others.flat_map(|(_, path)| segments_within(path, x, x + label)).collect();
        let free_of_lines = |rect: &Rect| !boxes.iter().any(|segment| touch(*rect, *segment));
        let mut candidates = shifts.clone().map(rect);
        let best = candidates
            .find(|rect| free_of_labels(rect) && free_of_lines(rect))
            .or_else(|| shifts.map(rect).find(free_of_labels));
        // Those that were placed have left gaps that are all too small.
        let Some(best) = best else { return spread(ends, bounds, lines) };
        taken.push(best);
        placed.push((end, (best.x, best.y + height / 2.0)));
    }
    placed
}

/// All labels one beneath the other, in the order of their ends and as near to
/// them as that lets them be; the picture is high enough for all.
fn spread(ends: &[End], bounds: Rect, lines: usize) -> Vec<(&End, (f64, f64))> {
    let height = height(lines);
    let mut order: Vec<&End> = ends.iter().collect();
    order.sort_by(|a, b| a.y.total_cmp(&b.y));
    let mut least = bounds.y;
    let placed = order.iter().enumerate().map(|(at, end)| {
        let beneath = (order.len() - 1 - at) as f64;
        let most = bounds.bottom() - height / 2.0 - beneath * height;
        let y = end.y.min(most).max(least);
        least = y + height;
        let x = (end.x + 10.0).min(bounds.right() - wide(&end.words, lines));
        (*end, (x, y))
    });
    placed.collect()
}

/// How high a label is on `lines` lines.
pub(super) fn height(lines: usize) -> f64 {
    LINE * lines as f64
}

/// Writes a label; `(x, y)` is the middle of its left edge.
pub(super) fn draw(
    canvas: &Canvas,
    end: &End,
    (x, y): (f64, f64),
    lines: usize,
    palette: &Palette,
) {
    let [name, value] = &end.words;
    let bold = Pen { size: SIZE, weight: Weight::Bold, colour: end.look.text };
    let plain = Pen { size: SIZE, weight: Weight::Regular, colour: palette.ink };
    if name.is_empty() {
        canvas.label(value, x, y, plain);
    } else if lines == 1 {
        canvas.label(name, x, y, bold);
        canvas.label(value, x + width(name, SIZE, Weight::Bold) + 6.0, y, plain);
    } else {
        canvas.label(name, x, y - LINE / 2.0, bold);
        canvas.label(value, x, y + LINE / 2.0, plain);
    }
}

fn touch(a: Rect, b: Rect) -> bool {
    a.x < b.right() && b.x < a.right() && a.y < b.bottom() && b.y < a.bottom()
}

/// The boxes of a path's segments between two places. A path runs to the
/// right, so they stand together.
fn segments_within(
    path: &[(f64, f64)],
    left: f64,
    right: f64,
) -> impl Iterator<Item = Rect> + use<'_> {
    let first = path.partition_point(|point| point.0 < left).saturating_sub(1);
    path[first..].windows(2).take_while(move |pair| pair[0].0 < right).map(|pair| {
        let (top, bottom) = (pair[0].1.min(pair[1].1), pair[0].1.max(pair[1].1));
        // A level or upright segment has a box without an inside, which
        // would touch nothing.
        Rect {
            x: pair[0].0,
            y: top - 1.0,
            width: pair[1].0 - pair[0].0 + 1.0,
            height: bottom - top + 2.0,
        }
    })
}
