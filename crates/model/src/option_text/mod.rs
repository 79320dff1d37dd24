//! Options of `tandem run` as they are typed, in Docker's notation.

mod capability;
mod duration;
mod log;
mod moment;
mod mount;
mod names;
mod restart;
mod security;
mod tmpfs;
mod ulimit;

pub use capability::{CAPABILITIES, parse_capability};
pub use duration::parse_duration;
pub use log::{LogOption, parse_log_option};
pub use moment::parse_moment;
pub use mount::{check_volume_name, parse_mount, parse_volume};
pub use names::{parse_address, parse_alias, parse_host, parse_hostname};
pub use restart::parse_restart_policy;
pub use security::{SecurityOption, parse_security_option};
pub use tmpfs::parse_tmpfs;
pub use ulimit::{ULIMITS, parse_ulimit, ulimit_number};

use crate::suggest::closest;

/// A text that is not what the option takes, with what it would take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParseOptionError(String);

impl ParseOptionError {
    fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// `did you mean X?`, or else what there is.
fn advice(written: &str, candidates: &[&str], otherwise: &str) -> String {
    match closest(written, candidates) {
        Some(near) => format!("did you mean {near}?"),
        None => otherwise.to_owned(),
    }
}

/// A place inside, absolute and without `.`, `..` and doubled slashes (lexical,
/// as in Docker).
fn place(text: &str) -> Result<String, ParseOptionError> {
    if !text.starts_with('/') {
        let advice = format!("`{text}` is no place inside: write an absolute path, e.g. /data");
        return Err(ParseOptionError(advice));
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            other => parts.push(other),
        }
    }
    let clean = format!("/{}", parts.join("/"));
    let reserved = clean == "/" || clean == "/dev" || parts.first() == Some(&"proc");
    if reserved || clean.contains('\0') {
        let advice =
            format!("nothing can be mounted at {clean} inside: choose a folder of its own");
        return Err(ParseOptionError(advice));
    }
    Ok(clean)
}

#[cfg(test)]
mod tests {
    use super::place;

    #[test]
    fn places_are_made_plain() {
        assert_eq!(place("/a//b/./c/../d/").unwrap(), "/a/b/d");
        assert_eq!(place("/../../x").unwrap(), "/x");
        for bad in ["", "a", "/", "/..", "/dev/", "/proc/self", "/x/../proc"] {
            assert!(place(bad).is_err(), "{bad}");
        }
    }
}
