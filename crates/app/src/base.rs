//! Base images from Debian packages, for machines without a registry in reach.

use std::{
    env,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tandem_backend::BackendError;
use tandem_image::bootstrap::{BaseKind, bootstrap_name, bootstrap_until};
use tandem_model::{Capability, ImageRef};
use tokio::sync::mpsc;

use crate::{App, AppError};

/// Which base of our own can stand in for a base image, if any does.
pub(crate) fn stand_in(wanted: &ImageRef) -> Option<BaseKind> {
    match wanted.repository().strip_prefix("library/")? {
        "python" => Some(BaseKind::Python),
        "debian" => Some(BaseKind::Debian),
        _ => None,
    }
}

pub(crate) fn capability() -> Capability {
    let found = env::var_os("PATH").is_some_and(|path| {
        env::split_paths(&path).any(|dir: PathBuf| dir.join("mmdebstrap").is_file())
    });
    if found {
        Capability::ok("bootstrap", "mmdebstrap is installed: base images can be made here")
    } else {
        Capability::missing(
            "bootstrap",
            "mmdebstrap is not installed: base images must come from a registry",
            Some("sudo apt-get install mmdebstrap"),
        )
    }
}

impl App {
    /// Makes a base image from Debian packages and returns its name. `line`
    /// gets the tool's output. Dropping the future ends the work.
    pub async fn bootstrap(
        &self,
        kind: BaseKind,
        line: &mut (dyn FnMut(&str) + Send),
    ) -> Result<ImageRef, AppError> {
        let store = self.images.clone();
        let (sender, mut lines) = mpsc::unbounded_channel();
        let wanted = Arc::new(AtomicBool::new(true));
        let _guard = Withdraw(wanted.clone());
        let work = tokio::task::spawn_blocking(move || {
            let mut send = |text: &str| drop(sender.send(text.to_owned()));
            bootstrap_until(&store, kind, &mut send, &|| !wanted.load(Ordering::Relaxed))
        });
        while let Some(text) = lines.recv().await {
            line(&text);
        }
        match work.await {
            Ok(image) => Ok(image?.reference),
            Err(e) => Err(BackendError::engine("making the base image", e).into()),
        }
    }

    /// The name of the base of this kind: the one that this machine makes, or
    /// one that another machine made, when only that is here.
    pub(crate) fn base_name(&self, kind: BaseKind) -> ImageRef {
        self.base_here(kind).unwrap_or_else(|| bootstrap_name(kind))
    }

    /// The base of this kind that is here.
    pub(crate) fn base_here(&self, kind: BaseKind) -> Option<ImageRef> {
        let own = bootstrap_name(kind);
        if self.images.resolve(&own).is_ok() {
            return Some(own);
        }
        let same = |name: &ImageRef| {
            name.registry() == own.registry() && name.repository() == own.repository()
        };
        let all = self.images.list(false).unwrap_or_default();
        let others = all.into_iter().filter_map(|it| Some((it.created_at, it.reference?)));
        others.filter(|(_, name)| same(name)).max().map(|(_, name)| name)
    }

    /// The base of this kind, made when it is not there yet.
    pub(crate) async fn ensure_base(
        &self,
        kind: BaseKind,
        line: &mut (dyn FnMut(&str) + Send),
    ) -> Result<ImageRef, AppError> {
        match self.base_here(kind) {
            Some(name) => Ok(name),
            None => self.bootstrap(kind, line).await,
        }
    }
}

/// Tells the work on another thread that nobody waits for it any more.
struct Withdraw(Arc<AtomicBool>);

impl Drop for Withdraw {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}
