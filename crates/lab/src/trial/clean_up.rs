use std::time::Duration;

use tandem_backend::Backend;
use tandem_model::InstanceId;

/// How long an app may take to stop. Nothing is lost with it.
const GRACE: Duration = Duration::from_secs(1);

/// Stops and removes an instance, in whatever state it is. Returns a line that
/// says so, or one that says what went wrong and what to do.
pub(crate) async fn take_away(
    backend: &dyn Backend,
    id: &InstanceId,
    name: &str,
) -> Result<String, String> {
    match backend.take_away(id, Some(GRACE)).await {
        Ok(()) => Ok(format!("instance {name} was stopped and removed")),
        Err(e) => Err(format!(
            "instance {name} could not be removed: {e}; remove it with `tandem rm -f {name}`"
        )),
    }
}
