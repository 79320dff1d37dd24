use std::path::PathBuf;

use super::ParseOptionError;

/// One `--security-opt`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecurityOption {
    /// `seccomp=unconfined`: no system call filter.
    SeccompUnconfined,
    /// `seccomp=builtin`: Docker's filter.
    SeccompDefault,
    /// `seccomp=FILE`: a profile in Docker's JSON format.
    SeccompFile(PathBuf),
    /// `no-new-privileges[=true|false]`.
    NoNewPrivileges(bool),
    /// Turns off something that Tandem never turns on.
    Nothing,
}

/// Reads what stands behind `--security-opt`; `:` may stand for `=`.
///
/// # Errors
/// What there is.
pub fn parse_security_option(text: &str) -> Result<SecurityOption, ParseOptionError> {
    let (key, value) = match text.split_once(['=', ':']) {
        Some((key, value)) => (key, Some(value)),
        None => (text, None),
    };
    match (key, value) {
        ("seccomp", Some("unconfined")) => Ok(SecurityOption::SeccompUnconfined),
        ("seccomp", Some("builtin" | "default")) => Ok(SecurityOption::SeccompDefault),
        ("seccomp", Some(file)) if !file.is_empty() => Ok(SecurityOption::SeccompFile(file.into())),
        ("no-new-privileges", None | Some("true" | "1")) => {
            Ok(SecurityOption::NoNewPrivileges(true))
        }
        ("no-new-privileges", Some("false" | "0")) => Ok(SecurityOption::NoNewPrivileges(false)),
        ("label", Some("disable")) | ("apparmor", Some("unconfined")) => {
            Ok(SecurityOption::Nothing)
        }
        _ => Err(ParseOptionError(format!(
            "`{text}` is no security option: write seccomp=unconfined, seccomp=FILE or no-new-privileges=true|false"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_told_apart() {
        let read = |text| parse_security_option(text).unwrap();
        assert_eq!(read("seccomp=unconfined"), SecurityOption::SeccompUnconfined);
        assert_eq!(read("seccomp:p.json"), SecurityOption::SeccompFile("p.json".into()));
        assert_eq!(read("no-new-privileges"), SecurityOption::NoNewPrivileges(true));
        assert_eq!(read("no-new-privileges:false"), SecurityOption::NoNewPrivileges(false));
        for bad in ["seccomp", "seccomp=", "no-new-privileges=x", "apparmor=x", ""] {
            assert!(parse_security_option(bad).is_err(), "{bad}");
        }
    }
}
