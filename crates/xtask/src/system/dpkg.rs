//! What dpkg and apt know about packages.

use std::collections::{BTreeMap, BTreeSet};

use crate::shell;

/// Installed packages among those asked for, with their versions.
pub(crate) type Installed = BTreeMap<String, String>;

/// Asks dpkg which of these are installed.
pub(crate) fn installed(names: &[&str]) -> Installed {
    let mut query = shell::command(
        "dpkg-query",
        &["-W", "-f", "${Package}\\t${db:Status-Status}\\t${Version}\\n"],
    );
    query.args(names);
    parse_query(&shell::ask(&mut query).unwrap_or_default())
}

/// Names among these for which apt has nothing to install.
pub(crate) fn without_candidate(names: &[&str]) -> BTreeSet<String> {
    let mut query = shell::command("apt-cache", &["policy"]);
    query.env("LC_ALL", "C").args(names);
    let known = parse_policy(&shell::ask(&mut query).unwrap_or_default());
    names.iter().filter(|name| !known.contains(**name)).map(|name| (*name).to_owned()).collect()
}

/// Only the state `installed` counts: `config-files` is a removed package.
fn parse_query(output: &str) -> Installed {
    output
        .lines()
        .filter_map(|line| {
            let mut fields = line.split('\t');
            match (fields.next(), fields.next(), fields.next()) {
                (Some(name), Some("installed"), Some(version)) => {
                    Some((name.to_owned(), version.to_owned()))
                }
                _ => None,
            }
        })
        .collect()
}

/// Names that have a candidate in `apt-cache policy`.
fn parse_policy(output: &str) -> BTreeSet<String> {
    let mut known = BTreeSet::new();
    let mut name = "";
    for line in output.lines() {
        if !line.starts_with(' ') {
            name = line.trim_end_matches(':');
        } else if let Some(candidate) = line.trim().strip_prefix("Candidate:")
            && candidate.trim() != "(none)"
        {
            known.insert(name.to_owned());
        }
    }
    known
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_removed_package_is_not_installed() {
        let seen = parse_query(
            "gcc\tinstalled\t4:12.2.0-3\nskopeo\tnot-installed\t\nxvfb\tconfig-files\t2:21.1.7-3\nhalf\thalf-configured\t1\n",
        );
        assert_eq!(seen.keys().collect::<Vec<_>>(), ["gcc"]);
        assert_eq!(seen["gcc"], "4:12.2.0-3");
        assert!(parse_query("").is_empty());
    }

    #[test]
    fn a_package_without_candidate_or_unknown_to_apt_is_not_known() {
        let known = parse_policy(
            "umoci:\n  Installed: (none)\n  Candidate: 0.4.7+ds-3+b7\n  Version table:\n     0.4.7+ds-3+b7 500\n        500 http://deb.debian.org/debian bookworm/main amd64 Packages\nghost:\n  Installed: (none)\n  Candidate: (none)\n  Version table:\n",
        );
        assert_eq!(known.iter().collect::<Vec<_>>(), ["umoci"]);
    }
}
