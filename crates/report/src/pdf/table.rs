use super::sheet::{CONTENT, LEFT, Pen, Sheets};
use crate::{chart::Table, theme::Theme, words::is_whole};

const SIZE: f64 = 7.5;
/// Between two columns.
const GAP: f64 = 10.0;
/// Above and below the words of a row.
const PAD: f64 = 2.5;
/// Keys are not broken when they take no more of the page than this.
const KEYS_SHARE: f64 = 0.35;
/// A line of a sentence in a column among many.
const SENTENCE: f64 = 140.0;
/// No column asks for more before the others have what they need.
const WIDEST_WORD: f64 = 130.0;

/// A table, from page to page with its headings again. One that is too wide
/// is drawn as several, each with the first `keys` columns.
pub(super) fn draw(sheets: &mut Sheets, table: &Table, keys: usize) {
    let columns = table.rows.iter().map(Vec::len).max().unwrap_or(0).max(table.header.len());
    let mut wants: Vec<Want> = (0..columns).map(|column| want(table, column)).collect();
    let keys = keys.min(columns);
    if wants[..keys].iter().map(|want| want.best).sum::<f64>() < CONTENT * KEYS_SHARE {
        wants[..keys].iter_mut().for_each(|want| want.least = want.best);
    }
    for group in groups(&wants, keys) {
        let widths = widths(&group.iter().map(|&column| wants[column]).collect::<Vec<_>>());
        let lefts = widths.iter().scan(LEFT, |x, width| {
            let left = *x;
            *x += width + GAP;
            Some(left)
        });
        let columns = group.iter().zip(lefts).zip(&widths).map(|((&at, left), &width)| Column {
            at,
            left,
            width,
        });
        Drawn { sheets, table, columns: columns.collect() }.draw();
    }
}

/// How wide a column must be so that no word is broken, how wide so that no
/// cell is, and how wide so that not even its heading is.
#[derive(Debug, Clone, Copy)]
struct Want {
    least: f64,
    cells: f64,
    best: f64,
}

fn pen(bold: bool) -> Pen {
    let palette = Theme::Light.palette();
    if bold { Pen::bold(SIZE, palette.soft) } else { Pen::regular(SIZE, palette.ink) }
}

fn cell(row: &[String], column: usize) -> &str {
    row.get(column).map_or("", String::as_str)
}

fn want(table: &Table, column: usize) -> Want {
    let head = cell(&table.header, column);
    let mut least = word(head, pen(true)).max(12.0);
    let mut cells = least;
    for text in table.rows.iter().map(|row| cell(row, column)) {
        let whole = pen(false).width(text);
        cells = cells.max(whole);
        least = least.max(if is_whole(text) { whole } else { word(text, pen(false)) });
    }
    // Sums of widths end in other digits than the width of the sum.
    let [least, cells] = [least, cells].map(|width| width + 0.01);
    Want { least, cells, best: cells.max(pen(true).width(head) + 0.01) }
}

/// The longest word that shall stay whole.
fn word(text: &str, pen: Pen) -> f64 {
    let words = text.split([' ', '\n']).map(|word| pen.width(word));
    words.fold(0.0, f64::max).min(WIDEST_WORD)
}

/// The columns of each table that is drawn for one.
fn groups(wants: &[Want], keys: usize) -> Vec<Vec<usize>> {
    let first: Vec<usize> = (0..keys).collect();
    // Sentences are to have lines that can be read.
    let takes = |want: &Want| want.least.max(want.cells.min(SENTENCE));
    let fixed: f64 = wants[..keys].iter().map(|want| takes(want) + GAP).sum();
    let mut groups = vec![first.clone()];
    let mut used = fixed;
    for (column, want) in wants.iter().enumerate().skip(keys) {
        let full = used + takes(want) > CONTENT;
        let last = groups.last().map_or(0, Vec::len);
        if full && last > keys {
            groups.push(first.clone());
            used = fixed;
        }
        if let Some(group) = groups.last_mut() {
            group.push(column);
        }
        used += takes(want) + GAP;
    }
    groups
}

/// Widths that fill the page at most: what each column must have, then what
/// its cells lack, then what its heading lacks.
fn widths(wants: &[Want]) -> Vec<f64> {
    let room = CONTENT - GAP * wants.len().saturating_sub(1) as f64;
    let least: f64 = wants.iter().map(|want| want.least).sum();
    if least >= room {
        return wants.iter().map(|want| want.least * room / least).collect();
    }
    let mut widths: Vec<f64> = wants.iter().map(|want| want.least).collect();
    let cells: Vec<f64> = wants.iter().map(|want| want.cells).collect();
    let best: Vec<f64> = wants.iter().map(|want| want.best).collect();
    let rest = widen(&mut widths, &cells, room - least);
    widen(&mut widths, &best, rest);
    widths
}

/// Gives each column an equal share of `rest`, or what it lacks where that is
/// less. What is left over.
fn widen(widths: &mut [f64], targets: &[f64], mut rest: f64) -> f64 {
    let lacks: Vec<f64> =
        widths.iter().zip(targets).map(|(width, target)| (target - width).max(0.0)).collect();
    let mut order: Vec<usize> = (0..widths.len()).collect();
    order.sort_by(|&a, &b| lacks[a].total_cmp(&lacks[b]));
    for (done, &column) in order.iter().enumerate() {
        let more = lacks[column].min(rest / (order.len() - done) as f64);
        widths[column] += more;
        rest -= more;
    }
    rest
}

struct Column {
    at: usize,
    left: f64,
    width: f64,
}

struct Drawn<'a> {
    sheets: &'a mut Sheets,
    table: &'a Table,
    columns: Vec<Column>,
}

impl Drawn<'_> {
    fn draw(mut self) {
        let head = self.lines(&self.table.header, true);
        let first = self.table.rows.first().map_or(0.0, |row| height(&self.lines(row, false)));
        let caption = pen(false).flow(&self.table.caption, CONTENT);
        let caption_height = caption.len() as f64 * pen(false).line();
        self.sheets.need((caption_height + height(&head) + first).min(Sheets::full()));
        self.sheets.text(&self.table.caption, Pen::regular(SIZE, Theme::Light.palette().soft));
        self.row(&head, true);
        let table = self.table;
        for row in &table.rows {
            let lines = self.lines(row, false);
            let whole = height(&lines);
            if whole <= Sheets::full() - height(&head) && self.sheets.need(whole) {
                self.row(&head, true);
            }
            self.body(lines, &head);
        }
        self.sheets.skip(10.0);
    }

    /// A row, in parts where no page has room for the whole of it.
    fn body(&mut self, mut lines: Vec<Vec<String>>, head: &[Vec<String>]) {
        loop {
            let room = (self.sheets.room() - 2.0 * PAD) / pen(false).line();
            let count = lines.iter().map(Vec::len).max().unwrap_or(0);
            let fits = (0..=count).rev().find(|&count| count as f64 <= room).unwrap_or(0);
            let rest = lines.iter_mut().map(|cell| cell.split_off(fits.max(1).min(cell.len())));
            let rest: Vec<Vec<String>> = rest.collect();
            self.row(&lines, false);
            if rest.iter().all(Vec::is_empty) {
                return;
            }
            self.sheets.need(Sheets::full());
            self.row(head, true);
            lines = rest;
        }
    }

    /// The lines of each cell.
    fn lines(&self, row: &[String], bold: bool) -> Vec<Vec<String>> {
        let cell = |column: &Column| pen(bold).flow(cell(row, column.at), column.width);
        self.columns.iter().map(cell).collect()
    }

    fn row(&mut self, lines: &[Vec<String>], bold: bool) {
        let height = height(lines);
        if height == 0.0 {
            return;
        }
        let (top, pen) = (self.sheets.y(), pen(bold));
        for (column, lines) in self.columns.iter().zip(lines) {
            let mut y = top + PAD;
            for line in lines {
                self.sheets.put(line, column.left, y, pen);
                y += pen.line();
            }
        }
        self.sheets.advance(height);
        self.sheets.rule(LEFT, CONTENT);
    }
}

/// Of a row; nothing for one without words.
fn height(lines: &[Vec<String>]) -> f64 {
    let most = lines.iter().map(Vec::len).max().unwrap_or(0);
    if most == 0 { 0.0 } else { most as f64 * pen(false).line() + 2.0 * PAD }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NARROW: Want = Want { least: 30.0, cells: 40.0, best: 60.0 };

    #[test]
    fn columns_share_the_page() {
        let fits = widths(&[NARROW; 4]);
        assert!(fits.iter().all(|width| (width - 60.0).abs() < 1e-9), "{fits:?}");
        for count in [9, 12, 40] {
            let all = widths(&vec![NARROW; count]);
            let whole = all.iter().sum::<f64>() + GAP * (count - 1) as f64;
            assert!((whole - CONTENT).abs() < 1e-6, "{count}: {all:?}");
        }
        // A column of sentences does not break the names beside it.
        let sentences = Want { least: 40.0, cells: 4000.0, best: 4000.0 };
        assert!((widths(&[NARROW, sentences])[0] - 40.0).abs() < 1e-9);
    }

    #[test]
    fn a_wide_table_becomes_several_with_the_same_keys() {
        let groups = groups(&[NARROW; 30], 2);
        assert!(groups.len() > 1, "{groups:?}");
        assert!(groups.iter().all(|group| group[..2] == [0, 1] && group.len() > 2), "{groups:?}");
        let others: Vec<usize> = groups.iter().flat_map(|group| group[2..].to_vec()).collect();
        assert_eq!(others, (2..30).collect::<Vec<_>>());
        let wide = Want { least: 900.0, cells: 900.0, best: 900.0 };
        assert_eq!(super::groups(&[wide, wide, wide], 1), [[0, 1], [0, 2]]);
    }
}
