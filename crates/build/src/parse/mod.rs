//! From a Dockerfile's text to what it says ([`Dockerfile`]), with the place
//! of every part. Nothing is expanded here. The grammar is BuildKit's
//! Dockerfile reference; where that and its parser differ, the parser counts.

mod ast;
mod command;
mod flags;
mod healthcheck;
mod heredoc;
mod instruction;
mod logical;
mod mount;
mod pairs;
mod position;
mod rest;
mod transfer;

#[cfg(test)]
mod tests;

pub use ast::{
    Argument, CommandLine, Dockerfile, From, Healthcheck, Heredoc, Instruction, Kind, MountKind,
    Run, RunMount, RunNetwork, Sharing, Transfer, Warning, Word,
};
pub use position::{Position, Span, SyntaxError};

pub(crate) use transfer::{is_git, is_url, names_folder};

use logical::Lines;

/// Parses a Dockerfile. `file` is its name, for messages.
pub fn parse(file: &str, text: &str) -> Result<Dockerfile, SyntaxError> {
    let mut lines = Lines::new(text);
    lines.escape = escape_directive(file, &mut lines)?;
    let escape = lines.escape;
    let mut instructions: Vec<Instruction> = Vec::new();
    let mut warnings = Vec::new();
    while let Some(line) = lines.logical() {
        let instruction = instruction::instruction(file, &line, &mut lines, &mut warnings)?;
        let begun = instructions.iter().any(|it| matches!(it.kind, Kind::From(_)));
        if !begun && !matches!(instruction.kind, Kind::From(_) | Kind::Arg(_)) {
            return Err(SyntaxError {
                file: file.to_owned(),
                span: instruction.span,
                message: "no build stage has begun: expected FROM before this instruction (only ARG may stand before it)".to_owned(),
            });
        }
        instructions.push(instruction);
    }
    if !instructions.iter().any(|it| matches!(it.kind, Kind::From(_))) {
        let line = u32::try_from(text.lines().count()).unwrap_or(u32::MAX).max(1);
        let at = Position { line, column: 1 };
        return Err(SyntaxError {
            file: file.to_owned(),
            span: Span { start: at, end: at },
            message: "the Dockerfile has no FROM: expected e.g. FROM python:3.12-slim".to_owned(),
        });
    }
    Ok(Dockerfile { file: file.to_owned(), escape, instructions, warnings })
}

/// Parses one ONBUILD trigger of a base image.
pub(crate) fn parse_trigger(text: &str) -> Result<Instruction, SyntaxError> {
    let mut lines = Lines::new(text);
    let file = "ONBUILD trigger";
    if let Some(line) = lines.logical() {
        return instruction::instruction(file, &line, &mut lines, &mut Vec::new());
    }
    let at = Position { line: 1, column: 1 };
    Err(SyntaxError {
        file: file.to_owned(),
        span: Span { start: at, end: at },
        message: "an ONBUILD trigger of the base image is empty".to_owned(),
    })
}

/// Reads the parser directives: comments of the form `# name=value` before
/// anything else. `syntax` and `check` are for BuildKit and mean nothing here.
fn escape_directive(file: &str, lines: &mut Lines<'_>) -> Result<char, SyntaxError> {
    let mut escape = None;
    while let Some((number, line)) = lines.peek() {
        let Some((name, value)) = line.trim().strip_prefix('#').and_then(|it| it.split_once('='))
        else {
            break;
        };
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
        if !["escape", "syntax", "check"].contains(&name.as_str()) {
            break;
        }
        lines.take();
        if name != "escape" {
            continue;
        }
        let chosen = match value {
            "\\" => '\\',
            "`" => '`',
            _ => return Err(directive_error(file, number, line, value)),
        };
        if escape.replace(chosen).is_some() {
            return Err(directive_error(file, number, line, "a second escape directive"));
        }
    }
    Ok(escape.unwrap_or('\\'))
}

fn directive_error(file: &str, line: u32, text: &str, value: &str) -> SyntaxError {
    let end = u32::try_from(text.chars().count() + 1).unwrap_or(u32::MAX);
    SyntaxError {
        file: file.to_owned(),
        span: Span { start: Position { line, column: 1 }, end: Position { line, column: end } },
        message: format!(
            "`{value}` cannot be the escape character: expected one `# escape=\\` or `# escape=`` line"
        ),
    }
}
