use super::FormatError;

/// A word inside `{{` and `}}`.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Word {
    /// `.A.B`, also `.` (empty).
    Field(Vec<String>),
    /// `$name.A.B`, and `$` (empty).
    Variable(String, Vec<String>),
    /// A keyword or a function.
    Name(String),
    Text(String),
    Number(i64),
    Pipe,
    Comma,
    Assign,
    Open,
    /// With the fields that follow directly: `).A.B`.
    Close(Vec<String>),
}

/// The words of one action.
pub(super) fn words(action: &str) -> Result<Vec<Word>, FormatError> {
    let mut words = Vec::new();
    let mut rest = action.trim_start();
    while let Some(first) = rest.chars().next() {
        let (word, used) = match first {
            '|' => (Word::Pipe, 1),
            ',' => (Word::Comma, 1),
            '(' => (Word::Open, 1),
            ')' => {
                let (path, length) = path(&rest[1..]);
                (Word::Close(path), 1 + length)
            }
            ':' if rest.starts_with(":=") => (Word::Assign, 2),
            '.' => {
                let (path, length) = path(rest);
                (Word::Field(path), length)
            }
            '$' => {
                let end = 1 + name_length(&rest[1..], is_letter);
                let (path, length) = path(&rest[end..]);
                (Word::Variable(rest[1..end].to_owned(), path), end + length)
            }
            '"' | '`' => quoted(rest, first)?,
            c if c == '-' || c.is_ascii_digit() => {
                let length = 1 + name_length(&rest[1..], |c| c.is_ascii_digit());
                let number = rest[..length].parse().map_err(|_| unreadable(rest))?;
                (Word::Number(number), length)
            }
            c if is_letter(c) => {
                let length = name_length(rest, is_letter);
                (Word::Name(rest[..length].to_owned()), length)
            }
            _ => return Err(unreadable(rest)),
        };
        words.push(word);
        rest = rest[used..].trim_start();
    }
    Ok(words)
}

/// The fields at the beginning of a text, and how long they stand there.
fn path(text: &str) -> (Vec<String>, usize) {
    if !text.starts_with('.') {
        return (Vec::new(), 0);
    }
    let length = name_length(text, |c| is_letter(c) || c == '.');
    let parts = text[..length].split('.').filter(|part| !part.is_empty());
    (parts.map(str::to_owned).collect(), length)
}

fn is_letter(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn name_length(text: &str, belongs: impl Fn(char) -> bool) -> usize {
    text.find(|c| !belongs(c)).unwrap_or(text.len())
}

/// A text in quotes, and how long it stands there.
fn quoted(text: &str, quote: char) -> Result<(Word, usize), FormatError> {
    let mut value = String::new();
    let mut letters = text.char_indices().skip(1);
    while let Some((at, c)) = letters.next() {
        match c {
            c if c == quote => return Ok((Word::Text(value), at + 1)),
            '\\' if quote == '"' => match letters.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, 't')) => value.push('\t'),
                Some((_, c)) => value.push(c),
                None => break,
            },
            c => value.push(c),
        }
    }
    Err(FormatError(format!("the quote in `{text}` is not closed: end it with {quote}")))
}

fn unreadable(rest: &str) -> FormatError {
    let shown: String = rest.chars().take(20).collect();
    FormatError(format!("`{shown}` cannot be read in a template: write e.g. {{{{.Name}}}}"))
}
