//! The repository's own rules as code. Each rule reads the tree and names
//! every place that breaks it.

mod deny;
mod dependencies;
mod host;
mod layout;
mod lock_files;
mod manifests;
mod map;
mod text;
mod third_party;
mod tree;

use std::{fmt, path::Path};

use anyhow::{Context as _, Result, bail};

pub(crate) use self::deny::Deny;

use crate::shell;

/// A place that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Finding {
    /// File, folder or package.
    place: String,
    /// What is wrong with it and what to do.
    message: String,
}

impl Finding {
    fn new(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self { place: place.into(), message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

/// Checks every rule; the error counts what was found, each printed before.
pub(crate) fn run() -> Result<()> {
    let findings = check(&shell::root())?;
    for finding in &findings {
        eprintln!("{finding}");
    }
    if !findings.is_empty() {
        bail!("{} places break the repository's rules", findings.len());
    }
    eprintln!("the repository's rules hold");
    Ok(())
}

/// Everything that is built here, with the crates of others.
pub(crate) fn graph() -> Result<serde_json::Value> {
    let target = ["--filter-platform", "x86_64-unknown-linux-gnu"];
    let fixed = ["metadata", "--locked", "--format-version", "1"];
    let output = shell::cargo(&[&fixed[..], &target].concat()).output()?;
    if !output.status.success() {
        bail!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The exceptions for crates of others.
pub(crate) fn deny() -> Result<Deny> {
    let text = std::fs::read_to_string(shell::root().join(deny::FILE))
        .with_context(|| format!("cannot read {}", deny::FILE))?;
    Ok(Deny::parse(&text))
}

fn check(root: &Path) -> Result<Vec<Finding>> {
    let metadata = shell::cargo(&["metadata", "--no-deps", "--format-version", "1"]).output()?;
    let metadata = serde_json::from_slice(&metadata.stdout)?;
    let files = tree::text_files(root)?;
    let mut findings = Vec::new();
    findings.extend(dependencies::check(&metadata));
    findings.extend(manifests::check(&metadata, &files));
    findings.extend(layout::check(root)?);
    findings.extend(map::check(root, &files));
    findings.extend(text::check(root, &files));
    findings.extend(host::check(&files));
    findings.extend(lock_files::check(&files));
    findings.extend(third_party::check(&graph()?, &deny()?));
    Ok(findings)
}
