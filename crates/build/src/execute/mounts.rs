//! `RUN --mount`: what a step sees besides the layers.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{PermissionsExt as _, chown},
    path::{Path, PathBuf},
    sync::Arc,
};

use sha2::{Digest as _, Sha256};
use tandem_backend::{StepMount, StepSource};
use tandem_home::{Lock, make_private_dir};
use tandem_model::{Digest, ErrorCode, parse_size};

use super::{
    builder::Builder,
    copy::{Destination, copy},
    interrupt::Interrupt,
    select::{Source, digest},
    state::State,
    transfer::{From, absolute},
    upper::Upper,
    users::Owner,
};
use crate::{
    BuildError,
    parse::{Instruction, MountKind, RunMount, Sharing, Word},
    tree::{Layers, Tree},
};

/// The mounts of a step, before anything is made for them.
#[derive(Default)]
pub(super) struct Mounts {
    /// What of them decides what the step makes.
    pub(super) facts: Vec<String>,
    /// Variables that come with them, `NAME=value`.
    pub(super) env: Vec<String>,
    planned: Vec<Planned>,
}

struct Planned {
    target: String,
    read_only: bool,
    what: What,
}

enum What {
    /// Files of a host's folder, as root's.
    Files {
        tree: SharedTree,
        sources: Vec<Source>,
        single: bool,
    },
    /// Files of a stage or image.
    Layers {
        dirs: Vec<PathBuf>,
        path: String,
    },
    Cache {
        id: String,
        sharing: Sharing,
        mode: u32,
        owner: Owner,
        seed: Option<Seed>,
    },
    Tmpfs {
        size: Option<u64>,
    },
    Secret {
        content: Vec<u8>,
        mode: u32,
        owner: Owner,
    },
    Agent(PathBuf),
}

type SharedTree = Arc<dyn Tree + Send + Sync>;

/// What a new cache begins with.
struct Seed {
    tree: SharedTree,
    sources: Vec<Source>,
}

impl Builder<'_> {
    /// Finds out what the mounts of a step are.
    pub(super) async fn plan_mounts(
        &self,
        stage: usize,
        state: &State,
        instruction: &Instruction,
        mounts: &[RunMount],
    ) -> Result<Mounts, BuildError> {
        let mut planned = Mounts::default();
        for (at, mount) in mounts.iter().enumerate() {
            match mount.kind {
                MountKind::Bind => {
                    self.plan_bind(stage, state, instruction, mount, &mut planned).await?;
                }
                MountKind::Cache => {
                    self.plan_cache(stage, state, instruction, mount, &mut planned).await?;
                }
                MountKind::Tmpfs => {
                    let target = self.target(state, instruction, mount.target.as_ref(), "")?;
                    let size = self.word(state, mount.size.as_ref())?;
                    let size = size.map(|text| self.size(instruction, &text)).transpose()?;
                    planned.add(
                        "tmpfs",
                        &target,
                        &size,
                        Planned {
                            target: target.clone(),
                            read_only: false,
                            what: What::Tmpfs { size },
                        },
                    );
                }
                MountKind::Secret => self.plan_secret(state, instruction, mount, &mut planned)?,
                MountKind::Ssh => self.plan_agent(state, instruction, mount, at, &mut planned)?,
            }
        }
        Ok(planned)
    }

    async fn plan_bind(
        &self,
        stage: usize,
        state: &State,
        instruction: &Instruction,
        mount: &RunMount,
        planned: &mut Mounts,
    ) -> Result<(), BuildError> {
        let target = self.target(state, instruction, mount.target.as_ref(), "")?;
        let read_only = !mount.writable.unwrap_or(false);
        let from = self.origin(stage, instruction, mount.from.as_ref()).await?;
        let path = self.word(state, mount.source.as_ref())?.unwrap_or_else(|| "/".to_owned());
        if let Some(layers) = &from.layers {
            let facts = (&layers.chain, &path, read_only);
            let what = What::Layers { dirs: layers.dirs.clone(), path: path.clone() };
            // Said here and not by the kernel.
            self.found(instruction, &from, mount, &path).await?;
            planned.add(
                "bind",
                &target,
                &facts,
                Planned { target: target.clone(), read_only, what },
            );
            return Ok(());
        }
        let sources = self.found(instruction, &from, mount, &path).await?;
        let single = sources.iter().all(|source| !source.is_dir);
        let (tree, interrupt) = (Arc::clone(&from.tree), self.interrupt.clone());
        let (sources, content) = self
            .blocking(move || {
                let content = digest(&*tree, &sources, false, &interrupt)
                    .map_err(BuildError::io("read", "the build context"))?;
                Ok((sources, content))
            })
            .await?;
        let what = What::Files { tree: from.tree, sources, single };
        planned.add(
            "bind",
            &target,
            &(content, read_only),
            Planned { target: target.clone(), read_only, what },
        );
        Ok(())
    }

    async fn plan_cache(
        &self,
        stage: usize,
        state: &State,
        instruction: &Instruction,
        mount: &RunMount,
        planned: &mut Mounts,
    ) -> Result<(), BuildError> {
        let target = self.target(state, instruction, mount.target.as_ref(), "")?;
        let id = self.word(state, mount.id.as_ref())?.unwrap_or_else(|| target.clone());
        let (mode, owner) = self.access(state, instruction, mount, 0o755)?;
        let seed = match &mount.from {
            None => None,
            Some(_) => {
                let from = self.origin(stage, instruction, mount.from.as_ref()).await?;
                let path = self.word(state, mount.source.as_ref())?.unwrap_or_else(|| "/".into());
                let sources = self.found(instruction, &from, mount, &path).await?;
                Some(Seed { tree: from.tree, sources })
            }
        };
        let read_only = mount.writable == Some(false);
        let what = What::Cache { id: id.clone(), sharing: mount.sharing, mode, owner, seed };
        planned.add("cache", &target, &id, Planned { target: target.clone(), read_only, what });
        Ok(())
    }

    fn plan_secret(
        &self,
        state: &State,
        instruction: &Instruction,
        mount: &RunMount,
        planned: &mut Mounts,
    ) -> Result<(), BuildError> {
        let (target, env) =
            (self.word(state, mount.target.as_ref())?, self.word(state, mount.env.as_ref())?);
        let named = self.word(state, mount.id.as_ref())?;
        let last = target.as_deref().and_then(|it| it.rsplit('/').next()).map(str::to_owned);
        let id = named.or(last).unwrap_or_default();
        let Some(secret) = self.options.secrets.get(&id) else {
            if mount.required {
                return Err(self.stuck(instruction, ErrorCode::Usage, format!(
                    "the secret `{id}` was not given: build with --secret id={id},src=FILE or --secret id={id},env=VARIABLE"
                )));
            }
            return Ok(());
        };
        if let Some(name) = &env {
            let text = String::from_utf8(secret.0.clone()).ok().filter(|it| !it.contains('\0'));
            let text = text.ok_or_else(|| {
                let problem = format!("the secret `{id}` is no text and cannot be a variable");
                self.stuck(instruction, ErrorCode::Usage, problem)
            })?;
            planned.env.push(format!("{name}={text}"));
            if target.is_none() {
                planned.facts.push(format!("secret {id} env {name}"));
                return Ok(());
            }
        }
        let usual = format!("/run/secrets/{id}");
        let target = self.target(state, instruction, mount.target.as_ref(), &usual)?;
        let (mode, owner) = self.access(state, instruction, mount, 0o400)?;
        let what = What::Secret { content: secret.0.clone(), mode, owner };
        planned.add(
            "secret",
            &target,
            &(&id, mode, owner, env),
            Planned { target: target.clone(), read_only: true, what },
        );
        Ok(())
    }

    fn plan_agent(
        &self,
        state: &State,
        instruction: &Instruction,
        mount: &RunMount,
        at: usize,
        planned: &mut Mounts,
    ) -> Result<(), BuildError> {
        let id = self.word(state, mount.id.as_ref())?.unwrap_or_else(|| "default".to_owned());
        let Some(socket) = self.options.agents.get(&id) else {
            if mount.required {
                return Err(self.stuck(
                    instruction,
                    ErrorCode::Usage,
                    format!("the SSH agent `{id}` was not given: build with --ssh {id}"),
                ));
            }
            return Ok(());
        };
        let usual = format!("/run/buildkit/ssh_agent.{at}");
        let target = self.target(state, instruction, mount.target.as_ref(), &usual)?;
        planned.env.push(format!("SSH_AUTH_SOCK={target}"));
        let what = What::Agent(socket.clone());
        planned.add(
            "ssh",
            &target,
            &id,
            Planned { target: target.clone(), read_only: false, what },
        );
        Ok(())
    }

    /// Makes what has to be there for the mounts; the locks are to be held
    /// until the step has ended.
    pub(super) async fn prepare_mounts(
        &self,
        mounts: Mounts,
    ) -> Result<(Vec<StepMount>, Vec<Lock>), BuildError> {
        let caches = self.cache_folders(&mounts.planned).await?;
        let mut ready = Vec::new();
        for Planned { target, read_only, what } in mounts.planned {
            let source = match what {
                What::Files { tree, sources, single } => {
                    let dir = self.folder("files")?;
                    let name =
                        sources.first().map(|source| source.name.clone()).unwrap_or_default();
                    self.fill(dir.clone(), tree, sources).await?;
                    StepSource::Layers {
                        lower: vec![dir],
                        upper: self.folder("upper")?,
                        work: self.folder("work")?,
                        path: if single {
                            format!("/{}", name.to_string_lossy())
                        } else {
                            "/".into()
                        },
                    }
                }
                What::Layers { mut dirs, path } => {
                    if dirs.is_empty() {
                        // An overlay needs something beneath.
                        dirs.push(self.folder("empty")?);
                    }
                    let (upper, work) = (self.folder("upper")?, self.folder("work")?);
                    StepSource::Layers { lower: dirs, upper, work, path }
                }
                What::Cache { id, mode, owner, seed, .. } => {
                    let Some((dir, _)) = caches.get(&id) else { return Err(BuildError::Cancelled) };
                    let data = dir.join("data");
                    if !data.is_dir() {
                        self.make_cache(&data, mode, owner, seed).await?;
                    }
                    StepSource::Path(data)
                }
                What::Tmpfs { size } => StepSource::Tmpfs { size },
                What::Secret { content, mode, owner } => StepSource::Secret {
                    content,
                    at: self.folder("secret")?,
                    mode,
                    uid: owner.uid,
                    gid: owner.gid,
                },
                What::Agent(socket) => StepSource::Path(socket),
            };
            ready.push(StepMount { target, read_only, source });
        }
        Ok((ready, caches.into_values().map(|(_, lock)| lock).collect()))
    }

    /// The folders of the caches, each once. They are locked in the order of
    /// their names, so that no two steps wait for each other.
    async fn cache_folders(
        &self,
        planned: &[Planned],
    ) -> Result<BTreeMap<String, (PathBuf, Lock)>, BuildError> {
        let mut wanted = BTreeMap::new();
        for it in planned {
            if let What::Cache { id, sharing, .. } = &it.what {
                wanted.insert(id.clone(), *sharing);
            }
        }
        let mut caches = BTreeMap::new();
        for (id, sharing) in wanted {
            let folder = self.cache_folder(&id, sharing).await?;
            caches.insert(id, folder);
        }
        Ok(caches)
    }

    /// The folder of a cache, and the lock that says that it is in use.
    async fn cache_folder(
        &self,
        id: &str,
        sharing: Sharing,
    ) -> Result<(PathBuf, Lock), BuildError> {
        let name = Digest::from_sha256(&Sha256::digest(id.as_bytes()).into()).short().to_owned();
        let root = self.cache_mounts.clone();
        self.blocking(move || {
            make_private_dir(&root)?;
            for copy in 0_u32.. {
                let dir = match copy {
                    0 => root.join(&name),
                    copy => root.join(format!("{name}.{copy}")),
                };
                make_private_dir(&dir)?;
                let path = dir.join("lock");
                let lock = match sharing {
                    Sharing::Shared => Some(Lock::shared(&path)?),
                    Sharing::Locked => Some(Lock::exclusive(&path)?),
                    Sharing::Private => Lock::try_exclusive(&path)?,
                };
                if let Some(lock) = lock {
                    return Ok((dir, lock));
                }
            }
            Err(BuildError::Cancelled)
        })
        .await
    }

    async fn make_cache(
        &self,
        data: &Path,
        mode: u32,
        owner: Owner,
        seed: Option<Seed>,
    ) -> Result<(), BuildError> {
        // Made beside it, so that no half-filled cache is ever used.
        let making = self.folder("cache")?;
        if let Some(Seed { tree, sources }) = seed {
            self.fill(making.clone(), tree, sources).await?;
        }
        let result = fs::set_permissions(&making, fs::Permissions::from_mode(mode))
            .and_then(|()| chown(&making, Some(owner.uid), Some(owner.gid)))
            .and_then(|()| fs::rename(&making, data));
        match result {
            // Another build was quicker.
            Err(_) if data.is_dir() => Ok(()),
            other => other.map_err(BuildError::io("make the cache", data)),
        }
    }

    /// Copies sources into an empty folder.
    async fn fill(
        &self,
        dir: PathBuf,
        tree: SharedTree,
        sources: Vec<Source>,
    ) -> Result<(), BuildError> {
        let interrupt: Interrupt = self.interrupt.clone();
        self.blocking(move || {
            let mut upper = Upper::new(dir.clone(), Layers::new(&[]), (0, 0));
            let to = Destination { owner: Some(Owner::ROOT), ..Destination::folder("/") };
            copy(&mut upper, &*tree, &sources, &to, &interrupt)
                .and_then(|()| upper.finish())
                .map_err(BuildError::io("copy files to", &dir))
        })
        .await
    }

    async fn found(
        &self,
        instruction: &Instruction,
        from: &From,
        mount: &RunMount,
        path: &str,
    ) -> Result<Vec<Source>, BuildError> {
        let span = mount.span;
        let word = Word { text: path.to_owned(), span };
        self.sources(instruction, from, vec![(word, path.to_owned())]).await
    }

    fn word(&self, state: &State, word: Option<&Word>) -> Result<Option<String>, BuildError> {
        word.map(|word| self.expand(state, word)).transpose()
    }

    /// Where something is mounted.
    fn target(
        &self,
        state: &State,
        instruction: &Instruction,
        word: Option<&Word>,
        usual: &str,
    ) -> Result<String, BuildError> {
        let written = self.word(state, word)?.unwrap_or_else(|| usual.to_owned());
        let target = absolute(state, &written);
        let taken = |root: &str| target == root || target.starts_with(&format!("{root}/"));
        if target == "/" || ["/proc", "/sys", "/dev"].into_iter().any(taken) {
            return Err(self.stuck(
                instruction,
                ErrorCode::Usage,
                format!("nothing can be mounted on {target}: choose a folder of the image"),
            ));
        }
        Ok(target)
    }

    /// Mode and owner of what a mount holds.
    fn access(
        &self,
        state: &State,
        instruction: &Instruction,
        mount: &RunMount,
        usual: u32,
    ) -> Result<(u32, Owner), BuildError> {
        let bad = |what: &str, text: &str, expected: &str| {
            let problem = format!("`{text}` is not {what}: expected {expected}");
            self.stuck(instruction, ErrorCode::Usage, problem)
        };
        let mode = match self.word(state, mount.mode.as_ref())? {
            None => usual,
            Some(text) => u32::from_str_radix(&text, 8)
                .ok()
                .filter(|mode| *mode <= 0o7777)
                .ok_or_else(|| bad("a mode", &text, "octal digits, e.g. 0755"))?,
        };
        let id = |word: Option<&Word>| match self.word(state, word)? {
            None => Ok(0),
            Some(text) => text.parse().map_err(|_| bad("an id", &text, "a number")),
        };
        Ok((mode, Owner { uid: id(mount.uid.as_ref())?, gid: id(mount.gid.as_ref())? }))
    }

    fn size(&self, instruction: &Instruction, text: &str) -> Result<u64, BuildError> {
        parse_size(text).map_err(|e| self.stuck(instruction, ErrorCode::Usage, e.to_string()))
    }
}

impl Mounts {
    fn add(&mut self, kind: &str, target: &str, facts: &impl serde::Serialize, what: Planned) {
        // Facts are plain values, which always have a text.
        let facts = serde_json::to_string(facts).unwrap_or_default();
        self.facts.push(format!("{kind} {target} {facts}"));
        self.planned.push(what);
    }
}
