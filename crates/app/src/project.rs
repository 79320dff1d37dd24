//! Project folders: what is edited and built in the window.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::Serialize;
use tandem_build::{BuildEvent, BuildOptions};

use crate::{App, AppError, Cancel, build::has_dockerfile, subject::tag_of, whole_path};

/// Largest file that is edited.
const LARGEST: u64 = 1 << 20;
/// Most files that are offered.
const MOST: usize = 40;

/// A folder with a Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ts_rs::TS)]
pub struct Project {
    /// Its absolute path.
    pub folder: String,
    /// The name that its image gets.
    pub tag: String,
    /// Its text files, those that matter most first.
    pub files: Vec<ProjectFile>,
}

/// A text file right in the folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ts_rs::TS)]
pub struct ProjectFile {
    /// Its name.
    pub name: String,
    /// What stands in it.
    pub text: String,
}

/// A line that something is wrong with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ts_rs::TS)]
pub struct TextFault {
    /// The file's name.
    pub file: String,
    /// The line's number, from 1.
    pub line: u32,
    /// What is wrong, and what was expected.
    pub text: String,
}

/// What happens while a project is built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ts_rs::TS)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Building {
    /// An instruction begins.
    Step {
        /// Its number.
        index: u32,
        /// How many there are.
        total: u32,
        /// Its text.
        instruction: String,
        /// Its line in the Dockerfile.
        line: u32,
    },
    /// Its result was there.
    Cached {
        /// Its number.
        index: u32,
    },
    /// It wrote a line.
    Output {
        /// Its number.
        index: u32,
        /// The line.
        text: String,
    },
    /// It was carried out.
    Done {
        /// Its number.
        index: u32,
        /// How long it took.
        #[ts(type = "number")]
        elapsed_ns: u64,
        /// Bytes of its layer.
        #[ts(type = "number")]
        bytes: u64,
    },
    /// Something to know.
    Notice {
        /// The sentence.
        text: String,
    },
}

impl App {
    /// Opens a folder with a Dockerfile.
    pub fn open_project(&self, folder: &str) -> Result<Project, AppError> {
        let dir = whole_path(folder)?;
        let dir = dir.canonicalize().map_err(|e| AppError::io("open the folder", &dir, e))?;
        if !has_dockerfile(&dir) {
            return Err(AppError::Usage(format!(
                "{} has no Dockerfile: name a folder that has one, or make a project from a sample",
                dir.display()
            )));
        }
        let entries = fs::read_dir(&dir).map_err(|e| AppError::io("read", &dir, e))?;
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let mut files: Vec<_> = names
            .filter_map(|name| read_text(&dir.join(&name)).map(|text| ProjectFile { name, text }))
            .collect();
        files.sort_by_key(|file| (rank(&file.name), file.name.clone()));
        files.truncate(MOST);
        Ok(Project { folder: dir.display().to_string(), tag: tag_of(&dir), files })
    }

    /// Makes a project from a sample in a folder that is empty or not there.
    pub fn new_project(&self, sample: &str, folder: &str) -> Result<Project, AppError> {
        let dir = whole_path(folder)?;
        self.copy_sample(sample, &dir)?;
        self.open_project(folder)
    }

    /// Writes a file right in a project's folder, whole or not at all. Refused
    /// where something else than `before` stands in it by now.
    pub fn save_project_file(
        &self,
        folder: &str,
        name: &str,
        text: &str,
        before: &str,
    ) -> Result<(), AppError> {
        let dir = whole_path(folder)?;
        if name.is_empty() || name.contains('/') || name == "." || name == ".." {
            return Err(AppError::Usage(format!(
                "`{name}` is no name for a file in the project's folder: leave out the folder"
            )));
        }
        let path = dir.join(name);
        let failed = |e| AppError::io("write", &path, e);
        // The link's own name would be replaced, and its target stay as it is.
        let real = path.canonicalize().map_err(failed)?;
        if real.parent() != Some(dir.canonicalize().map_err(failed)?.as_path()) {
            return Err(AppError::Usage(format!(
                "{} is a link out of the project's folder: edit the file itself",
                path.display()
            )));
        }
        if fs::read(&path).map_err(failed)? != before.as_bytes() {
            return Err(AppError::ChangedMeanwhile(path));
        }
        crate::write_file(&path, text.as_bytes())
    }

    /// The first line of a Dockerfile that cannot be read as one.
    pub fn check_dockerfile(&self, name: &str, text: &str) -> Option<TextFault> {
        let error = tandem_build::parse::parse(name, text).err()?;
        Some(TextFault { file: name.to_owned(), line: error.span.start.line, text: error.message })
    }

    /// Builds a project; a base that is out of reach is made from Debian
    /// packages. The image's digest.
    pub async fn build_project(
        &self,
        folder: &str,
        no_cache: bool,
        events: &mut (dyn FnMut(Building) + Send),
        cancel: &Cancel,
    ) -> Result<String, AppError> {
        let dir = whole_path(folder)?;
        let tag = tag_of(&dir);
        self.build_folder(dir, &tag, no_cache, events, cancel).await
    }

    /// The same for any folder and name.
    pub(crate) async fn build_folder(
        &self,
        dir: PathBuf,
        tag: &str,
        no_cache: bool,
        events: &mut (dyn FnMut(Building) + Send),
        cancel: &Cancel,
    ) -> Result<String, AppError> {
        let options = BuildOptions {
            tags: vec![tag.parse()?],
            context: dir,
            corporate_network: true,
            no_cache,
            ..BuildOptions::default()
        };
        let events = std::sync::Mutex::new(events);
        let send = |event| {
            let mut events = events.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            (*events)(event);
        };
        let mut notice = |_: &str, text: &str| send(Building::Notice { text: text.to_owned() });
        let mut event = |event| building(event).into_iter().for_each(&send);
        let built = self.build_with_stand_in(options, &mut notice, &mut event, cancel).await?;
        Ok(built.image.digest.to_string())
    }
}

fn building(event: BuildEvent) -> Option<Building> {
    Some(match event {
        BuildEvent::StepStarted { index, total, instruction, line, .. } => {
            Building::Step { index, total, instruction, line }
        }
        BuildEvent::StepCached { index } => Building::Cached { index },
        BuildEvent::Output { index, line, .. } => Building::Output { index, text: line },
        BuildEvent::StepFinished { index, elapsed_ns, bytes } => {
            Building::Done { index, elapsed_ns, bytes }
        }
        BuildEvent::Substituted(it) => {
            Building::Notice { text: format!("{} stands in for {}", it.to, it.from) }
        }
        BuildEvent::Warning { message, .. } => Building::Notice { text: message },
        BuildEvent::Done { .. } => return None,
    })
}

fn read_text(path: &Path) -> Option<String> {
    let meta = fs::metadata(path).ok()?;
    let fits = meta.is_file() && meta.len() <= LARGEST;
    let text = fits.then(|| fs::read_to_string(path).ok()).flatten()?;
    (!text.contains('\0')).then_some(text)
}

fn rank(name: &str) -> u8 {
    match name {
        "app.py" => 0,
        "Dockerfile" => 1,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use tandem_model::ErrorCode;

    use super::*;

    #[test]
    fn a_project_is_made_opened_and_saved() {
        let home = tempfile::tempdir().unwrap();
        let app = App::open(Some(home.path()), "/nonexistent/tandem".into()).unwrap();
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("My App").display().to_string();
        let project = app.new_project("hello-flask", &folder).unwrap();
        assert_eq!(project.tag, "my-app");
        let names: Vec<_> = project.files.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(names[..2], ["app.py", "Dockerfile"]);
        let before = project.files[0].text.clone();
        app.save_project_file(&folder, "app.py", "print('new')\n", &before).unwrap();
        // Somebody else has written it since it was read.
        let late = app.save_project_file(&folder, "app.py", "print('late')\n", &before);
        assert_eq!(late.unwrap_err().code(), ErrorCode::Conflict);
        assert_eq!(app.open_project(&folder).unwrap().files[0].text, "print('new')\n");
    }

    #[test]
    fn what_cannot_be_saved_is_told_by_its_own_name() {
        let home = tempfile::tempdir().unwrap();
        let app = App::open(Some(home.path()), "/nonexistent/tandem".into()).unwrap();
        // Nobody makes a file beside this one.
        let comm = fs::read_to_string("/proc/self/comm").unwrap();
        let error =
            app.save_project_file("/proc/self", "comm", "x", &comm).unwrap_err().to_string();
        assert!(error.starts_with("cannot write /proc/self/comm: "), "{error}");
        assert!(!error.contains("draft") && !error.contains(".tmp"), "{error}");
    }

    #[test]
    fn files_outside_the_folder_are_refused() {
        let home = tempfile::tempdir().unwrap();
        let app = App::open(Some(home.path()), "/nonexistent/tandem".into()).unwrap();
        let place = tempfile::tempdir().unwrap();
        let (inside, outside) = (place.path().join("in"), place.path().join("out"));
        fs::create_dir(&inside).unwrap();
        fs::write(&outside, "kept").unwrap();
        std::os::unix::fs::symlink(&outside, inside.join("link")).unwrap();
        let folder = inside.display().to_string();
        for name in ["../out", "link", "..", ""] {
            assert!(app.save_project_file(&folder, name, "x", "kept").is_err(), "{name}");
        }
        assert_eq!(fs::read_to_string(&outside).unwrap(), "kept");
        assert!(app.open_project(&folder).unwrap_err().to_string().contains("no Dockerfile"));
        assert!(app.open_project("somewhere").is_err());
    }
}
