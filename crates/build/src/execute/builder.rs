use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use tandem_backend::StepRunner;
use tandem_home::Scratch;
use tandem_image::Store;
use tandem_model::ErrorCode;

use super::{interrupt::Interrupt, settings::Scope, state::State, times::clamp};
use crate::{
    BuildError, BuildEvent, BuildOptions, OutputStream, StepReport, Substitution,
    cache::{Cache, Key, Made, MadeLayer},
    parse::{Dockerfile, Instruction, Kind, Word},
    plan::Plan,
    tree::Context,
};

/// One build while it runs.
pub(super) struct Builder<'a> {
    pub(super) store: &'a Store,
    pub(super) runner: &'a dyn StepRunner,
    pub(super) options: &'a BuildOptions,
    pub(super) events: &'a mut (dyn FnMut(BuildEvent) + Send),
    pub(super) dockerfile: Dockerfile,
    pub(super) plan: Plan,
    pub(super) cache: Cache,
    pub(super) context: Arc<Context>,
    pub(super) scratch: Arc<Scratch>,
    pub(super) interrupt: Interrupt,
    /// Images and named folders that were opened already, by the name written.
    pub(super) images: BTreeMap<String, State>,
    /// Stages that are finished.
    pub(super) done: Vec<Option<State>>,
    pub(super) substitutions: Vec<Substitution>,
    pub(super) steps: Vec<StepReport>,
    pub(super) index: u32,
    pub(super) total: u32,
    pub(super) rooms: u32,
    /// `SOURCE_DATE_EPOCH`, seconds.
    pub(super) epoch: Option<i64>,
    /// Proxy settings for RUN.
    pub(super) proxies: Vec<(String, String)>,
    /// Certificates for RUN.
    pub(super) certificates: Option<PathBuf>,
    /// Where the folders of cache mounts are.
    pub(super) cache_mounts: PathBuf,
}

/// Where a step works: an upper folder and what overlayfs needs beside it.
#[derive(Debug)]
pub(super) struct Room {
    dir: PathBuf,
    pub(super) upper: PathBuf,
    pub(super) work: PathBuf,
}

/// How a step ended.
pub(super) struct Ended {
    pub(super) cached: bool,
    pub(super) bytes: u64,
}

impl Builder<'_> {
    /// Builds a stage and keeps it.
    pub(super) async fn stage(&mut self, at: usize) -> Result<(), BuildError> {
        let stage = self.plan.stages[at].clone();
        let started = self.begin(&stage.name, &stage.from);
        let mut state = self.base(&stage).await?;
        self.finish(&stage.from, started, &Ended { cached: false, bytes: 0 });
        let triggers = state.document.config.on_build.take().unwrap_or_default();
        let mut steps = Vec::new();
        for trigger in triggers {
            let mut step = crate::parse::parse_trigger(&trigger)?;
            // It happens where the base image is named.
            step.span = stage.from.span;
            steps.push(step);
        }
        self.total += u32::try_from(steps.len()).unwrap_or(u32::MAX);
        steps.extend(stage.steps);
        for step in &steps {
            let started = self.begin(&stage.name, step);
            let ended = self.step(at, &mut state, step).await?;
            self.finish(step, started, &ended);
        }
        self.done[at] = Some(state);
        Ok(())
    }

    async fn step(
        &mut self,
        stage: usize,
        state: &mut State,
        instruction: &Instruction,
    ) -> Result<Ended, BuildError> {
        match &instruction.kind {
            Kind::Copy(transfer) => {
                self.transfer(stage, state, instruction, transfer, "COPY").await
            }
            Kind::Add(transfer) => self.transfer(stage, state, instruction, transfer, "ADD").await,
            Kind::Run(run) => self.run(stage, state, instruction, run).await,
            Kind::Workdir(path) => self.workdir(state, instruction, path).await,
            _ => self.settings(state, instruction),
        }
    }

    /// An instruction that changes no file. It is cached all the same, for
    /// its time: an unchanged build gives the same image.
    fn settings(
        &mut self,
        state: &mut State,
        instruction: &Instruction,
    ) -> Result<Ended, BuildError> {
        let before = state.document.config.clone();
        let scope = Scope {
            dockerfile: &self.dockerfile,
            build_args: &self.options.build_args,
            globals: &self.plan.globals,
        };
        let Some(line) = scope.apply(state, &instruction.kind)? else {
            return Ok(Ended { cached: false, bytes: 0 });
        };
        let key = self.key(&("settings", &state.chain, &before, &line))?;
        let (made, cached) = match self.remembered(&key) {
            Some(made) => (made, true),
            None => (Made { created: self.now(), layer: None }, false),
        };
        if !cached {
            self.cache.put(&key, &made)?;
        }
        state.adopt(&made, None, line);
        Ok(Ended { cached, bytes: 0 })
    }

    /// Replaces variables in a word of an instruction.
    pub(super) fn expand(&self, state: &State, word: &Word) -> Result<String, BuildError> {
        let scope = Scope {
            dockerfile: &self.dockerfile,
            build_args: &self.options.build_args,
            globals: &self.plan.globals,
        };
        Ok(scope.expand(state, word)?)
    }

    fn begin(&mut self, stage: &str, instruction: &Instruction) -> Instant {
        self.index += 1;
        (self.events)(BuildEvent::StepStarted {
            index: self.index,
            total: self.total,
            stage: stage.to_owned(),
            instruction: instruction.text.clone(),
            line: instruction.span.start.line,
        });
        Instant::now()
    }

    fn finish(&mut self, instruction: &Instruction, started: Instant, ended: &Ended) {
        let elapsed_ns = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let index = self.index;
        (self.events)(if ended.cached {
            BuildEvent::StepCached { index }
        } else {
            BuildEvent::StepFinished { index, elapsed_ns, bytes: ended.bytes }
        });
        self.steps.push(StepReport {
            instruction: instruction.text.clone(),
            line: instruction.span.start.line,
            cached: ended.cached,
            elapsed_ns,
            bytes: ended.bytes,
        });
    }

    /// A line about what Tandem does.
    pub(super) fn progress(&mut self, line: String) {
        let index = self.index;
        (self.events)(BuildEvent::Output { index, stream: OutputStream::Progress, line });
    }

    /// A step's identity: the facts, and the epoch that its files' times are
    /// held to.
    pub(super) fn key(&self, facts: &impl serde::Serialize) -> Result<Key, BuildError> {
        Key::of(&(self.epoch, facts)).map_err(|e| BuildError::Usage(e.to_string()))
    }

    /// What the step made before, unless it is to be done anew.
    pub(super) fn remembered(&self, key: &Key) -> Option<Made> {
        if self.options.no_cache { None } else { self.cache.get(self.store, key) }
    }

    /// Takes over a step from the cache.
    pub(super) fn recall(&self, state: &mut State, made: &Made, line: String) -> Ended {
        self.adopt(state, made, line);
        Ended { cached: true, bytes: 0 }
    }

    fn adopt(&self, state: &mut State, made: &Made, line: String) {
        let dir = made.layer.as_ref().map(|layer| self.store.layer_dir(&layer.chain_id));
        state.adopt(made, dir, line);
    }

    /// An empty place for a step's change.
    pub(super) fn room(&mut self) -> Result<Room, BuildError> {
        self.rooms += 1;
        let dir = self.scratch.path().join(format!("step-{}", self.rooms));
        let room = Room { upper: dir.join("upper"), work: dir.join("work"), dir };
        for path in [&room.dir, &room.upper, &room.work] {
            fs::create_dir(path).map_err(BuildError::io("make the folder", path))?;
        }
        // The mounted root looks like the upper folder: everyone may enter.
        let public = <fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o755);
        fs::set_permissions(&room.upper, public)
            .map_err(BuildError::io("set the mode of", &room.upper))?;
        Ok(room)
    }

    /// A fresh folder for something else that a step needs.
    pub(super) fn folder(&mut self, name: &str) -> Result<PathBuf, BuildError> {
        self.rooms += 1;
        let dir = self.scratch.path().join(format!("{name}-{}", self.rooms));
        fs::create_dir(&dir).map_err(BuildError::io("make the folder", &dir))?;
        Ok(dir)
    }

    /// Makes a layer of a step's change, remembers it, takes it over.
    pub(super) async fn commit(
        &mut self,
        state: &mut State,
        room: Room,
        key: &Key,
        line: String,
    ) -> Result<Ended, BuildError> {
        let store = self.store.clone();
        let (parent, epoch) = (state.chain.clone(), self.epoch);
        let layer = self
            .blocking(move || {
                let upper = &room.upper;
                if is_empty(upper).map_err(BuildError::io("list", upper))? {
                    return Ok(None);
                }
                if let Some(epoch) = epoch {
                    clamp(upper, epoch).map_err(BuildError::io("set times in", upper))?;
                }
                let new = store.commit_layer_dir(upper, parent.as_ref())?;
                // The rest goes with the scratch folder at the latest.
                let _ = fs::remove_dir_all(&room.dir);
                Ok(Some(new))
            })
            .await?;
        let layer = layer.map(|new| {
            let chain_id = new.chain_id.clone();
            let layer = tandem_image::Layer::from(new);
            let tandem_image::Layer { digest, diff_id, size, media_type } = layer;
            MadeLayer { digest, diff_id, size, media_type, chain_id }
        });
        let bytes = layer.as_ref().map_or(0, |layer| layer.size);
        let made = Made { created: self.now(), layer };
        self.cache.put(key, &made)?;
        self.adopt(state, &made, line);
        Ok(Ended { cached: false, bytes })
    }

    /// Work that reads and writes many files, on a thread for that. It keeps
    /// the scratch folder until it ends, also when the build is dropped.
    pub(super) fn blocking<T, W>(
        &self,
        work: W,
    ) -> impl Future<Output = Result<T, BuildError>> + Send + use<T, W>
    where
        T: Send + 'static,
        W: FnOnce() -> Result<T, BuildError> + Send + 'static,
    {
        let scratch = Arc::clone(&self.scratch);
        let task = tokio::task::spawn_blocking(move || {
            let result = work();
            drop(scratch);
            result
        });
        async move {
            match task.await {
                Ok(result) => result,
                Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                Err(_) => Err(BuildError::Cancelled),
            }
        }
    }

    /// `FILE:LINE` of an instruction.
    pub(super) fn place(&self, instruction: &Instruction) -> String {
        format!("{}:{}", self.dockerfile.file, instruction.span.start.line)
    }

    /// An instruction cannot be carried out.
    pub(super) fn stuck(
        &self,
        instruction: &Instruction,
        code: ErrorCode,
        problem: impl Into<String>,
    ) -> BuildError {
        BuildError::Instruction {
            place: self.place(instruction),
            instruction: instruction.text.clone(),
            problem: problem.into(),
            code,
        }
    }

    /// The time that goes into the image, RFC 3339.
    fn now(&self) -> String {
        let now = jiff::Timestamp::now();
        self.epoch
            .and_then(|epoch| jiff::Timestamp::from_second(epoch).ok())
            .unwrap_or(now)
            .to_string()
    }
}

fn is_empty(dir: &Path) -> io::Result<bool> {
    Ok(fs::read_dir(dir)?.next().is_none())
}
