use tandem_app::{Building, Project};
use tandem_model::Failure;
use tauri::{State, ipc::Channel};
use tokio::sync::mpsc;

use crate::{shell::Shell, work::batched};

/// Opens a folder with a Dockerfile.
#[tauri::command(async)]
pub(crate) fn open_project(shell: State<'_, Shell>, folder: String) -> Result<Project, Failure> {
    shell.app()?.open_project(&folder).map_err(|e| e.to_failure())
}

/// Makes a project from a sample.
#[tauri::command(async)]
pub(crate) fn new_project(
    shell: State<'_, Shell>,
    sample: String,
    folder: String,
) -> Result<Project, Failure> {
    shell.app()?.new_project(&sample, &folder).map_err(|e| e.to_failure())
}

/// Writes a file of a project.
#[tauri::command(async)]
pub(crate) fn save_project_file(
    shell: State<'_, Shell>,
    folder: String,
    name: String,
    text: String,
) -> Result<(), Failure> {
    shell.app()?.save_project_file(&folder, &name, &text).map_err(|e| e.to_failure())
}

/// Builds a project; the image's digest.
#[tauri::command]
pub(crate) async fn build_project(
    shell: State<'_, Shell>,
    folder: String,
    events: Channel<Vec<Building>>,
) -> Result<String, Failure> {
    let app = shell.app()?;
    let cancel = shell.work().begin("build")?;
    let (send, told) = mpsc::unbounded_channel();
    let mut tell = move |event| drop(send.send(event));
    let building = async {
        let built = Box::pin(app.build_project(&folder, false, &mut tell, cancel.wish()));
        built.await.map_err(|e| e.to_failure())
    };
    batched(building, told, |all| drop(events.send(all))).await
}
