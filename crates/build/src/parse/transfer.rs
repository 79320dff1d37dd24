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
    let checksum = flags::value(&rest, &mut flags, "checksum")?;
    let link = flags::switch(&rest, &mut flags, "link")?.unwrap_or(false);
    let parents = flags::switch(&rest, &mut flags, "parents")?.unwrap_or(false);
    let unpack = flags::switch(&rest, &mut flags, "unpack")?;
    let keep_git_dir = flags::switch(&rest, &mut flags, "keep-git-dir")?.unwrap_or(false);
    let mut exclude = Vec::new();
    for flag in flags::all(&mut flags, "exclude") {
        match flag.value.filter(|value| !value.text.is_empty()) {
            Some(value) => exclude.push(value),
            None => {
                let message = "--exclude lacks its value: expected --exclude=PATTERN".to_owned();
                return Err(rest.error_at(flag.word.span, message));
            }
        }
    }
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
    if !documents.is_empty() {
        words = heredoc::joined(words);
        words.retain(|word| !heredoc::is_marker(&word.text));
    }
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
    if let Some(word) = &checksum
        && !words.iter().all(|word| is_url(&word.text) || is_git(&word.text))
    {
        return Err(rest.error_at(word.span, "--checksum goes with a URL only".to_owned()));
    }
    Ok(Transfer {
        from,
        chown,
        chmod,
        link,
        parents,
        exclude,
        checksum,
        unpack,
        keep_git_dir,
        sources: words,
        documents,
        destination,
    })
}

/// Whether a destination is written as a folder.
pub(crate) fn names_folder(destination: &str) -> bool {
    destination.ends_with('/') || destination == "." || destination.ends_with("/.")
}

/// Whether a source of ADD is fetched over HTTP.
pub(crate) fn is_url(source: &str) -> bool {
    (source.starts_with("http://") || source.starts_with("https://")) && !is_git(source)
}

/// Whether a source of ADD is a Git repository.
pub(crate) fn is_git(source: &str) -> bool {
    let path = source.split(['#', '?']).next().unwrap_or(source);
    let http = source.starts_with("http://") || source.starts_with("https://");
    ["git://", "git@", "ssh://"].iter().any(|it| source.starts_with(it))
        || (http && path.strip_suffix(".git").is_some())
}
