//! Reads apt's source lists (sources.list(5)) for the Debian archive itself.

/// One archive that apt may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AptSource {
    /// Base of the archive, e.g. `http://deb.debian.org/debian`.
    pub uri: String,
    /// Suite, e.g. `bookworm-updates`.
    pub suite: String,
    /// Components, e.g. `main`.
    pub components: Vec<String>,
    /// The keyring that it is signed with, when the source names one.
    pub signed_by: Option<String>,
}

impl AptSource {
    /// Whether this is Debian's own archive with `main` for a release:
    /// other vendors' archives may use the same names of suites.
    pub(super) fn is_debian(&self, suite: &str) -> bool {
        let ours = [suite.to_owned(), format!("{suite}-updates"), format!("{suite}-security")];
        let debian_key = match &self.signed_by {
            Some(keyring) => keyring.contains("debian-archive"),
            None => matches!(
                self.uri.trim_end_matches('/').rsplit('/').next(),
                Some("debian" | "debian-security")
            ),
        };
        let scheme = ["http://", "https://", "file:", "mirror+", "copy:"];
        debian_key
            && ours.contains(&self.suite)
            && self.components.iter().any(|component| component == "main")
            && scheme.iter().any(|scheme| self.uri.starts_with(scheme))
    }

    /// The source as one line for `main`.
    pub(super) fn line(&self) -> String {
        format!("deb {} {} main", self.uri, self.suite)
    }
}

/// Reads a file in the one-line format; lines that are no binary archives, or
/// not well formed, are left out.
pub fn parse_one_line_sources(text: &str) -> Vec<AptSource> {
    text.lines().filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<AptSource> {
    let line = line.split('#').next()?.trim();
    let rest = line.strip_prefix("deb")?;
    if !rest.starts_with([' ', '\t', '[']) {
        return None;
    }
    let rest = rest.trim_start();
    let (options, rest) = match rest.strip_prefix('[') {
        Some(inner) => inner.split_once(']')?,
        None => ("", rest),
    };
    let signed_by = options
        .split_ascii_whitespace()
        .find_map(|option| option.strip_prefix("signed-by="))
        .map(ToOwned::to_owned);
    let mut words = rest.split_ascii_whitespace();
    let (uri, suite) = (words.next()?.to_owned(), words.next()?.to_owned());
    Some(AptSource { uri, suite, components: words.map(ToOwned::to_owned).collect(), signed_by })
}

/// Reads a file in the deb822 format: one source for each pair of URI and
/// suite of each enabled stanza with `Types: deb`.
pub fn parse_deb822_sources(text: &str) -> Vec<AptSource> {
    let mut sources = Vec::new();
    let mut stanza: Vec<(String, String)> = Vec::new();
    for line in text.lines().chain([""]) {
        if line.starts_with('#') {
            continue;
        }
        if line.trim().is_empty() {
            sources.extend(of_stanza(&std::mem::take(&mut stanza)));
        } else if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = stanza.last_mut() {
                value.push('\n');
                value.push_str(line.trim());
            }
        } else if let Some((key, value)) = line.split_once(':') {
            stanza.push((key.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    sources
}

fn of_stanza(stanza: &[(String, String)]) -> Vec<AptSource> {
    let value = |key: &str| stanza.iter().find(|(name, _)| name == key).map(|(_, v)| v.as_str());
    let words = |key: &str| value(key).unwrap_or_default().split_ascii_whitespace();
    let disabled = ["no", "false", "off", "without", "disable", "0"];
    if value("enabled").is_some_and(|v| disabled.contains(&v.to_ascii_lowercase().as_str()))
        || !words("types").any(|word| word == "deb")
    {
        return Vec::new();
    }
    let components: Vec<String> = words("components").map(ToOwned::to_owned).collect();
    let mut sources = Vec::new();
    for uri in words("uris") {
        for suite in words("suites") {
            sources.push(AptSource {
                uri: uri.to_owned(),
                suite: suite.to_owned(),
                components: components.clone(),
                signed_by: value("signed-by").map(ToOwned::to_owned),
            });
        }
    }
    sources
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn both_formats_say_the_same() {
        let line = "# x\ndeb [arch=amd64 signed-by=/k/debian-archive-keyring.gpg] http://m/debian bookworm main contrib # y\ndeb-src http://m/debian bookworm main\ndebris\n";
        let stanza = "Types: deb deb-src\nURIs: http://m/debian\n# note\nSuites: bookworm\nComponents:\n main\n contrib\nSigned-By: /k/debian-archive-keyring.gpg\n\nTypes: deb\nURIs: http://n/debian\nSuites: bookworm\nComponents: main\nEnabled: no\n";
        let sources = parse_one_line_sources(line);
        assert_eq!(sources, parse_deb822_sources(stanza));
        assert_eq!(sources.len(), 1);
        assert!(sources[0].is_debian("bookworm"));
        assert!(!sources[0].is_debian("trixie"));
        assert_eq!(sources[0].line(), "deb http://m/debian bookworm main");
    }

    #[test]
    fn other_vendors_are_not_debian() {
        let text = "deb https://download.docker.com/linux/debian bookworm stable\n\
            deb [signed-by=/k/docker.asc] https://x.example/linux/debian bookworm main\n\
            deb https://packages.example/debian/12/prod bookworm main\n\
            deb cdrom:[Debian]/ bookworm main\n";
        for source in parse_one_line_sources(text) {
            assert!(!source.is_debian("bookworm"), "{source:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_ends_in_an_answer(text in "(deb|Types|URIs|Suites|[ :\\[\\]#\n\t]|.){0,80}") {
            parse_one_line_sources(&text);
            parse_deb822_sources(&text);
        }
    }
}
