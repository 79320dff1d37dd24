//! Values as text. Results go to standard output, everything else to standard
//! error. A reader that went away is not an error.

use std::io::Write as _;

use serde::Serialize;

/// Prints a line to standard output.
pub(crate) fn line(text: &str) {
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{text}").is_err() {
        std::process::exit(0);
    }
}

/// Prints text as it is to standard output.
pub(crate) fn raw(text: &str) {
    raw_bytes(text.as_bytes());
}

/// Prints bytes as they are to standard output.
pub(crate) fn raw_bytes(bytes: &[u8]) {
    let mut out = std::io::stdout().lock();
    if out.write_all(bytes).and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}

/// Prints one JSON document.
pub(crate) fn json<T: Serialize>(value: &T) -> anyhow::Result<()> {
    line(&serde_json::to_string_pretty(value)?);
    Ok(())
}

/// Prints rows below their headings, columns as wide as they need.
pub(crate) fn table(headings: &[&str], rows: &[Vec<String>]) {
    raw(&lay_out(headings, rows));
}

/// Rows below their headings as text, a line each.
pub(crate) fn lay_out(headings: &[&str], rows: &[Vec<String>]) -> String {
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
    for row in rows {
        add(&row.iter().map(String::as_str).collect::<Vec<_>>());
    }
    text
}

/// A past moment for people, e.g. `3 minutes ago`.
pub(crate) fn ago(time: jiff::Timestamp) -> String {
    let seconds = jiff::Timestamp::now().duration_since(time).as_secs().max(0);
    let (count, unit) = match seconds {
        0..60 => (seconds, "second"),
        60..3600 => (seconds / 60, "minute"),
        3600..86_400 => (seconds / 3600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    format!("{count} {unit}{} ago", if count == 1 { "" } else { "s" })
}

/// A foreign text for one line of a terminal: no control characters.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
