//! A result's charts as one picture: of vectors, and of pixels made from them.

use std::fmt::Write as _;

use resvg::{
    tiny_skia::{Pixmap, Transform},
    usvg::Tree,
};
use tandem_model::ResultDocument;

use crate::{
    chart::{NamedChart, Size},
    fonts,
    from_result::from_result,
    theme::{Colour, Theme},
    write::{ReportError, WIDTH},
};

/// Pixels of the picture in a pixel of the chart, so that it is sharp on fine
/// screens and on paper.
const SCALE: f32 = 2.0;

/// Between two charts, in pixels of the charts.
const GAP: f64 = 12.0;

/// The highest picture in its own pixels; some 200 MB while it is drawn.
const HIGHEST: f32 = 30_000.0;

/// All charts of a result below one another as one SVG document without styles
/// or scripts.
pub fn report_svg(result: &ResultDocument, theme: Theme) -> Result<String, ReportError> {
    let charts = from_result(result, Size::wide(WIDTH), theme);
    if charts.is_empty() {
        return Err(ReportError::NoPicture);
    }
    Ok(stack(&charts, theme.palette().background))
}

/// The same as a PNG file, twice as large as drawn. The same result gives the
/// same bytes on a machine with the same fonts.
pub fn report_png(result: &ResultDocument, theme: Theme) -> Result<Vec<u8>, ReportError> {
    let svg = report_svg(result, theme)?;
    let tree = Tree::from_str(&svg, &fonts::of_system()?)
        .map_err(|e| ReportError::Drawing(e.to_string()))?;
    draw(&tree)
}

fn stack(charts: &[NamedChart], ground: Colour) -> String {
    let scales = || charts.iter().map(|named| &named.chart.scales);
    let width = scales().map(|it| it.width).fold(0.0, f64::max);
    let height = scales().map(|it| it.height + GAP).sum::<f64>() - GAP;
    let Colour(red, green, blue) = ground;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         width=\"{width}\" height=\"{height}\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#{red:02x}{green:02x}{blue:02x}\"/>\n"
    );
    let mut top = 0.0;
    for named in charts {
        // Each is a whole document, and may stand in another at a place.
        let inner = named.chart.svg.trim_start_matches("<svg");
        let _ = write!(svg, "<svg y=\"{top}\"{inner}");
        top += named.chart.scales.height + GAP;
    }
    svg.push_str("</svg>\n");
    svg
}

fn draw(tree: &Tree) -> Result<Vec<u8>, ReportError> {
    let (width, height) = (tree.size().width() * SCALE, tree.size().height() * SCALE);
    if height > HIGHEST {
        return Err(ReportError::TooHigh);
    }
    let mut pixels = pixmap(width, height).ok_or(ReportError::TooHigh)?;
    resvg::render(tree, Transform::from_scale(SCALE, SCALE), &mut pixels.as_mut());
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
        assert!(draw(&tree(20)).is_ok());
        let error = draw(&tree(16_000)).unwrap_err();
        assert!(matches!(error, ReportError::TooHigh), "{error}");
    }
}
