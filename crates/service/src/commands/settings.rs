use tandem_app::{DfReport, Outside, PruneRequest, Pruned};
use tandem_model::Failure;

use crate::shell::Shell;

/// The folder that holds everything.
pub(super) fn data_folder(shell: &Shell) -> Result<String, Failure> {
    Ok(shell.app()?.home().display().to_string())
}

/// What it takes on the disk.
pub(super) fn disk_use(shell: &Shell) -> Result<DfReport, Failure> {
    shell.app()?.disk_use().map_err(|e| e.to_failure())
}

/// Registries, proxies, certificates and logins, as the engine reads them now.
pub(super) fn outside(shell: &Shell) -> Result<Outside, Failure> {
    Ok(shell.app()?.outside())
}

/// Removes what nothing needs.
pub(super) async fn prune(shell: &Shell) -> Result<Pruned, Failure> {
    shell.app()?.prune(PruneRequest::default()).await.map_err(|e| e.to_failure())
}

/// Signs in to a registry; where the password is kept.
pub(super) async fn login(
    shell: &Shell,
    registry: String,
    name: String,
    secret: String,
) -> Result<String, Failure> {
    shell.app()?.login(&registry, name, secret).await.map_err(|e| e.to_failure())
}

/// Forgets the login for a registry.
pub(super) async fn logout(shell: &Shell, registry: String) -> Result<(), Failure> {
    shell.app()?.logout(&registry).await.map_err(|e| e.to_failure())
}
