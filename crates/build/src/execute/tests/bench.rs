use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Mutex,
};

use async_trait::async_trait;
use tandem_backend::{BackendError, StepRunner, StepSpec, Stream};
use tandem_home::Home;
use tandem_image::Store;
use tokio::sync::Barrier;

use crate::{
    BuildError, BuildEvent, BuildOptions, Built, DockerfileSource, build,
    tree::{Layers, Tree as _, walk},
};

/// A home, a context and a record of what was run.
pub(super) struct Bench {
    dir: tempfile::TempDir,
    pub(super) home: Home,
    pub(super) store: Store,
    pub(super) runner: Script,
    pub(super) events: Mutex<Vec<BuildEvent>>,
}

/// Understands a few words of shell: `write PATH TEXT`, `env PATH`, `fail N`,
/// `hang`, `meet` (wait for a second step that does); anything else does
/// nothing.
pub(super) struct Script {
    pub(super) ran: Mutex<Vec<StepSpec>>,
    meeting: Barrier,
}

impl Default for Script {
    fn default() -> Self {
        Self { ran: Mutex::default(), meeting: Barrier::new(2) }
    }
}

#[async_trait]
impl StepRunner for Script {
    fn refusal(&self, architecture: &str) -> Option<String> {
        (architecture == "s390x").then(|| "nobody has one".to_owned())
    }

    async fn run_step(
        &self,
        step: &StepSpec,
        output: &mut (dyn for<'l> FnMut(Stream, &'l str) + Send),
    ) -> Result<i32, BackendError> {
        self.ran.lock().unwrap().push(step.clone());
        let text = step.args.last().unwrap().clone();
        let words: Vec<&str> = text.split(' ').collect();
        let write = |path: &str, content: &str| {
            let path = step.upper.join(path.trim_start_matches('/'));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        };
        match words.as_slice() {
            ["write", path, content] => write(path, content),
            ["env", path] => write(path, &step.env.join("\n")),
            ["fail", code] => {
                output(Stream::Stdout, "before\n");
                output(Stream::Stderr, "something broke\n");
                return Ok(code.parse().unwrap());
            }
            ["hang"] => {
                write("half", "done");
                std::future::pending::<()>().await;
            }
            ["meet", path] => {
                self.meeting.wait().await;
                write(path, "met");
            }
            _ => {}
        }
        Ok(0)
    }
}

impl Bench {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(Some(&dir.path().join("home"))).unwrap();
        fs::create_dir(dir.path().join("context")).unwrap();
        let store = Store::open(&home).unwrap();
        let (runner, events) = (Script::default(), Mutex::default());
        Self { dir, home, store, runner, events }
    }

    pub(super) fn context(&self) -> PathBuf {
        self.dir.path().join("context")
    }

    /// Writes a file of the context.
    pub(super) fn file(&self, path: &str, content: &str) -> &Self {
        let path = self.context().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    pub(super) fn options(&self, dockerfile: &str) -> BuildOptions {
        BuildOptions {
            context: self.context(),
            dockerfile: DockerfileSource::Text(dockerfile.to_owned()),
            tags: vec!["test".parse().unwrap()],
            ..BuildOptions::default()
        }
    }

    pub(super) async fn try_build(&self, options: &BuildOptions) -> Result<Built, BuildError> {
        self.events.lock().unwrap().clear();
        let mut record = |event| self.events.lock().unwrap().push(event);
        build(&self.store, &self.home, &self.runner, options, &mut record).await
    }

    pub(super) async fn build(&self, dockerfile: &str) -> Built {
        self.try_build(&self.options(dockerfile)).await.unwrap()
    }

    pub(super) async fn refused(&self, dockerfile: &str) -> BuildError {
        self.try_build(&self.options(dockerfile)).await.unwrap_err()
    }

    /// Builds something to be a base of other builds.
    pub(super) async fn base(&self, name: &str, dockerfile: &str) {
        let tags = vec![name.parse().unwrap()];
        let options = BuildOptions { tags, ..self.options(dockerfile) };
        self.try_build(&options).await.unwrap();
    }

    /// The image's file system.
    pub(super) fn view(&self, built: &Built) -> Layers {
        Layers::new(&self.store.layer_dirs(&built.image, &|_| ()).unwrap())
    }

    /// Everything in the image: a file's mode and content, a folder's mode, a
    /// link's target.
    pub(super) fn files(&self, built: &Built) -> BTreeMap<String, String> {
        let view = self.view(built);
        let found = walk(&view, Path::new("")).unwrap();
        let described = found.iter().skip(1).map(|found| {
            let mode = found.entry.mode;
            let text = match found.entry.kind {
                crate::tree::Kind::Dir => format!("{mode:o} /"),
                crate::tree::Kind::Symlink => {
                    format!("-> {}", view.read_link(&found.path).unwrap().display())
                }
                _ => {
                    let content = std::io::read_to_string(view.open(&found.path).unwrap());
                    format!("{mode:o} {}", content.unwrap())
                }
            };
            (found.path.display().to_string(), text)
        });
        described.collect()
    }

    /// How many steps ran in the runner so far.
    pub(super) fn runs(&self) -> usize {
        self.runner.ran.lock().unwrap().len()
    }

    /// What is left of builds in the home's folder for work in progress.
    pub(super) fn left_over(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.home.temporary()).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        paths.filter(|path| path.is_dir()).collect()
    }

    /// A file outside of everything, which no build may touch.
    pub(super) fn canary(&self) -> PathBuf {
        let path = self.dir.path().join("canary");
        fs::write(&path, "untouched").unwrap();
        path
    }
}

/// Paths and descriptions for comparing with [`Bench::files`].
pub(super) fn files(expected: &[(&str, &str)]) -> BTreeMap<String, String> {
    expected.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
}
