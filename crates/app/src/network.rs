use tandem_model::NetworkChoice;

use crate::{AppError, RunOptions};

/// Refuses a network that does not go with the rest of a request, and drops
/// what has no meaning with it. Returns what the person should know.
pub(crate) fn check(options: &mut RunOptions) -> Result<Option<&'static str>, AppError> {
    match options.options.network {
        NetworkChoice::None if !options.ports.is_empty() => Err(AppError::Usage(
            "a port cannot be published without a network: leave out -p or --network none"
                .to_owned(),
        )),
        NetworkChoice::Host if !options.ports.is_empty() => {
            options.ports.clear();
            Ok(Some(
                "note: -p does nothing with --network host: the app listens on the host itself",
            ))
        }
        _ => Ok(None),
    }
}
