use std::fmt::Write as _;

use crate::{
    chart::{Chart, Rect},
    header::PAD,
    text::{FONT_FAMILY, Weight, escape, flow},
    theme::{Colour, Theme},
};

/// A4 (ISO 216) in points.
pub(super) const WIDTH: f64 = 595.28;
pub(super) const HEIGHT: f64 = 841.89;

/// Where content begins and how wide it is.
pub(super) const LEFT: f64 = 42.0;
pub(super) const CONTENT: f64 = WIDTH - 2.0 * LEFT;
const TOP: f64 = 44.0;
const BOTTOM: f64 = HEIGHT - 56.0;

/// The line of the page numbers.
const FOOT: f64 = HEIGHT - 38.0;

/// What must follow a heading on its page.
const AFTER_HEADING: f64 = 64.0;

/// Size, weight and colour of words.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pen {
    pub(super) size: f64,
    weight: Weight,
    colour: Colour,
}

/// A page: an SVG's inside, and charts on it.
#[derive(Debug, Default)]
pub(super) struct Page {
    body: String,
    pub(super) charts: Vec<Placed>,
}

/// A chart as it was drawn, with its place on the page.
#[derive(Debug)]
pub(super) struct Placed {
    pub(super) svg: String,
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) scale: f64,
}

/// A heading's place, for the outline.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) title: String,
    pub(super) page: usize,
    pub(super) y: f64,
}

/// Pages that are filled from the top of the first one on.
#[derive(Debug)]
pub(super) struct Sheets {
    pages: Vec<Page>,
    y: f64,
    pub(super) sections: Vec<Section>,
}

impl Pen {
    pub(super) fn regular(size: f64, colour: Colour) -> Self {
        Self { size, weight: Weight::Regular, colour }
    }

    pub(super) fn bold(size: f64, colour: Colour) -> Self {
        Self { size, weight: Weight::Bold, colour }
    }

    /// From one line to the next.
    pub(super) fn line(self) -> f64 {
        self.size * 1.4
    }

    pub(super) fn flow(self, text: &str, room: f64) -> Vec<String> {
        flow(text, room, self.size, self.weight)
    }

    pub(super) fn width(self, text: &str) -> f64 {
        crate::text::width(text, self.size, self.weight)
    }
}

impl Page {
    fn put(&mut self, text: &str, x: f64, top: f64, end: bool, pen: Pen) {
        if text.trim().is_empty() {
            return;
        }
        let Pen { size, weight, colour: Colour(r, g, b) } = pen;
        // The middle of the capitals lies in the middle of the line.
        let baseline = top + pen.line() / 2.0 + size * 0.36;
        let weight = if weight == Weight::Bold { " font-weight=\"600\"" } else { "" };
        let anchor = if end { " text-anchor=\"end\"" } else { "" };
        let text = escape(text);
        let _ = writeln!(
            self.body,
            "<text x=\"{x:.2}\" y=\"{baseline:.2}\" font-size=\"{size}\"{weight}{anchor} \
             fill=\"#{r:02x}{g:02x}{b:02x}\">{text}</text>"
        );
    }

    /// The page as an SVG document, without its charts.
    pub(super) fn svg(&self) -> String {
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
             viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"{FONT_FAMILY}\">\n{}</svg>\n",
            self.body
        )
    }
}

impl Sheets {
    pub(super) fn new() -> Self {
        Self { pages: vec![Page::default()], y: TOP, sections: Vec::new() }
    }

    /// Where the next thing begins.
    pub(super) fn y(&self) -> f64 {
        self.y
    }

    /// What is left of the page.
    pub(super) fn room(&self) -> f64 {
        BOTTOM - self.y
    }

    /// What a page has.
    pub(super) fn full() -> f64 {
        BOTTOM - TOP
    }

    fn page(&mut self) -> &mut Page {
        // There is always one: the first was made with the sheets.
        let last = self.pages.len() - 1;
        &mut self.pages[last]
    }

    /// Goes on at the top of a new page when this one has no room for
    /// `height`. Whether it did.
    pub(super) fn need(&mut self, height: f64) -> bool {
        let full = height > self.room() && self.y > TOP;
        if full {
            self.pages.push(Page::default());
            self.y = TOP;
        }
        full
    }

    pub(super) fn skip(&mut self, height: f64) {
        // Space is for between things, not for the head of a page.
        if self.y > TOP {
            self.y += height;
        }
    }

    /// Goes past something that was drawn.
    pub(super) fn advance(&mut self, height: f64) {
        self.y += height;
    }

    /// Words on this page, a single line.
    pub(super) fn put(&mut self, text: &str, x: f64, top: f64, pen: Pen) {
        self.page().put(text, x, top, false, pen);
    }

    /// A paragraph as wide as the page.
    pub(super) fn text(&mut self, text: &str, pen: Pen) {
        for line in pen.flow(text, CONTENT) {
            self.need(pen.line());
            let y = self.y;
            self.put(&line, LEFT, y, pen);
            self.y += pen.line();
        }
    }

    /// Paragraphs on one page, when one has room for them all.
    pub(super) fn together(&mut self, parts: &[(&str, Pen)]) {
        let height = |(text, pen): &(&str, Pen)| pen.flow(text, CONTENT).len() as f64 * pen.line();
        let whole: f64 = parts.iter().map(height).sum();
        if whole <= Self::full() {
            self.need(whole);
        }
        for (text, pen) in parts {
            self.text(text, *pen);
        }
    }

    /// A title, on the page of what follows it.
    pub(super) fn heading(&mut self, title: &str) {
        let pen = Pen::bold(12.0, Theme::Light.palette().ink);
        self.skip(12.0);
        self.need(pen.line() + AFTER_HEADING);
        let (page, y) = (self.pages.len() - 1, self.y);
        self.sections.push(Section { title: title.to_owned(), page, y });
        self.text(title, pen);
        self.y += 4.0;
    }

    /// A heading on the page of the chart that comes after it.
    pub(super) fn heading_of(&mut self, title: &str, chart: &Chart) {
        let pen = Pen::bold(12.0, Theme::Light.palette().ink);
        let height = chart.scales.height * scale_of(chart);
        self.need((12.0 + pen.line() + 4.0 + height).min(Self::full()));
        self.heading(title);
    }

    /// A line across, as thin as printers draw well.
    pub(super) fn rule(&mut self, x: f64, width: f64) {
        let (y, colour) = (self.y, Theme::Light.palette().line);
        self.rect(Rect { x, y: y - 0.25, width, height: 0.5 }, colour);
    }

    pub(super) fn rect(&mut self, rect: Rect, Colour(r, g, b): Colour) {
        let Rect { x, y, width, height } = rect;
        let _ = writeln!(
            self.page().body,
            "<rect x=\"{x:.2}\" y=\"{y:.2}\" width=\"{width:.2}\" height=\"{height:.2}\" \
             fill=\"#{r:02x}{g:02x}{b:02x}\"/>"
        );
    }

    /// Words to type, on a ground of their own.
    pub(super) fn boxed(&mut self, text: &str) {
        let palette = Theme::Light.palette();
        let pen = Pen::regular(8.5, palette.ink);
        for line in pen.flow(text, CONTENT - 20.0) {
            self.need(pen.line());
            let (y, height) = (self.y, pen.line() + 0.5);
            self.rect(Rect { x: LEFT, y, width: CONTENT, height }, palette.sunk);
            self.put(&line, LEFT + 10.0, y, pen);
            self.y += pen.line();
        }
    }

    /// A chart whose words begin and end where the others do, or a smaller one
    /// where it would be higher than a page.
    pub(super) fn chart(&mut self, chart: &Chart) {
        let scale = scale_of(chart);
        let (width, height) = (chart.scales.width * scale, chart.scales.height * scale);
        self.need(height);
        let (x, y) = (LEFT + (CONTENT - width) / 2.0, self.y);
        self.page().charts.push(Placed { svg: chart.svg.clone(), x, y, scale });
        self.y += height;
        self.skip(8.0);
    }

    /// The pages, each with its number and the report's title at its foot.
    pub(super) fn finish(self, title: &str) -> Vec<Page> {
        let pen = Pen::regular(8.0, Theme::Light.palette().soft);
        let count = self.pages.len();
        let mut pages = self.pages;
        for (at, page) in pages.iter_mut().enumerate() {
            let number = format!("{} / {count}", at + 1);
            let room = CONTENT - pen.width(&number) - 16.0;
            let title = crate::text::fit(title, room, pen.size, pen.weight);
            page.put(&title, LEFT, FOOT, false, pen);
            page.put(&number, LEFT + CONTENT, FOOT, true, pen);
        }
        pages
    }
}

/// How much of its size a chart has on paper.
fn scale_of(chart: &Chart) -> f64 {
    let wide = CONTENT / (chart.scales.width - 2.0 * PAD);
    wide.min(Sheets::full() / chart.scales.height)
}
