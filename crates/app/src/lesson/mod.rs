//! Lessons as use cases: which there are, doing their commands for real,
//! looking their checks up in the real state, and how far one is.

mod carry;
mod check;
mod progress;
mod sheet;

use std::{fs, path::PathBuf};

use serde::Serialize;
use tandem_home::make_private_dir;
use tandem_image::bootstrap::BaseKind;
use tandem_lesson::{BUILTIN, Block, Language, Lesson, parse};
use tandem_model::did_you_mean;

pub use carry::{CommandEnd, SaidBy};
pub use check::{CheckOutcome, Looked};
pub use progress::{Done, LessonProgress, Spot};

use crate::{App, AppError};

/// Files that are no lesson are not read further.
pub(crate) const LONGEST: u64 = 1 << 20;
/// Most lessons of one's own.
const MOST: usize = 200;

/// A lesson in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ts_rs::TS)]
pub struct LessonRow {
    /// Its id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// What it is about.
    pub summary: String,
    /// How many things there are to do.
    pub tasks: usize,
    /// How many of them are done.
    pub done: usize,
    /// It is one of the person's own.
    pub own: bool,
    /// Why it cannot be read, with the line.
    pub problem: Option<String>,
}

/// A lesson with how far it is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ts_rs::TS)]
pub struct LessonView {
    /// The lesson.
    pub lesson: Lesson,
    /// The folder that its commands work in.
    pub folder: String,
    /// How far it is done.
    pub progress: LessonProgress,
}

struct Found {
    id: String,
    text: String,
    own: bool,
}

impl App {
    /// The lessons that come with the program, then those in the home's
    /// `lessons` folder; the program's own in a language.
    pub fn lessons(&self, language: Language) -> Result<Vec<LessonRow>, AppError> {
        let all = self.all_progress()?;
        let rows = self.found_lessons(language)?.into_iter().map(|found| {
            let mut row = LessonRow {
                id: found.id.clone(),
                title: found.id.clone(),
                summary: String::new(),
                tasks: 0,
                done: 0,
                own: found.own,
                problem: None,
            };
            match parse(&found.id, &found.text) {
                Ok(lesson) => {
                    let progress = all.get(&found.id).cloned().unwrap_or_default();
                    let spots = spots(&lesson);
                    row.tasks = spots.len();
                    row.done = spots.iter().filter(|spot| progress.is_done(**spot)).count();
                    (row.title, row.summary) = (lesson.title, lesson.summary);
                }
                Err(problem) => row.problem = Some(problem.to_string()),
            }
            row
        });
        Ok(rows.collect())
    }

    /// A lesson with how far it is done, in a language where it has it.
    pub fn lesson(&self, id: &str, language: Language) -> Result<LessonView, AppError> {
        let lesson = self.read_lesson_in(id, language)?;
        let folder = self.lesson_folder(id)?.display().to_string();
        let progress = self.progress_of(id)?;
        Ok(LessonView { lesson, folder, progress })
    }

    /// Forgets how far a lesson is done, and empties its folder.
    pub fn reset_lesson(&self, id: &str) -> Result<LessonProgress, AppError> {
        self.read_lesson(id)?;
        let folder = self.home.lessons().join("work").join(id);
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(|e| AppError::io("remove", &folder, e))?;
        }
        self.change_progress(id, |progress| *progress = LessonProgress::default())
    }

    /// A worksheet of a lesson to print, as HTML that needs nothing else; with
    /// the answers and explanations for the teacher.
    pub fn lesson_sheet(
        &self,
        id: &str,
        language: Language,
        answers: bool,
    ) -> Result<String, AppError> {
        Ok(sheet::html(&self.read_lesson_in(id, language)?, language, answers))
    }

    /// A lesson to be acted on: its blocks are the same in every language.
    fn read_lesson(&self, id: &str) -> Result<Lesson, AppError> {
        self.read_lesson_in(id, Language::default())
    }

    fn read_lesson_in(&self, id: &str, language: Language) -> Result<Lesson, AppError> {
        let all = self.found_lessons(language)?;
        let Some(found) = all.iter().find(|found| found.id == id) else {
            let ids: Vec<&str> = all.iter().map(|found| found.id.as_str()).collect();
            let hint = did_you_mean(id, &ids);
            return Err(AppError::NoLesson { id: id.to_owned(), hint });
        };
        Ok(parse(id, &found.text)?.asking_in(language))
    }

    fn found_lessons(&self, language: Language) -> Result<Vec<Found>, AppError> {
        let builtin = BUILTIN.iter().map(|it| Found {
            id: it.id.to_owned(),
            text: it.text(language).to_owned(),
            own: false,
        });
        let mut all: Vec<Found> = builtin.collect();
        for (id, path) in self.own_lessons()? {
            let size = fs::metadata(&path).map_or(0, |it| it.len());
            let bytes =
                if size > LONGEST { Vec::new() } else { fs::read(&path).unwrap_or_default() };
            all.push(Found { id, text: String::from_utf8_lossy(&bytes).into_owned(), own: true });
        }
        let (python, debian) = (self.base_name(BaseKind::Python), self.base_name(BaseKind::Debian));
        for found in &mut all {
            let text = found.text.replace("{{python-base}}", &python.to_string());
            found.text = text.replace("{{debian-base}}", &debian.to_string());
        }
        Ok(all)
    }

    /// The files of one's own lessons by id.
    pub(crate) fn own_lessons(&self) -> Result<Vec<(String, PathBuf)>, AppError> {
        let folder = self.home.lessons();
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(AppError::io("read", &folder, e)),
        };
        let mut own: Vec<(String, PathBuf)> = entries
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|it| it == "md") && path.is_file())
            .filter_map(|path| Some((path.file_stem()?.to_str()?.to_owned(), path)))
            .filter(|(id, _)| is_lesson_id(id) && BUILTIN.iter().all(|it| it.id != id))
            .collect();
        own.sort();
        own.truncate(MOST);
        Ok(own)
    }

    /// The folder that a lesson's commands work in.
    fn lesson_folder(&self, id: &str) -> Result<PathBuf, AppError> {
        let folder = self.home.lessons().join("work").join(id);
        make_private_dir(&folder)?;
        Ok(folder)
    }
}

/// An id becomes the name of a folder.
pub(crate) fn is_lesson_id(id: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    !id.is_empty() && id.chars().all(plain)
}

/// Every place where there is something to do.
fn spots(lesson: &Lesson) -> Vec<Spot> {
    let mut spots = Vec::new();
    for (step, at) in lesson.steps.iter().zip(0..) {
        for (block, number) in step.blocks.iter().zip(0..) {
            if block.is_task() {
                spots.push(Spot { step: at, block: number });
            }
        }
    }
    spots
}

/// The block at a place, or why there is none.
fn block_at(lesson: &Lesson, spot: Spot) -> Result<&Block, AppError> {
    let step = lesson.steps.get(spot.step as usize);
    step.and_then(|step| step.blocks.get(spot.block as usize)).ok_or_else(|| {
        let text = format!("the lesson {} has nothing at step {}", lesson.id, spot.step + 1);
        AppError::Usage(text)
    })
}
