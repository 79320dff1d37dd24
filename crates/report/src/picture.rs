//! A result's charts as one picture of pixels, made from the vectors that are
//! shown everywhere else.

use resvg::{
    tiny_skia::{Color, Pixmap, Transform},
    usvg::Tree,
};
use tandem_model::ResultDocument;

use crate::{
    chart::Size,
    fonts,
    from_result::from_result,
    theme::{Colour, Theme},
    write::{ReportError, WIDTH},
};

/// Pixels of the picture in a pixel of the chart, so that it is sharp on fine
/// screens and on paper.
const SCALE: f32 = 2.0;

/// Between two charts, in pixels of the charts.
const GAP: f32 = 12.0;

/// The highest picture in its own pixels; some 200 MB while it is drawn.
const HIGHEST: f32 = 30_000.0;

/// All charts of a result below one another as a PNG file, twice as large as
/// drawn. The same result gives the same bytes on a machine with the same
/// fonts.
pub fn report_png(result: &ResultDocument, theme: Theme) -> Result<Vec<u8>, ReportError> {
    let charts = from_result(result, Size::wide(WIDTH), theme);
    if charts.is_empty() {
        return Err(ReportError::NoPicture);
    }
    let options = fonts::of_system()?;
    let trees: Vec<Tree> = charts
        .iter()
        .map(|named| Tree::from_str(&named.chart.svg, &options))
        .collect::<Result<_, _>>()
        .map_err(|e| ReportError::Drawing(e.to_string()))?;
    draw(&trees, theme.palette().background)
}

fn draw(trees: &[Tree], ground: Colour) -> Result<Vec<u8>, ReportError> {
    let width = trees.iter().map(|tree| tree.size().width()).fold(0.0, f32::max) * SCALE;
    let content: f32 = trees.iter().map(|tree| tree.size().height() + GAP).sum();
    let height = (content - GAP) * SCALE;
    if height > HIGHEST {
        return Err(ReportError::TooHigh);
    }
    let mut pixels = pixmap(width, height).ok_or(ReportError::TooHigh)?;
    let Colour(red, green, blue) = ground;
    pixels.fill(Color::from_rgba8(red, green, blue, 255));
    let mut top = 0.0;
    for tree in trees {
        let place = Transform::from_translate(0.0, top).post_scale(SCALE, SCALE);
        resvg::render(tree, place, &mut pixels.as_mut());
        top += tree.size().height() + GAP;
    }
    pixels.encode_png().map_err(|e| ReportError::Drawing(e.to_string()))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "sizes of pictures are above zero, and `as` saturates"
)]
fn pixmap(width: f32, height: f32) -> Option<Pixmap> {
    Pixmap::new(width.ceil() as u32, height.ceil() as u32)
}

#[cfg(test)]
mod tests {
    use resvg::usvg::Options;

    use super::*;

    #[test]
    fn what_would_take_all_memory_is_refused() {
        let tree = |height: u32| {
            let svg =
                format!(r#"<svg xmlns="http://www.w3.org/2000/svg" width="9" height="{height}"/>"#);
            Tree::from_str(&svg, &Options::default()).unwrap()
        };
        assert!(draw(&[tree(10), tree(10)], Colour(0, 0, 0)).is_ok());
        let error = draw(&[tree(8000), tree(8000)], Colour(0, 0, 0)).unwrap_err();
        assert!(matches!(error, ReportError::TooHigh), "{error}");
    }
}
