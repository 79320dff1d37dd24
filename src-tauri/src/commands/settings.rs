use tandem_app::{DfReport, Outside, PruneRequest, Pruned};
use tandem_model::Failure;
use tauri::State;

use crate::shell::Shell;

/// The folder that holds everything.
#[tauri::command]
pub(crate) fn data_folder(shell: State<'_, Shell>) -> Result<String, Failure> {
    Ok(shell.app()?.home().display().to_string())
}

/// What it takes on the disk.
#[tauri::command(async)]
pub(crate) fn disk_use(shell: State<'_, Shell>) -> Result<DfReport, Failure> {
    shell.app()?.disk_use().map_err(|e| e.to_failure())
}

/// Registries, proxies, certificates and logins, as the engine reads them now.
#[tauri::command(async)]
pub(crate) fn outside(shell: State<'_, Shell>) -> Result<Outside, Failure> {
    Ok(shell.app()?.outside())
}

/// Removes what nothing needs.
#[tauri::command]
pub(crate) async fn prune(shell: State<'_, Shell>) -> Result<Pruned, Failure> {
    shell.app()?.prune(PruneRequest::default()).await.map_err(|e| e.to_failure())
}

/// Signs in to a registry; where the password is kept.
#[tauri::command]
pub(crate) async fn login(
    shell: State<'_, Shell>,
    registry: String,
    name: String,
    secret: String,
) -> Result<String, Failure> {
    shell.app()?.login(&registry, name, secret).await.map_err(|e| e.to_failure())
}

/// Forgets the login for a registry.
#[tauri::command]
pub(crate) async fn logout(shell: State<'_, Shell>, registry: String) -> Result<(), Failure> {
    shell.app()?.logout(&registry).await.map_err(|e| e.to_failure())
}
