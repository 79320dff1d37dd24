use tandem_app::{Building, Database, QueryAnswer};
use tandem_model::Failure;
use tauri::{State, ipc::Channel};
use tokio::sync::mpsc;

use crate::{shell::Shell, work::batched};

/// Where an image of PostgreSQL keeps its data.
#[tauri::command(async)]
pub(crate) fn database_folder(shell: State<'_, Shell>, image: String) -> Result<String, Failure> {
    shell.app()?.database_folder(&image).map_err(|e| e.to_failure())
}

/// Where the PostgreSQL of an instance is reached.
#[tauri::command(async)]
pub(crate) fn database(shell: State<'_, Shell>, name: String) -> Result<Database, Failure> {
    shell.app()?.database(&name).map_err(|e| e.to_failure())
}

/// Waits until it answers.
#[tauri::command]
pub(crate) async fn await_database(
    shell: State<'_, Shell>,
    name: String,
) -> Result<Database, Failure> {
    shell.app()?.await_database(&name).await.map_err(|e| e.to_failure())
}

/// Asks it something.
#[tauri::command]
pub(crate) async fn query_database(
    shell: State<'_, Shell>,
    name: String,
    query: String,
) -> Result<QueryAnswer, Failure> {
    shell.app()?.query_database(&name, &query).await.map_err(|e| e.to_failure())
}

/// Makes an image of PostgreSQL from Debian's packages; its name.
#[tauri::command]
pub(crate) async fn make_database_image(
    shell: State<'_, Shell>,
    events: Channel<Vec<Building>>,
) -> Result<String, Failure> {
    let app = shell.app()?;
    let cancel = shell.work().begin("build")?;
    let (send, told) = mpsc::unbounded_channel();
    let mut tell = move |event| drop(send.send(event));
    let making = async {
        let made = Box::pin(app.make_database_image(&mut tell, cancel.wish()));
        made.await.map_err(|e| e.to_failure())
    };
    batched(making, told, |all| drop(events.send(all))).await
}
