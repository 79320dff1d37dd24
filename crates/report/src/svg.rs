//! The plotters backend that writes our SVG.
//!
//! Plotters' own SVG backend places everything on whole pixels, knows two
//! weights of text only by CSS names, and leaves line breaks inside labels.
//! This one has tenths of a pixel and writes presentation attributes only,
//! so that a page whose content security policy forbids inline styles shows
//! the picture unchanged.

use std::{cell::RefCell, convert::Infallible, fmt::Write as _, rc::Rc};

use plotters_backend::{
    BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingBackend, DrawingErrorKind,
    FontStyle, text_anchor::HPos,
};

use crate::text::escape;

/// Backend units in a pixel.
pub(crate) const UNITS: f64 = 10.0;

/// Half the height of a capital letter in ems: text is placed by the middle
/// of its capitals.
const HALF_CAPITAL: f64 = 0.36;

/// Writes elements to a buffer that its maker keeps a hand on.
pub(crate) struct SvgBackend {
    body: Rc<RefCell<String>>,
    size: (u32, u32),
}

type Drawn = Result<(), DrawingErrorKind<Infallible>>;

impl SvgBackend {
    /// `size` is in backend units.
    pub(crate) fn new(body: Rc<RefCell<String>>, size: (u32, u32)) -> Self {
        Self { body, size }
    }

    #[expect(clippy::unnecessary_wraps, reason = "the shape that the backend's methods have")]
    fn element(&self, name: &str, attributes: std::fmt::Arguments<'_>) -> Drawn {
        // Writing to a string cannot fail.
        let _ = writeln!(self.body.borrow_mut(), "<{name} {attributes}/>");
        Ok(())
    }
}

impl DrawingBackend for SvgBackend {
    type ErrorType = Infallible;

    fn get_size(&self) -> (u32, u32) {
        self.size
    }

    fn ensure_prepared(&mut self) -> Drawn {
        Ok(())
    }

    fn present(&mut self) -> Drawn {
        Ok(())
    }

    fn draw_pixel(&mut self, (x, y): BackendCoord, colour: BackendColor) -> Drawn {
        let size = Tenths(1);
        let (x, y) = (Tenths(x), Tenths(y));
        let paint = Paint("fill", colour);
        self.element(
            "rect",
            format_args!(r#"x="{x}" y="{y}" width="{size}" height="{size}" {paint}"#),
        )
    }

    fn draw_line<S: BackendStyle>(
        &mut self,
        from: BackendCoord,
        to: BackendCoord,
        style: &S,
    ) -> Drawn {
        let (x1, y1, x2, y2) = (Tenths(from.0), Tenths(from.1), Tenths(to.0), Tenths(to.1));
        let stroke = Stroke::of(style);
        self.element("line", format_args!(r#"x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" {stroke}"#))
    }

    fn draw_rect<S: BackendStyle>(
        &mut self,
        from: BackendCoord,
        to: BackendCoord,
        style: &S,
        fill: bool,
    ) -> Drawn {
        let (x, y) = (Tenths(from.0.min(to.0)), Tenths(from.1.min(to.1)));
        let (width, height) = (Tenths((to.0 - from.0).abs()), Tenths((to.1 - from.1).abs()));
        let place =
            format_args!(r#"x="{x}" y="{y}" width="{width}" height="{height}""#).to_string();
        if fill {
            self.element("rect", format_args!("{place} {}", Paint("fill", style.color())))
        } else {
            self.element("rect", format_args!(r#"{place} fill="none" {}"#, Stroke::of(style)))
        }
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        path: I,
        style: &S,
    ) -> Drawn {
        let (points, stroke) = (points(path), Stroke::of(style));
        self.element(
            "polyline",
            format_args!(
                r#"points="{points}" fill="none" {stroke} stroke-linejoin="round" stroke-linecap="round""#
            ),
        )
    }

    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        path: I,
        style: &S,
    ) -> Drawn {
        let points = points(path);
        self.element(
            "polygon",
            format_args!(r#"points="{points}" {}"#, Paint("fill", style.color())),
        )
    }

    fn draw_circle<S: BackendStyle>(
        &mut self,
        (x, y): BackendCoord,
        radius: u32,
        style: &S,
        fill: bool,
    ) -> Drawn {
        let (x, y, r) = (Tenths(x), Tenths(y), f64::from(radius) / UNITS);
        if fill {
            let paint = Paint("fill", style.color());
            self.element("circle", format_args!(r#"cx="{x}" cy="{y}" r="{r}" {paint}"#))
        } else {
            let stroke = Stroke::of(style);
            self.element(
                "circle",
                format_args!(r#"cx="{x}" cy="{y}" r="{r}" fill="none" {stroke}"#),
            )
        }
    }

    fn draw_text<S: BackendTextStyle>(
        &mut self,
        text: &str,
        style: &S,
        (x, y): BackendCoord,
    ) -> Drawn {
        let size = style.size() / UNITS;
        let x = Tenths(x);
        let baseline = ((f64::from(y) / UNITS + size * HALF_CAPITAL) * UNITS).round() / UNITS;
        let anchor = match style.anchor().h_pos {
            HPos::Left => "",
            HPos::Center => r#" text-anchor="middle""#,
            HPos::Right => r#" text-anchor="end""#,
        };
        let weight = match style.style() {
            FontStyle::Bold => r#" font-weight="600""#,
            _ => "",
        };
        let paint = Paint("fill", style.color());
        let text = escape(text);
        let _ = writeln!(
            self.body.borrow_mut(),
            r#"<text x="{x}" y="{baseline}" font-size="{size}"{weight}{anchor} {paint}>{text}</text>"#
        );
        Ok(())
    }
}

/// A length in backend units, printed in pixels with at most one decimal.
struct Tenths(i32);

impl std::fmt::Display for Tenths {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (sign, size) = (if self.0 < 0 { "-" } else { "" }, self.0.unsigned_abs());
        match (size / 10, size % 10) {
            (whole, 0) => write!(f, "{sign}{whole}"),
            (whole, tenth) => write!(f, "{sign}{whole}.{tenth}"),
        }
    }
}

/// A `fill` or `stroke` attribute.
struct Paint(&'static str, BackendColor);

impl std::fmt::Display for Paint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(attribute, BackendColor { alpha, rgb: (r, g, b) }) = self;
        write!(f, "{attribute}=\"#{r:02x}{g:02x}{b:02x}\"")?;
        if *alpha < 1.0 { write!(f, " {attribute}-opacity=\"{alpha}\"") } else { Ok(()) }
    }
}

struct Stroke(BackendColor, f64);

impl Stroke {
    fn of(style: &impl BackendStyle) -> Self {
        Self(style.color(), f64::from(style.stroke_width()) / UNITS)
    }
}

impl std::fmt::Display for Stroke {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} stroke-width=\"{}\"", Paint("stroke", self.0), self.1)
    }
}

fn points(path: impl IntoIterator<Item = BackendCoord>) -> String {
    let mut points = String::new();
    for (x, y) in path {
        let gap = if points.is_empty() { "" } else { " " };
        let _ = write!(points, "{gap}{},{}", Tenths(x), Tenths(y));
    }
    points
}
