//! What the fuzz targets (`tests/fuzz`) reach of this crate; nobody else may.

use crate::{expand, ignore::Ignore};

/// Expands a word in all three ways; an error is a sentence.
pub fn expand(
    word: &str,
    escape: char,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> [Result<String, String>; 3] {
    let said = |e: expand::ExpandError| e.to_string();
    [
        expand::expand(word, escape, lookup).map_err(said),
        expand::expand_words(word, escape, lookup).map(|words| words.join(" ")).map_err(said),
        expand::expand_document(word, lookup).map_err(said),
    ]
}

/// Whether an ignore file leaves a path out; `None` when it cannot be read.
pub fn excludes(ignore: &str, path: &str) -> Option<bool> {
    Ignore::parse(ignore).ok().map(|ignore| ignore.excludes(path))
}

/// Reads a trigger as a base image has it.
pub fn parse_trigger(text: &str) -> bool {
    crate::parse::parse_trigger(text).is_ok()
}
