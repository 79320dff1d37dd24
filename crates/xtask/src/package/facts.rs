//! What every file of the package says alike: version, date, who.

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::shell;

/// Debian's part of the version: how often this version was packed here. One
/// that Debian itself made would begin at 1 and so take its place.
const REVISION: &str = "0tandem1";

/// Version, date, who.
#[derive(Debug)]
pub(crate) struct Facts {
    /// Of the workspace, e.g. `0.1.0`.
    pub(crate) upstream: String,
    /// Of the package, e.g. `0.1.0-0tandem1`.
    pub(crate) version: String,
    /// Debian's name, e.g. `amd64`.
    pub(crate) architecture: String,
    /// `Name <address>`.
    pub(crate) maintainer: String,
    /// The date of everything in the package, in seconds since 1970:
    /// `SOURCE_DATE_EPOCH`, or when the newest commit was made.
    pub(crate) epoch: u64,
    /// The same as the changelog writes it (RFC 5322).
    pub(crate) date: String,
    /// The same as a day, `2026-11-29`.
    pub(crate) day: String,
}

impl Facts {
    /// Asks cargo, git, dpkg and the environment.
    pub(crate) fn find() -> Result<Self> {
        let metadata =
            shell::cargo(&["metadata", "--no-deps", "--format-version", "1"]).output()?;
        let metadata: Value = serde_json::from_slice(&metadata.stdout)?;
        let upstream = version_of(&metadata, "tandem-cli").context("tandem-cli has no version")?;
        let architecture =
            ask("dpkg", &["--print-architecture"]).context("dpkg does not say what this is")?;
        let epoch = epoch()?;
        let at = format!("@{epoch}");
        Ok(Self {
            version: format!("{}-{REVISION}", debian_version(&upstream)),
            upstream,
            architecture,
            maintainer: maintainer()?,
            epoch,
            date: ask("date", &["-u", "-R", "-d", &at]).context("`date` gives no date")?,
            day: ask("date", &["-u", "-I", "-d", &at]).context("`date` gives no day")?,
        })
    }

    /// Puts the facts into a text with `@NAME@`s.
    pub(crate) fn fill(&self, text: &str) -> String {
        text.replace("@UPSTREAM@", &self.upstream)
            .replace("@VERSION@", &self.version)
            .replace("@ARCHITECTURE@", &self.architecture)
            .replace("@MAINTAINER@", &self.maintainer)
            .replace("@DATE@", &self.date)
            .replace("@DAY@", &self.day)
    }
}

/// A program's output without its line end; `None` when there is none.
pub(crate) fn ask(program: &str, args: &[&str]) -> Option<String> {
    let mut command = shell::command(program, args);
    let text = shell::ask(command.env("LC_ALL", "C"))?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// Who answers for the package: whom `DEBFULLNAME` and `DEBEMAIL` name, as for
/// Debian's own tools, else who made the newest commit.
fn maintainer() -> Result<String> {
    let of = |variable: &str, format: &str| {
        let given = std::env::var(variable).ok().filter(|it| !it.trim().is_empty());
        given.or_else(|| ask("git", &["log", "-1", format]))
    };
    let found = of("DEBFULLNAME", "--format=%an").zip(of("DEBEMAIL", "--format=%ae"));
    let (name, address) = found.context(
        "nobody answers for the package: there is no commit to take a name from, so set DEBFULLNAME and DEBEMAIL",
    )?;
    mailbox(&name, &address)
}

/// `Name <address>` (RFC 5322, 3.4), as the control file has it.
fn mailbox(name: &str, address: &str) -> Result<String> {
    let (name, address) = (name.trim(), address.trim());
    let whole =
        address.split_once('@').is_some_and(|(user, host)| !user.is_empty() && host.contains('.'));
    let plain = |text: &str| !text.contains(['<', '>', '\n', ',']);
    if !whole || address.contains(char::is_whitespace) || !plain(address) || !plain(name) {
        bail!(
            "`{name} <{address}>` is nobody to write to: set DEBFULLNAME and DEBEMAIL to who answers for the package"
        );
    }
    Ok(format!("{name} <{address}>"))
}

fn epoch() -> Result<u64> {
    if let Ok(given) = std::env::var("SOURCE_DATE_EPOCH") {
        let read = given.parse();
        return read
            .with_context(|| format!("SOURCE_DATE_EPOCH=`{given}` is no number of seconds"));
    }
    let newest = ask("git", &["log", "-1", "--format=%ct"]).and_then(|text| text.parse().ok());
    newest.context("no commit tells the package's date: set SOURCE_DATE_EPOCH")
}

fn version_of(metadata: &Value, package: &str) -> Option<String> {
    let packages = metadata["packages"].as_array()?;
    let found = packages.iter().find(|it| it["name"] == package)?;
    found["version"].as_str().map(str::to_owned)
}

/// What comes before a release sorts before it: `1.0.0-rc.1` is `1.0.0~rc.1`.
fn debian_version(upstream: &str) -> String {
    upstream.replacen('-', "~", 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_before_a_release_sorts_before_it() {
        assert_eq!(debian_version("1.0.0-rc.1"), "1.0.0~rc.1");
        assert_eq!(debian_version("0.1.0"), "0.1.0");
    }

    #[test]
    fn who_answers_is_somebody_with_an_address() {
        assert_eq!(mailbox(" A. B ", "a@b.example").unwrap(), "A. B <a@b.example>");
        for (name, address) in [
            ("A", "root@localhost"),
            ("A", "nobody"),
            ("A", "@b.c"),
            ("A\nDepends: x", "a@b.c"),
            ("A", "a@b.c, d@e.f"),
        ] {
            let told = mailbox(name, address).unwrap_err().to_string();
            assert!(told.contains("DEBEMAIL"), "{told}");
        }
    }

    #[test]
    fn every_name_in_a_text_is_filled() {
        let facts = Facts {
            upstream: "1.2.3".into(),
            version: "1.2.3-1".into(),
            architecture: "amd64".into(),
            maintainer: "A <a@b.invalid>".into(),
            epoch: 0,
            date: "Thu, 01 Jan 1970 00:00:00 +0000".into(),
            day: "1970-01-01".into(),
        };
        for text in
            [include_str!("files/changelog"), include_str!("files/dev.tandem.desktop.metainfo.xml")]
        {
            let filled = facts.fill(text);
            let left =
                filled.split('@').filter(|word| word.chars().all(|c| c.is_ascii_uppercase()));
            assert_eq!(left.count(), 0, "{filled}");
        }
    }
}
