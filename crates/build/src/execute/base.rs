//! What a stage, or `COPY --from`, begins with.

use std::{
    future::Future,
    path::Path,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use tandem_image::{
    Image, ImageError, LayoutImage, Platform, PullOptions, RegistryError, load_layout, pull,
};
use tandem_model::{ErrorCode, ImageRef};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::{
    builder::Builder,
    document::Document,
    shared::{Ended, locked},
    state::State,
};
use crate::{
    BuildError, BuildEvent, ContextSource, Substitution,
    parse::{Instruction, Transfer, Word},
    plan::{Base, Stage},
};

impl Builder<'_> {
    /// The state that a stage begins with.
    pub(super) async fn base(&mut self, stage: &Stage) -> Result<State, BuildError> {
        let below = match &stage.base {
            // It may take a while, and this step has not begun.
            Base::Stage(at) => Some(self.finished(*at).await?),
            Base::Scratch | Base::Image(_) => None,
        };
        let started = self.begin(&stage.name, &stage.from);
        let state = match (&stage.base, below) {
            (Base::Image(written), _) => {
                let mut state = self.image(written, stage.platform.as_ref(), &stage.from).await?;
                if let Some(epoch) = self.epoch {
                    state.time = (epoch, 0);
                }
                state
            }
            (_, Some(below)) => below.child(),
            (_, None) => {
                let mut state = State::scratch();
                if let Some(platform) = &stage.platform {
                    state.document.set_platform(platform);
                }
                state
            }
        };
        self.finish(&stage.from, started, &Ended { cached: false, bytes: 0 });
        Ok(state)
    }

    /// Another stage, when it is finished.
    pub(super) async fn finished(&self, at: usize) -> Result<State, BuildError> {
        if !self.plan.stages[at].needed {
            self.late(at).await?;
        }
        let mut done = self.done[at].subscribe();
        let state = done.wait_for(Option::is_some).await.ok().and_then(|state| state.clone());
        state.ok_or(BuildError::Cancelled)
    }

    /// An image by the name in the Dockerfile: a named context, else the
    /// store, else a registry.
    pub(super) async fn image(
        &self,
        written: &str,
        platform: Option<&Platform>,
        instruction: &Instruction,
    ) -> Result<State, BuildError> {
        let key = (written.to_owned(), platform.map(ToString::to_string));
        let cell = Arc::clone(locked(&self.images).entry(key).or_default());
        cell.get_or_try_init(|| self.found_image(written, platform, instruction)).await.cloned()
    }

    async fn found_image(
        &self,
        written: &str,
        platform: Option<&Platform>,
        instruction: &Instruction,
    ) -> Result<State, BuildError> {
        let context = self.options.build_contexts.iter().find(|it| it.stands_for(written));
        let (reference, fetch) = match context.map(|context| &context.source) {
            Some(ContextSource::Dir(_)) => {
                return Box::pin(self.folder(written, platform, instruction)).await;
            }
            Some(ContextSource::Layout(folder, which)) => {
                self.substituted(written, folder.display().to_string());
                return self.layout(folder, which, instruction).await;
            }
            Some(ContextSource::Image(reference)) => {
                let reference = reference.clone();
                self.substituted(written, reference.to_string());
                (reference, false)
            }
            None => {
                let reference: ImageRef = written.parse().map_err(|e| {
                    self.stuck(
                        instruction,
                        ErrorCode::Syntax,
                        format!("`{written}` names no image: {e}"),
                    )
                })?;
                (reference, self.options.pull)
            }
        };
        let wanted = Wanted { written, reference: &reference, platform };
        let image = self.local_or_pulled(&wanted, fetch, instruction).await?;
        if image.reference != reference && image.reference.repository() == PASSING {
            // Its layers stay as long as this build has its lease.
            self.store.remove(&image.reference, true)?;
        }
        self.opened(&image).await
    }

    /// A folder of the host's as the only layer of an image: nothing else is
    /// known of it.
    async fn folder(
        &self,
        written: &str,
        platform: Option<&Platform>,
        instruction: &Instruction,
    ) -> Result<State, BuildError> {
        let from = Word { text: written.to_owned(), span: instruction.span };
        let all = Transfer::everything(from);
        let mut state = State::scratch();
        if let Some(platform) = platform {
            state.document.set_platform(platform);
        }
        // No stage is before the first: the name can mean the context only.
        self.transfer(0, &mut state, instruction, &all, "COPY").await?;
        Ok(state)
    }

    /// An image of a layout. It has no name in the store, and its layers stay
    /// for as long as this build.
    async fn layout(
        &self,
        folder: &Path,
        which: &LayoutImage,
        instruction: &Instruction,
    ) -> Result<State, BuildError> {
        let (store, folder, which) = (self.store.clone(), folder.to_owned(), which.clone());
        let interrupt = self.interrupt.clone();
        let loaded = self.blocking(move || {
            let stop = || interrupt.check().is_err();
            Ok(load_layout(&store, &folder, &which, &stop, &|_| ()))
        });
        let image = loaded.await?.map_err(|error| match error {
            ImageError::Archive(error) => self.stuck(instruction, error.code(), error.to_string()),
            other => other.into(),
        })?;
        let state = self.opened(&image).await;
        let gone = self.store.remove(&image.reference, true);
        gone?;
        state
    }

    pub(super) fn substituted(&self, from: &str, to: String) {
        let substitution = Substitution { from: from.to_owned(), to };
        let mut known = locked(&self.substitutions);
        if !known.contains(&substitution) {
            known.push(substitution.clone());
            drop(known);
            self.event(BuildEvent::Substituted(substitution));
        }
    }

    async fn local_or_pulled(
        &self,
        wanted: &Wanted<'_>,
        fetch: bool,
        instruction: &Instruction,
    ) -> Result<Image, BuildError> {
        let Wanted { written, reference, platform } = *wanted;
        let mut other = None;
        if !fetch || reference.registry() == "localhost" {
            match self.store.resolve(reference) {
                Ok(image) => match wanted.other_platform(&image) {
                    None => return Ok(image),
                    Some(found) if reference.registry() == "localhost" => {
                        return Err(self.stuck(instruction, ErrorCode::NotFound, format!(
                            "{reference} is here for {found} only, and it is a name for this machine only: make one for {}, or leave --platform out",
                            wanted.name_of_platform()
                        )));
                    }
                    found => other = found,
                },
                Err(ImageError::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let (lines, received) = unbounded_channel();
        let _ = lines.send(format!("pulling {reference}"));
        // What is here under the name stays: it is another machine's image.
        let name = if wanted.is_foreign() { Some(self.passing_name()?) } else { None };
        let options = PullOptions { platform: platform.cloned(), name, ..PullOptions::default() };
        let pulling = pull(self.store, reference, &options, move |progress| {
            if let Some(line) = progress.line() {
                let _ = lines.send(line);
            }
        });
        let reason = match self.narrated(pulling, received).await {
            Ok(image) => return Ok(image),
            Err(ImageError::NotFound { .. }) if written == reference.to_string() => {
                "names under localhost/ are never fetched".to_owned()
            }
            Err(ImageError::NotFound { .. }) => {
                format!("{reference}, which stands in for it, is not in the store")
            }
            Err(ImageError::Registry(error)) => match error {
                RegistryError::Unreachable { registry, reason } => {
                    format!("the registry {registry} cannot be reached ({reason})")
                }
                RegistryError::NotThere { registry, .. } => {
                    format!("the registry {registry} does not have it")
                }
                RegistryError::Denied { registry, reason, .. } => {
                    format!("the registry {registry} does not give it out ({reason})")
                }
                error => return Err(ImageError::from(error).into()),
            },
            Err(error) => return Err(error.into()),
        };
        if let Some(found) = other {
            return Err(self.stuck(instruction, ErrorCode::NotFound, format!(
                "{reference} is here for {found} only, and the one for {} cannot be fetched: {reason}",
                wanted.name_of_platform()
            )));
        }
        Err(BuildError::UnknownBase {
            place: self.place(instruction),
            base: written.to_owned(),
            reason,
        })
    }

    /// A name that no other build has, from the pull to the moment after it.
    /// Those of builds that were killed in that moment go now.
    fn passing_name(&self) -> Result<ImageRef, BuildError> {
        let of_passing = |it: ImageRef| (it.repository() == PASSING).then_some(it);
        for left in self.store.list(false)?.into_iter().filter_map(|row| of_passing(row.reference?))
        {
            let process = left.tag().and_then(|tag| tag.split('-').next());
            if process.is_some_and(|id| !Path::new("/proc").join(id).exists()) {
                self.store.remove(&left, true)?;
            }
        }
        let number = self.rooms.fetch_add(1, Relaxed);
        let name = format!("localhost/{PASSING}:{}-{number}", std::process::id());
        name.parse().map_err(|e: tandem_model::ParseImageRefError| BuildError::Usage(e.to_string()))
    }

    /// An image of the store, unpacked.
    async fn opened(&self, image: &Image) -> Result<State, BuildError> {
        let document: Document = serde_json::from_value(self.store.config_document(image)?)
            .map_err(|e| ImageError::Damaged {
                what: format!("the configuration of {}", image.reference),
                reason: e.to_string(),
            })?;
        let (lines, received) = unbounded_channel();
        let (store, unpacked) = (self.store.clone(), image.clone());
        let scratch = Arc::clone(&self.scratch);
        let work = tokio::task::spawn_blocking(move || {
            let dirs = store.layer_dirs(&unpacked, &|line| _ = lines.send(line.to_owned()));
            drop(scratch);
            dirs
        });
        let dirs = self.narrated(work, received).await.map_err(|_| BuildError::Cancelled)??;
        let created = image.created_at.map_or(0, jiff::Timestamp::as_second);
        Ok(State {
            document,
            layers: image.layers.clone(),
            chain: image.top_chain_id(),
            dirs,
            time: (created, 0),
            ..State::scratch()
        })
    }

    /// Waits for work and passes on what it says meanwhile.
    async fn narrated<T>(
        &self,
        work: impl Future<Output = T>,
        mut lines: UnboundedReceiver<String>,
    ) -> T {
        let mut work = std::pin::pin!(work);
        let result = loop {
            tokio::select! {
                biased;
                Some(line) = lines.recv() => self.progress(line),
                result = &mut work => break result,
            }
        };
        while let Ok(line) = lines.try_recv() {
            self.progress(line);
        }
        result
    }
}

/// Where bases for other machines are while they are pulled.
const PASSING: &str = "tandem/base";

/// A base image as it is asked for.
struct Wanted<'a> {
    /// What the Dockerfile says.
    written: &'a str,
    /// What that means, or what stands in for it.
    reference: &'a ImageRef,
    platform: Option<&'a Platform>,
}

impl Wanted<'_> {
    /// Whether another machine's is meant.
    fn is_foreign(&self) -> bool {
        self.platform.is_some_and(|it| !Platform::default().accepts(it))
    }

    /// What an image is for, when that is not what is asked for.
    fn other_platform(&self, image: &Image) -> Option<Platform> {
        let wanted = self.platform?;
        image.platform().filter(|found| !wanted.accepts(found))
    }

    fn name_of_platform(&self) -> String {
        self.platform.cloned().unwrap_or_default().to_string()
    }
}
