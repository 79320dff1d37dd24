//! The crates of others: where they come from, under which licence, and each
//! in one version, with a reason for every exception.
//!
//! This is what `cargo deny check sources licenses bans` looks at, without the
//! minutes that compiling cargo-deny takes. Its fourth check, advisories, needs
//! a database from the internet, which a build machine may not reach.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Finding;
use crate::licence;

/// The only place crates of others come from.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Licences that ask for no more than to be named.
const LICENCES: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Crates under another licence.
const OTHER_LICENCES: &[(&str, &str)] = &[
    ("cssparser", "MPL-2.0 binds its own files only, which are as they came; the window's"),
    ("cssparser-macros", "as cssparser"),
    ("dtoa-short", "as cssparser"),
    ("libbz2-rs-sys", "bzip2's own licence, which is like BSD's"),
    ("option-ext", "as cssparser"),
    ("pathrs", "as cssparser; libcontainer's"),
    ("rust-criu", "names a file, not an expression: that is MIT"),
    ("selectors", "as cssparser"),
    ("webdriver", "as cssparser; part of the tests, not of the programs"),
];

/// Crates whose own dependencies may be of other versions than everybody's.
const BEHIND: &[(&str, &str)] = &[
    ("fantoccini", "drives the window in the tests with Mozilla's older crates"),
    ("libcontainer", "youki moves its nix, rustix and netlink in its own time"),
    ("tauri", "the window's GTK and its configuration pin their generation"),
    ("tauri-build", "as tauri"),
    ("tauri-plugin-opener", "as tauri"),
    ("tokio-postgres", "asks the database in the tests"),
];

/// Crates that may be there in several versions.
const SEVERAL: &[(&str, &str)] = &[
    ("base64", "reqwest has moved on first; a small table each"),
    ("getrandom", "ring, ahash and rand are three generations"),
    ("miniz_oxide", "png is one behind flate2"),
    ("strum", "oci-spec is one behind"),
    ("strum_macros", "as strum"),
    ("syn", "macros move from 2 to 3 one by one; not in the programs"),
];

/// A crate with what it needs, in the whole of what is built here.
#[derive(Debug)]
struct Package<'a> {
    name: &'a str,
    version: &'a str,
    licence: &'a str,
    /// None for our own.
    source: Option<&'a str>,
    needs: Vec<&'a str>,
}

/// Checks `cargo metadata` with its graph.
pub(super) fn check(metadata: &Value) -> Vec<Finding> {
    let packages = packages(metadata);
    let members: Vec<&str> = texts(&metadata["workspace_members"]).collect();
    let mut findings = Vec::new();
    let mut stale: BTreeSet<&str> = OTHER_LICENCES.iter().map(|(name, _)| *name).collect();
    for package in packages.values() {
        let Package { name, version, licence, source, .. } = package;
        if source.is_some_and(|source| source != REGISTRY) {
            findings.push(Finding::new(format!("{name} {version}"), "is not from crates.io"));
        }
        if !is_free(licence) && !stale.remove(name) {
            let message = format!(
                "is under `{licence}`: choose another crate, or give a reason in xtask's rules"
            );
            findings.push(Finding::new(format!("{name} {version}"), message));
        }
    }
    let behind = |name: &str| BEHIND.iter().any(|(other, _)| *other == name);
    let seen = versions(&packages, &members, &behind);
    for (name, versions) in seen.iter().filter(|(_, versions)| versions.len() > 1) {
        if !SEVERAL.iter().any(|(other, _)| other == name) {
            let all: Vec<_> = versions.iter().copied().collect();
            let message = format!(
                "is there as {}: bring its users to one, or give a reason in xtask's rules",
                all.join(" and ")
            );
            findings.push(Finding::new(*name, message));
        }
    }
    stale.extend(
        SEVERAL
            .iter()
            .map(|(name, _)| *name)
            .filter(|name| seen.get(name).is_none_or(|versions| versions.len() < 2)),
    );
    stale.extend(BEHIND.iter().map(|(name, _)| *name).filter(|name| !seen.contains_key(name)));
    findings.extend(stale.into_iter().map(|name| {
        Finding::new(name, "needs no exception any more: take it out of xtask's rules")
    }));
    findings
}

fn texts(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str)
}

fn packages(metadata: &Value) -> BTreeMap<&str, Package<'_>> {
    let mut needs: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for node in metadata["resolve"]["nodes"].as_array().into_iter().flatten() {
        needs.insert(
            node["id"].as_str().unwrap_or_default(),
            texts(&node["dependencies"]).collect(),
        );
    }
    let all = metadata["packages"].as_array().into_iter().flatten().filter_map(|package| {
        let id = package["id"].as_str()?;
        // What is not in the graph is for another kind of machine.
        let needs = needs.remove(id)?;
        let text = |key: &str| package[key].as_str().unwrap_or_default();
        let (name, version, licence) = (text("name"), text("version"), text("license"));
        Some((id, Package { name, version, licence, source: package["source"].as_str(), needs }))
    });
    all.collect()
}

/// Versions by name, of all that is reached without what crates that are
/// `behind` bring along.
fn versions<'a>(
    packages: &BTreeMap<&'a str, Package<'a>>,
    members: &[&'a str],
    behind: &dyn Fn(&str) -> bool,
) -> BTreeMap<&'a str, BTreeSet<&'a str>> {
    let mut seen = BTreeSet::new();
    let mut next: Vec<&str> = members.to_vec();
    let mut found: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    while let Some(id) = next.pop() {
        let Some(package) = packages.get(id).filter(|_| seen.insert(id)) else { continue };
        found.entry(package.name).or_default().insert(package.version);
        if !behind(package.name) {
            next.extend(&package.needs);
        }
    }
    found
}

/// Whether an SPDX expression can be met with [`LICENCES`] alone.
fn is_free(expression: &str) -> bool {
    licence::taken(expression, LICENCES).is_some()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn foreign_sources_licences_and_second_versions_are_found() {
        let package = |name: &str, version: &str, licence: &str, source: Option<&str>| {
            json!({ "id": format!("{name} {version}"), "name": name, "version": version,
                    "license": licence, "source": source })
        };
        let metadata = json!({
            "workspace_members": ["own 1"],
            "packages": [
                package("own", "1", "Apache-2.0", None),
                package("a", "1", "MIT", Some(REGISTRY)),
                package("a", "2", "MIT", Some(REGISTRY)),
                package("b", "1", "GPL-3.0", Some("git+https://example.org/b")),
                package("tauri", "2", "MIT", Some(REGISTRY)),
                package("c", "1", "MIT", Some(REGISTRY)),
                package("c", "2", "MIT", Some(REGISTRY)),
                package("elsewhere", "1", "GPL-3.0", Some(REGISTRY)),
            ],
            "resolve": { "nodes": [
                { "id": "own 1", "dependencies": ["a 1", "b 1", "tauri 2", "c 1"] },
                { "id": "a 1", "dependencies": [] },
                { "id": "a 2", "dependencies": [] },
                { "id": "b 1", "dependencies": ["a 2"] },
                { "id": "tauri 2", "dependencies": ["c 2"] },
                { "id": "c 1", "dependencies": [] },
                { "id": "c 2", "dependencies": [] },
            ]},
        });
        let found: Vec<_> = check(&metadata).iter().map(ToString::to_string).collect();
        let about = |text: &str| found.iter().filter(|it| it.starts_with(text)).count();
        assert_eq!(about("b 1: is not from crates.io"), 1, "{found:?}");
        assert_eq!(about("b 1: is under `GPL-3.0`"), 1, "{found:?}");
        assert_eq!(about("a: is there as 1 and 2"), 1, "{found:?}");
        assert_eq!(about("c:") + about("elsewhere"), 0, "{found:?}");
        assert_eq!(about("syn: needs no exception"), 1, "{found:?}");
    }
}
