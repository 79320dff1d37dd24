//! A strict reader of the HTML and SVG that Tandem writes: nothing but what
//! its own pages are made of.

/// Elements that a page or a picture may have.
const ELEMENTS: &[&str] = &[
    "body", "br", "caption", "circle", "code", "desc", "details", "div", "g", "h1", "h2", "head",
    "header", "html", "li", "line", "main", "meta", "p", "polygon", "polyline", "pre", "rect",
    "section", "span", "strong", "style", "summary", "svg", "table", "tbody", "td", "text", "th",
    "thead", "title", "tr", "ul", "footer", "path",
];

/// Attributes that they may have; none loads, links or runs anything.
const ATTRIBUTES: &[&str] = &[
    "aria-label",
    "charset",
    "class",
    "content",
    "cx",
    "cy",
    "d",
    "data-lane",
    "fill",
    "fill-opacity",
    "font-family",
    "font-size",
    "font-weight",
    "height",
    "http-equiv",
    "id",
    "lang",
    "name",
    "opacity",
    "points",
    "r",
    "role",
    "rx",
    "scope",
    "stroke",
    "stroke-linecap",
    "stroke-linejoin",
    "stroke-opacity",
    "stroke-width",
    "text-anchor",
    "transform",
    "viewBox",
    "width",
    "x",
    "x1",
    "x2",
    "xmlns",
    "y",
    "y1",
    "y2",
    "stroke-dasharray",
];

/// Checks that every tag is one of ours, and that nothing turns the writing.
///
/// # Panics
/// When something else has become markup.
pub fn assert_own_markup(text: &str) {
    let odd = |c: char| {
        matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
            || (c.is_control() && !matches!(c, '\t' | '\n' | '\r'))
    };
    assert!(!text.contains(odd), "a control character came through");
    let mut rest = text.strip_prefix("<!doctype html>").unwrap_or(text);
    while let Some(at) = rest.find('<') {
        rest = tag(&rest[at + 1..]);
    }
}

/// Reads a tag and returns what follows it.
fn tag(text: &str) -> &str {
    let (text, closing) = match text.strip_prefix('/') {
        Some(rest) => (rest, true),
        None => (text, false),
    };
    let end = text.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(text.len());
    let (name, mut rest) = text.split_at(end);
    assert!(ELEMENTS.contains(&name), "<{name} became an element");
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix('>').or_else(|| rest.strip_prefix("/>")) {
            return after;
        }
        assert!(!closing, "a closing tag has attributes");
        let (name, value) = rest.split_once("=\"").expect("an attribute has a value");
        assert!(ATTRIBUTES.contains(&name), "{name}= became an attribute");
        let (value, after) = value.split_once('"').expect("a value ends");
        assert!(!value.contains('<'), "a value has markup in it");
        rest = after;
    }
}
