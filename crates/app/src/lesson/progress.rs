use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tandem_home::{Lock, make_private_dir, read_json, write_json};
use tandem_lesson::Block;

use super::block_at;
use crate::{App, AppError};

/// A place in a lesson.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ts_rs::TS)]
pub struct Spot {
    /// The step's number, from 0.
    pub step: u32,
    /// The block's number in it, from 0.
    pub block: u32,
}

/// What was done at a place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ts_rs::TS)]
pub struct Done {
    /// Where.
    pub spot: Spot,
    /// It counts as done.
    pub whole: bool,
    /// Numbers of a run block's commands that succeeded.
    pub commands: Vec<u32>,
    /// The choice that was made.
    pub choice: Option<u32>,
}

/// How far a lesson is done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ts_rs::TS)]
pub struct LessonProgress {
    /// What was done.
    pub done: Vec<Done>,
}

impl LessonProgress {
    /// Whether the task at this place is done.
    pub fn is_done(&self, spot: Spot) -> bool {
        self.done.iter().any(|done| done.spot == spot && done.whole)
    }

    pub(super) fn at(&mut self, spot: Spot) -> &mut Done {
        let at = self.done.iter().position(|done| done.spot == spot).unwrap_or_else(|| {
            self.done.push(Done { spot, whole: false, commands: Vec::new(), choice: None });
            self.done.len() - 1
        });
        &mut self.done[at]
    }
}

pub(super) type All = BTreeMap<String, LessonProgress>;

impl App {
    /// Takes the answer to a prediction or a quiz.
    pub fn answer_lesson(
        &self,
        id: &str,
        spot: Spot,
        choice: u32,
    ) -> Result<LessonProgress, AppError> {
        let lesson = self.read_lesson(id)?;
        let (choices, right) = match block_at(&lesson, spot)? {
            Block::Predict { choices, .. } => (choices.len(), None),
            Block::Quiz { choices, right, .. } => (choices.len(), Some(*right)),
            _ => return Err(AppError::Usage("there is no question here".to_owned())),
        };
        if choice as usize >= choices {
            return Err(AppError::Usage(format!("there are {choices} choices, from 1 on")));
        }
        self.change_progress(id, |progress| {
            let done = progress.at(spot);
            done.choice = Some(choice);
            // What was answered once stays answered.
            done.whole |= right.is_none_or(|right| right == choice as usize);
        })
    }

    pub(super) fn progress_of(&self, id: &str) -> LessonProgress {
        self.all_progress().remove(id).unwrap_or_default()
    }

    /// A file that cannot be read counts for nothing: only ticks are lost.
    pub(super) fn all_progress(&self) -> All {
        read_json(&self.home.lessons().join(FILE)).ok().flatten().unwrap_or_default()
    }

    pub(super) fn change_progress(
        &self,
        id: &str,
        change: impl FnOnce(&mut LessonProgress),
    ) -> Result<LessonProgress, AppError> {
        let folder = self.home.lessons();
        make_private_dir(&folder)?;
        // The window and a command may be at it together.
        let _lock = Lock::exclusive(&folder.join(".lock"))?;
        let mut all = self.all_progress();
        let progress = all.entry(id.to_owned()).or_default();
        change(progress);
        let now = progress.clone();
        all.retain(|_, progress| !progress.done.is_empty());
        write_json(&folder.join(FILE), &all)?;
        Ok(now)
    }
}

const FILE: &str = "progress.json";
