use serde_json::Value;
use tandem_app::Errand;
use tandem_model::Failure;
use tauri::{State, ipc::Channel};

use crate::shell::Shell;

/// The long work that goes on, whichever page asked for it.
#[tauri::command]
pub(crate) fn errands(shell: State<'_, Shell>) -> Vec<Errand> {
    shell.work().errands()
}

/// Tells what comes of it from its beginning, and its outcome, each as the
/// command that began it does.
#[tauri::command]
pub(crate) async fn join_errand(
    shell: State<'_, Shell>,
    kind: String,
    told: Channel<Value>,
) -> Result<Value, Failure> {
    shell.work().join(&kind, told).await
}

/// Asks long work to stop and clean up.
#[tauri::command]
pub(crate) fn cancel_work(shell: State<'_, Shell>, kind: String) {
    shell.work().cancel(&kind);
}
