use std::{cell::RefCell, fmt::Write as _, rc::Rc};

use plotters::{
    coord::Shift,
    prelude::{
        ChartBuilder, Circle, DrawingArea, FontDesc, FontFamily, FontStyle, IntoDrawingArea,
        LineSeries, PathElement, Polygon, RGBColor, Rectangle, ShapeStyle, TextStyle,
    },
    style::text_anchor::{HPos, Pos, VPos},
};

use crate::{
    chart::{Chart, Panel, Rect, Scales, Table},
    lane::Shape,
    svg::{SvgBackend, UNITS},
    text::{FONT_FAMILY, Weight, escape, width},
    theme::{Colour, Theme},
};

/// Where a text's place lies in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Anchor {
    Left,
    Middle,
    Right,
}

/// Size, weight and colour of a text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pen {
    pub(crate) size: f64,
    pub(crate) weight: Weight,
    pub(crate) colour: Colour,
}

/// A picture under way, in pixels with y downwards. Text is placed by the
/// middle of its capitals.
pub(crate) struct Canvas {
    area: DrawingArea<SvgBackend, Shift>,
    body: Rc<RefCell<String>>,
    width: f64,
    height: f64,
    theme: Theme,
}

impl Canvas {
    pub(crate) fn new(width: f64, height: f64, theme: Theme) -> Self {
        let (width, height) = (width.ceil(), height.ceil());
        let body = Rc::new(RefCell::new(String::with_capacity(16 * 1024)));
        let size = (units(width).unsigned_abs(), units(height).unsigned_abs());
        let area = SvgBackend::new(Rc::clone(&body), size).into_drawing_area();
        let canvas = Self { area, body, width, height, theme };
        let ground = canvas.theme.palette().surface;
        canvas.rect(Rect { x: 0.0, y: 0.0, width, height }, ground);
        canvas
    }

    pub(crate) fn rect(&self, rect: Rect, fill: Colour) {
        let corners = [(units(rect.x), units(rect.y)), (units(rect.right()), units(rect.bottom()))];
        self.draw(&Rectangle::new(corners, filled(fill)));
    }

    /// Text with a ground of its own, so that grid lines stop before it.
    pub(crate) fn label(&self, text: &str, x: f64, middle: f64, pen: Pen) {
        let width = width(text, pen.size, pen.weight);
        let (y, height) = (middle - pen.size * 0.6, pen.size * 1.2);
        let ground = Rect { x: x - 3.0, y, width: width + 6.0, height };
        self.rect(ground, self.theme.palette().surface);
        self.text(text, x, middle, Anchor::Left, pen);
    }

    pub(crate) fn line(&self, from: (f64, f64), to: (f64, f64), width: f64, colour: Colour) {
        let ends = [(units(from.0), units(from.1)), (units(to.0), units(to.1))];
        self.draw(&PathElement::new(ends, stroked(colour, width)));
    }

    /// The shape of a lane around a point; hollow for values that stand out.
    pub(crate) fn mark(
        &self,
        (x, y): (f64, f64),
        radius: f64,
        shape: Shape,
        fill: Colour,
        hollow: bool,
    ) {
        // Equal areas: a square of the disc's area has half its side there.
        let half = radius * 0.886;
        let corners = match shape {
            Shape::Disc => {
                let style = if hollow { stroked(fill, 1.5) } else { filled(fill) };
                if hollow {
                    let ground = self.theme.palette().surface;
                    self.draw(&Circle::new((units(x), units(y)), units(radius), filled(ground)));
                }
                return self.draw(&Circle::new((units(x), units(y)), units(radius), style));
            }
            Shape::Square => [(-half, -half), (half, -half), (half, half), (-half, half)],
            Shape::Diamond => {
                let reach = half * std::f64::consts::SQRT_2;
                [(0.0, -reach), (reach, 0.0), (0.0, reach), (-reach, 0.0)]
            }
        };
        let mut points: Vec<(i32, i32)> =
            corners.iter().map(|(dx, dy)| (units(x + dx), units(y + dy))).collect();
        let inside = if hollow { self.theme.palette().surface } else { fill };
        self.draw(&Polygon::new(points.clone(), filled(inside)));
        if hollow {
            points.push(points[0]);
            self.draw(&PathElement::new(points, stroked(fill, 1.5)));
        }
    }

    pub(crate) fn text(&self, text: &str, x: f64, middle: f64, anchor: Anchor, pen: Pen) {
        let style = match pen.weight {
            Weight::Regular => FontStyle::Normal,
            Weight::Bold => FontStyle::Bold,
        };
        let h_pos = match anchor {
            Anchor::Left => HPos::Left,
            Anchor::Middle => HPos::Center,
            Anchor::Right => HPos::Right,
        };
        let colour = rgb(pen.colour);
        let font = FontDesc::new(FontFamily::SansSerif, pen.size * UNITS, style);
        let style = TextStyle::from(font).color(&colour).pos(Pos::new(h_pos, VPos::Center));
        let drawn = self.area.draw_text(text, &style, (units(x), units(middle)));
        debug_assert!(drawn.is_ok(), "writing to a string cannot fail");
    }

    /// A line through data points in the panel's own units.
    pub(crate) fn series(&self, panel: &Panel, points: &[(f64, f64)], width: f64, colour: Colour) {
        let (Rect { x, y, .. }, Some(vertical)) = (panel.plot, &panel.y) else { return };
        let [left, right] = panel.x.domain;
        let [bottom, top] = vertical.domain;
        let plot = panel.plot;
        let built = ChartBuilder::on(&self.area)
            .margin_left(units(x))
            .margin_top(units(y))
            .margin_right(units(self.width - plot.right()))
            .margin_bottom(units(self.height - plot.bottom()))
            .build_cartesian_2d(left..right, bottom..top);
        let drawn = built.map(|mut chart| {
            let line = LineSeries::new(points.iter().copied(), stroked(colour, width));
            chart.draw_series(line).is_ok()
        });
        debug_assert!(matches!(drawn, Ok(true)), "writing to a string cannot fail");
    }

    /// What is drawn from here to [`Canvas::close`] belongs to `lane`.
    pub(crate) fn open(&self, lane: &str) {
        let _ = writeln!(self.body.borrow_mut(), "<g data-lane=\"{}\">", escape(lane));
    }

    pub(crate) fn close(&self) {
        self.body.borrow_mut().push_str("</g>\n");
    }

    /// The finished document.
    pub(crate) fn finish(self, title: &str, panels: Vec<Panel>, table: Table) -> Chart {
        let Self { body, width, height, .. } = self;
        let (title, description) = (escape(title), escape(&table.description()));
        let body = body.borrow();
        let svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
             width=\"{width}\" height=\"{height}\" role=\"img\" font-family=\"{FONT_FAMILY}\">\n\
             <title>{title}</title>\n<desc>{description}</desc>\n{body}</svg>\n"
        );
        Chart { svg, scales: Scales { width, height, panels }, table }
    }

    fn draw<'a, E>(&self, element: &'a E)
    where
        &'a E: plotters::element::PointCollection<'a, (i32, i32)>,
        E: plotters::element::Drawable<SvgBackend>,
    {
        let drawn = self.area.draw(element);
        debug_assert!(drawn.is_ok(), "writing to a string cannot fail");
    }
}

/// Pixels as backend units.
#[expect(clippy::cast_possible_truncation, reason = "pictures are far smaller than an i32")]
fn units(pixels: f64) -> i32 {
    (pixels * UNITS).round() as i32
}

fn rgb(Colour(r, g, b): Colour) -> RGBColor {
    RGBColor(r, g, b)
}

fn filled(colour: Colour) -> ShapeStyle {
    ShapeStyle { color: rgb(colour).into(), filled: true, stroke_width: 0 }
}

fn stroked(colour: Colour, width: f64) -> ShapeStyle {
    ShapeStyle {
        color: rgb(colour).into(),
        filled: false,
        stroke_width: units(width).unsigned_abs(),
    }
}
