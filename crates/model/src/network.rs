use std::str::FromStr;

use crate::NetworkChoice;

/// The text cannot name a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` cannot name a network: use letters, digits, `_`, `.` and `-`, beginning with a letter or digit, or one of bridge, none and host"
)]
pub struct ParseNetworkError(String);

impl FromStr for NetworkChoice {
    type Err = ParseNetworkError;

    /// Reads what stands behind `--network`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "bridge" | "default" => Ok(Self::Bridge),
            "none" => Ok(Self::None),
            "host" => Ok(Self::Host),
            name if is_network_name(name) => Ok(Self::Named(name.to_owned())),
            _ => Err(ParseNetworkError(text.chars().take(64).collect())),
        }
    }
}

/// Whether a network may be called so.
fn is_network_name(text: &str) -> bool {
    let first = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    let rest = text.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
    first && rest && text.len() <= 64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_networks_that_are_always_there_have_names() {
        for (text, choice) in [
            ("bridge", NetworkChoice::Bridge),
            ("none", NetworkChoice::None),
            ("host", NetworkChoice::Host),
            ("back-end", NetworkChoice::Named("back-end".into())),
        ] {
            assert_eq!(text.parse(), Ok(choice));
        }
        for bad in ["", "-x", "../x", "container:web", "a b", &"x".repeat(65)] {
            assert!(bad.parse::<NetworkChoice>().is_err(), "{bad}");
        }
    }
}
