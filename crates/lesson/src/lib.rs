//! Lessons: Markdown with a few fenced blocks that the program acts on.
//!
//! | fence | what it is |
//! |---|---|
//! | `run` | commands of `tandem`, one a line, from a list of harmless ones; `run any`: one of them is enough |
//! | `check` | conditions, one a line, that are looked up in the real state |
//! | `predict` | a question, then choices as `- text` |
//! | `quiz` | a question, then choices as `- [x] right` or `- [ ] wrong`, then `why: …` |
//! | `explain` | text that is shown when the step's prediction was made |
//! | `result` | the id of an experiment, whose latest result is shown |
//! | `picture` | `architecture`: what a container and a machine stand on, with this machine's own numbers |
//!
//! `# Title` and the paragraph after it say what the lesson is about; each
//! `## Heading` begins a step. A lesson may come from anybody: nothing of it
//! is markup for the window, and [`Command`] keeps to what a beginner could
//! type without harm. This crate only reads; the use cases carry out.

mod builtin;
mod check;
mod command;
mod directive;
mod language;
mod markdown;
mod model;
mod picture;

pub use builtin::{BUILTIN, Builtin};
pub use check::{Check, InstanceWish};
pub use command::Command;
pub use language::Language;
pub use markdown::{ParseLessonError, parse};
pub use model::{Block, Condition, Item, Lesson, Span, Step};
pub use picture::{Picture, Stack};
