use std::path::{Path, PathBuf};

use serde::Serialize;
use tandem_build::{
    BuildEvent, BuildOptions,
    samples::{materialize, sample, samples},
};
use tandem_image::Image;
use tandem_model::{Digest, RunEvent, Subject, closest};

use crate::{App, AppError, Cancel, build::has_dockerfile};

/// What can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ts_rs::TS)]
#[serde(rename_all = "snake_case")]
pub enum SubjectKind {
    /// A sample that comes with Tandem; built when it is used.
    Sample,
    /// A local image.
    Image,
}

/// A subject to choose from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ts_rs::TS)]
pub struct SubjectInfo {
    /// What one writes to choose it.
    pub name: String,
    /// What it is.
    pub kind: SubjectKind,
    /// One line for people.
    pub description: String,
}

/// A subject made ready.
#[derive(Debug, Clone)]
pub(crate) struct Ready {
    pub(crate) image: Image,
    pub(crate) subject: Subject,
    /// Where the app is known to answer although its image exposes no port.
    pub(crate) port: Option<u16>,
    /// Digest of the program of ours that was added to the image.
    pub(crate) program: Option<Digest>,
}

impl App {
    /// The samples and the local images that can be compared.
    pub fn subjects(&self) -> Result<Vec<SubjectInfo>, AppError> {
        let known = samples();
        let mut subjects: Vec<_> = known
            .iter()
            .filter(|sample| sample.port.is_some())
            .map(|sample| SubjectInfo {
                name: sample.name.to_owned(),
                kind: SubjectKind::Sample,
                description: sample.description.to_owned(),
            })
            .collect();
        for image in self.images(false)? {
            let name = format!("{}:{}", image.name, image.tag.as_deref().unwrap_or("latest"));
            let of_sample = known.iter().any(|sample| image.name == sample.name);
            let base = image.name.starts_with("localhost/tandem/");
            if !of_sample && !base {
                let description = format!("local image, {} layers", image.layers);
                subjects.push(SubjectInfo { name, kind: SubjectKind::Image, description });
            }
        }
        Ok(subjects)
    }

    /// Writes a sample's files into a folder.
    pub fn copy_sample(&self, name: &str, dir: &Path) -> Result<Vec<PathBuf>, AppError> {
        if !samples().iter().any(|sample| sample.name == name) {
            return Err(AppError::NoSample(name.to_owned()));
        }
        Ok(materialize(name, dir)?)
    }

    /// Builds or finds what a person named: a sample, a folder with a
    /// Dockerfile, or an image.
    pub(crate) async fn ready(
        &self,
        name: &str,
        events: &mut (dyn FnMut(RunEvent) + Send),
        cancel: &Cancel,
    ) -> Result<Ready, AppError> {
        if let Ok(sample) = sample(name) {
            if sample.port.is_none() {
                let text = format!(
                    "the sample {name} answers no HTTP, so nothing tells when it is ready: choose another (tandem sample ls)"
                );
                return Err(AppError::Usage(text));
            }
            let scratch = self.home.scratch("sample")?;
            let dir = scratch.path().join(name);
            materialize(name, &dir)?;
            let ready = self.build_subject(name, name, &dir, events, cancel).await?;
            return Ok(Ready { port: sample.port, ..ready });
        }
        let dir = Path::new(name);
        if has_dockerfile(dir) {
            let dir = dir.canonicalize().map_err(|e| AppError::io("open", dir, e))?;
            return self.build_subject(name, &tag_of(&dir), &dir, events, cancel).await;
        }
        let image = self.images.find(name).map_err(|_| self.no_subject(name))?;
        let subject = Subject {
            name: name.to_owned(),
            image: image.reference.to_string(),
            digest: image.digest.clone(),
            base: None,
            base_substituted: false,
        };
        Ok(Ready { image, subject, port: None, program: None })
    }

    /// Nothing is called so; what is nearly called so is suggested.
    fn no_subject(&self, name: &str) -> AppError {
        let known = self.subjects().unwrap_or_default();
        let names: Vec<&str> = known.iter().map(|it| it.name.as_str()).collect();
        let name = name.to_owned();
        match closest(&name, &names).map(str::to_owned) {
            Some(near) => AppError::NoSubjectNear { name, near },
            None => AppError::NoSubject(name),
        }
    }

    async fn build_subject(
        &self,
        name: &str,
        tag: &str,
        dir: &Path,
        events: &mut (dyn FnMut(RunEvent) + Send),
        cancel: &Cancel,
    ) -> Result<Ready, AppError> {
        let options = BuildOptions {
            context: dir.to_owned(),
            tags: vec![tag.parse()?],
            corporate_network: true,
            ..BuildOptions::default()
        };
        // Two listeners feed one stream, one after the other.
        let events = std::sync::Mutex::new(events);
        let send = |event| {
            let mut events = events.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            (*events)(event);
        };
        send(RunEvent::Preparing { step: "build".to_owned(), message: format!("building {tag}") });
        let built = self
            .build_with_stand_in(
                options,
                &mut |step, message| send(notice(step, message)),
                &mut |event| build_event(event).into_iter().for_each(&send),
                cancel,
            )
            .await?;
        let stand_in = built.substitutions.first().map(|substitution| substitution.to.clone());
        let subject = Subject {
            name: name.to_owned(),
            image: built.image.reference.to_string(),
            digest: built.image.digest.clone(),
            base_substituted: stand_in.is_some(),
            base: stand_in,
        };
        Ok(Ready { image: built.image, subject, port: None, program: None })
    }
}

pub(crate) fn notice(step: &str, message: &str) -> RunEvent {
    match step.strip_suffix("-log") {
        Some(step) => RunEvent::Log { step: step.to_owned(), line: message.to_owned() },
        None => RunEvent::Preparing { step: step.to_owned(), message: message.to_owned() },
    }
}

pub(crate) fn build_event(event: BuildEvent) -> Option<RunEvent> {
    let step = "build".to_owned();
    match event {
        BuildEvent::StepStarted { index, total, instruction, .. } => Some(RunEvent::Preparing {
            step,
            message: format!("step {index} of {total}: {instruction}"),
        }),
        BuildEvent::StepCached { index, .. } => {
            Some(RunEvent::Log { step, line: format!("step {index} is cached") })
        }
        BuildEvent::Output { line, .. } => Some(RunEvent::Log { step, line }),
        BuildEvent::Warning { message, .. } => Some(RunEvent::Warning { message }),
        BuildEvent::Substituted(_) | BuildEvent::StepFinished { .. } | BuildEvent::Done { .. } => {
            None
        }
    }
}

/// The image name for a folder: its own name in the grammar of references.
pub(crate) fn tag_of(dir: &Path) -> String {
    let name = dir.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let words: Vec<_> =
        name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
    if words.is_empty() { "subject".to_owned() } else { words.join("-") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_folder_gives_an_image_name() {
        assert_eq!(tag_of(Path::new("/x/Hello_Flask 2")), "hello-flask-2");
        assert_eq!(tag_of(Path::new("/")), "subject");
    }
}
