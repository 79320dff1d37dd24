use std::time::Duration;

use tandem_backend::{Backend, BackendError};
use tandem_model::InstanceId;
use tokio::time::{Instant, sleep};

/// How long an app may take to stop. Nothing is lost with it.
const GRACE: Duration = Duration::from_secs(1);

/// How long a supervisor may take to end after it has answered.
const PATIENCE: Duration = Duration::from_secs(10);

/// Stops and removes an instance, in whatever state it is. Returns a line that
/// says so, or one that says what went wrong and what to do.
pub(crate) async fn take_away(
    backend: &dyn Backend,
    id: &InstanceId,
    name: &str,
) -> Result<String, String> {
    let stopped = backend.stop(id, Some(GRACE)).await;
    let deadline = Instant::now() + PATIENCE;
    loop {
        match backend.remove(id).await {
            Ok(()) | Err(BackendError::NoInstance(_)) => {
                return Ok(format!("instance {name} was stopped and removed"));
            }
            // Its supervisor still holds it, or is only just letting go.
            Err(BackendError::WrongState { .. }) if Instant::now() < deadline => {
                sleep(Duration::from_millis(20)).await;
            }
            Err(e) => {
                let besides = stopped
                    .err()
                    .map_or(String::new(), |e| format!("; stopping it failed too: {e}"));
                return Err(format!(
                    "instance {name} could not be removed: {e}{besides}; remove it with `tandem rm -f {name}`"
                ));
            }
        }
    }
}
