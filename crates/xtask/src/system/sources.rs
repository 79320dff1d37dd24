//! The machine's own apt sources (sources.list(5)), read so that a suite we
//! have to add comes from the same mirror under the same key.

use std::{fmt::Write as _, path::Path};

/// One `deb` source: a mirror with suites.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    /// Mirror.
    pub(crate) uri: String,
    /// Suites, e.g. `bookworm`.
    pub(crate) suites: Vec<String>,
    /// Components, e.g. `main`.
    pub(crate) components: Vec<String>,
    /// Options that say whom to trust, as deb822 field name and value; a
    /// key written into the file itself spans several lines.
    pub(crate) trust: Vec<(String, String)>,
}

impl Source {
    fn has_suite(&self, suite: &str) -> bool {
        self.suites.iter().any(|own| own == suite)
    }
}

/// What to do about a suite that is needed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Addition {
    /// The machine has it already.
    Present,
    /// Write this deb822 text into a file of its own.
    Write(String),
    /// No source of the base suite tells which mirror to use.
    NoMirror,
}

/// Reads every source of this machine.
pub(crate) fn this_machine() -> Vec<Source> {
    let mut sources = Vec::new();
    let mut read = |path: &Path| {
        let Ok(text) = std::fs::read_to_string(path) else { return };
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("sources") => sources.extend(parse_deb822(&text)),
            Some("list") => sources.extend(text.lines().filter_map(parse_line)),
            _ => {}
        }
    };
    read(Path::new("/etc/apt/sources.list"));
    if let Ok(entries) = std::fs::read_dir("/etc/apt/sources.list.d") {
        let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        for path in &paths {
            read(path);
        }
    }
    sources
}

/// How to get `base`-backports, given what the machine has.
pub(crate) fn backports(sources: &[Source], base: &str) -> Addition {
    let suite = format!("{base}-backports");
    if sources.iter().any(|source| source.has_suite(&suite)) {
        return Addition::Present;
    }
    let usable = |source: &&Source| {
        source.has_suite(base)
            && source.components.iter().any(|component| component == "main")
            && !source.uri.starts_with("cdrom:")
    };
    let Some(model) = sources.iter().find(usable) else { return Addition::NoMirror };
    let mut text = format!(
        "# Added by `cargo xtask`: QEMU must match the backported qemu-utils of this machine.\nTypes: deb\nURIs: {}\nSuites: {suite}\nComponents: main\n",
        model.uri
    );
    for (field, value) in &model.trust {
        let _ = writeln!(text, "{field}: {value}");
    }
    Addition::Write(text)
}

/// Stanzas of the deb822 format; disabled and source-only ones left out.
fn parse_deb822(text: &str) -> Vec<Source> {
    let uncommented: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    uncommented.split(|line| line.trim().is_empty()).flat_map(parse_stanza).collect()
}

fn parse_stanza(lines: &[&str]) -> Vec<Source> {
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in lines {
        if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = fields.last_mut() {
                let _ = write!(value, "\n{line}");
            }
        } else if let Some((name, value)) = line.split_once(':') {
            fields.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    let get = |name: &str| {
        fields.iter().find(|(field, _)| field == name).map_or("", |(_, value)| value.as_str())
    };
    let words = |name: &str| get(name).split_whitespace().map(String::from).collect::<Vec<_>>();
    if !words("types").iter().any(|kind| kind == "deb") || get("enabled") == "no" {
        return Vec::new();
    }
    let trust: Vec<_> = [("signed-by", "Signed-By"), ("trusted", "Trusted")]
        .into_iter()
        .filter(|(field, _)| !get(field).is_empty())
        .map(|(field, name)| (name.to_owned(), get(field).to_owned()))
        .collect();
    words("uris")
        .into_iter()
        .map(|uri| Source {
            uri,
            suites: words("suites"),
            components: words("components"),
            trust: trust.clone(),
        })
        .collect()
}

/// The one-line format: `deb [options] uri suite components`.
fn parse_line(line: &str) -> Option<Source> {
    let rest = line.split('#').next()?.trim().strip_prefix("deb")?;
    if !rest.starts_with([' ', '\t', '[']) {
        return None;
    }
    let rest = rest.trim_start();
    let (options, rest) = match rest.strip_prefix('[') {
        Some(inner) => inner.split_once(']')?,
        None => ("", rest),
    };
    let trust = options
        .split_whitespace()
        .filter_map(|option| option.split_once('='))
        .filter_map(|(name, value)| match name {
            "signed-by" => Some(("Signed-By".to_owned(), value.to_owned())),
            "trusted" => Some(("Trusted".to_owned(), value.to_owned())),
            _ => None,
        })
        .collect();
    let mut words = rest.split_whitespace().map(String::from);
    let (uri, suite) = (words.next()?, words.next()?);
    Some(Source { uri, suites: vec![suite], components: words.collect(), trust })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEB822: &str = "Types: deb deb-src
# pinned
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main

Types: deb
Enabled: no
URIs: http://off.example/debian
Suites: bookworm-backports
Components: main
";

    #[test]
    fn backports_come_from_the_mirror_and_under_the_key_of_the_base_suite() {
        let sources = parse_deb822(DEB822);
        assert_eq!(sources.len(), 2, "{sources:?}");
        let Addition::Write(text) = backports(&sources, "bookworm") else { panic!() };
        assert!(text.contains("\nURIs: http://mirror.example/debian\n"), "{text}");
        assert!(text.contains("\nSuites: bookworm-backports\n"), "{text}");
        assert!(
            text.contains("\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"),
            "{text}"
        );
        // What we write is read back as present: a second run adds nothing.
        let again = [sources, parse_deb822(&text)].concat();
        assert_eq!(backports(&again, "bookworm"), Addition::Present);
    }

    #[test]
    fn the_one_line_format_is_read_too() {
        let line = "deb [arch=amd64 signed-by=/k.gpg] https://m.example/debian bookworm main # x";
        let source = parse_line(line).unwrap();
        assert_eq!(source.trust, [("Signed-By".into(), "/k.gpg".into())]);
        assert!(matches!(backports(&[source], "bookworm"), Addition::Write(_)));
        for not in ["", "# deb http://m/ a b", "deb-src http://m/ a b", "deb http://m/", "deb ["] {
            assert_eq!(parse_line(not), None, "{not}");
        }
    }

    #[test]
    fn a_key_inside_the_file_goes_along_whole() {
        let inline = "Types: deb\nURIs: http://m/debian\nSuites: bookworm\nComponents: main\nSigned-By:\n -----BEGIN\n .\n abc\n";
        let Addition::Write(text) = backports(&parse_deb822(inline), "bookworm") else { panic!() };
        assert!(text.contains("Signed-By: \n -----BEGIN\n .\n abc\n"), "{text}");
    }

    #[test]
    fn a_cdrom_is_no_mirror() {
        let disc = parse_line("deb cdrom:[Debian]/ bookworm main");
        let sources: Vec<_> = disc.into_iter().collect();
        assert_eq!(backports(&sources, "bookworm"), Addition::NoMirror);
    }
}
