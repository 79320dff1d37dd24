use serde::{Deserialize, Serialize};

use crate::{Check, Picture};

/// A lesson.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Lesson {
    /// What commands and files call it.
    pub id: String,
    /// Its title.
    pub title: String,
    /// What it is about, in a sentence or two.
    pub summary: String,
    /// Its steps; one at least.
    pub steps: Vec<Step>,
}

impl Lesson {
    /// Where its text leads.
    pub fn links(&self) -> impl Iterator<Item = &str> {
        let blocks = self.steps.iter().flat_map(|step| &step.blocks);
        blocks.flat_map(Block::spans).filter_map(|span| span.link.as_deref())
    }
}

/// A step of a lesson.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Step {
    /// Its heading.
    pub title: String,
    /// What is in it, in order.
    pub blocks: Vec<Block>,
}

/// A piece of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Block {
    /// Text.
    Paragraph {
        /// Its pieces.
        text: Vec<Span>,
    },
    /// Text that is set apart.
    Note {
        /// Its pieces.
        text: Vec<Span>,
    },
    /// A list.
    List {
        /// Its items have numbers.
        ordered: bool,
        /// The items.
        items: Vec<Item>,
    },
    /// Code to read.
    Code {
        /// The language as written; may be empty.
        language: String,
        /// The code.
        text: String,
    },
    /// A table.
    Table {
        /// The heads of its columns.
        header: Vec<Vec<Span>>,
        /// Its rows, cell by cell.
        rows: Vec<Vec<Vec<Span>>>,
    },
    /// Commands to run.
    Run {
        /// As they are shown and typed.
        commands: Vec<String>,
        /// One that succeeds is enough.
        any: bool,
    },
    /// Conditions on the real state.
    Check {
        /// All of them.
        checks: Vec<Condition>,
    },
    /// A question before something is tried.
    Predict {
        /// The question.
        question: String,
        /// What can be expected.
        choices: Vec<String>,
    },
    /// A question with a right answer.
    Quiz {
        /// The question.
        question: String,
        /// The choices.
        choices: Vec<String>,
        /// Which of them is right.
        right: usize,
        /// Why.
        why: String,
    },
    /// Text for after the step's prediction.
    Explain {
        /// Its paragraphs.
        text: Vec<String>,
    },
    /// The latest result of an experiment.
    Result {
        /// The experiment.
        experiment: String,
    },
    /// A drawing of this machine.
    Picture {
        /// Of what.
        picture: Picture,
    },
}

impl Block {
    pub(crate) fn spans(&self) -> Vec<&Span> {
        match self {
            Self::Paragraph { text } | Self::Note { text } => text.iter().collect(),
            Self::List { items, .. } => items.iter().flat_map(|item| &item.text).collect(),
            Self::Table { header, rows } => {
                header.iter().chain(rows.iter().flatten()).flatten().collect()
            }
            _ => Vec::new(),
        }
    }

    /// Whether there is something to do in it.
    pub fn is_task(&self) -> bool {
        matches!(
            self,
            Self::Run { .. } | Self::Check { .. } | Self::Predict { .. } | Self::Quiz { .. }
        )
    }
}

/// A condition with its words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Condition {
    /// What it asks, for people.
    pub asks: String,
    /// What is looked up.
    pub check: Check,
}

/// An item of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Item {
    /// How deep it is within other items.
    pub depth: u32,
    /// Its text.
    pub text: Vec<Span>,
}

/// A piece of text with one look.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Span {
    /// The text; never markup.
    pub text: String,
    /// `**text**`.
    pub strong: bool,
    /// `*text*`.
    pub emphasis: bool,
    /// `` `text` ``.
    pub code: bool,
    /// Where it leads, over http or https.
    pub link: Option<String>,
}
