use std::pin::Pin;

use tandem_app::{AppError, Building, Cancel, Errand, Project, TextFault};
use tandem_model::Failure;
use tokio::sync::mpsc;

use crate::{call::Outlet, shell::Shell, work::batched};

/// Opens a folder with a Dockerfile.
pub(super) fn open_project(shell: &Shell, folder: String) -> Result<Project, Failure> {
    shell.app()?.open_project(&folder).map_err(|e| e.to_failure())
}

/// Makes a project from a sample.
pub(super) fn new_project(
    shell: &Shell,
    sample: String,
    folder: String,
) -> Result<Project, Failure> {
    shell.app()?.new_project(&sample, &folder).map_err(|e| e.to_failure())
}

/// Writes a file of a project, in which `before` stood.
pub(super) fn save_project_file(
    shell: &Shell,
    folder: String,
    name: String,
    text: String,
    before: String,
) -> Result<(), Failure> {
    shell.app()?.save_project_file(&folder, &name, &text, &before).map_err(|e| e.to_failure())
}

/// The first line of a Dockerfile that cannot be read as one.
pub(super) fn check_dockerfile(
    shell: &Shell,
    name: String,
    text: String,
) -> Result<Option<TextFault>, Failure> {
    Ok(shell.app()?.check_dockerfile(&name, &text))
}

/// Builds a project, and tells what happens as lists of [`Building`]; the
/// image's digest.
pub(super) async fn build_project(
    shell: &Shell,
    folder: String,
    events: Outlet,
) -> Result<String, Failure> {
    let app = shell.app()?;
    let errand = Errand::Build { folder: folder.clone() };
    build(shell, errand, events, move |tell, cancel| {
        Box::pin(async move { app.build_project(&folder, false, tell, cancel).await })
    })
    .await
}

/// Takes what comes of a build.
pub(super) type Tell = dyn FnMut(Building) + Send;

/// A build on its way to a digest or a name.
pub(super) type Built<'a> = Pin<Box<dyn Future<Output = Result<String, AppError>> + Send + 'a>>;

/// Builds, with what comes of it in batches.
pub(super) async fn build(
    shell: &Shell,
    errand: Errand,
    events: Outlet,
    work: impl for<'a> FnOnce(&'a mut Tell, &'a Cancel) -> Built<'a>,
) -> Result<String, Failure> {
    let piece = shell.work().begin(errand, events)?;
    let (send, told) = mpsc::unbounded_channel();
    let mut tell = move |event| drop(send.send(event));
    let building = async { work(&mut tell, piece.wish()).await.map_err(|e| e.to_failure()) };
    piece.carry(batched(building, told, |all| piece.tell(&all))).await
}
