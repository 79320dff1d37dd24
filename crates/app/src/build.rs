use std::path::Path;

use tandem_backend::BackendError;
use tandem_build::{
    BuildContext, BuildError, BuildEvent, BuildOptions, Built, ContextSource, build,
};
use tandem_container::StepEngine;

use crate::{App, AppError, Cancel, base::stand_in};

impl App {
    /// Builds an image. Dropping the future, or cancelling, ends the step that
    /// runs and leaves nothing behind.
    pub async fn build(
        &self,
        options: &BuildOptions,
        events: &mut (dyn FnMut(BuildEvent) + Send),
        cancel: &Cancel,
    ) -> Result<Built, AppError> {
        let runner = StepEngine::new(self.program.clone());
        tokio::select! {
            built = build(&self.images, &self.home, &runner, options, events) => Ok(built?),
            () = cancel.cancelled() => Err(BackendError::Cancelled.into()),
        }
    }

    /// Builds an image; when its base image is neither here nor in reach of
    /// the network, makes one from Debian packages and builds on that. The
    /// substitution is told through `notice` and stands in the outcome.
    pub(crate) async fn build_with_stand_in(
        &self,
        mut options: BuildOptions,
        notice: &mut (dyn FnMut(&str, &str) + Send),
        events: &mut (dyn FnMut(BuildEvent) + Send),
        cancel: &Cancel,
    ) -> Result<Built, AppError> {
        loop {
            let (base, failure) = match self.build(&options, events, cancel).await {
                Err(AppError::Build(e @ BuildError::UnknownBase { .. })) => match &e {
                    BuildError::UnknownBase { base, .. } => (base.clone(), e),
                    _ => return Err(e.into()),
                },
                other => return other,
            };
            let known = |context: &BuildContext| context.stands_for(&base);
            let kind = base.parse().ok().as_ref().and_then(stand_in);
            let Some(kind) = kind.filter(|_| !options.build_contexts.iter().any(known)) else {
                return Err(failure.into());
            };
            notice(
                "bootstrap",
                &format!("{base} cannot be fetched: a base made from Debian packages stands in"),
            );
            let mut line = |text: &str| notice("bootstrap-log", text);
            let made = tokio::select! {
                made = self.ensure_base(kind, &mut line) => made?,
                () = cancel.cancelled() => return Err(BackendError::Cancelled.into()),
            };
            notice("bootstrap", &format!("{made} stands in for {base}"));
            let source = ContextSource::Image(made);
            options.build_contexts.push(BuildContext { name: base, source });
        }
    }
}

/// Whether a folder holds something to build.
pub(crate) fn has_dockerfile(dir: &Path) -> bool {
    dir.join("Dockerfile").is_file()
}
