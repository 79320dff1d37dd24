/// A path pattern: `*` and `?` stay within a component, `[a-z]` and `[^a-z]`
/// are classes, `\` takes the next character literally, `**` is any number of
/// components.
#[derive(Debug, Clone)]
pub(crate) struct Glob {
    pieces: Vec<Piece>,
}

/// The pattern has no meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum GlobError {
    /// `!` alone.
    #[error("`!` needs a pattern behind it")]
    Empty,
    /// `[` without `]`, or a class without members.
    #[error("a `[` has no end or no members: expected e.g. [a-z]; write \\[ for the character")]
    Class,
    /// `\` at the end.
    #[error("a `\\` stands at the end: expected a character behind it")]
    Escape,
}

#[derive(Debug, Clone)]
enum Piece {
    Literal(char),
    /// `?`
    Any,
    /// `*`
    Star,
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
    /// `**` at the end: anything.
    Rest,
    /// `**/`: nothing, or anything that ends with a slash.
    Folders,
}

impl Glob {
    /// Reads an ignore pattern, in which `**` means any number of folders.
    pub(crate) fn new(pattern: &str) -> Result<Self, GlobError> {
        Self::read(pattern, true)
    }

    /// Reads a COPY source, in which `**` is no more than `*`.
    pub(crate) fn single(pattern: &str) -> Result<Self, GlobError> {
        Self::read(pattern, false)
    }

    /// Whether a text has characters that a pattern gives a meaning to.
    pub(crate) fn is_pattern(text: &str) -> bool {
        text.contains(['*', '?', '[', '\\'])
    }

    fn read(pattern: &str, deep: bool) -> Result<Self, GlobError> {
        let mut pieces = Vec::new();
        let mut chars = pattern.chars().peekable();
        while let Some(c) = chars.next() {
            pieces.push(match c {
                '*' if deep && chars.next_if_eq(&'*').is_some() => {
                    // Docker reads `**x` like `**/x`.
                    chars.next_if_eq(&'/');
                    if chars.peek().is_none() { Piece::Rest } else { Piece::Folders }
                }
                '*' => Piece::Star,
                '?' => Piece::Any,
                '[' => class(&mut chars)?,
                '\\' => Piece::Literal(chars.next().ok_or(GlobError::Escape)?),
                _ => Piece::Literal(c),
            });
        }
        Ok(Self { pieces })
    }

    /// Whether the whole path matches. All positions in the pattern are
    /// followed at once: the time is at most pattern × path.
    pub(crate) fn matches(&self, path: &str) -> bool {
        let mut states = vec![false; self.pieces.len() + 1];
        states[0] = true;
        self.close(&mut states);
        // `**/` may only be left at a component's begin, so being inside it
        // is not the same as standing before it.
        let mut inside = vec![false; self.pieces.len()];
        for c in path.chars() {
            let mut next = vec![false; self.pieces.len() + 1];
            let mut next_inside = vec![false; self.pieces.len()];
            for (at, piece) in self.pieces.iter().enumerate() {
                if matches!(piece, Piece::Folders) && (states[at] || inside[at]) {
                    if c == '/' {
                        next[at + 1] = true;
                    }
                    next_inside[at] = true;
                }
                if !states[at] {
                    continue;
                }
                match piece {
                    Piece::Star if c != '/' => next[at] = true,
                    Piece::Rest => next[at] = true,
                    Piece::Any if c != '/' => next[at + 1] = true,
                    Piece::Literal(wanted) if *wanted == c => next[at + 1] = true,
                    Piece::Class { negated, ranges } if c != '/' => {
                        let within = ranges.iter().any(|(from, to)| (*from..=*to).contains(&c));
                        next[at + 1] |= within != *negated;
                    }
                    _ => {}
                }
            }
            self.close(&mut next);
            states = next;
            inside = next_inside;
        }
        states[self.pieces.len()]
    }

    /// Whether the path matches, or a folder above it.
    pub(crate) fn covers(&self, path: &str) -> bool {
        let mut above = path.match_indices('/').map(|(at, _)| &path[..at]);
        self.matches(path) || above.any(|folder| self.matches(folder))
    }

    /// Pieces that may match nothing let the next one begin at once.
    fn close(&self, states: &mut [bool]) {
        for (at, piece) in self.pieces.iter().enumerate() {
            if states[at] && matches!(piece, Piece::Star | Piece::Rest | Piece::Folders) {
                states[at + 1] = true;
            }
        }
    }
}

fn class(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Piece, GlobError> {
    let negated = chars.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    loop {
        let c = chars.next().ok_or(GlobError::Class)?;
        if c == ']' {
            break;
        }
        let from = member(c, chars)?;
        let to = if chars.next_if_eq(&'-').is_some() {
            let c = chars.next().filter(|c| *c != ']').ok_or(GlobError::Class)?;
            member(c, chars)?
        } else {
            from
        };
        ranges.push((from, to));
    }
    if ranges.is_empty() { Err(GlobError::Class) } else { Ok(Piece::Class { negated, ranges }) }
}

fn member(
    c: char,
    chars: &mut std::iter::Peekable<std::str::Chars<'_>>,
) -> Result<char, GlobError> {
    if c == '\\' { chars.next().ok_or(GlobError::Class) } else { Ok(c) }
}
