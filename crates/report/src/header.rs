use crate::{
    canvas::{Anchor, Canvas, Pen},
    text::{Weight, fit, width, wrap},
    theme::Palette,
};

/// Space left of, right of, above and below the content.
pub(crate) const PAD: f64 = 16.0;
/// What is narrower than this is laid out for a telephone.
pub(crate) const NARROW: f64 = 640.0;
const TITLE: f64 = 13.5;
const NOTE: f64 = 12.5;

/// Title on the left, note on the right, or beneath where there is no room.
pub(crate) struct Header {
    title: String,
    note: Vec<String>,
    beneath: bool,
    width: f64,
}

impl Header {
    pub(crate) fn lay(title: &str, note: &str, chart_width: f64) -> Self {
        let room = chart_width - 2.0 * PAD;
        let title = fit(title, room, TITLE, Weight::Bold);
        let beneath =
            width(&title, TITLE, Weight::Bold) + 24.0 + width(note, NOTE, Weight::Regular) > room;
        let note = wrap(note, room, 3, NOTE, Weight::Regular);
        Self { title, note, beneath, width: chart_width }
    }

    /// Where the content may begin.
    pub(crate) fn bottom(&self) -> f64 {
        let lines = if self.beneath { self.note.len() } else { 0 };
        PAD + 16.0 + 18.0 * lines as f64 + 12.0
    }

    pub(crate) fn draw(&self, canvas: &Canvas, palette: &Palette) {
        let middle = PAD + 8.0;
        let pen = Pen { size: TITLE, weight: Weight::Bold, colour: palette.soft };
        canvas.text(&self.title, PAD, middle, Anchor::Left, pen);
        let pen = Pen { size: NOTE, weight: Weight::Regular, colour: palette.soft };
        for (at, line) in self.note.iter().enumerate() {
            if self.beneath {
                let below = middle + 18.0 * (at + 1) as f64 + 1.0;
                canvas.text(line, PAD, below, Anchor::Left, pen);
            } else {
                canvas.text(line, self.width - PAD, middle, Anchor::Right, pen);
            }
        }
    }
}
