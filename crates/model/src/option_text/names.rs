use std::net::IpAddr;

use super::ParseOptionError;
use crate::HostAddress;

/// The longest name (RFC 1035, 2.3.4).
const LONGEST: usize = 253;

/// Reads what stands behind `--network-alias`: a name of the network.
///
/// # Errors
/// What a name looks like.
pub fn parse_alias(text: &str) -> Result<String, ParseOptionError> {
    let all = text.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
    if all && text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.len() <= LONGEST {
        return Ok(text.to_owned());
    }
    let shown: String = text.chars().take(64).collect();
    Err(ParseOptionError(format!(
        "`{shown}` cannot be a name on a network: use letters, digits, `_`, `.` and `-`, beginning with a letter or digit"
    )))
}

/// The longest host name that the kernel takes, in bytes (uname(2)).
const LONGEST_HOST: usize = 64;

/// Reads what stands behind `--hostname`.
///
/// # Errors
/// What a name looks like.
pub fn parse_hostname(text: &str) -> Result<String, ParseOptionError> {
    if text.len() <= LONGEST_HOST && parse_alias(text).is_ok() {
        return Ok(text.to_owned());
    }
    let shown: String = text.chars().take(80).collect();
    Err(ParseOptionError(format!(
        "`{shown}` cannot be a host name: use at most {LONGEST_HOST} letters, digits, `_`, `.` and `-`, beginning with a letter or digit"
    )))
}

/// Reads what stands behind `--dns`: an address of either version.
///
/// # Errors
/// What an address looks like.
pub fn parse_address(text: &str) -> Result<IpAddr, ParseOptionError> {
    let shown: String = text.chars().take(64).collect();
    let wrong =
        |_| ParseOptionError(format!("`{shown}` is no address: write e.g. 10.0.0.1 or ::1"));
    text.parse().map_err(wrong)
}

/// Reads what stands behind `--add-host`: `NAME:IP` or `NAME=IP`, an address
/// of version 6 in brackets or not, or `host-gateway`.
///
/// # Errors
/// What is wrong with the text, one sentence.
pub fn parse_host(text: &str) -> Result<(HostAddress, String), ParseOptionError> {
    let wrong = |why: &str| {
        let shown: String = text.chars().take(64).collect();
        ParseOptionError(format!("`{shown}` adds no host: {why}"))
    };
    let form = "write NAME:IP, e.g. db:10.0.0.9, or NAME:host-gateway for this machine";
    let at = text.find(['=', ':']).ok_or_else(|| wrong(form))?;
    let (name, address) = (&text[..at], &text[at + 1..]);
    let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let address = bare.unwrap_or(address).parse().map_err(|_| wrong(form))?;
    Ok((address, parse_alias(name)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_name_is_one_that_the_kernel_takes() {
        assert_eq!(parse_hostname("web_1.example").unwrap(), "web_1.example");
        assert!(parse_hostname(&"a".repeat(64)).is_ok());
        for text in ["", "two words", "-x", &"a".repeat(65), "a\u{1b}"] {
            let error = parse_hostname(text).unwrap_err().to_string();
            assert!(error.contains("cannot be a host name"), "{error}");
        }
        assert!(parse_address("::1").is_ok());
        let error = parse_address("foo").unwrap_err().to_string();
        assert_eq!(error, "`foo` is no address: write e.g. 10.0.0.1 or ::1");
    }

    #[test]
    fn hosts_are_read_and_slips_answered() {
        let read = |text| parse_host(text).map(|(address, name)| format!("{name} {address}"));
        assert_eq!(read("db:10.0.0.9").unwrap(), "db 10.0.0.9");
        assert_eq!(read("db=::1").unwrap(), "db ::1");
        assert_eq!(read("db:[fd00::1]").unwrap(), "db fd00::1");
        assert_eq!(read("me:host-gateway").unwrap(), "me host-gateway");
        for (text, says) in [
            ("db", "NAME:IP"),
            ("db:", "NAME:IP"),
            ("db:ten", "NAME:IP"),
            (":10.0.0.9", "cannot be a name"),
            ("d b:10.0.0.9", "cannot be a name"),
            ("db\nx:10.0.0.9", "cannot be a name"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn an_alias_is_a_name() {
        assert_eq!(parse_alias("db-1.x").unwrap(), "db-1.x");
        for bad in ["", "-x", "a b", "a\nb", &"x".repeat(254)] {
            assert!(parse_alias(bad).is_err(), "{bad}");
        }
    }
}
