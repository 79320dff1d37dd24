use std::{collections::BTreeMap, path::Path};

use serde::{Deserialize, Serialize};
use serde_json::Value;
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

/// The file as it is written. What was written before files had a version is
/// a bare [`All`].
#[derive(Serialize, Deserialize)]
struct Stored {
    version: u64,
    lessons: All,
}

/// The version that this program writes, and the latest that it reads.
const VERSION: u64 = 1;

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

    pub(super) fn progress_of(&self, id: &str) -> Result<LessonProgress, AppError> {
        Ok(self.all_progress()?.remove(id).unwrap_or_default())
    }

    pub(super) fn all_progress(&self) -> Result<All, AppError> {
        read(&self.home.lessons().join(FILE))
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
        let mut lessons = self.all_progress()?;
        let progress = lessons.entry(id.to_owned()).or_default();
        change(progress);
        let now = progress.clone();
        lessons.retain(|_, progress| !progress.done.is_empty());
        write_json(&folder.join(FILE), &Stored { version: VERSION, lessons })?;
        Ok(now)
    }
}

const FILE: &str = "progress.json";

/// A file that is damaged counts for nothing, for only ticks are lost; one of
/// a later version is not to be written over.
fn read(path: &Path) -> Result<All, AppError> {
    let Ok(Some(value)) = read_json::<Value>(path) else { return Ok(All::new()) };
    match value.get("version").and_then(Value::as_u64) {
        None => Ok(serde_json::from_value(value).unwrap_or_default()),
        Some(VERSION) => Ok(serde_json::from_value(value)
            .map(|stored: Stored| stored.lessons)
            .unwrap_or_default()),
        Some(version) => Err(AppError::NewerProgress { path: path.to_owned(), version }),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const OLD: &str = r#"{"own": {"done": [{"spot": {"step": 0, "block": 1}, "whole": true, "commands": [0], "choice": null}]}}"#;

    #[test]
    fn the_old_form_is_read_and_written_with_its_version() {
        let dir = tempfile::tempdir().unwrap();
        let app = App::open(Some(dir.path()), "/nonexistent/tandem".into()).unwrap();
        let file = app.home.lessons().join(FILE);
        fs::create_dir(app.home.lessons()).unwrap();
        fs::write(&file, OLD).unwrap();
        let spot = Spot { step: 0, block: 1 };
        assert!(app.progress_of("own").unwrap().is_done(spot));
        app.change_progress("other", |progress| progress.at(spot).whole = true).unwrap();
        let value: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        assert_eq!(value["version"], 1);
        assert!(app.progress_of("own").unwrap().is_done(spot));
        assert!(app.progress_of("other").unwrap().is_done(spot));
    }

    #[test]
    fn a_later_version_is_refused_and_stays() {
        let dir = tempfile::tempdir().unwrap();
        let app = App::open(Some(dir.path()), "/nonexistent/tandem".into()).unwrap();
        let file = app.home.lessons().join(FILE);
        fs::create_dir(app.home.lessons()).unwrap();
        let later = r#"{"version": 7, "lessons": []}"#;
        fs::write(&file, later).unwrap();
        let says = app.lessons(tandem_lesson::Language::En).unwrap_err().to_string();
        assert!(says.contains("version 7") && says.contains("progress.json"), "{says}");
        app.change_progress("own", |_| ()).unwrap_err();
        assert_eq!(fs::read_to_string(&file).unwrap(), later);
        fs::write(&file, "{").unwrap();
        assert_eq!(app.all_progress().unwrap(), All::new(), "only ticks are lost");
    }
}
