//! Shell patterns in `${NAME#…}`, `${NAME%…}` and `${NAME/…/…}`: `*` is any
//! text, `?` any character, `\` takes the next one literally.

enum Piece {
    Literal(char),
    Any,
    Star,
}

fn pieces(pattern: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        pieces.push(match c {
            '*' => Piece::Star,
            '?' => Piece::Any,
            '\\' => Piece::Literal(chars.next().unwrap_or('\\')),
            _ => Piece::Literal(c),
        });
    }
    pieces
}

/// For every length n: whether the pattern matches the first n characters.
/// All positions in the pattern are followed at once, so that no pattern
/// takes more than pattern × text steps.
fn matched_lengths(pieces: &[Piece], text: &[char]) -> Vec<bool> {
    let close = |states: &mut Vec<bool>| {
        for (at, piece) in pieces.iter().enumerate() {
            if states[at] && matches!(piece, Piece::Star) {
                states[at + 1] = true;
            }
        }
    };
    let mut states = vec![false; pieces.len() + 1];
    states[0] = true;
    close(&mut states);
    let mut lengths = vec![states[pieces.len()]];
    for c in text {
        let mut next = vec![false; pieces.len() + 1];
        for (at, piece) in pieces.iter().enumerate().filter(|(at, _)| states[*at]) {
            match piece {
                Piece::Star => next[at] = true,
                Piece::Any => next[at + 1] = true,
                Piece::Literal(wanted) if wanted == c => next[at + 1] = true,
                Piece::Literal(_) => {}
            }
        }
        close(&mut next);
        states = next;
        lengths.push(states[pieces.len()]);
    }
    lengths
}

fn choose(lengths: &[bool], longest: bool) -> Option<usize> {
    if longest { lengths.iter().rposition(|m| *m) } else { lengths.iter().position(|m| *m) }
}

/// `${value#pattern}`, `##` when greedy.
pub(super) fn strip_prefix(value: &str, pattern: &str, greedy: bool) -> String {
    let text: Vec<char> = value.chars().collect();
    let length = choose(&matched_lengths(&pieces(pattern), &text), greedy).unwrap_or(0);
    text[length..].iter().collect()
}

/// `${value%pattern}`, `%%` when greedy.
pub(super) fn strip_suffix(value: &str, pattern: &str, greedy: bool) -> String {
    let mut text: Vec<char> = value.chars().rev().collect();
    let mut pieces = pieces(pattern);
    pieces.reverse();
    let length = choose(&matched_lengths(&pieces, &text), greedy).unwrap_or(0);
    text.drain(..length);
    text.iter().rev().collect()
}

/// `${value/pattern/replacement}`, `//` when all; the longest match counts.
pub(super) fn replace(value: &str, pattern: &str, replacement: &str, all: bool) -> String {
    let pieces = pieces(pattern);
    let text: Vec<char> = value.chars().collect();
    let mut out = String::new();
    let mut at = 0;
    let mut done = false;
    while at < text.len() {
        let length = if done {
            None
        } else {
            choose(&matched_lengths(&pieces, &text[at..]), true).filter(|length| *length > 0)
        };
        if let Some(length) = length {
            out.push_str(replacement);
            at += length;
            done = !all;
        } else {
            out.push(text[at]);
            at += 1;
        }
    }
    out
}
