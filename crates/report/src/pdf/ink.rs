//! Pages as a PDF document: paths stay paths, and words stay words that can
//! be searched and copied.

use std::collections::HashMap;

use fontdb::{Database, ID};
use krilla::{
    Document, SerializeSettings,
    color::rgb,
    destination::XyzDestination,
    geom::{Path, PathBuilder, Point, Transform},
    metadata::Metadata,
    num::NormalizedF32,
    outline::{Outline, OutlineNode},
    page::PageSettings,
    paint::{Fill, FillRule, LineCap, LineJoin, Stroke},
    surface::Surface,
    text::{Font, GlyphId, KrillaGlyph},
};
use resvg::{
    tiny_skia::PathSegment,
    usvg::{self, Group, Node, Options, Tree, layout::PositionedGlyph},
};

use super::sheet::{HEIGHT, Page, Sheets, WIDTH};
use crate::write::ReportError;

/// Glyphs whose baselines are no further apart are on one line.
const SAME_LINE: f32 = 0.01;

/// Writes filled sheets.
pub(super) fn write(
    mut sheets: Sheets,
    title: &str,
    options: &Options<'_>,
) -> Result<Vec<u8>, ReportError> {
    let sections = std::mem::take(&mut sheets.sections);
    let pages = sheets.finish(title);
    let mut document = Document::new_with(SerializeSettings::default());
    let settings = PageSettings::from_wh(points(WIDTH), points(HEIGHT))
        .ok_or_else(|| ReportError::Drawing("a page has no size".into()))?;
    let mut ink = Ink { faces: &options.fontdb, fonts: HashMap::new() };
    for page in &pages {
        let mut sheet = document.start_page_with(settings.clone());
        let mut surface = sheet.surface();
        ink.page(page, options, &mut surface)?;
        surface.finish();
        sheet.finish();
    }
    let mut outline = Outline::new();
    for section in sections {
        let place = Point::from_xy(0.0, points(section.y));
        let destination = XyzDestination::new(section.page, place);
        outline.push_child(OutlineNode::new(section.title, destination));
    }
    document.set_outline(outline);
    document.set_metadata(
        Metadata::new().title(title.to_owned()).creator("Tandem".into()).language("en".into()),
    );
    document.finish().map_err(|e| ReportError::Drawing(format!("{e:?}")))
}

struct Ink<'a> {
    faces: &'a Database,
    /// Fonts by their face; none for one that cannot be embedded.
    fonts: HashMap<ID, Option<Font>>,
}

impl Ink<'_> {
    fn page(
        &mut self,
        page: &Page,
        options: &Options<'_>,
        surface: &mut Surface<'_>,
    ) -> Result<(), ReportError> {
        self.tree(&read(&page.svg(), options)?, surface);
        for chart in &page.charts {
            let tree = read(&chart.svg, options)?;
            let scale = points(chart.scale);
            let (x, y) = (points(chart.x), points(chart.y));
            surface.push_transform(&Transform::from_row(scale, 0.0, 0.0, scale, x, y));
            self.tree(&tree, surface);
            surface.pop();
        }
        Ok(())
    }

    fn tree(&mut self, tree: &Tree, surface: &mut Surface<'_>) {
        self.group(tree.root(), surface);
    }

    /// Our pictures are made of plain shapes and words: no group of them is
    /// clipped, masked, filtered or translucent as a whole, and there are no
    /// images.
    fn group(&mut self, group: &Group, surface: &mut Surface<'_>) {
        debug_assert!(!group.should_isolate(), "a group of ours has effects");
        for node in group.children() {
            match node {
                Node::Group(group) => self.group(group, surface),
                Node::Path(shape) => path(shape, surface),
                Node::Text(words) => self.text(words, surface),
                Node::Image(_) => {}
            }
        }
    }

    fn text(&mut self, text: &usvg::Text, surface: &mut Surface<'_>) {
        surface.push_transform(&transform(text.abs_transform()));
        for span in text.layouted().iter().filter(|span| span.visible) {
            let fill = span.fill.as_ref().map(fill);
            surface.set_fill(fill);
            surface.set_stroke(None);
            let size = span.font_size.get();
            for run in span.positioned_glyphs.chunk_by(follows) {
                self.run(run, size, surface);
            }
        }
        surface.pop();
    }

    /// Glyphs of one font on one line.
    fn run(&mut self, run: &[PositionedGlyph], size: f32, surface: &mut Surface<'_>) {
        let Some(first) = run.first() else { return };
        let Some(font) = self.font(first.font) else { return };
        let mut words = String::new();
        let mut glyphs = Vec::with_capacity(run.len());
        for (at, glyph) in run.iter().enumerate() {
            let from = words.len();
            words.push_str(&glyph.text);
            let x = glyph.transform().tx;
            let advance = run.get(at + 1).map_or(0.0, |next| next.transform().tx - x) / size;
            let id = GlyphId::new(u32::from(glyph.id.0));
            glyphs.push(KrillaGlyph::new(id, advance, 0.0, 0.0, 0.0, from..words.len(), None));
        }
        let place = first.transform();
        surface.draw_glyphs(Point::from_xy(place.tx, place.ty), &glyphs, font, &words, size, false);
    }

    fn font(&mut self, id: ID) -> Option<Font> {
        let faces = self.faces;
        let load = || {
            let read = |bytes: &[u8], index| Font::new(bytes.to_vec().into(), index);
            faces.with_face_data(id, read).flatten()
        };
        self.fonts.entry(id).or_insert_with(load).clone()
    }
}

fn read(svg: &str, options: &Options<'_>) -> Result<Tree, ReportError> {
    Tree::from_str(svg, options).map_err(|e| ReportError::Drawing(e.to_string()))
}

/// Whether a glyph goes on where the one before is.
fn follows(before: &PositionedGlyph, glyph: &PositionedGlyph) -> bool {
    let (one, other) = (before.transform(), glyph.transform());
    before.font == glyph.font && (one.ty - other.ty).abs() < SAME_LINE && other.tx >= one.tx
}

fn path(shape: &usvg::Path, surface: &mut Surface<'_>) {
    let Some(outline) = outline(shape) else { return };
    if !shape.is_visible() || (shape.fill().is_none() && shape.stroke().is_none()) {
        return;
    }
    surface.push_transform(&transform(shape.abs_transform()));
    surface.set_fill(shape.fill().map(fill));
    surface.set_stroke(shape.stroke().map(stroke));
    surface.draw_path(&outline);
    surface.pop();
}

fn outline(shape: &usvg::Path) -> Option<Path> {
    let mut path = PathBuilder::new();
    for segment in shape.data().segments() {
        match segment {
            PathSegment::MoveTo(p) => path.move_to(p.x, p.y),
            PathSegment::LineTo(p) => path.line_to(p.x, p.y),
            PathSegment::QuadTo(a, p) => path.quad_to(a.x, a.y, p.x, p.y),
            PathSegment::CubicTo(a, b, p) => path.cubic_to(a.x, a.y, b.x, b.y, p.x, p.y),
            PathSegment::Close => path.close(),
        }
    }
    path.finish()
}

fn fill(fill: &usvg::Fill) -> Fill {
    let rule = match fill.rule() {
        usvg::FillRule::NonZero => FillRule::NonZero,
        usvg::FillRule::EvenOdd => FillRule::EvenOdd,
    };
    Fill { paint: colour(fill.paint()).into(), opacity: opacity(fill.opacity()), rule }
}

fn stroke(stroke: &usvg::Stroke) -> Stroke {
    let line_cap = match stroke.linecap() {
        usvg::LineCap::Butt => LineCap::Butt,
        usvg::LineCap::Round => LineCap::Round,
        usvg::LineCap::Square => LineCap::Square,
    };
    let line_join = match stroke.linejoin() {
        usvg::LineJoin::Miter | usvg::LineJoin::MiterClip => LineJoin::Miter,
        usvg::LineJoin::Round => LineJoin::Round,
        usvg::LineJoin::Bevel => LineJoin::Bevel,
    };
    Stroke {
        paint: colour(stroke.paint()).into(),
        width: stroke.width().get(),
        miter_limit: stroke.miterlimit().get(),
        line_cap,
        line_join,
        opacity: opacity(stroke.opacity()),
        dash: None,
    }
}

/// Pictures of ours have plain colours.
fn colour(paint: &usvg::Paint) -> rgb::Color {
    match paint {
        usvg::Paint::Color(colour) => rgb::Color::new(colour.red, colour.green, colour.blue),
        _ => rgb::Color::new(0, 0, 0),
    }
}

fn opacity(opacity: usvg::Opacity) -> NormalizedF32 {
    NormalizedF32::new(opacity.get()).unwrap_or(NormalizedF32::ONE)
}

fn transform(of: usvg::Transform) -> Transform {
    Transform::from_row(of.sx, of.ky, of.kx, of.sy, of.tx, of.ty)
}

#[expect(clippy::cast_possible_truncation, reason = "places on a page are small")]
fn points(value: f64) -> f32 {
    value as f32
}
