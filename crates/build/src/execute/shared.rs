//! What the stages of a build have in common while they are built side by
//! side.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
};

use tandem_backend::StepRunner;
use tandem_home::Scratch;
use tandem_image::Store;
use tandem_model::ErrorCode;
use tokio::sync::{OnceCell, OwnedMutexGuard, Semaphore, SemaphorePermit, watch};

use super::{interrupt::Interrupt, state::State, times::clamp};
use crate::{
    BuildError, BuildEvent, BuildOptions, StepReport, Substitution,
    cache::{Cache, Key, Made, MadeLayer},
    parse::{Dockerfile, Instruction},
    plan::Plan,
    tree::Context,
};

/// One build while it runs.
pub(super) struct Shared<'a> {
    pub(super) store: &'a Store,
    pub(super) runner: &'a dyn StepRunner,
    pub(super) options: &'a BuildOptions,
    pub(super) events: Mutex<&'a mut (dyn FnMut(BuildEvent) + Send)>,
    pub(super) dockerfile: Dockerfile,
    pub(super) plan: Plan,
    pub(super) cache: Cache,
    pub(super) context: Arc<Context>,
    pub(super) scratch: Arc<Scratch>,
    pub(super) interrupt: Interrupt,
    /// Images that were opened already, by the name written and the platform.
    pub(super) images: Mutex<BTreeMap<Asked, Arc<OnceCell<State>>>>,
    /// Stages, once they are finished.
    pub(super) done: Vec<watch::Sender<Option<State>>>,
    /// Stages that are built after all, each once.
    pub(super) late: Vec<OnceCell<()>>,
    pub(super) substitutions: Mutex<Vec<Substitution>>,
    /// What the steps did, with the number of their stage.
    pub(super) steps: Mutex<Vec<(usize, StepReport)>>,
    /// Steps that began.
    pub(super) started: AtomicU32,
    /// Steps that there are.
    pub(super) total: AtomicU32,
    pub(super) rooms: AtomicU32,
    /// Steps that are being carried out, so that no two make the same.
    pub(super) making: Mutex<BTreeMap<Key, Arc<tokio::sync::Mutex<()>>>>,
    /// How many may be at once.
    pub(super) workers: Semaphore,
    /// `SOURCE_DATE_EPOCH`, seconds.
    pub(super) epoch: Option<i64>,
    /// Proxy settings for RUN.
    pub(super) proxies: Vec<(String, String)>,
    /// Certificates for RUN.
    pub(super) certificates: Option<PathBuf>,
    /// Where the folders of cache mounts are.
    pub(super) cache_mounts: PathBuf,
}

/// An image as a Dockerfile asks for it: its name and its platform.
pub(super) type Asked = (String, Option<String>);

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

/// The right to carry a step out. No stage is waited for while it is held.
pub(super) struct Turn<'a> {
    _alone: OwnedMutexGuard<()>,
    _worker: Option<SemaphorePermit<'a>>,
}

impl Shared<'_> {
    /// Tells what happens.
    pub(super) fn event(&self, event: BuildEvent) {
        (locked(&self.events))(event);
    }

    /// Waits until nobody else makes the same, and until a worker is free.
    pub(super) async fn turn(&self, key: &Key) -> Turn<'_> {
        let same = Arc::clone(locked(&self.making).entry(key.clone()).or_default());
        let alone = same.lock_owned().await;
        // It is never closed.
        let worker = self.workers.acquire().await.ok();
        Turn { _alone: alone, _worker: worker }
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

    /// Writes down what the step made, unless nothing is to be remembered.
    pub(super) fn remember(&self, key: &Key, made: &Made) -> Result<(), BuildError> {
        if self.options.forget {
            return Ok(());
        }
        Ok(self.cache.put(key, made)?)
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
    pub(super) fn room(&self) -> Result<Room, BuildError> {
        let dir = self.scratch.path().join(format!("step-{}", self.rooms.fetch_add(1, Relaxed)));
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
    pub(super) fn folder(&self, name: &str) -> Result<PathBuf, BuildError> {
        let number = self.rooms.fetch_add(1, Relaxed);
        let dir = self.scratch.path().join(format!("{name}-{number}"));
        fs::create_dir(&dir).map_err(BuildError::io("make the folder", &dir))?;
        Ok(dir)
    }

    /// Makes a layer of a step's change, remembers it, takes it over.
    pub(super) async fn commit(
        &self,
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
        self.remember(key, &made)?;
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
    pub(super) fn now(&self) -> String {
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

/// A lock that no panic spoils: what it guards is whole at any time.
pub(super) fn locked<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
