//! Pulling: manifest, configuration, layers; unpacked while they arrive.

use std::{collections::BTreeMap, sync::Arc};

use oci_spec::image::{Descriptor, ImageConfiguration, ImageManifest, MediaType};
use tandem_model::{Digest, ImageRef};
use tokio::{sync::Semaphore, task::JoinSet};

use super::{
    Access, Notice, RegistryError, Transfer,
    blob::{self, Wanted},
    manifest,
    source::Source,
    unpacking::Unpacking,
};
use crate::{
    Image, ImageError, Layer, Platform, Store,
    store::{layers_of, parse_manifest},
};

/// What to pull, and as whom.
#[derive(Debug, Clone)]
pub struct PullOptions {
    /// Which image of a list; `None` for this machine's.
    pub platform: Option<Platform>,
    /// As whom.
    pub access: Access,
    /// Unpack the layers while they arrive.
    pub unpack: bool,
    /// What the store calls it, in place of the reference.
    pub name: Option<ImageRef>,
}

impl Default for PullOptions {
    fn default() -> Self {
        Self { platform: None, access: Access::User, unpack: true, name: None }
    }
}

/// Blobs at once.
const AT_ONCE: usize = 4;

/// Pulls an image into the store.
///
/// Mirrors are asked first (`registries.json` of the home). What arrived
/// before a cut, in this process or in an earlier one, is not fetched again.
/// The host's certificates and proxy settings apply.
///
/// Dropping the future stops the pull; nothing half-written stays visible.
///
/// # Errors
/// [`RegistryError`]: one for each thing that somebody can mend. A name under
/// plain `localhost/` is never looked for on the network:
/// [`ImageError::NotFound`].
pub async fn pull(
    store: &Store,
    reference: &ImageRef,
    options: &PullOptions,
    on_progress: impl Fn(Transfer) + Send + Sync + 'static,
) -> Result<Image, ImageError> {
    if reference.registry() == "localhost" {
        return Err(ImageError::NotFound { name: reference.to_string() });
    }
    let _lease = store.lease()?;
    store.sweep_downloads(false);
    store.settle()?;
    let notice: Notice = Arc::new(on_progress);
    let access = options.access.clone();
    let source = Source::new(store.home(), reference, access, true, Arc::clone(&notice))?;
    let pulling = Pulling {
        store: store.clone(),
        reference: reference.clone(),
        name: options.name.clone().unwrap_or_else(|| reference.clone()),
        source: Arc::new(source),
        notice,
    };
    match Box::pin(pulling.run(options)).await {
        Err(error) if error.is_no_space() => Err(pulling.disk_full(error)),
        result => result,
    }
}

struct Pulling {
    store: Store,
    reference: ImageRef,
    name: ImageRef,
    source: Arc<Source>,
    notice: Notice,
}

impl Pulling {
    async fn run(&self, options: &PullOptions) -> Result<Image, ImageError> {
        let platform = options.platform.clone().unwrap_or_default();
        let (bytes, media_type) = self.manifest(&platform).await?;
        let document = parse_manifest(&bytes).map_err(|reason| self.bad(&reason))?;
        let blobs = self.blobs(&document)?;
        self.plan(&document, &blobs)?;
        let mut running = self.fetch_all(&document, &blobs)?;
        let config = self.config(&document, &blobs, &mut running).await;
        let config = config.and_then(|it| self.check_platform(&it, options).map(|()| it));
        if config.is_err() {
            // Ended, not only told to end: what they hold is put away here.
            running.shutdown().await;
        }
        let config = config?;
        let config_digest = digest_of(document.config()).ok_or_else(|| self.bad("no digest"))?;
        let layers = layers_of(&document, &config, &config_digest)?;
        let unpacking = if options.unpack {
            let layers = layers.into_iter().filter_map(|layer: Layer| {
                let growing = Arc::clone(&blobs.get(&layer.digest)?.growing);
                Some((layer, growing))
            });
            Some(Unpacking::start(&self.store, layers.collect(), Arc::clone(&self.notice))?)
        } else {
            None
        };
        let fetched = join(&mut running, &blobs).await;
        drop(running);
        fetched?;
        self.finish(unpacking, bytes, media_type).await
    }

    async fn manifest(&self, platform: &Platform) -> Result<(Vec<u8>, MediaType), ImageError> {
        let mut at = self.source.first();
        loop {
            let fetched = match self.source.endpoint(at).await {
                Ok(endpoint) => manifest::fetch(endpoint, &self.reference, platform).await,
                Err(error) => Err(error.into()),
            };
            match fetched {
                Ok(found) => return Ok(found),
                Err(error) => at = self.source.after(at, error)?,
            }
        }
    }

    /// The blobs that the image needs, each once.
    fn blobs(&self, document: &ImageManifest) -> Result<BTreeMap<Digest, Wanted>, ImageError> {
        let all = std::iter::once(document.config()).chain(document.layers());
        all.map(|descriptor| {
            let wanted = Wanted::of(&self.store, descriptor)
                .ok_or_else(|| self.bad(&format!("{} is no sha256 digest", descriptor.digest())))?;
            Ok((wanted.digest.clone(), wanted))
        })
        .collect()
    }

    /// Says what has to travel, and refuses when there is no room for it.
    fn plan(
        &self,
        document: &ImageManifest,
        blobs: &BTreeMap<Digest, Wanted>,
    ) -> Result<(), ImageError> {
        let missing = blobs.values().filter(|it| !self.store.has_whole_blob(&it.digest, it.size));
        let needed: u64 = missing.map(|it| it.size).fold(0, u64::saturating_add);
        (self.notice)(Transfer::Planned {
            layers: document.layers().iter().filter_map(digest_of).collect(),
            bytes: needed,
        });
        let free = self.free_bytes();
        if free.is_some_and(|free| free < needed) {
            return Err(self.too_full(needed));
        }
        Ok(())
    }

    /// Fetches blobs, some at once, bottom layer first.
    fn fetch_all(
        &self,
        document: &ImageManifest,
        blobs: &BTreeMap<Digest, Wanted>,
    ) -> Result<JoinSet<Result<(), ImageError>>, ImageError> {
        let free = Arc::new(Semaphore::new(AT_ONCE));
        let mut running = JoinSet::new();
        let mut begun = std::collections::BTreeSet::new();
        for descriptor in std::iter::once(document.config()).chain(document.layers()) {
            let wanted = digest_of(descriptor).and_then(|digest| blobs.get(&digest));
            let wanted = wanted.ok_or_else(|| self.bad("a descriptor has no digest"))?.clone();
            if !begun.insert(wanted.digest.clone()) {
                continue;
            }
            let (source, store) = (Arc::clone(&self.source), self.store.clone());
            let (reference, free) = (self.reference.clone(), Arc::clone(&free));
            running.spawn(async move {
                let _turn = free.acquire_owned().await;
                let mut at = source.first();
                loop {
                    let fetched = match source.endpoint(at).await {
                        Ok(endpoint) => blob::fetch(&store, endpoint, &reference, &wanted).await,
                        Err(error) => Err(error.into()),
                    };
                    match fetched {
                        Ok(()) => return Ok(()),
                        Err(error) => at = source.after(at, error)?,
                    }
                }
            });
        }
        Ok(running)
    }

    /// The configuration, as soon as it is there.
    async fn config(
        &self,
        document: &ImageManifest,
        blobs: &BTreeMap<Digest, Wanted>,
        running: &mut JoinSet<Result<(), ImageError>>,
    ) -> Result<ImageConfiguration, ImageError> {
        let wanted = digest_of(document.config()).and_then(|digest| blobs.get(&digest));
        let wanted = wanted.ok_or_else(|| self.bad("the configuration has no digest"))?;
        while !self.store.has_whole_blob(&wanted.digest, wanted.size) {
            match running.join_next().await {
                Some(ended) => ended_well(ended)?,
                None => return Err(self.bad("the configuration did not come")),
            }
        }
        let bytes = self.store.read_blob(&wanted.digest)?;
        serde_json::from_slice(&bytes)
            .map_err(|e| self.bad(&format!("the configuration is not readable: {e}")))
    }

    /// An image without a list says only here what it is for.
    fn check_platform(
        &self,
        config: &ImageConfiguration,
        options: &PullOptions,
    ) -> Result<(), ImageError> {
        let wanted = options.platform.clone().unwrap_or_default();
        let found = Platform::of_config(config);
        // Images made by hand may leave it empty.
        if found.is_unknown() || wanted.fit(&found).is_some() {
            return Ok(());
        }
        Err(RegistryError::Platform {
            reference: self.reference.to_string(),
            wanted: wanted.to_string(),
            available: vec![found.to_string()],
        }
        .into())
    }

    async fn finish(
        &self,
        unpacking: Option<Unpacking>,
        bytes: Vec<u8>,
        media_type: MediaType,
    ) -> Result<Image, ImageError> {
        let unpacked = match unpacking {
            Some(unpacking) => Some(unpacking.end().await?),
            None => None,
        };
        let (store, name) = (self.store.clone(), self.name.clone());
        let work = tokio::task::spawn_blocking(move || {
            if let Some(unpacked) = unpacked {
                unpacked.install()?;
            }
            store.put_manifest(&name, &bytes, media_type)
        });
        work.await.unwrap_or_else(|_| Err(self.bad("the work was given up")))
    }

    /// What arrived is given up: its room is needed more.
    fn disk_full(&self, error: ImageError) -> ImageError {
        if let ImageError::Registry(RegistryError::DiskFull { .. }) = error {
            return error;
        }
        let full = self.too_full(0);
        self.store.sweep_downloads(true);
        full
    }

    fn too_full(&self, needed: u64) -> ImageError {
        let free = self.free_bytes().unwrap_or(0);
        let needed_mib = (needed.saturating_sub(free) >> 20) + 1;
        RegistryError::DiskFull {
            reference: self.reference.to_string(),
            needed_mib,
            free_mib: free >> 20,
            path: self.store.home().root().to_owned(),
        }
        .into()
    }

    fn free_bytes(&self) -> Option<u64> {
        let found = rustix::fs::statvfs(self.store.home().root()).ok()?;
        Some(found.f_bavail.saturating_mul(found.f_frsize))
    }

    fn bad(&self, reason: &str) -> ImageError {
        let registry = self.reference.registry().to_owned();
        RegistryError::Answer { registry, reason: reason.to_owned() }.into()
    }
}

fn digest_of(descriptor: &Descriptor) -> Option<Digest> {
    descriptor.digest().to_string().parse().ok()
}

/// Waits for all; the first failure stops the others, and whoever reads what
/// they fetch.
async fn join(
    running: &mut JoinSet<Result<(), ImageError>>,
    blobs: &BTreeMap<Digest, Wanted>,
) -> Result<(), ImageError> {
    while let Some(ended) = running.join_next().await {
        if let Err(error) = ended_well(ended) {
            for wanted in blobs.values() {
                wanted.growing.give_up();
            }
            running.shutdown().await;
            return Err(error);
        }
    }
    Ok(())
}

fn ended_well(
    ended: Result<Result<(), ImageError>, tokio::task::JoinError>,
) -> Result<(), ImageError> {
    ended.unwrap_or_else(|e| Err(ImageError::damaged("the download", e)))
}
