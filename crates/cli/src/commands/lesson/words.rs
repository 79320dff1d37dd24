//! A lesson as plain text.

use std::fmt::Write as _;

use tandem_lesson::{Block, Language, Lesson, Span};

use crate::output::plain;

/// The whole lesson, without its answers.
pub(super) fn lesson(lesson: &Lesson) -> String {
    let mut out = format!("{}\n\n{}\n", plain(&lesson.title), plain(&lesson.summary));
    for (step, number) in lesson.steps.iter().zip(1..) {
        let _ = writeln!(out, "\n{number}. {}", plain(&step.title));
        for block in &step.blocks {
            out.push_str(&block_text(block));
        }
    }
    out
}

/// A question with its choices.
pub(super) fn question(question: &str, choices: &[String]) -> String {
    let choices = choices.iter().map(|it| format!("     [ ] {}\n", plain(it)));
    format!("   ? {}\n{}", plain(question), joined(choices))
}

fn block_text(block: &Block) -> String {
    let indented = |text: &str| -> String {
        joined(text.lines().map(|line| format!("     {}\n", plain(line))))
    };
    match block {
        Block::Paragraph { text } => format!("\n{}\n", spans(text)),
        Block::Note { text } => format!("\n   Note: {}\n", spans(text)),
        Block::List { items, .. } => {
            let item = |depth: u32, text: &[Span]| {
                format!("{:indent$}- {}\n", "", spans(text), indent = 2 * depth as usize + 2)
            };
            format!("\n{}", joined(items.iter().map(|it| item(it.depth, &it.text))))
        }
        Block::Code { text, .. } => format!("\n{}", indented(text)),
        Block::Table { header, rows } => {
            let row = |cells: &Vec<Vec<Span>>| {
                let cells: Vec<String> = cells.iter().map(|cell| spans(cell)).collect();
                format!("     {}\n", cells.join(" | "))
            };
            format!("\n{}", joined(std::iter::once(header).chain(rows).map(row)))
        }
        Block::Run { commands, any } => {
            let lines: Vec<String> =
                commands.iter().map(|it| format!("   $ {}\n", plain(it))).collect();
            format!("\n{}", lines.join(if *any { "   or\n" } else { "" }))
        }
        Block::Check { checks } => {
            let lines = checks.iter().map(|it| format!("   [ ] {}\n", plain(&it.asks)));
            format!("\n{}", joined(lines))
        }
        Block::Predict { question: text, choices }
        | Block::Quiz { question: text, choices, .. } => {
            format!("\n{}", question(text, choices))
        }
        Block::Explain { .. } => String::new(),
        Block::Result { experiment } => {
            format!("\n   The result: tandem result ls shows that of {}\n", plain(experiment))
        }
        Block::Picture { picture } => {
            let lines = picture.stacks(Language::En);
            let lines = lines.map(|it| format!("     {}: {}\n", it.name, it.layers.join(" on ")));
            format!(
                "\n   What stands on what; the window draws it with this machine's numbers:\n{}",
                lines.concat()
            )
        }
    }
}

fn joined(parts: impl Iterator<Item = String>) -> String {
    parts.collect()
}

fn spans(text: &[Span]) -> String {
    let all: String = text
        .iter()
        .map(|span| match &span.link {
            Some(url) if *url != span.text => format!("{} ({url})", span.text),
            _ if span.code => format!("`{}`", span.text),
            _ => span.text.clone(),
        })
        .collect();
    plain(&all)
}
