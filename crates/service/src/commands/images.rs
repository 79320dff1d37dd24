use std::sync::{Arc, Mutex, PoisonError};

use tandem_app::{Errand, ImageDetail, ImageRow, Pulling, RemovedImage, RunWish};
use tandem_model::{Failure, ImageRef};

use crate::{call::Outlet, shell::Shell, work::while_ticking};

/// The local images.
pub(super) fn images(shell: &Shell) -> Result<Vec<ImageRow>, Failure> {
    shell.app()?.images(true).map_err(|e| e.to_failure())
}

/// Layers, history and settings of an image.
pub(super) async fn image_detail(shell: &Shell, name: String) -> Result<ImageDetail, Failure> {
    shell.app()?.image_detail(&name).await.map_err(|e| e.to_failure())
}

/// Gives an image a further name.
pub(super) fn tag_image(shell: &Shell, from: String, to: String) -> Result<(), Failure> {
    shell.app()?.tag_image(&from, &to).map_err(|e| e.to_failure())
}

/// Takes a name away from an image, and the image with its last.
pub(super) fn remove_image(shell: &Shell, name: String) -> Result<RemovedImage, Failure> {
    shell.app()?.remove_image(&name, false).map_err(|e| e.to_failure())
}

/// Removes what no image needs any more.
pub(super) fn prune_images(shell: &Shell) -> Result<RemovedImage, Failure> {
    shell.app()?.prune_images(false, &[]).map_err(|e| e.to_failure())
}

/// Fetches an image, and tells how far it has come, as [`Pulling`].
pub(super) async fn pull(shell: &Shell, name: String, progress: Outlet) -> Result<(), Failure> {
    let app = shell.app()?;
    let reference: ImageRef = name
        .trim()
        .parse()
        .map_err(|e| Failure::new(tandem_model::ErrorCode::Usage, format!("{e}")))?;
    let piece = shell.work().begin(Errand::Pull { reference: name.trim().to_owned() }, progress)?;
    let state = Arc::new(Mutex::new((Pulling::default(), false)));
    let told = Arc::clone(&state);
    let pulling = app.pull(&reference, None, move |event| {
        let mut state = told.lock().unwrap_or_else(PoisonError::into_inner);
        state.0.apply(&event);
        state.1 = true;
    });
    let pulled = piece.or_cancelled(pulling);
    let pulled = while_ticking(pulled, || {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::take(&mut state.1) {
            piece.tell(&state.0);
        }
    });
    let pulled = async { pulled.await.map(drop) };
    Box::pin(piece.carry(pulled)).await
}

/// Runs an image as it was filled in; the instance's name.
pub(super) async fn run_image(shell: &Shell, wish: RunWish) -> Result<String, Failure> {
    shell.reaped().await?;
    shell.app()?.run_wish(&wish).await.map_err(|e| e.to_failure())
}
