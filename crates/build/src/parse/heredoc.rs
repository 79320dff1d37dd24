use super::{Heredoc, SyntaxError, Word, logical::Lines, rest::Rest};

/// A `<<NAME` in an instruction.
struct Marker {
    name: String,
    /// `<<-`: leading tabs of the content are no content.
    strip_tabs: bool,
    expand: bool,
}

/// The here-documents that an instruction announces, read from the lines that
/// follow it (BuildKit's Dockerfile reference, "Here-Documents").
pub(crate) fn take(rest: &Rest<'_>, lines: &mut Lines<'_>) -> Result<Vec<Heredoc>, SyntaxError> {
    // An unfinished quote is the shell's business here.
    let words = joined(rest.quoted_words().unwrap_or_default());
    let markers = words.iter().filter_map(|word| marker(&word.text).map(|marker| (word, marker)));
    markers
        .map(|(word, marker)| {
            let mut content = String::new();
            loop {
                let Some((_, line)) = lines.take() else {
                    return Err(rest.error_at(
                        word.span,
                        format!("the here-document has no end: expected a line `{}`", marker.name),
                    ));
                };
                let line = if marker.strip_tabs { line.trim_start_matches('\t') } else { line };
                if line == marker.name {
                    break;
                }
                content.push_str(line);
                content.push('\n');
            }
            Ok(Heredoc { name: marker.name, content, expand: marker.expand })
        })
        .collect()
}

/// The words with `<<` and the name behind it as one: white space may be
/// between them (BuildKit from 0.22 on), as in a shell.
pub(crate) fn joined(words: Vec<Word>) -> Vec<Word> {
    let mut all: Vec<Word> = Vec::with_capacity(words.len());
    for word in words {
        match all.last_mut() {
            Some(last) if last.text.trim_start_matches(|c: char| c.is_ascii_digit()) == "<<" => {
                last.text.push_str(&word.text);
            }
            _ => all.push(word),
        }
    }
    all
}

/// Whether a word announces a here-document.
pub(crate) fn is_marker(word: &str) -> bool {
    marker(word).is_some()
}

fn marker(word: &str) -> Option<Marker> {
    let word = word.trim_start_matches(|c: char| c.is_ascii_digit());
    let rest = word.strip_prefix("<<")?;
    if rest.contains('<') {
        return None;
    }
    let (strip_tabs, rest) =
        rest.strip_prefix('-').map_or((false, rest.trim_start()), |rest| (true, rest));
    let quoted = ['"', '\''].into_iter().find_map(|q| rest.strip_prefix(q)?.strip_suffix(q));
    let name = quoted.unwrap_or(rest);
    let fits = !name.is_empty() && !name.contains(|c: char| "'\"\\()|&;> ".contains(c));
    fits.then(|| Marker { name: name.to_owned(), strip_tabs, expand: quoted.is_none() })
}
