//! `.cargo/deny.toml`: cargo-deny's settings, read without cargo-deny.
//!
//! Its file is the one list of exceptions. This reads the shape that it is
//! written in, one entry a line, and no more of TOML than that.

use std::collections::BTreeMap;

/// Where it lies.
pub(super) const FILE: &str = ".cargo/deny.toml";

/// What the file says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Deny {
    /// `licenses.allow`.
    pub(crate) allow: Vec<String>,
    /// `licenses.exceptions`: a crate, and licences that it alone may have.
    pub(crate) exceptions: Vec<(String, Vec<String>)>,
    /// `licenses.clarify`: crates that state none, with what they are under.
    pub(crate) clarified: BTreeMap<String, String>,
    /// `bans.skip`.
    pub(crate) skip: Vec<String>,
    /// `bans.skip-tree`.
    pub(crate) skip_tree: Vec<String>,
    /// Crates and advisories for which no reason stands beside or above them.
    pub(crate) unreasoned: Vec<String>,
}

impl Deny {
    /// Reads the text of the file.
    pub(crate) fn parse(text: &str) -> Self {
        let mut deny = Self::default();
        let (mut section, mut list, mut reasoned) = ("", "", false);
        let mut clarified = String::new();
        for line in text.lines().map(str::trim) {
            if line.starts_with('#') {
                reasoned = true;
            } else if line.starts_with('[') {
                (section, list) = (line.trim_matches(['[', ']']), "");
            } else if line == "]" || line.is_empty() {
                // An empty line ends what a comment says something of.
                reasoned = false;
                if line == "]" {
                    list = "";
                }
            } else if let Some((key, "[")) = line.split_once('=').map(|(k, v)| (k.trim(), v.trim()))
            {
                (list, reasoned) = (key, false);
            } else if list.is_empty() {
                let value = quoted(line).next().unwrap_or_default().to_owned();
                match (section, line.split_once('=').map(|(key, _)| key.trim())) {
                    ("licenses.clarify", Some("crate")) => clarified = value,
                    ("licenses.clarify", Some("expression")) => {
                        deny.clarified.insert(std::mem::take(&mut clarified), value);
                    }
                    _ => {}
                }
            } else {
                deny.entry(section, list, line, reasoned);
            }
        }
        deny
    }

    fn entry(&mut self, section: &str, list: &str, line: &str, reasoned: bool) {
        let mut words = quoted(line).map(str::to_owned);
        let Some(first) = words.next() else { return };
        let reasoned = reasoned || line.contains("reason = \"");
        match (section, list) {
            ("licenses", "allow") => return self.allow.push(first),
            ("licenses", "exceptions") => self.exceptions.push((first.clone(), words.collect())),
            ("bans", "skip") => self.skip.push(first.clone()),
            ("bans", "skip-tree") => self.skip_tree.push(first.clone()),
            ("advisories", "ignore") => {}
            _ => return,
        }
        if !reasoned {
            self.unreasoned.push(first);
        }
    }
}

/// What stands between quotation marks.
fn quoted(line: &str) -> impl Iterator<Item = &str> {
    line.split('"').skip(1).step_by(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
[advisories]
ignore = [
    { id = "RUSTSEC-1", reason = "at build time" },
    { id = "RUSTSEC-2" },
]

[licenses]
# Free ones.
allow = [
    "MIT",
    "Zlib",
]
exceptions = [
    # Binds its own files only.
    { crate = "selectors", allow = ["MPL-2.0"] },

    { crate = "bare", allow = ["GPL-3.0", "EUPL-1.2"] },
]

[[licenses.clarify]]
crate = "criu"
expression = "MIT"
license-files = [{ path = "LICENSE", hash = 0x1 }]

[bans]
multiple-versions = "deny"
skip = [
    { crate = "syn", reason = "moves" },
]
skip-tree = [
    { crate = "tauri" },
]
"#;

    #[test]
    fn every_list_is_read_with_its_reasons() {
        let deny = Deny::parse(TEXT);
        assert_eq!(deny.allow, ["MIT", "Zlib"]);
        let gpl = ["GPL-3.0", "EUPL-1.2"].map(String::from).to_vec();
        let expected = [("selectors".to_owned(), vec!["MPL-2.0".to_owned()]), ("bare".into(), gpl)];
        assert_eq!(deny.exceptions, expected);
        assert_eq!(deny.clarified["criu"], "MIT");
        assert_eq!(
            (&deny.skip[..], &deny.skip_tree[..]),
            (&["syn".into()][..], &["tauri".into()][..])
        );
        assert_eq!(deny.unreasoned, ["RUSTSEC-2", "bare", "tauri"]);
    }
}
