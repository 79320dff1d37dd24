//! What has to be there for the mounts of a step.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{PermissionsExt as _, chown},
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};
use tandem_backend::{StepMount, StepSource};
use tandem_home::{Lock, make_private_dir};
use tandem_image::has_single_id;
use tandem_model::Digest;

use super::{
    super::{
        builder::Builder,
        copy::{Destination, copy},
        interrupt::Interrupt,
        select::Source,
        upper::Upper,
        users::Owner,
    },
    Mounts, Planned, Seed, SharedTree, What,
};
use crate::{BuildError, parse::Sharing, tree::Layers};

impl Builder<'_> {
    /// Makes what has to be there for the mounts; the locks are to be held
    /// until the step has ended.
    pub(in crate::execute) async fn prepare_mounts(
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
            .and_then(|()| {
                // Alone there is nobody to give it to.
                let alone = has_single_id();
                if alone { Ok(()) } else { chown(&making, Some(owner.uid), Some(owner.gid)) }
            })
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
}
