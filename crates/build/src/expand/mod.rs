//! Variables and quotes in a word, after the shell lexer of BuildKit's
//! Dockerfile front end (Dockerfile reference, "Environment replacement").

mod pattern;

#[cfg(test)]
mod tests;

use std::iter::Peekable;

use pattern::Pattern;

/// A word cannot be expanded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct ExpandError {
    /// What is wrong and what was expected.
    pub(crate) message: String,
}

fn refused<T>(message: impl Into<String>) -> Result<T, ExpandError> {
    Err(ExpandError { message: message.into() })
}

/// Replaces the variables of a word and takes its quotes and escapes away.
pub(crate) fn expand(
    word: &str,
    escape: char,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<String, ExpandError> {
    let mut lexer = Lexer::new(word, escape, lookup, true);
    let mut out = Output::default();
    lexer.run(None, &mut out)?;
    Ok(out.whole)
}

/// [`expand`], and splits at white space outside quotes, also at that which
/// comes from an unquoted variable.
pub(crate) fn expand_words(
    word: &str,
    escape: char,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<String>, ExpandError> {
    let mut lexer = Lexer::new(word, escape, lookup, true);
    let mut out = Output::default();
    lexer.run(None, &mut out)?;
    out.space();
    Ok(out.words)
}

/// Replaces variables and leaves quotes alone, as in a here-document. A
/// backslash takes the next character literally, whatever the file's own
/// escape is, and goes: BuildKit's lexer does so before every character, where
/// a shell would keep most of them.
pub(crate) fn expand_document(
    text: &str,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<String, ExpandError> {
    let mut lexer = Lexer::new(text, '\\', lookup, false);
    let mut out = Output::default();
    lexer.run(None, &mut out)?;
    Ok(out.whole)
}

/// Steps that looking for a pattern may take.
const STEPS: usize = 1 << 28;

fn check_effort(value: &str, pattern: &Pattern) -> Result<(), ExpandError> {
    if value.len().saturating_mul(pattern.len()) <= STEPS {
        return Ok(());
    }
    refused("its value and its pattern are too long to be compared: shorten one of them")
}

/// The result as one text and as words.
#[derive(Default)]
struct Output {
    whole: String,
    words: Vec<String>,
    word: String,
    /// An empty quoted word is a word.
    quoted: bool,
}

impl Output {
    /// A character that splits words when it is white space.
    fn loose(&mut self, c: char) {
        self.whole.push(c);
        if c.is_whitespace() { self.space() } else { self.word.push(c) }
    }

    fn fixed(&mut self, text: &str) {
        self.whole.push_str(text);
        self.word.push_str(text);
    }

    fn space(&mut self) {
        if self.quoted || !self.word.is_empty() {
            self.words.push(std::mem::take(&mut self.word));
        }
        self.quoted = false;
    }
}

/// How deep `${A:-${B:-…}}` may go.
const DEPTH: u32 = 32;

/// How much longer than its text a word may become: no program can be given an
/// argument or a variable of more bytes (execve(2), `MAX_ARG_STRLEN`).
const GROWTH: usize = 128 << 10;

struct Lexer<'a> {
    chars: Peekable<std::str::Chars<'a>>,
    escape: char,
    lookup: &'a dyn Fn(&str) -> Option<String>,
    quotes: bool,
    depth: u32,
    longest: usize,
}

impl<'a> Lexer<'a> {
    fn new(
        text: &'a str,
        escape: char,
        lookup: &'a dyn Fn(&str) -> Option<String>,
        quotes: bool,
    ) -> Self {
        let longest = text.len() + GROWTH;
        Self { chars: text.chars().peekable(), escape, lookup, quotes, depth: 0, longest }
    }

    /// Values in values multiply: a few lines could ask for more memory than
    /// there is.
    fn check(&self, so_far: &str) -> Result<(), ExpandError> {
        if so_far.len() <= self.longest {
            return Ok(());
        }
        refused(format!("it becomes longer than {} KiB, more than a value may be", GROWTH >> 10))
    }

    /// Reads up to and including `stop`, or to the end.
    fn run(&mut self, stop: Option<char>, out: &mut Output) -> Result<(), ExpandError> {
        while let Some(c) = self.chars.next() {
            match c {
                _ if stop == Some(c) => return Ok(()),
                '\'' if self.quotes => self.single(out)?,
                '"' if self.quotes => self.double(out)?,
                '$' => {
                    self.dollar()?.chars().for_each(|c| out.loose(c));
                    self.check(&out.whole)?;
                }
                _ if c == self.escape => {
                    if let Some(next) = self.chars.next() {
                        out.fixed(next.encode_utf8(&mut [0; 4]));
                    }
                }
                _ => out.loose(c),
            }
        }
        match stop {
            None => Ok(()),
            Some(stop) => refused(format!("`${{` has no end: expected `{stop}`")),
        }
    }

    fn single(&mut self, out: &mut Output) -> Result<(), ExpandError> {
        out.quoted = true;
        loop {
            match self.chars.next() {
                None => return refused("a single quote has no end: expected a second '"),
                Some('\'') => return Ok(()),
                Some(c) => out.fixed(c.encode_utf8(&mut [0; 4])),
            }
        }
    }

    fn double(&mut self, out: &mut Output) -> Result<(), ExpandError> {
        out.quoted = true;
        loop {
            match self.chars.next() {
                None => return refused("a double quote has no end: expected a second \""),
                Some('"') => return Ok(()),
                Some('$') => {
                    let value = self.dollar()?;
                    out.fixed(&value);
                    self.check(&out.whole)?;
                }
                Some(c) if c == self.escape => {
                    // Before other characters the escape is just itself.
                    match self.chars.next() {
                        Some(next) if next == '"' || next == '$' || next == self.escape => {
                            out.fixed(next.encode_utf8(&mut [0; 4]));
                        }
                        Some(next) => {
                            out.fixed(c.encode_utf8(&mut [0; 4]));
                            out.fixed(next.encode_utf8(&mut [0; 4]));
                        }
                        None => {
                            return refused("a double quote has no end: expected a second \"");
                        }
                    }
                }
                Some(c) => out.fixed(c.encode_utf8(&mut [0; 4])),
            }
        }
    }

    /// What stands behind a `$`, replaced.
    fn dollar(&mut self) -> Result<String, ExpandError> {
        if self.chars.peek() != Some(&'{') {
            let name = self.name();
            return Ok(if name.is_empty() {
                "$".to_owned()
            } else {
                (self.lookup)(&name).unwrap_or_default()
            });
        }
        self.chars.next();
        let name = self.name();
        if name.is_empty() {
            return refused("`${` lacks a variable's name: expected e.g. ${VERSION}");
        }
        let value = (self.lookup)(&name);
        let Some(modifier) = self.chars.next() else {
            return refused(format!("`${{{name}` has no end: expected `}}`"));
        };
        if modifier == '}' {
            return Ok(value.unwrap_or_default());
        }
        self.depth += 1;
        if self.depth > DEPTH {
            return refused(format!("`${{{name}…` is nested more than {DEPTH} deep"));
        }
        let result = self.modified(&name, value, modifier);
        self.depth -= 1;
        result
    }

    fn modified(
        &mut self,
        name: &str,
        value: Option<String>,
        modifier: char,
    ) -> Result<String, ExpandError> {
        match modifier {
            '#' | '%' | '/' => self.pattern(value.unwrap_or_default(), modifier),
            ':' => {
                let operator = self.chars.next().unwrap_or(' ');
                let filled = value.filter(|value| !value.is_empty());
                self.choice(name, filled, operator, "empty or not set")
            }
            _ => self.choice(name, value, modifier, "not set"),
        }
    }

    fn choice(
        &mut self,
        name: &str,
        value: Option<String>,
        operator: char,
        lack: &str,
    ) -> Result<String, ExpandError> {
        if !['-', '+', '?'].contains(&operator) {
            return refused(format!(
                "`${{{name}` is followed by `{operator}`: expected `}}`, `:-`, `:+`, `:?`, `#`, `%` or `/`"
            ));
        }
        let word = self.operand('}')?;
        Ok(match (operator, value) {
            ('+', Some(_)) | ('-', None) => word,
            ('+', None) => String::new(),
            (_, Some(value)) => value,
            (_, None) if word.is_empty() => return refused(format!("`{name}` is {lack}")),
            (_, None) => return refused(format!("`{name}`: {word}")),
        })
    }

    fn pattern(&mut self, value: String, modifier: char) -> Result<String, ExpandError> {
        let greedy = self.chars.next_if_eq(&modifier).is_some();
        if modifier == '/' {
            let pattern = Pattern::read(&self.raw_operand('/')?)?;
            let replacement = self.raw_operand('}')?;
            check_effort(&value, &pattern)?;
            let replaced = pattern.replace(&value, &replacement, greedy, self.longest);
            self.check(&replaced)?;
            return Ok(replaced);
        }
        let pattern = Pattern::read(&self.raw_operand('}')?)?;
        check_effort(&value, &pattern)?;
        Ok(if modifier == '#' {
            pattern.strip_prefix(&value, greedy)
        } else {
            pattern.strip_suffix(&value, greedy)
        })
    }

    fn operand(&mut self, stop: char) -> Result<String, ExpandError> {
        let mut out = Output::default();
        self.run(Some(stop), &mut out)?;
        Ok(out.whole)
    }

    /// A pattern, or what comes in its place: variables are replaced, quotes
    /// go, escapes are kept.
    fn raw_operand(&mut self, stop: char) -> Result<String, ExpandError> {
        let mut text = String::new();
        while let Some(c) = self.chars.next() {
            match c {
                _ if c == stop => return Ok(text),
                '\'' | '"' if self.quotes => {
                    let mut quoted = Output::default();
                    if c == '"' {
                        self.double(&mut quoted)?;
                    } else {
                        self.single(&mut quoted)?;
                    }
                    text.push_str(&quoted.whole);
                }
                '$' => {
                    text.push_str(&self.dollar()?);
                    self.check(&text)?;
                }
                _ if c == self.escape => {
                    text.push(c);
                    text.extend(self.chars.next());
                }
                _ => text.push(c),
            }
        }
        refused(if stop == '/' {
            "`${…/` has no second `/`: expected ${NAME/pattern/replacement}"
        } else {
            "`${` has no end: expected `}`"
        })
    }

    /// A name, or one of the shell's special parameters (never set here).
    fn name(&mut self) -> String {
        let mut name = String::new();
        match self.chars.peek() {
            Some(c) if c.is_alphabetic() || *c == '_' => {
                let inside = |c: &char| c.is_alphabetic() || c.is_ascii_digit() || *c == '_';
                while let Some(c) = self.chars.next_if(inside) {
                    name.push(c);
                }
            }
            Some(c) if c.is_ascii_digit() => {
                while let Some(c) = self.chars.next_if(char::is_ascii_digit) {
                    name.push(c);
                }
            }
            Some(c) if "@*#?-$!".contains(*c) => name.extend(self.chars.next()),
            _ => {}
        }
        name
    }
}
