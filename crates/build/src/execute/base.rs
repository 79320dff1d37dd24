//! What a stage, or `COPY --from`, begins with.

use std::future::Future;

use tandem_image::{Image, ImageError, PullOptions, RegistryError, pull};
use tandem_model::{ErrorCode, ImageRef};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::{builder::Builder, document::Document, state::State};
use crate::{
    BuildError, BuildEvent, ContextSource, Substitution,
    parse::Instruction,
    plan::{Base, Stage},
};

impl Builder<'_> {
    /// The state that a stage begins with.
    pub(super) async fn base(&mut self, stage: &Stage) -> Result<State, BuildError> {
        match &stage.base {
            Base::Scratch => Ok(State::scratch()),
            Base::Stage(at) => self.finished(*at, &stage.from).map(State::child),
            Base::Image(written) => {
                let mut state = self.image(written, &stage.from).await?;
                if let Some(epoch) = self.epoch {
                    state.time = (epoch, 0);
                }
                Ok(state)
            }
        }
    }

    /// A stage that was built before.
    pub(super) fn finished(
        &self,
        at: usize,
        instruction: &Instruction,
    ) -> Result<&State, BuildError> {
        self.done[at].as_ref().ok_or_else(|| {
            // Only an ONBUILD trigger can name a stage that the plan left out.
            let name = &self.plan.stages[at].name;
            self.stuck(
                instruction,
                ErrorCode::Usage,
                format!("stage {name} was not built for this target"),
            )
        })
    }

    /// An image by the name in the Dockerfile: a named context, else the
    /// store, else a registry.
    pub(super) async fn image(
        &mut self,
        written: &str,
        instruction: &Instruction,
    ) -> Result<State, BuildError> {
        if let Some(state) = self.images.get(written) {
            return Ok(state.clone());
        }
        let context = self.options.build_contexts.iter().find(|it| it.stands_for(written));
        let (reference, fetch) = match context.map(|context| &context.source) {
            Some(ContextSource::Dir(_)) => {
                return Err(self.stuck(instruction, ErrorCode::Usage, format!(
                    "the build context `{written}` is a folder, and a stage cannot begin with one: give an image, --build-context {written}=docker-image://IMAGE"
                )));
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
        let image = self.local_or_pulled(written, &reference, fetch, instruction).await?;
        let state = self.opened(&image).await?;
        self.images.insert(written.to_owned(), state.clone());
        Ok(state)
    }

    pub(super) fn substituted(&mut self, from: &str, to: String) {
        let substitution = Substitution { from: from.to_owned(), to };
        if !self.substitutions.contains(&substitution) {
            (self.events)(BuildEvent::Substituted(substitution.clone()));
            self.substitutions.push(substitution);
        }
    }

    async fn local_or_pulled(
        &mut self,
        written: &str,
        reference: &ImageRef,
        fetch: bool,
        instruction: &Instruction,
    ) -> Result<Image, BuildError> {
        if !fetch {
            match self.store.resolve(reference) {
                Ok(image) => return Ok(image),
                Err(ImageError::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let (lines, received) = unbounded_channel();
        let _ = lines.send(format!("pulling {reference}"));
        let options = PullOptions::default();
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
        Err(BuildError::UnknownBase {
            place: self.place(instruction),
            base: written.to_owned(),
            reason,
        })
    }

    /// An image of the store, unpacked.
    async fn opened(&mut self, image: &Image) -> Result<State, BuildError> {
        let document: Document = serde_json::from_value(self.store.config_document(image)?)
            .map_err(|e| ImageError::Damaged {
                what: format!("the configuration of {}", image.reference),
                reason: e.to_string(),
            })?;
        let (lines, received) = unbounded_channel();
        let (store, unpacked) = (self.store.clone(), image.clone());
        let scratch = std::sync::Arc::clone(&self.scratch);
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
        &mut self,
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
