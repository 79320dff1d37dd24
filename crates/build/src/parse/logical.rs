use super::{Position, Span};

/// One instruction's text: physical lines joined at their continuation
/// characters, comments and blank lines between them left out. It remembers
/// where each part stood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogicalLine {
    /// The joined text.
    pub(crate) text: String,
    /// Byte offset in `text` and the position of the character there, one for
    /// each physical line, ascending.
    marks: Vec<(usize, Position)>,
}

impl LogicalLine {
    /// Where the character at a byte offset stands in the file.
    pub(crate) fn position(&self, offset: usize) -> Position {
        let index = self.marks.partition_point(|(at, _)| *at <= offset).saturating_sub(1);
        let Some((at, position)) = self.marks.get(index) else {
            return Position { line: 1, column: 1 };
        };
        let between = self.text.get(*at..offset).map_or(0, |text| text.chars().count());
        Position { line: position.line, column: position.column + to_u32(between) }
    }

    /// The span of a byte range.
    pub(crate) fn span(&self, range: std::ops::Range<usize>) -> Span {
        let start = self.position(range.start);
        // The end lies just behind the last character, on that one's line.
        let last =
            self.text[..range.end].char_indices().next_back().map_or(range.start, |(at, _)| at);
        let end = if range.is_empty() {
            start
        } else {
            let last = self.position(last.max(range.start));
            Position { line: last.line, column: last.column + 1 }
        };
        Span { start, end }
    }
}

/// Reads logical lines and here-document bodies.
pub(crate) struct Lines<'a> {
    rest: Vec<&'a str>,
    next: usize,
    /// The continuation character.
    pub(crate) escape: char,
}

impl<'a> Lines<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let rest =
            text.split_terminator('\n').map(|line| line.trim_end_matches(['\r', '\n'])).collect();
        Self { rest, next: 0, escape: '\\' }
    }

    /// The next physical line and its number, without taking it.
    pub(crate) fn peek(&self) -> Option<(u32, &'a str)> {
        self.rest.get(self.next).map(|line| (to_u32(self.next + 1), *line))
    }

    /// Takes the next physical line.
    pub(crate) fn take(&mut self) -> Option<(u32, &'a str)> {
        let line = self.peek()?;
        self.next += 1;
        Some(line)
    }

    /// The next instruction's text; blank lines and comments are skipped.
    pub(crate) fn logical(&mut self) -> Option<LogicalLine> {
        let mut line = LogicalLine { text: String::new(), marks: Vec::new() };
        while let Some((number, raw)) = self.take() {
            let first = line.marks.is_empty();
            let trimmed = raw.trim_start();
            if trimmed.is_empty() || trimmed.starts_with('#') {
                continue;
            }
            // Indentation counts only inside an instruction.
            let content = if first { trimmed } else { raw };
            let column = to_u32(raw[..raw.len() - content.len()].chars().count() + 1);
            let (content, continues) = strip_continuation(content, self.escape);
            line.marks.push((line.text.len(), Position { line: number, column }));
            line.text.push_str(content);
            if !continues {
                break;
            }
        }
        line.text.truncate(line.text.trim_end().len());
        (!line.text.is_empty()).then_some(line)
    }
}

/// Takes a continuation character at the end off, unless it is itself escaped.
fn strip_continuation(line: &str, escape: char) -> (&str, bool) {
    let Some(before) = line.trim_end_matches([' ', '\t']).strip_suffix(escape) else {
        return (line, false);
    };
    if before.ends_with(escape) { (line, false) } else { (before, true) }
}

fn to_u32(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(line: u32, column: u32) -> Position {
        Position { line, column }
    }

    #[test]
    fn lines_join_and_remember_their_places() {
        let mut lines = Lines::new("# c\n\n  RUN a \\\n    # inside\n\n  && ü b\nUSER x");
        let run = lines.logical().unwrap();
        assert_eq!(run.text, "RUN a   && ü b");
        assert_eq!(run.position(0).line, 3);
        assert_eq!(run.position(run.text.find("RUN").unwrap()), at(3, 3));
        assert_eq!(run.position(run.text.find("&&").unwrap()), at(6, 3));
        assert_eq!(run.position(run.text.find('b').unwrap()), at(6, 8));
        assert_eq!(run.span(0..3).end, at(3, 6));
        assert_eq!(lines.logical().unwrap().text, "USER x");
        assert!(lines.logical().is_none());
    }

    #[test]
    fn an_escaped_escape_does_not_continue() {
        let mut lines = Lines::new("RUN a \\\\\nRUN b \\  \n c");
        assert_eq!(lines.logical().unwrap().text, "RUN a \\\\");
        assert_eq!(lines.logical().unwrap().text, "RUN b  c");
    }

    #[test]
    fn crlf_and_byte_order_mark_are_no_content() {
        let mut lines = Lines::new("\u{feff}RUN a \\\r\n b\r\n");
        assert_eq!(lines.logical().unwrap().text, "RUN a  b");
    }
}
