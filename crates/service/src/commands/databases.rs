use tandem_app::{Database, Errand, QueryAnswer};
use tandem_model::Failure;

use super::projects::build;
use crate::{call::Outlet, shell::Shell};

/// Where an image of PostgreSQL keeps its data.
pub(super) fn database_folder(shell: &Shell, image: String) -> Result<String, Failure> {
    shell.app()?.database_folder(&image).map_err(|e| e.to_failure())
}

/// Where the PostgreSQL of an instance is reached.
pub(super) fn database(shell: &Shell, name: String) -> Result<Database, Failure> {
    shell.app()?.database(&name).map_err(|e| e.to_failure())
}

/// Waits until it answers.
pub(super) async fn await_database(shell: &Shell, name: String) -> Result<Database, Failure> {
    shell.app()?.await_database(&name).await.map_err(|e| e.to_failure())
}

/// Asks it something.
pub(super) async fn query_database(
    shell: &Shell,
    name: String,
    query: String,
) -> Result<QueryAnswer, Failure> {
    shell.app()?.query_database(&name, &query).await.map_err(|e| e.to_failure())
}

/// Makes an image of PostgreSQL from Debian's packages, and tells what happens
/// as building a project does; its name.
pub(super) async fn make_database_image(shell: &Shell, events: Outlet) -> Result<String, Failure> {
    let app = shell.app()?;
    build(shell, Errand::Database, events, move |tell, cancel| {
        Box::pin(async move { app.make_database_image(tell, cancel).await })
    })
    .await
}
