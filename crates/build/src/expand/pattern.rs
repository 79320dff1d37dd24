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

/// For every place in the text, and its end: where the longest match that
/// begins there ends. One pass from the end, so that a text in which nothing
/// matches takes no longer.
fn longest_ends(pieces: &[Piece], text: &[char]) -> Vec<Option<usize>> {
    let mut ends = vec![None; text.len() + 1];
    // By piece: the end of a match of it and those behind it, from the place
    // that was looked at last.
    let mut later: Vec<Option<usize>> = vec![None; pieces.len() + 1];
    for at in (0..=text.len()).rev() {
        let mut here = vec![None; pieces.len() + 1];
        here[pieces.len()] = Some(at);
        for (number, piece) in pieces.iter().enumerate().rev() {
            here[number] = match (piece, text.get(at)) {
                (Piece::Star, _) => here[number + 1].max(later[number]),
                (Piece::Any, Some(_)) => later[number + 1],
                (Piece::Literal(wanted), Some(c)) if wanted == c => later[number + 1],
                (Piece::Any | Piece::Literal(_), _) => None,
            };
        }
        ends[at] = here[0];
        later = here;
    }
    ends
}

/// `${value/pattern/replacement}`, `//` when all; the longest match counts.
/// Ends early when the result becomes longer than `longest` bytes.
pub(super) fn replace(
    value: &str,
    pattern: &str,
    replacement: &str,
    all: bool,
    longest: usize,
) -> String {
    let text: Vec<char> = value.chars().collect();
    let ends = longest_ends(&pieces(pattern), &text);
    let mut out = String::new();
    let mut at = 0;
    let mut done = false;
    while at < text.len() && out.len() <= longest {
        match ends[at].filter(|end| *end > at && !done) {
            Some(end) => {
                out.push_str(replacement);
                at = end;
                done = !all;
            }
            None => {
                out.push(text[at]);
                at += 1;
            }
        }
    }
    out
}
