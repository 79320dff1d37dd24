use serde_json::Value;
use tandem_app::{Database, Errand, QueryAnswer};
use tandem_model::Failure;
use tauri::{State, ipc::Channel};

use super::projects::build;
use crate::shell::Shell;

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

/// Makes an image of PostgreSQL from Debian's packages, and tells what happens
/// as building a project does; its name.
#[tauri::command]
pub(crate) async fn make_database_image(
    shell: State<'_, Shell>,
    events: Channel<Value>,
) -> Result<String, Failure> {
    let app = shell.app()?;
    build(&shell, Errand::Database, events, move |tell, cancel| {
        Box::pin(async move { app.make_database_image(tell, cancel).await })
    })
    .await
}
