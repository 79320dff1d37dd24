//! Which distribution this is, from os-release(5).

/// Distributions that share package names and tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    /// apt and dpkg.
    Debian,
    /// dnf and rpm.
    Fedora,
    /// Neither.
    Unknown,
}

/// The distribution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Distro {
    /// Its family.
    pub(crate) family: Family,
    /// `PRETTY_NAME`.
    pub(crate) name: String,
    /// `ID`.
    pub(crate) id: String,
    /// `VERSION_CODENAME`, empty where there is none.
    pub(crate) codename: String,
}

/// Reads `/etc/os-release`.
pub(crate) fn this_machine() -> Distro {
    parse(&std::fs::read_to_string("/etc/os-release").unwrap_or_default())
}

fn parse(os_release: &str) -> Distro {
    let field = |name: &str| {
        os_release
            .lines()
            .filter_map(|line| line.split_once('='))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value.trim().trim_matches(['"', '\'']).to_owned())
            .unwrap_or_default()
    };
    let id = field("ID");
    let like = field("ID_LIKE");
    let is = |word: &str| id == word || like.split_whitespace().any(|other| other == word);
    let family = if is("debian") || is("ubuntu") {
        Family::Debian
    } else if is("fedora") || is("rhel") {
        Family::Fedora
    } else {
        Family::Unknown
    };
    let name = match field("PRETTY_NAME") {
        name if name.is_empty() => "this distribution".into(),
        name => name,
    };
    Distro { family, name, id, codename: field("VERSION_CODENAME") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_family_comes_from_id_or_id_like() {
        let debian = parse(
            "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_CODENAME=bookworm\nID=debian\n",
        );
        assert_eq!((debian.family, debian.codename.as_str()), (Family::Debian, "bookworm"));
        assert_eq!(debian.name, "Debian GNU/Linux 12 (bookworm)");
        assert_eq!(parse("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n").family, Family::Debian);
        assert_eq!(parse("ID=fedora\n").family, Family::Fedora);
        assert_eq!(parse("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n").family, Family::Fedora);
        assert_eq!(parse("ID=arch\n").family, Family::Unknown);
        assert_eq!(parse("").family, Family::Unknown);
    }
}
