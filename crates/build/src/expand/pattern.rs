//! Shell patterns in `${NAME#…}`, `${NAME%…}` and `${NAME/…/…}`: `*` is any
//! text, `?` any character. `\` takes one of these or itself literally; before
//! `}` and `/`, which would end the pattern, it just goes.

use super::{ExpandError, refused};

enum Piece {
    Literal(char),
    Any,
    Star,
}

/// A pattern that has been read.
pub(super) struct Pattern(Vec<Piece>);

impl Pattern {
    /// Reads one. Before another character a `\` is refused, as by BuildKit.
    pub(super) fn read(text: &str) -> Result<Self, ExpandError> {
        let mut pieces = Vec::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            pieces.push(match c {
                '*' => Piece::Star,
                '?' => Piece::Any,
                '\\' => match chars.next() {
                    Some(c) if "*?\\}/".contains(c) => Piece::Literal(c),
                    other => {
                        let at: String = other.into_iter().collect();
                        return refused(format!(
                            "`\\{at}` stands for nothing in a pattern: write `{at}` alone, or `\\` before `*`, `?`, `\\`, `}}` and `/` only"
                        ));
                    }
                },
                _ => Piece::Literal(c),
            });
        }
        Ok(Self(pieces))
    }

    /// How many steps it takes for each character of a text.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// `${value#pattern}`, `##` when greedy.
    pub(super) fn strip_prefix(&self, value: &str, greedy: bool) -> String {
        let text: Vec<char> = value.chars().collect();
        let length = choose(&matched_lengths(self.0.iter(), &text), greedy).unwrap_or(0);
        text[length..].iter().collect()
    }

    /// `${value%pattern}`, `%%` when greedy.
    pub(super) fn strip_suffix(&self, value: &str, greedy: bool) -> String {
        let mut text: Vec<char> = value.chars().rev().collect();
        let length = choose(&matched_lengths(self.0.iter().rev(), &text), greedy).unwrap_or(0);
        text.drain(..length);
        text.iter().rev().collect()
    }

    /// `${value/pattern/replacement}`, `//` when all; the longest match counts.
    /// Ends early when the result becomes longer than `longest` bytes.
    pub(super) fn replace(
        &self,
        value: &str,
        replacement: &str,
        all: bool,
        longest: usize,
    ) -> String {
        let text: Vec<char> = value.chars().collect();
        let ends = longest_ends(&self.0, &text);
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
}

/// For every length n: whether the pattern matches the first n characters.
/// All positions in the pattern are followed at once, so that no pattern
/// takes more than pattern × text steps.
fn matched_lengths<'p>(pieces: impl Iterator<Item = &'p Piece>, text: &[char]) -> Vec<bool> {
    let pieces: Vec<&Piece> = pieces.collect();
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
