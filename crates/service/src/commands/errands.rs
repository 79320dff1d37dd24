use serde_json::Value;
use tandem_app::Errand;
use tandem_model::Failure;

use crate::{call::Outlet, shell::Shell};

/// The long work that goes on, whichever page asked for it.
pub(super) fn errands(shell: &Shell) -> Vec<Errand> {
    shell.work().errands()
}

/// Tells what comes of it from its beginning, and its outcome, each as the
/// command that began it does.
pub(super) async fn join_errand(
    shell: &Shell,
    kind: String,
    told: Outlet,
) -> Result<Value, Failure> {
    shell.work().join(&kind, told.teller()).await
}

/// Asks long work to stop and clean up.
pub(super) fn cancel_work(shell: &Shell, kind: String) {
    shell.work().cancel(&kind);
}
