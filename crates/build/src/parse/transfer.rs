use super::{SyntaxError, Transfer, Word, command, flags, heredoc, logical::Lines, rest::Rest};

/// `COPY` and `ADD`.
pub(crate) fn transfer(mut rest: Rest<'_>, lines: &mut Lines<'_>) -> Result<Transfer, SyntaxError> {
    let known: &[&str] = if rest.name == "COPY" {
        &["from", "chown", "chmod", "link", "parents", "exclude"]
    } else {
        &["chown", "chmod", "link", "exclude", "checksum", "keep-git-dir", "unpack"]
    };
    let mut flags = flags::take(&mut rest, known)?;
    let from = flags::value(&rest, &mut flags, "from")?;
    let chown = flags::value(&rest, &mut flags, "chown")?;
    let chmod = flags::value(&rest, &mut flags, "chmod")?;
    flags::refuse_rest(&rest, &flags)?;
    rest.some("SOURCE… DESTINATION")?;
    let mut words = match command::exec_form(&rest)? {
        Some(texts) => {
            let span = rest.line.span(rest.offset()..rest.line.text.len());
            texts.into_iter().map(|text| Word { text, span }).collect()
        }
        None => rest.words(),
    };
    let documents = heredoc::take(&rest, lines)?;
    words.retain(|word| documents.is_empty() || !heredoc::is_marker(&word.text));
    let destination = words.pop().filter(|_| !words.is_empty() || !documents.is_empty());
    let Some(destination) = destination else {
        return Err(rest.refuse(format!(
            "{} needs a source and a destination: expected {} SOURCE… DESTINATION",
            rest.name, rest.name
        )));
    };
    let many = words.len() + documents.len() > 1;
    if many && !names_folder(&destination.text) && !destination.text.contains('$') {
        return Err(rest.error_at(
            destination.span,
            format!(
                "several sources need a folder to go to: expected a destination that ends with `/`, e.g. {}/",
                destination.text
            ),
        ));
    }
    if let Some(word) = words.iter().find(|word| rest.name == "ADD" && is_remote(&word.text)) {
        return Err(rest.error_at(
            word.span,
            format!(
                "Tandem cannot ADD from a URL yet: fetch `{}` into the build context, or use RUN curl",
                word.text
            ),
        ));
    }
    Ok(Transfer { from, chown, chmod, sources: words, documents, destination })
}

/// Whether a destination is written as a folder.
pub(crate) fn names_folder(destination: &str) -> bool {
    destination.ends_with('/') || destination == "." || destination.ends_with("/.")
}

/// Whether Docker would fetch this source from somewhere.
pub(crate) fn is_remote(source: &str) -> bool {
    ["http://", "https://", "git://", "git@", "ssh://"].iter().any(|it| source.starts_with(it))
}
