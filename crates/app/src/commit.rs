use std::path::PathBuf;

use tandem_backend::{BackendError, Held, hold};
use tandem_build::{Commit, commit_document, name_of_content};
use tandem_container::{Change, changes, tidy_changes, upper_of};
use tandem_image::{Image, Layer, copy_tree_until};
use tandem_model::{ErrorCode, Failure, ImageRef, InstanceRecord};

use crate::{App, AppError, work::blocking};

/// An image to be made of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitRequest {
    /// The instance.
    pub instance: String,
    /// What to call the image; without it, as a build without a name does.
    pub name: Option<ImageRef>,
    /// Who made it, for its configuration and its history.
    pub author: Option<String>,
    /// A note for its history.
    pub message: Option<String>,
    /// Instructions that change its configuration.
    pub changes: Vec<String>,
    /// Hold a running instance still while its files are copied.
    pub pause: bool,
}

impl App {
    /// What an instance changed of its image's files, by path.
    pub fn diff(&self, instance: &str) -> Result<Vec<Change>, AppError> {
        let record = self.instances.find(instance)?;
        Ok(changes(&self.home, &record)?)
    }

    /// Makes an image of an instance: its image's layers, and one of what it
    /// changed. Volumes are no part of it. Dropping the future ends the work
    /// and leaves nothing of it.
    pub async fn commit(&self, request: &CommitRequest) -> Result<Image, AppError> {
        let record = self.instances.find(&request.instance)?;
        let upper = upper_of(&self.home, &record)?;
        let base = self.images.find(&record.spec.digest.to_string())?;
        let document = self.images.config_document(&base)?;
        let mut commit = settings(&record, &base);
        commit.message.clone_from(&request.message);
        commit.author.clone_from(&request.author);
        commit.changes.clone_from(&request.changes);
        // A mistake in the changes is told before anything is done.
        commit_document(&document, &base.layers, &commit)?;
        let _lease = self.images.lease()?;
        let scratch = self.home.scratch("commit")?;
        let copy = scratch.path().join("upper");
        let held =
            if request.pause { self.held(&record).await.map_err(or_as_it_runs)? } else { None };
        copied(upper, copy.clone()).await?;
        drop(held);
        tidy_changes(&self.home, &record, &copy)?;
        let (images, packed) = (self.images.clone(), copy.clone());
        let layer =
            blocking("packing the layer", move |stop| Ok(images.pack_layer_dir(&packed, stop)?))
                .await?;
        // From here on nobody can have given up: who did gets no layer.
        let layer = self.images.adopt_layer_dir(&copy, layer, base.top_chain_id().as_ref())?;
        let mut layers = base.layers.clone();
        layers.push(Layer::from(layer));
        let document = commit_document(&document, &layers, &commit)?;
        let name = match &request.name {
            Some(name) => name.clone(),
            None => name_of_content("commit", &document)?,
        };
        Ok(self.images.put_image_document(&name, document, &layers)?)
    }

    /// Holds a running instance still; `None` when it does not run.
    pub(crate) async fn held(&self, record: &InstanceRecord) -> Result<Option<Held>, AppError> {
        if !record.state.is_up() {
            return Ok(None);
        }
        Ok(hold(&self.instances.dir(&record.id)).await?)
    }
}

/// What else can be done where an instance cannot be held still.
fn or_as_it_runs(error: AppError) -> AppError {
    if error.code() != ErrorCode::Unavailable {
        return error;
    }
    let text = format!("{error}, or commit it as it runs with --pause=false");
    Failure::new(ErrorCode::Unavailable, text).into()
}

/// Copies a folder; one that is not there counts as empty. Dropping the future
/// ends the work.
pub(crate) async fn copied(from: PathBuf, to: PathBuf) -> Result<(), AppError> {
    if !from.is_dir() {
        return std::fs::create_dir(&to).map_err(|e| AppError::io("make", to, e));
    }
    blocking("copying files", move |stop| {
        let copy = copy_tree_until(&from, &to, None, stop);
        copy.map(drop).map_err(|e| BackendError::io("copy", from, e).into())
    })
    .await
}

/// What the instance was started with.
fn settings(record: &InstanceRecord, base: &Image) -> Commit {
    let spec = &record.spec;
    let config = base.config.config().clone().unwrap_or_default();
    let entrypoint = config.entrypoint().clone().unwrap_or_default();
    let cmd = config.cmd().clone().unwrap_or_default();
    let own = [entrypoint.clone(), cmd].concat() == spec.args;
    let (entrypoint, cmd) = match spec.args.strip_prefix(entrypoint.as_slice()) {
        _ if own => (None, None),
        Some(rest) if !entrypoint.is_empty() => (Some(entrypoint), Some(rest.to_vec())),
        _ => (None, Some(spec.args.clone())),
    };
    Commit {
        message: None,
        author: None,
        entrypoint,
        cmd,
        env: spec.env.clone(),
        cwd: spec.cwd.clone(),
        user: spec.user.clone(),
        labels: spec.labels.clone(),
        changes: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_paused_can_be_committed_as_it_runs() {
        let failed = |code| AppError::from(Failure::new(code, "pausing is not available"));
        let told = or_as_it_runs(failed(ErrorCode::Unavailable));
        assert!(told.to_string().ends_with("--pause=false"), "{told}");
        let told = or_as_it_runs(failed(ErrorCode::Internal));
        assert_eq!(told.to_string(), "pausing is not available");
    }
}
