//! `/usr/share/doc/tandem/copyright`: whose work is in the programs, and under
//! which licence each part is taken (Debian's DEP-5 format).
//!
//! Nothing here is written by hand for one dependency: names, licences and
//! holders are read from what is linked (`cargo`) and what is in the page
//! (`npm`), and a licence without a text here stops the packing.

mod cargo;
mod holders;
mod npm;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use anyhow::{Context as _, Result};

use crate::licence;

/// Licences with their texts, the most wanted first: where a part offers a
/// choice, the first of these is taken. What Debian keeps in
/// `/usr/share/common-licenses` is named, the rest is quoted.
const TEXTS: [(&str, &str); 9] = [
    ("Apache-2.0", ""),
    ("MIT", include_str!("../files/licences/MIT.txt")),
    ("BSD-3-Clause", include_str!("../files/licences/BSD-3-Clause.txt")),
    ("BSD-2-Clause", include_str!("../files/licences/BSD-2-Clause.txt")),
    ("Zlib", include_str!("../files/licences/Zlib.txt")),
    ("ISC", include_str!("../files/licences/ISC.txt")),
    ("Unicode-3.0", include_str!("../files/licences/Unicode-3.0.txt")),
    ("bzip2-1.0.6", include_str!("../files/licences/bzip2-1.0.6.txt")),
    ("MPL-2.0", ""),
];

const HEAD: &str = "\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: Tandem
Comment:
 The programs are linked statically with crates of others, named below as
 cargo/NAME-VERSION, and the window's page contains packages of others, named
 as npm/NAME-VERSION. Their sources are what crates.io and npmjs.com have under
 these names. Where a part offers several licences, the one that it is taken
 under here is named. The lists are read from what is built: they name at most
 what is in the programs. Notices that authors ask to pass on are in the folder
 notices beside this file.

Files: *
Copyright: The Tandem developers
License: Apache-2.0

Files: rust/library/*
Copyright: The Rust Project contributors
License: Apache-2.0
Comment: The standard library, in every program.

Files: glibc/*
Copyright: Free Software Foundation, Inc.
License: LGPL-2.1+
Comment:
 The GNU C library is linked statically into usr/libexec/tandem/tandem-guest
 alone. Built-Using names the source package that it comes from; with it and
 Tandem's own source the program can be linked again with another version.
";

/// A part of the programs that others made.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    /// `cargo/serde-1.0.0`.
    name: String,
    /// The expression that it states.
    licence: String,
    /// Who holds the rights.
    holders: Vec<String>,
    /// A notice that must go along.
    notice: Option<String>,
}

/// What the package says about whose work it has.
#[derive(Debug)]
pub(crate) struct Copyright {
    /// The file `copyright`.
    pub(crate) text: String,
    /// Notices that must go along: a file name, and the text.
    pub(crate) notices: Vec<(String, String)>,
}

/// Reads what is linked and what is in the page.
pub(crate) fn find() -> Result<Copyright> {
    let parts = [cargo::parts()?, npm::parts()?].concat();
    let text = render(&parts)?;
    let noted = parts.into_iter().filter_map(|part| Some((part.name, part.notice?)));
    let notices = noted.map(|(name, notice)| (name.replace('/', "-"), notice)).collect();
    Ok(Copyright { text, notices })
}

fn render(parts: &[Part]) -> Result<String> {
    let names: Vec<&str> = TEXTS.iter().map(|(name, _)| *name).collect();
    let mut groups: BTreeMap<BTreeSet<&str>, Vec<&Part>> = BTreeMap::new();
    for part in parts {
        let taken = licence::taken(&part.licence, &names).with_context(|| {
            format!(
                "{} is under `{}`, of which there is no text: add it to xtask/src/package/files/licences",
                part.name, part.licence
            )
        })?;
        groups.entry(taken).or_default().push(part);
    }
    let mut text = HEAD.to_owned();
    for (licences, parts) in &groups {
        let licence: Vec<&str> = licences.iter().copied().collect();
        paragraph(&mut text, &licence.join(" and "), parts);
    }
    for (name, quoted) in TEXTS {
        let used = name == "Apache-2.0" || groups.keys().any(|licences| licences.contains(name));
        if used {
            let _ = write!(text, "\nLicense: {name}\n{}", body(name, quoted));
        }
    }
    let _ = write!(text, "\nLicense: LGPL-2.1+\n{}", body("LGPL-2.1", ""));
    Ok(text)
}

fn paragraph(text: &mut String, licence: &str, parts: &[&Part]) {
    let files: BTreeSet<&str> = parts.iter().map(|part| part.name.as_str()).collect();
    let _ = write!(text, "\nFiles:");
    for file in files {
        let _ = write!(text, "\n {file}/*");
    }
    let holders: BTreeSet<&str> =
        parts.iter().flat_map(|part| part.holders.iter().map(String::as_str)).collect();
    let _ = write!(text, "\nCopyright:");
    for holder in holders {
        let _ = write!(text, "\n {holder}");
    }
    let _ = writeln!(text, "\nLicense: {licence}");
}

/// The text of a licence, or where Debian has it.
fn body(name: &str, quoted: &str) -> String {
    if quoted.is_empty() {
        return format!(" On Debian systems the text is in /usr/share/common-licenses/{name}.\n");
    }
    indented(quoted)
}

/// Lines of a field's value: an empty one is a dot.
fn indented(text: &str) -> String {
    text.trim_end().lines().fold(String::new(), |mut all, line| {
        let line = line.trim_end();
        let _ = writeln!(all, " {}", if line.is_empty() { "." } else { line });
        all
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(name: &str, licence: &str, holder: &str) -> Part {
        Part {
            name: name.into(),
            licence: licence.into(),
            holders: vec![holder.into()],
            notice: None,
        }
    }

    #[test]
    fn parts_stand_under_the_licence_that_they_are_taken_under() {
        let parts = [
            part("cargo/a-1", "MIT OR Apache-2.0", "2015 A"),
            part("cargo/b-1", "(MIT OR Apache-2.0) AND Unicode-3.0", "2016 B"),
            part("cargo/c-1", "Apache-2.0", "2020 C"),
        ];
        let text = render(&parts).unwrap();
        let apache = "\nFiles:\n cargo/a-1/*\n cargo/c-1/*\nCopyright:\n 2015 A\n 2020 C\nLicense: Apache-2.0\n";
        assert!(text.contains(apache), "{text}");
        assert!(
            text.contains(
                " cargo/b-1/*\nCopyright:\n 2016 B\nLicense: Apache-2.0 and Unicode-3.0\n"
            )
        );
        assert!(text.contains("\nLicense: Unicode-3.0\n NOTICE TO USER"), "{text}");
        assert!(!text.contains("License: Zlib"), "{text}");
    }

    #[test]
    fn a_licence_without_text_stops_the_packing() {
        let error = render(&[part("cargo/x-1", "EUPL-1.2", "X")]).unwrap_err().to_string();
        assert!(error.starts_with("cargo/x-1 is under `EUPL-1.2`"), "{error}");
    }
}
