use std::ops::Range;

use super::{Span, SyntaxError, Word, logical::LogicalLine};

/// What is still to be read of an instruction.
pub(crate) struct Rest<'a> {
    file: &'a str,
    pub(crate) line: &'a LogicalLine,
    pub(crate) escape: char,
    /// The instruction's name in capitals, for messages.
    pub(crate) name: &'static str,
    start: usize,
}

impl<'a> Rest<'a> {
    pub(crate) fn new(
        file: &'a str,
        line: &'a LogicalLine,
        escape: char,
        name: &'static str,
        start: usize,
    ) -> Self {
        let mut rest = Self { file, line, escape, name, start };
        rest.skip_spaces();
        rest
    }

    pub(crate) fn text(&self) -> &'a str {
        &self.line.text[self.start..]
    }

    pub(crate) fn offset(&self) -> usize {
        self.start
    }

    pub(crate) fn advance(&mut self, bytes: usize) {
        self.start += bytes;
        self.skip_spaces();
    }

    fn skip_spaces(&mut self) {
        let text = self.text();
        self.start += text.len() - text.trim_start().len();
    }

    /// The whole rest as one word; an error when there is none.
    pub(crate) fn one(&self, expected: &str) -> Result<Word, SyntaxError> {
        self.some(expected)?;
        Ok(self.word(self.start..self.line.text.len()))
    }

    /// An error unless something is left.
    pub(crate) fn some(&self, expected: &str) -> Result<(), SyntaxError> {
        if self.text().is_empty() {
            return Err(self.error(
                self.start..self.start,
                format!("{} lacks its argument: expected {expected}", self.name),
            ));
        }
        Ok(())
    }

    /// The rest split at white space; quotes mean nothing here.
    pub(crate) fn words(&self) -> Vec<Word> {
        let mut words = Vec::new();
        let mut start = None;
        let text = self.text();
        for (at, c) in text.char_indices().chain([(text.len(), ' ')]) {
            match (start, c.is_whitespace()) {
                (None, false) => start = Some(at),
                (Some(from), true) => {
                    words.push(self.word(self.start + from..self.start + at));
                    start = None;
                }
                _ => {}
            }
        }
        words
    }

    /// The rest split at white space outside quotes; quotes stay in the words.
    /// A quote without its end is an error.
    pub(crate) fn quoted_words(&self) -> Result<Vec<Word>, SyntaxError> {
        let mut words = Vec::new();
        let (mut start, mut quote) = (None, None);
        let text = self.text();
        let mut chars = text.char_indices();
        while let Some((at, c)) = chars.next() {
            if quote.is_none() && c.is_whitespace() {
                if let Some(from) = start.take() {
                    words.push(self.word(self.start + from..self.start + at));
                }
                continue;
            }
            start.get_or_insert(at);
            match quote {
                Some((q, _)) if c == q => quote = None,
                Some(('\'', _)) => {}
                None if c == '"' || c == '\'' => quote = Some((c, at)),
                _ if c == self.escape => _ = chars.next(),
                _ => {}
            }
        }
        if let Some((q, at)) = quote {
            return Err(self.error(
                self.start + at..self.start + at + 1,
                format!("this {q} has no end: expected a second {q} on the line"),
            ));
        }
        if let Some(from) = start {
            words.push(self.word(self.start + from..self.line.text.len()));
        }
        Ok(words)
    }

    pub(crate) fn word(&self, range: Range<usize>) -> Word {
        Word { text: self.line.text[range.clone()].to_owned(), span: self.line.span(range) }
    }

    pub(crate) fn error(&self, range: Range<usize>, message: impl Into<String>) -> SyntaxError {
        self.error_at(self.line.span(range), message)
    }

    pub(crate) fn error_at(&self, span: Span, message: impl Into<String>) -> SyntaxError {
        SyntaxError { file: self.file.to_owned(), span, message: message.into() }
    }

    /// An error about the whole rest.
    pub(crate) fn refuse(&self, message: impl Into<String>) -> SyntaxError {
        self.error(self.start..self.line.text.len(), message)
    }
}
