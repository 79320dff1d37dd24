use super::{ParseOptionError, advice};

/// The kernel's capabilities by number (capabilities(7)).
pub const CAPABILITIES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// Reads the name of a capability in any case, with or without `CAP_`; returns
/// `CAP_NET_ADMIN`, or `ALL`.
///
/// # Errors
/// The nearest name, or those with what was written in them, or where the list
/// is.
pub fn parse_capability(text: &str) -> Result<String, ParseOptionError> {
    let upper = text.to_ascii_uppercase();
    let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
    if bare == "ALL" {
        return Ok("ALL".to_owned());
    }
    let full = format!("CAP_{bare}");
    if CAPABILITIES.contains(&full.as_str()) {
        return Ok(full);
    }
    let shown: Vec<&str> =
        CAPABILITIES.iter().map(|name| name.trim_start_matches("CAP_")).collect();
    let part = |name: &&&str| bare.len() > 2 && name.contains(bare);
    let near: Vec<&str> = shown.iter().filter(part).copied().take(3).collect();
    let list = match near.as_slice() {
        [] => "write one that `man 7 capabilities` lists, e.g. NET_ADMIN, or ALL".to_owned(),
        near => format!("did you mean {}?", near.join(" or ")),
    };
    let advice = advice(bare, &shown, &list);
    Err(ParseOptionError(format!("`{text}` is no capability: {advice}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_any_dress() {
        for text in ["NET_ADMIN", "cap_net_admin", "CAP_NET_ADMIN"] {
            assert_eq!(parse_capability(text).unwrap(), "CAP_NET_ADMIN");
        }
        assert_eq!(parse_capability("all").unwrap(), "ALL");
        let error = parse_capability("NET_ADMN").unwrap_err().to_string();
        assert!(error.contains("did you mean NET_ADMIN?"), "{error}");
        let error = parse_capability("cap_ptrace").unwrap_err().to_string();
        assert_eq!(error, "`cap_ptrace` is no capability: did you mean SYS_PTRACE?");
        // A list of forty names is no sentence.
        for unlike in ["everything", "net", "a", ""] {
            let error = parse_capability(unlike).unwrap_err().to_string();
            assert!(error.len() < 120, "{error}");
        }
        let error = parse_capability("everything").unwrap_err().to_string();
        assert!(error.contains("`man 7 capabilities` lists") && error.contains("ALL"), "{error}");
    }

    proptest::proptest! {
        #[test]
        fn what_is_read_is_in_the_list(text in "\\PC{0,24}") {
            if let Ok(name) = parse_capability(&text) {
                proptest::prop_assert!(name == "ALL" || CAPABILITIES.contains(&name.as_str()));
            }
        }
    }
}
