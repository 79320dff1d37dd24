use std::fmt;

use serde::{Deserialize, Serialize};

/// A place in a Dockerfile. Both numbers begin at 1; a column counts
/// characters (Unicode scalar values), as editors do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position {
    /// The line.
    pub line: u32,
    /// The character in the line.
    pub column: u32,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// From the first character up to, not including, `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Span {
    /// The first character.
    pub start: Position,
    /// The character after the last one.
    pub end: Position,
}

/// The Dockerfile cannot be read. Its text begins `FILE:LINE:COLUMN:`, the
/// form that editors make a link of.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{file}:{}: {message}", .span.start)]
pub struct SyntaxError {
    /// The file's name as the person gave it.
    pub file: String,
    /// The offending text.
    pub span: Span,
    /// What is wrong and what was expected.
    pub message: String,
}
