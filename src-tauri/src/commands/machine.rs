use tandem_app::Opening;
use tandem_model::{Capability, Failure};
use tauri::State;

use crate::shell::Shell;

/// What this machine is, and what a crash had left.
#[tauri::command]
pub(crate) async fn opening(shell: State<'_, Shell>) -> Result<Opening, Failure> {
    let _working = shell.working().await;
    // A page that was loaded again has lost those that it had.
    shell.terminals().close_all().await;
    let cleaned = shell.reaped().await?;
    Ok(Opening { machine: shell.app()?.machine(), cleaned })
}

/// What this machine can do.
#[tauri::command]
pub(crate) async fn doctor(shell: State<'_, Shell>) -> Result<Vec<Capability>, Failure> {
    let _working = shell.working().await;
    Ok(shell.app()?.doctor().await)
}
