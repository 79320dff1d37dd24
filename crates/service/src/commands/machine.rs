use tandem_app::Opening;
use tandem_model::{Capability, Failure};

use crate::shell::Shell;

/// What this machine is, and what a crash had left.
pub(super) async fn opening(shell: &Shell) -> Result<Opening, Failure> {
    let _working = shell.working().await;
    // A page that was loaded again has lost those that it had.
    shell.terminals().close_all().await;
    let cleaned = shell.reaped().await?;
    Ok(Opening { machine: shell.app()?.machine(), cleaned, again: shell.again })
}

/// What this machine can do.
pub(super) async fn doctor(shell: &Shell) -> Result<Vec<Capability>, Failure> {
    let _working = shell.working().await;
    Ok(shell.app()?.doctor().await)
}
