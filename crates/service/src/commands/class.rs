use std::sync::{Arc, Mutex, PoisonError};

use tandem_app::{
    BundleEvent, BundleReport, BundleRequest, Bundling, ClassFormat, ClassView, ClassWish, Errand,
    FoundBundle, Theme, export_class, new_path, whole_path, wished_class,
};
use tandem_model::{ErrorCode, Failure};

use super::results::write_new;
use crate::{
    call::Outlet,
    shell::Shell,
    work::{Piece, while_ticking},
};

/// A class's results, with a metric drawn.
pub(super) fn view_class(wish: &ClassWish, width: u32, theme: Theme) -> Result<ClassView, Failure> {
    tandem_app::view_class(wish, width.clamp(320, 4000), theme).map_err(|e| e.to_failure())
}

/// Writes a class's results to a new file: what the experiments are about.
pub(super) fn export_class_results(
    wish: &ClassWish,
    format: ClassFormat,
    file: &str,
) -> Result<(), Failure> {
    let text = wished_class(wish).and_then(|class| export_class(&class, false, format));
    write_new(file, text.map_err(|e| e.to_failure())?.as_bytes())
}

/// Makes a bundle for a class as a new file, and tells how far it has come, as
/// [`Bundling`].
pub(super) async fn create_bundle(
    shell: &Shell,
    request: BundleRequest,
    file: String,
    progress: Outlet,
) -> Result<BundleReport, Failure> {
    let path = new_path(&file).map_err(|e| e.to_failure())?;
    shell.reaped().await?;
    let app = shell.app()?;
    let errand = Errand::CreateBundle { request: request.clone(), file };
    let piece = shell.work().begin(errand, progress)?;
    let _working = shell.working().await;
    let (told, tell) = teller();
    let making = piece.or_cancelled(app.create_bundle(&request, &path, tell, piece.wish()));
    Box::pin(piece.carry(while_ticking(making, || told.send(&piece)))).await
}

/// Bundles on sticks and among the downloads.
pub(super) async fn found_bundles() -> Result<Vec<FoundBundle>, Failure> {
    let looking = tokio::task::spawn_blocking(tandem_app::found_bundles);
    looking.await.map_err(|e| Failure::new(ErrorCode::Internal, e.to_string()))
}

/// Takes a bundle over, and tells how far it has come, as [`Bundling`].
pub(super) async fn open_bundle(
    shell: &Shell,
    file: String,
    progress: Outlet,
) -> Result<BundleReport, Failure> {
    shell.reaped().await?;
    let app = shell.app()?;
    let piece = shell.work().begin(Errand::OpenBundle { file: file.clone() }, progress)?;
    let _working = shell.working().await;
    let (told, tell) = teller();
    let path = whole_path(&file).map_err(|e| e.to_failure())?;
    let opening = piece.or_cancelled(app.open_bundle(&path, tell));
    Box::pin(piece.carry(while_ticking(opening, || told.send(&piece)))).await
}

/// What was told since the last message to the page.
struct Told(Arc<Mutex<(Bundling, bool)>>);

fn teller() -> (Told, impl Fn(BundleEvent) + Send + Sync + 'static) {
    let state = Arc::new(Mutex::new((Bundling::default(), false)));
    let told = Told(Arc::clone(&state));
    let tell = move |event| {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.0.apply(&event);
        state.1 = true;
    };
    (told, tell)
}

impl Told {
    fn send(&self, piece: &Piece) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::take(&mut state.1) {
            piece.tell(&state.0);
        }
    }
}
