use std::{
    path::Path,
    sync::{Arc, Weak},
};

use async_trait::async_trait;
use tandem_backend::BackendError;
use tandem_build::{BuildEvent, BuildOptions};
use tandem_vm::{SYSTEM, SystemBuilder};

use crate::{App, AppError, Cancel};

/// Builds the operating system of `full` machines with the builder that makes
/// every other image. It belongs to the application that it builds with.
pub(crate) struct Systems(pub(crate) Weak<App>);

impl Systems {
    fn app(&self) -> Result<Arc<App>, BackendError> {
        let gone = "the application is at its end";
        self.0.upgrade().ok_or_else(|| BackendError::engine("building the system", gone))
    }
}

#[async_trait]
impl SystemBuilder for Systems {
    async fn build(
        &self,
        recipe: &Path,
        label: (&str, &str),
        progress: &mut (dyn for<'l> FnMut(&'l str) + Send),
    ) -> Result<(), BackendError> {
        let app = self.app()?;
        let tag = SYSTEM.parse().map_err(|e| BackendError::engine("naming the system", e))?;
        let options = BuildOptions {
            context: recipe.to_owned(),
            tags: vec![tag],
            labels: [(label.0.to_owned(), label.1.to_owned())].into(),
            corporate_network: true,
            ..BuildOptions::default()
        };
        // One hears of what is done, not of what was done before.
        let (sender, mut lines) = tokio::sync::mpsc::unbounded_channel::<String>();
        let (notices, events) = (sender.clone(), sender);
        let mut notice = |kind: &str, text: &str| {
            if kind == "bootstrap" {
                let _ = notices.send(text.to_owned());
            }
        };
        let mut begun = None;
        let mut event = |event: BuildEvent| match event {
            BuildEvent::StepStarted { instruction, index, total, .. } => {
                let text = instruction.lines().next().unwrap_or_default().to_owned();
                begun = Some(format!("the operating system, step {index} of {total}: {text}"));
            }
            BuildEvent::StepCached { .. } => begun = None,
            _ => {
                if let Some(line) = begun.take() {
                    let _ = events.send(line);
                }
            }
        };
        let cancel = Cancel::default();
        let building = app.build_with_stand_in(options, &mut notice, &mut event, &cancel);
        tokio::pin!(building);
        let built = loop {
            tokio::select! {
                built = &mut building => break built,
                Some(line) = lines.recv() => progress(&line),
            }
        };
        built.map(drop).map_err(|e| match e {
            AppError::Backend(e) => e,
            other => BackendError::Reported(other.to_failure()),
        })
    }
}
