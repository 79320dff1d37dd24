use tandem_model::did_you_mean;

use super::{SyntaxError, Word, rest::Rest};

/// One `--name[=value]`. The value's span is its own, so that an error in an
/// expansion points at it.
pub(crate) struct Flag {
    pub(crate) name: String,
    pub(crate) value: Option<Word>,
    pub(crate) word: Word,
}

/// Flags that may be written several times.
const REPEATED: [&str; 2] = ["mount", "exclude"];

/// Takes the flags that stand before an instruction's arguments.
pub(crate) fn take(rest: &mut Rest<'_>, known: &[&str]) -> Result<Vec<Flag>, SyntaxError> {
    let mut flags: Vec<Flag> = Vec::new();
    while rest.text().starts_with("--") {
        let length = word_length(rest.text(), rest.escape);
        let start = rest.offset();
        let word = rest.word(start..start + length);
        rest.advance(length);
        if word.text == "--" {
            break;
        }
        let (name, value) = match word.text[2..].split_once('=') {
            Some((name, value)) => {
                let at = start + 2 + name.len() + 1;
                let mut written = rest.word(at..start + length);
                written.text = unquote(value, rest.escape);
                (name.to_owned(), Some(written))
            }
            None => (word.text[2..].to_owned(), None),
        };
        if !known.contains(&name.as_str()) {
            let hint = did_you_mean(&name, known).replace("mean ", "mean --");
            let instruction = rest.name;
            let message = match (hint.is_empty(), known) {
                (false, _) => format!("{instruction} has no flag `--{name}`{hint}"),
                (true, []) => format!("{instruction} takes no flags, but `--{name}` is written"),
                (true, _) => format!(
                    "{instruction} has no flag `--{name}`: expected --{}",
                    known.join(", --")
                ),
            };
            return Err(rest.error_at(word.span, message));
        }
        let again = !REPEATED.contains(&name.as_str());
        if again && flags.iter().any(|flag| flag.name == name) {
            return Err(rest.error_at(word.span, format!("--{name} is written twice")));
        }
        flags.push(Flag { name, value, word });
    }
    Ok(flags)
}

/// The value of a flag that needs one.
pub(crate) fn value(
    rest: &Rest<'_>,
    flags: &mut Vec<Flag>,
    name: &str,
) -> Result<Option<Word>, SyntaxError> {
    let Some(at) = flags.iter().position(|flag| flag.name == name) else { return Ok(None) };
    let flag = flags.remove(at);
    match flag.value {
        Some(value) if !value.text.is_empty() => Ok(Some(value)),
        _ => {
            Err(rest
                .error_at(flag.word.span, format!("--{name} lacks its value: expected --{name}=…")))
        }
    }
}

/// All flags of a name, in order.
pub(crate) fn all(flags: &mut Vec<Flag>, name: &str) -> Vec<Flag> {
    let (found, rest) = std::mem::take(flags).into_iter().partition(|flag| flag.name == name);
    *flags = rest;
    found
}

/// A flag that is on or off; `None` when it is not written.
pub(crate) fn switch(
    rest: &Rest<'_>,
    flags: &mut Vec<Flag>,
    name: &str,
) -> Result<Option<bool>, SyntaxError> {
    let Some(flag) = all(flags, name).pop() else { return Ok(None) };
    match flag.value.as_ref().map(|value| value.text.as_str()) {
        None | Some("true") => Ok(Some(true)),
        Some("false") => Ok(Some(false)),
        Some(other) => Err(rest.error_at(
            flag.word.span,
            format!("`--{name}={other}`: expected --{name}, --{name}=true or --{name}=false"),
        )),
    }
}

/// Says of the first flag left that it cannot be used yet.
pub(crate) fn refuse_rest(rest: &Rest<'_>, flags: &[Flag]) -> Result<(), SyntaxError> {
    match flags.first() {
        None => Ok(()),
        Some(flag) => Err(rest.error_at(
            flag.word.span,
            format!(
                "Tandem cannot do `{} --{}` yet: write it without this flag",
                rest.name, flag.name
            ),
        )),
    }
}

fn word_length(text: &str, escape: char) -> usize {
    let mut quote = None;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match quote {
            None if c.is_whitespace() => return at,
            None if c == '"' || c == '\'' => quote = Some(c),
            Some(q) if c == q => quote = None,
            _ if c == escape && quote != Some('\'') => _ = chars.next(),
            _ => {}
        }
    }
    text.len()
}

fn unquote(text: &str, escape: char) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match quote {
            None if c == '"' || c == '\'' => quote = Some(c),
            Some(q) if c == q => quote = None,
            _ if c == escape && quote != Some('\'') => plain.extend(chars.next()),
            _ => plain.push(c),
        }
    }
    plain
}
