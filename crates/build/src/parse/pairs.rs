use super::{Argument, SyntaxError, Word, rest::Rest};

/// The pairs of ENV and LABEL: `KEY=VALUE …`, or the old `KEY VALUE` where the
/// value is the rest of the line.
pub(crate) fn pairs(rest: &Rest<'_>) -> Result<Vec<(Word, Word)>, SyntaxError> {
    rest.some("KEY=VALUE")?;
    let text = rest.text();
    let key_length = text.find(char::is_whitespace).unwrap_or(text.len());
    let first = &rest.quoted_words()?[0];
    if !first.text.contains('=') {
        let start = rest.offset();
        let value = text[key_length..].trim_start();
        if value.is_empty() {
            return Err(rest.refuse(format!(
                "{} lacks a value for `{}`: expected {}=VALUE",
                rest.name, first.text, first.text
            )));
        }
        let from = start + text.len() - value.len();
        return Ok(vec![(
            rest.word(start..start + key_length),
            rest.word(from..start + text.len()),
        )]);
    }
    rest.quoted_words()?.into_iter().map(|word| split(rest, word)).collect()
}

fn split(rest: &Rest<'_>, word: Word) -> Result<(Word, Word), SyntaxError> {
    let Some((key, value)) = word.text.split_once('=') else {
        return Err(rest.error_at(
            word.span,
            format!(
                "`{}` has no `=`: expected {} KEY=VALUE; quote values that have spaces",
                word.text, rest.name
            ),
        ));
    };
    if key.is_empty() {
        return Err(rest.error_at(
            word.span,
            format!("the name before `=` is missing: expected {} KEY=VALUE", rest.name),
        ));
    }
    let (key, value) = (key.to_owned(), value.to_owned());
    Ok(cut(word, key, value))
}

/// Both halves of a word, each with its own place.
fn cut(word: Word, key: String, value: String) -> (Word, Word) {
    let mut key_span = word.span;
    let mut value_span = word.span;
    let width = u32::try_from(key.chars().count()).unwrap_or(u32::MAX);
    if word.span.start.line == word.span.end.line {
        key_span.end.column = word.span.start.column + width;
        value_span.start.column = key_span.end.column + 1;
    }
    (Word { text: key, span: key_span }, Word { text: value, span: value_span })
}

/// The declarations of ARG.
pub(crate) fn arguments(rest: &Rest<'_>) -> Result<Vec<Argument>, SyntaxError> {
    rest.some("NAME or NAME=DEFAULT")?;
    rest.quoted_words()?
        .into_iter()
        .map(|word| match word.text.split_once('=') {
            Some(("", _)) => Err(rest
                .error_at(word.span, "the name before `=` is missing: expected ARG NAME=DEFAULT")),
            Some((name, default)) => {
                let (name, default) = (name.to_owned(), default.to_owned());
                let (name, default) = cut(word, name, default);
                Ok(Argument { name, default: Some(default) })
            }
            None => Ok(Argument { name: word, default: None }),
        })
        .collect()
}
