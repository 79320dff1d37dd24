//! Carrying a plan out: each instruction changes the configuration, or makes
//! a layer by way of an overlay's upper folder, or is found in the cache.

mod base;
mod builder;
mod change;
mod chmod;
mod context;
mod copy;
mod document;
mod extract;
mod fetched;
mod git;
mod interrupt;
mod mounts;
mod parents;
mod run;
mod select;
mod settings;
mod shared;
mod state;
mod times;
mod transfer;
mod upper;
mod users;

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, atomic::AtomicU32},
};

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tandem_backend::StepRunner;
use tandem_home::Home;
use tandem_image::{Image, Store};
use tandem_model::ImageRef;
use tokio::sync::{OnceCell, Semaphore, watch};

use builder::Builder;
pub use change::{Commit, commit_document};
use interrupt::Interrupt;
use shared::{Shared, locked};
use state::State;

use crate::{
    BuildError, BuildEvent, BuildOptions, Built, DockerfileSource,
    cache::Cache,
    network::{PROXY_VARIABLES, host_certificates, host_proxies},
    parse::parse,
    plan::Plan,
    tree::{Context, Layers},
};

/// Builds an image and names it.
///
/// RUN steps go to `runner`. Dropping the future ends the build; nothing of
/// it stays but finished steps, which a later build finds in the cache. The
/// context is read while the build runs; a file that changes meanwhile is an
/// error rather than a wrong cache entry.
///
/// # Errors
/// See [`BuildError`]; each is one sentence that says what to do next.
pub async fn build(
    store: &Store,
    home: &Home,
    runner: &dyn StepRunner,
    options: &BuildOptions,
    events: &mut (dyn FnMut(BuildEvent) + Send),
) -> Result<Built, BuildError> {
    if !options.context.is_dir() {
        return Err(BuildError::NoContext { path: options.context.clone() });
    }
    std::fs::read_dir(&options.context).map_err(BuildError::context(&options.context))?;
    let (name, text) = context::dockerfile(options)?;
    let dockerfile = parse(&name, &text)?;
    let plan = Plan::new(
        &dockerfile,
        &options.build_args,
        &options.build_contexts,
        options.target.as_deref(),
        options.platform.as_ref(),
    )?;
    let ignore = context::ignore_file(&options.context, own_path(options).as_deref())?;
    let tree =
        Context::open(&options.context, ignore).map_err(BuildError::context(&options.context))?;
    for warning in &dockerfile.warnings {
        let (line, message) = (Some(warning.span.start.line), warning.message.clone());
        events(BuildEvent::Warning { line, message });
    }
    let interrupt = Interrupt::default();
    let _interrupt_on_drop = interrupt.on_drop();
    // Layers that no image names yet must not be collected meanwhile.
    let _lease = store.lease()?;
    let target = plan.target;
    let needed: Vec<usize> = (0..plan.stages.len()).filter(|at| plan.stages[*at].needed).collect();
    let shared = Shared {
        store,
        runner,
        options,
        events: Mutex::new(events),
        cache: Cache::open(home)?,
        context: Arc::new(tree),
        scratch: Arc::new(home.scratch("build")?),
        interrupt,
        images: Mutex::default(),
        done: plan.stages.iter().map(|_| watch::Sender::new(None)).collect(),
        late: plan.stages.iter().map(|_| OnceCell::new()).collect(),
        substitutions: Mutex::default(),
        steps: Mutex::default(),
        started: AtomicU32::new(0),
        total: AtomicU32::new(u32::try_from(plan.steps()).unwrap_or(u32::MAX)),
        rooms: AtomicU32::new(0),
        making: Mutex::default(),
        workers: Semaphore::new(workers()),
        epoch: epoch(options)?,
        proxies: proxies(options),
        certificates: options
            .corporate_network
            .then(host_certificates)
            .flatten()
            .map(|found| found.file),
        cache_mounts: home.cache().join("build/mounts"),
        dockerfile,
        plan,
    };
    // The first failure ends the others too.
    let mut stages: FuturesUnordered<_> =
        needed.into_iter().map(|at| Builder::new(&shared, at).stage()).collect();
    while let Some(finished) = stages.next().await {
        finished?;
    }
    drop(stages);
    let state = shared.done[target].send_replace(None).ok_or(BuildError::Cancelled)?;
    shared.warn_of_unused_arguments();
    let image = shared.store_image(state)?;
    shared.event(BuildEvent::Done { digest: image.digest.clone() });
    let mut steps = std::mem::take(&mut *locked(&shared.steps));
    steps.sort_by_key(|(stage, _)| *stage);
    let steps = steps.into_iter().map(|(_, report)| report).collect();
    let substitutions = std::mem::take(&mut *locked(&shared.substitutions));
    Ok(Built { image, substitutions, steps })
}

/// How many steps of independent stages are carried out at once.
fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, Into::into).max(4)
}

/// Copies everything in a tree into an empty folder, owners kept.
pub(crate) fn merge(tree: &Layers, to: &std::path::Path) -> std::io::Result<()> {
    let sources = select::select(tree, "/").map_err(std::io::Error::other)?;
    let mut upper = upper::Upper::new(to.to_owned(), Layers::new(&[]), (0, 0));
    let place = copy::Destination::folder("/");
    copy::copy(&mut upper, tree, &sources, &place, &Interrupt::default())?;
    upper.finish()
}

impl Shared<'_> {
    fn store_image(&self, mut state: State) -> Result<Image, BuildError> {
        if !self.options.labels.is_empty() {
            let labels = state.document.config.labels.get_or_insert_default();
            labels.extend(self.options.labels.clone());
        }
        let document = state.document.to_value(&state.layers).map_err(|e| {
            BuildError::Usage(format!("the image configuration cannot be written: {e}"))
        })?;
        let (first, others) = match self.options.tags.split_first() {
            Some((first, others)) => (first.clone(), others),
            None => (name_of_content("build", &document)?, &[][..]),
        };
        let image = self.store.put_image_document(&first, document, &state.layers)?;
        for other in others {
            self.store.tag(&first, other)?;
        }
        Ok(image)
    }

    fn warn_of_unused_arguments(&self) {
        use crate::parse::Kind;
        let declared: Vec<&str> = self
            .dockerfile
            .instructions
            .iter()
            .filter_map(
                |it| if let Kind::Arg(arguments) = &it.kind { Some(arguments) } else { None },
            )
            .flatten()
            .map(|argument| argument.name.text.as_str())
            .collect();
        let predefined = |name: &str| PROXY_VARIABLES.contains(&name) || name == EPOCH;
        let unused: Vec<String> = self
            .options
            .build_args
            .keys()
            .filter(|name| !declared.contains(&name.as_str()) && !predefined(name))
            .cloned()
            .collect();
        for name in unused {
            let message =
                format!("the build argument `{name}` is used by no ARG of the Dockerfile");
            self.event(BuildEvent::Warning { line: None, message });
        }
    }
}

/// Name of an image that nobody named: what made it, and its configuration's
/// digest.
///
/// # Errors
/// When `maker` is no part of a name.
pub fn name_of_content(maker: &str, document: &serde_json::Value) -> Result<ImageRef, BuildError> {
    use sha2::{Digest as _, Sha256};
    let digest = tandem_model::Digest::from_sha256(&Sha256::digest(document.to_string()).into());
    let name = format!("localhost/tandem/{maker}:{}", digest.short());
    name.parse().map_err(|e: tandem_model::ParseImageRefError| BuildError::Usage(e.to_string()))
}

fn own_path(options: &BuildOptions) -> Option<PathBuf> {
    match &options.dockerfile {
        DockerfileSource::InContext => Some(options.context.join("Dockerfile")),
        DockerfileSource::Path(path) => Some(path.clone()),
        DockerfileSource::Within(path) => Some(options.context.join(path)),
        DockerfileSource::Text(_) => None,
    }
}

/// Proxy settings for RUN: the person's build arguments before the host's.
fn proxies(options: &BuildOptions) -> Vec<(String, String)> {
    let host = if options.corporate_network { host_proxies() } else { Vec::new() };
    let given = options
        .build_args
        .iter()
        .filter(|(name, _)| PROXY_VARIABLES.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()));
    let merged: BTreeMap<String, String> = host.into_iter().chain(given).collect();
    merged.into_iter().collect()
}

const EPOCH: &str = "SOURCE_DATE_EPOCH";

/// `SOURCE_DATE_EPOCH`, from the build arguments or the environment.
fn epoch(options: &BuildOptions) -> Result<Option<i64>, BuildError> {
    let text = options.build_args.get(EPOCH).cloned().or_else(|| std::env::var(EPOCH).ok());
    text.filter(|text| !text.is_empty())
        .map(|text| {
            // What no date can name would be left out, and the next build differ.
            let seconds = text.parse().ok();
            let seconds = seconds.filter(|it| jiff::Timestamp::from_second(*it).is_ok());
            seconds.ok_or_else(|| {
                let text = format!(
                    "{EPOCH} is `{text}`: expected seconds since 1970, up to the year 9999"
                );
                BuildError::Usage(text)
            })
        })
        .transpose()
}
