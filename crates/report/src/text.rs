//! How wide text is, and what to do when it is wider than its place.
//!
//! A chart is laid out before anybody knows which font will show it. The
//! advance widths here are those of DejaVu Sans, the widest of the faces in
//! [`FONT_FAMILY`], so what fits here fits with the others too.

/// The faces asked for.
pub(crate) const FONT_FAMILY: &str =
    "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif";

/// Weight of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weight {
    Regular,
    Bold,
}

/// Advance widths of U+0020 to U+007E in thousandths of the font size.
const REGULAR: [u16; 95] = [
    318, 401, 460, 838, 636, 950, 780, 275, 390, 390, 500, 838, 318, 361, 318, 337, 636, 636, 636,
    636, 636, 636, 636, 636, 636, 636, 337, 337, 838, 838, 838, 531, 1000, 684, 686, 698, 770, 632,
    575, 775, 752, 295, 295, 656, 557, 863, 748, 787, 603, 787, 695, 635, 611, 732, 684, 989, 685,
    611, 685, 390, 337, 390, 838, 500, 500, 613, 635, 550, 635, 615, 352, 635, 634, 278, 278, 579,
    278, 974, 634, 612, 635, 635, 411, 521, 392, 634, 592, 818, 592, 592, 525, 636, 337, 636, 838,
];
const BOLD: [u16; 95] = [
    348, 456, 521, 838, 696, 1002, 872, 306, 457, 457, 523, 838, 380, 415, 380, 365, 696, 696, 696,
    696, 696, 696, 696, 696, 696, 696, 400, 400, 838, 838, 838, 580, 1000, 774, 762, 734, 830, 683,
    683, 821, 837, 372, 372, 775, 637, 995, 837, 850, 733, 850, 770, 720, 682, 812, 774, 1103, 771,
    724, 725, 457, 365, 457, 838, 500, 500, 675, 716, 593, 716, 678, 435, 716, 712, 343, 343, 665,
    343, 1042, 712, 687, 716, 716, 493, 595, 478, 712, 652, 924, 645, 652, 582, 712, 365, 712, 838,
];

/// The width of `text` in pixels at font size `size`.
pub(crate) fn width(text: &str, size: f64, weight: Weight) -> f64 {
    let thousandths: f64 = text.chars().map(|c| f64::from(advance(c, weight))).sum();
    thousandths * size / 1000.0
}

fn advance(c: char, weight: Weight) -> u16 {
    let (table, wide) = match weight {
        Weight::Regular => (&REGULAR, 0),
        Weight::Bold => (&BOLD, 60),
    };
    match u32::from(c) {
        code @ 0x20..=0x7e => table[code as usize - 0x20],
        0xa0 => table[0],
        0xb7 => 318 + wide,
        // En dash.
        0x2013 => 500,
        // Latin, Greek, Cyrillic and their neighbours.
        0xa1..=0x1fff => 780 + wide,
        // Punctuation, arrows, signs: the ellipsis and the em dash are one em.
        // From 0x3000 on: scripts of full-width characters.
        0x2000..=0xffff => 1000,
        _ => 1300,
    }
}

/// `text`, or as much of it as fits into `room` pixels, with an ellipsis.
/// Empty when not even one character fits.
pub(crate) fn fit(text: &str, room: f64, size: f64, weight: Weight) -> String {
    if width(text, size, weight) <= room {
        return text.to_owned();
    }
    let mut used = width("…", size, weight);
    let mut kept = String::new();
    for c in text.chars() {
        used += f64::from(advance(c, weight)) * size / 1000.0;
        if used > room {
            break;
        }
        kept.push(c);
    }
    let kept = kept.trim_end();
    if kept.is_empty() { String::new() } else { format!("{kept}…") }
}

/// Breaks `text` at spaces into at most `lines` lines of `room` pixels; the
/// last one ends with an ellipsis when text is left over.
pub(crate) fn wrap(text: &str, room: f64, lines: usize, size: f64, weight: Weight) -> Vec<String> {
    let words: Vec<&str> = text.split([' ', '\n', '\t']).filter(|word| !word.is_empty()).collect();
    wrap_parts(&words, " ", room, size, weight, lines)
}

/// Breaks `text` at spaces into lines of at most `room` pixels, and a word that
/// is wider than that within itself: nothing is left out.
pub(crate) fn flow(text: &str, room: f64, size: f64, weight: Weight) -> Vec<String> {
    let of = |c| f64::from(advance(c, weight)) * size / 1000.0;
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let (mut line, mut used) = (String::new(), 0.0);
        for word in paragraph.split([' ', '\t']).filter(|word| !word.is_empty()) {
            let wide = width(word, size, weight);
            if !line.is_empty() && used + of(' ') + wide <= room {
                line.push(' ');
                used += of(' ');
            } else if !line.is_empty() {
                lines.push(std::mem::take(&mut line));
                used = 0.0;
            }
            for c in word.chars() {
                if !line.is_empty() && used + of(c) > room {
                    lines.push(std::mem::take(&mut line));
                    used = 0.0;
                }
                line.push(c);
                used += of(c);
            }
        }
        lines.push(line);
    }
    lines
}

/// Joins `parts` with `separator` into lines of `room` pixels, breaking only
/// between parts. The last of `lines` lines takes all the rest, cut to fit.
pub(crate) fn wrap_parts(
    parts: &[impl AsRef<str>],
    separator: &str,
    room: f64,
    size: f64,
    weight: Weight,
    lines: usize,
) -> Vec<String> {
    let mut wrapped: Vec<String> = Vec::new();
    for part in parts {
        let part = part.as_ref();
        let full = wrapped.len() >= lines.max(1);
        match wrapped.last_mut() {
            Some(line)
                if full || width(&format!("{line}{separator}{part}"), size, weight) <= room =>
            {
                line.push_str(separator);
                line.push_str(part);
            }
            _ => wrapped.push(part.to_owned()),
        }
    }
    wrapped
        .iter()
        .map(|line| fit(line, room, size, weight))
        .filter(|line| !line.is_empty())
        .collect()
}

/// `text` for XML and HTML: the five special characters as entities, what XML
/// 1.0 forbids (§ 2.2) replaced, and controls of writing direction left out,
/// for a foreign name must not turn the text around it.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\t' | '\n' | '\r' => out.push(c),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {}
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_are_those_of_the_font() {
        // 0 . 3 4 space s: 636 + 318 + 636 + 636 + 318 + 521.
        assert!((width("0.34 s", 10.0, Weight::Regular) - 30.65).abs() < 1e-9);
        assert!(width("0.34 s", 10.0, Weight::Bold) > 33.0);
        assert!(width("漢字", 10.0, Weight::Regular) >= 20.0);
    }

    #[test]
    fn long_text_ends_with_an_ellipsis() {
        let cut = fit("a name that is much too long", 80.0, 12.0, Weight::Regular);
        assert!(cut.ends_with('…') && width(&cut, 12.0, Weight::Regular) <= 80.0, "{cut}");
        assert_eq!(fit("short", 80.0, 12.0, Weight::Regular), "short");
        assert_eq!(fit("wide", 3.0, 12.0, Weight::Regular), "");
    }

    #[test]
    fn wrapping_keeps_every_word_or_says_so() {
        let text = "the quick brown fox jumps over the lazy dog";
        let lines = wrap(text, 90.0, 9, 12.0, Weight::Regular);
        assert_eq!(lines.join(" "), text);
        assert!(lines.iter().all(|line| width(line, 12.0, Weight::Regular) <= 90.0));
        let two = wrap(text, 90.0, 2, 12.0, Weight::Regular);
        assert!(two.len() == 2 && two[1].ends_with('…'), "{two:?}");
    }

    #[test]
    fn flowing_keeps_every_character() {
        let text = "a 0123456789012345678901234567890123456789 word\n\nand more of the same";
        let lines = flow(text, 60.0, 10.0, Weight::Regular);
        let kept: String = lines.concat().split(' ').collect();
        assert_eq!(kept, text.split_whitespace().collect::<String>());
        assert!(lines.len() > 6 && lines.contains(&String::new()), "{lines:?}");
        let fits = |line: &String| width(line, 10.0, Weight::Regular) <= 60.0 + 1e-9;
        assert!(lines.iter().all(fits), "{lines:?}");
    }

    #[test]
    fn foreign_text_stays_text() {
        assert_eq!(escape("<b a=\"1\">&'"), "&lt;b a=&quot;1&quot;&gt;&amp;&#39;");
        assert_eq!(escape("a\u{1b}[31mb\0"), "a\u{fffd}[31mb\u{fffd}");
        assert_eq!(escape("a\u{202e}b"), "ab");
    }
}
