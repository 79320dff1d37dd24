//! The texts behind `--format`: the part of Go's templates that people use
//! with Docker, over a JSON value.
//!
//! ```text
//! text ─ parse ─> nodes ─ run (over a value) ─> a line
//! ```

mod functions;
mod parse;
mod run;
pub(crate) mod views;
mod words;

use serde_json::Value;

use self::parse::Node;
use crate::output::plain;

/// A template that was read.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    nodes: Vec<Node>,
    /// Whether rows stand below headings (`table …`).
    table: bool,
    /// As it was typed.
    text: String,
}

/// What a template could not do, one sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct FormatError(String);

impl Template {
    /// Reads a text: `json`, `[table ]` and a template of Go's.
    pub(crate) fn read(text: &str) -> Result<Self, FormatError> {
        let text = if text == "json" { "{{json .}}" } else { text };
        let (table, text) = match text.strip_prefix("table ") {
            Some(rest) => (true, rest.trim_start()),
            None => (false, text),
        };
        // Two letters in a shell's quotes, as Docker reads them.
        let text = text.replace("\\t", "\t").replace("\\n", "\n");
        Ok(Self { nodes: parse::parse(&text)?, table, text })
    }

    /// Whether it may name this field, which then has to be found out.
    pub(crate) fn mentions(&self, field: &str) -> bool {
        self.text.contains(&format!(".{field}"))
    }

    /// The text for one value.
    pub(crate) fn fill(&self, value: &Value) -> Result<String, FormatError> {
        run::run(&self.nodes, value)
    }

    /// Whether values like this one have the fields that it names. What else
    /// may go wrong depends on the values.
    pub(crate) fn check(&self, example: &Value) -> Result<(), FormatError> {
        match self.fill(example) {
            Err(e) if e.0.starts_with(run::NO_FIELD) => Err(e),
            _ => Ok(()),
        }
    }

    /// The text for rows, a line each, as a terminal may show it. That a field
    /// is none is told without rows too.
    pub(crate) fn text<T: Default>(
        &self,
        rows: &[T],
        view: impl Fn(&T) -> Value,
    ) -> Result<String, FormatError> {
        if rows.is_empty() {
            self.check(&view(&T::default()))?;
        }
        self.shown(&rows.iter().map(view).collect::<Vec<_>>())
    }

    /// The text for values, a line each, as a terminal may show it.
    pub(crate) fn shown(&self, values: &[Value]) -> Result<String, FormatError> {
        let lines = self.lines(values)?;
        Ok(lines.iter().map(|line| plain(&line.replace('\t', "   ")) + "\n").collect())
    }

    /// A line for each value, below headings where the template asks for them.
    pub(crate) fn lines(&self, values: &[Value]) -> Result<Vec<String>, FormatError> {
        let lines = values.iter().map(|value| self.fill(value)).collect::<Result<Vec<_>, _>>()?;
        if !self.table {
            return Ok(lines);
        }
        let mut rows: Vec<Vec<String>> = vec![parse::headings(&self.nodes)];
        rows.extend(lines.iter().map(|line| line.split('\t').map(str::to_owned).collect()));
        let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
        let width = |column: usize| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let padded = |row: &Vec<String>| {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}   "));
            cells.collect::<String>().trim_end().to_owned()
        };
        Ok(rows.iter().map(padded).collect())
    }
}

impl std::str::FromStr for Template {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        Self::read(text)
    }
}

#[cfg(test)]
mod tests;
