//! Values as text. Results go to standard output, everything else to standard
//! error. A reader that went away is not an error; one that cannot take what
//! is printed, such as a full disk, is.

use std::io::{self, ErrorKind, Write as _};

use serde::Serialize;

/// Prints a line to standard output.
pub(crate) fn line(text: &str) {
    let mut out = io::stdout().lock();
    taken(writeln!(out, "{text}"));
}

/// Prints text as it is to standard output.
pub(crate) fn raw(text: &str) {
    raw_bytes(text.as_bytes());
}

/// Prints bytes as they are to standard output.
pub(crate) fn raw_bytes(bytes: &[u8]) {
    let mut out = io::stdout().lock();
    taken(out.write_all(bytes).and_then(|()| out.flush()));
}

/// Prints text as it is to standard error, as a result: what an app said there.
pub(crate) fn raw_error(text: &str) {
    taken(io::stderr().write_all(text.as_bytes()));
}

/// Ends the program where its output goes no further.
fn taken(result: io::Result<()>) {
    match result {
        Ok(()) => {}
        Err(e) if e.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
        Err(e) => {
            complain(&format!("cannot write the output: {e}; see where it goes"));
            std::process::exit(125);
        }
    }
}

/// Prints a line to standard error. What is to be done is done though nobody
/// can hear of it.
pub(crate) fn tell(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Prints what went wrong, as a sentence of this program's.
pub(crate) fn complain(text: &str) {
    tell(&format!("tandem: {}", message(text)));
}

/// Prints one JSON document.
pub(crate) fn json<T: Serialize>(value: &T) -> anyhow::Result<()> {
    line(&escaped(&serde_json::to_string_pretty(value)?));
    Ok(())
}

/// A JSON document with what steers a terminal as escapes. JSON itself wants
/// that only of the first 32 characters; others occur in strings alone, where
/// an escape means the same.
fn escaped(document: &str) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(document.len());
    for c in document.chars() {
        if c != '\n' && steers(c) {
            let _ = write!(text, "\\u{:04x}", u32::from(c));
        } else {
            text.push(c);
        }
    }
    text
}

/// Whether a character does something to a terminal instead of being shown:
/// control characters, also those beyond ASCII (ECMA-48), and those that turn
/// the direction of what follows (Unicode, UAX #9).
fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Prints rows below their headings, columns as wide as they need.
pub(crate) fn table(headings: &[&str], rows: &[Vec<String>]) {
    raw(&lay_out(headings, rows));
}

/// Rows below their headings as text, a line each.
pub(crate) fn lay_out(headings: &[&str], rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| plain(cell)).collect()).collect();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([headings[column].chars().count()]).max().unwrap_or_default()
    };
    let widths: Vec<_> = (0..headings.len()).map(width).collect();
    let mut text = String::new();
    let mut add = |cells: &[&str]| {
        let padded: Vec<_> =
            cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        text.push_str(padded.join("   ").trim_end());
        text.push('\n');
    };
    add(headings);
    for row in &rows {
        add(&row.iter().map(String::as_str).collect::<Vec<_>>());
    }
    text
}

/// A past moment for people, e.g. `3 minutes ago`.
pub(crate) fn ago(time: jiff::Timestamp) -> String {
    format!("{} ago", age(time))
}

/// How long ago a moment is, for people, e.g. `3 minutes`.
pub(crate) fn age(time: jiff::Timestamp) -> String {
    let seconds = jiff::Timestamp::now().duration_since(time).as_secs().max(0);
    let (count, unit) = match seconds {
        0..60 => (seconds, "second"),
        60..3600 => (seconds / 60, "minute"),
        3600..86_400 => (seconds / 3600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

/// A foreign text for one line of a terminal: nothing that steers it.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(|c| if steers(c) { ' ' } else { c }).collect()
}

/// Letters of a message; what is longer is somebody else's.
const LONGEST: usize = 4000;

/// A message that may have foreign names in it, on as many lines as it has.
pub(crate) fn message(text: &str) -> String {
    let mut shown: String =
        text.chars().take(LONGEST).map(|c| if c != '\n' && steers(c) { ' ' } else { c }).collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVIL: &str = "a\u{1b}]0;title\u{7}\u{9b}31m\u{202e}b\r\u{7f}c";

    #[test]
    fn nothing_foreign_steers_a_terminal() {
        let rows = [vec![EVIL.to_owned()]];
        let document = escaped(&serde_json::to_string_pretty(&[EVIL]).unwrap());
        for shown in [plain(EVIL), message(EVIL), lay_out(&["NAME"], &rows), document.clone()] {
            let odd = shown.chars().find(|c| *c != '\n' && steers(*c));
            assert_eq!(odd, None, "{shown:?}");
        }
        // A program reads what was there.
        assert_eq!(serde_json::from_str::<Vec<String>>(&document).unwrap(), [EVIL]);
        assert_eq!(message("two\nlines"), "two\nlines");
        assert_eq!(message(&"x".repeat(1 << 20)).chars().count(), LONGEST + 1);
    }
}
