//! Reads back what was written: just enough of ISO 32000 for documents of
//! ours, whose objects stand in the file one by one.

use std::{collections::BTreeMap, io::Read as _};

/// The words of each page, a line for each run of glyphs. What no font of this
/// system has is U+FFFD.
pub(crate) fn pages(file: &[u8]) -> Vec<Vec<String>> {
    let objects = objects(file);
    let mut fonts = BTreeMap::new();
    let mut pages = Vec::new();
    for (dictionary, _) in objects.values() {
        if !dictionary.contains("/Type/Page/") {
            continue;
        }
        let resources = referred(dictionary, "/Resources", &objects);
        let resources = resources.map_or(dictionary.as_str(), |(text, _)| text.as_str());
        let content = referred(dictionary, "/Contents", &objects).unwrap();
        let mut lines = Vec::new();
        let mut font = String::new();
        for run in content.1.split("BT ").skip(1) {
            let run = run.split("ET").next().unwrap();
            if let Some((_, name)) = run.split_once("/f") {
                font = format!("/f{}", name.split(' ').next().unwrap());
            }
            let letters = fonts
                .entry(resources.to_owned() + &font)
                .or_insert_with(|| letters(resources, &font, &objects));
            lines.push(
                shown(run)
                    .iter()
                    .map(|glyph| letters.get(glyph).map_or("\u{fffd}", String::as_str))
                    .collect(),
            );
        }
        pages.push(lines);
    }
    pages
}

type Objects = BTreeMap<u32, (String, String)>;

/// Objects by number: their dictionary, and their stream unpacked as Latin-1.
fn objects(file: &[u8]) -> Objects {
    let text: String = file.iter().map(|&byte| char::from(byte)).collect();
    let mut objects = Objects::new();
    for part in text.split("\nendobj").filter(|part| part.contains(" 0 obj\n")) {
        let (number, body) = part.split_once(" 0 obj\n").unwrap();
        let number = number.rsplit('\n').next().unwrap().parse().unwrap();
        let (dictionary, stream) = body.split_once("\nstream\n").unwrap_or((body, ""));
        let stream = stream.strip_suffix("\nendstream").unwrap_or(stream);
        let packed: Vec<u8> = stream.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
        let mut plain = Vec::new();
        if dictionary.contains("FlateDecode") {
            flate2::read::ZlibDecoder::new(packed.as_slice()).read_to_end(&mut plain).unwrap();
        }
        let plain = plain.iter().map(|&byte| char::from(byte)).collect();
        objects.insert(number, (dictionary.to_owned(), plain));
    }
    objects
}

fn referred<'a>(dictionary: &str, key: &str, objects: &'a Objects) -> Option<&'a (String, String)> {
    let after = dictionary.split_once(key)?.1.trim_start();
    objects.get(&after.split(' ').next()?.parse().ok()?)
}

/// What the glyphs of a font stand for, by its ToUnicode map.
fn letters(resources: &str, font: &str, objects: &Objects) -> BTreeMap<u32, String> {
    let (dictionary, _) = referred(resources, &format!("{font} "), objects).unwrap();
    let (_, map) = referred(dictionary, "/ToUnicode", objects).unwrap();
    let mut letters = BTreeMap::new();
    for block in map.split("beginbfchar").skip(1) {
        for line in block.split("endbfchar").next().unwrap().lines() {
            let hex: Vec<&str> =
                line.split(['<', '>']).filter(|part| !part.trim().is_empty()).collect();
            if let [glyph, text] = hex[..] {
                let units: Vec<u16> = (0..text.len())
                    .step_by(4)
                    .map(|at| u16::from_str_radix(&text[at..at + 4], 16).unwrap())
                    .collect();
                let glyph = u32::from_str_radix(glyph, 16).unwrap();
                letters.insert(glyph, String::from_utf16(&units).unwrap());
            }
        }
    }
    letters
}

/// The numbers of the glyphs that a run shows, two bytes each.
fn shown(run: &str) -> Vec<u32> {
    let mut bytes = Vec::new();
    // Parentheses within a string are escaped, or there are as many of both.
    let mut depth = 0;
    let mut chars = run.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        match c {
            '(' if depth == 1 => {}
            ')' if depth == 0 => {}
            '\\' if depth > 0 => bytes.push(escaped(&mut chars)),
            c if depth > 0 => bytes.push(u32::from(c)),
            _ => {}
        }
    }
    bytes.chunks(2).map(|pair| pair[0] << 8 | pair[1]).collect()
}

fn escaped(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> u32 {
    let first = chars.next().unwrap();
    match first {
        'n' => 10,
        'r' => 13,
        't' => 9,
        'b' => 8,
        'f' => 12,
        '0'..='7' => {
            let mut code = first.to_digit(8).unwrap();
            for _ in 0..2 {
                if let Some(digit) = chars.peek().and_then(|c| c.to_digit(8)) {
                    code = code * 8 + digit;
                    chars.next();
                }
            }
            code
        }
        other => u32::from(other),
    }
}
