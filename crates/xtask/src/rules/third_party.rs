//! The crates of others: where they come from, under which licence, and each
//! in one version, with a reason for every exception (`.cargo/deny.toml`).
//!
//! This is what `cargo deny check sources licenses bans` looks at, for machines
//! that have no cargo-deny and cannot fetch it (`../cargo_deny.rs`).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    Finding,
    deny::{self, Deny},
};
use crate::licence;

/// The only place crates of others come from.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

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
pub(super) fn check(metadata: &Value, deny: &Deny) -> Vec<Finding> {
    let packages = packages(metadata);
    let members: Vec<&str> = texts(&metadata["workspace_members"]).collect();
    let mut findings: Vec<Finding> = deny
        .unreasoned
        .iter()
        .map(|name| {
            Finding::new(name, format!("is an exception without a reason in {}", deny::FILE))
        })
        .collect();
    // Exceptions that nothing has needed so far.
    let mut stale: BTreeSet<&str> = deny.exceptions.iter().map(|(name, _)| &**name).collect();
    stale.extend(deny.clarified.keys().map(|name| &**name));
    for package in packages.values() {
        let Package { name, version, source, .. } = package;
        if source.is_some_and(|source| source != REGISTRY) {
            findings.push(Finding::new(format!("{name} {version}"), "is not from crates.io"));
        }
        let licence = deny.clarified.get(*name).filter(|_| package.licence.is_empty());
        if licence.is_some() {
            stale.remove(name);
        }
        let licence = licence.map_or(package.licence, |it| it);
        if !is_allowed(name, licence, deny, &mut stale) {
            let message = format!(
                "is under `{licence}`: choose another crate, or give a reason in {}",
                deny::FILE
            );
            findings.push(Finding::new(format!("{name} {version}"), message));
        }
    }
    let behind = |name: &str| deny.skip_tree.iter().any(|other| other == name);
    let seen = versions(&packages, &members, &behind);
    for (name, versions) in seen.iter().filter(|(_, versions)| versions.len() > 1) {
        if !deny.skip.iter().any(|other| other == name) {
            let all: Vec<_> = versions.iter().copied().collect();
            let message = format!(
                "is there as {}: bring its users to one, or give a reason in {}",
                all.join(" and "),
                deny::FILE
            );
            findings.push(Finding::new(*name, message));
        }
    }
    let one = |name: &&str| seen.get(*name).is_none_or(|versions| versions.len() < 2);
    stale.extend(deny.skip.iter().map(|name| &**name).filter(one));
    stale.extend(deny.skip_tree.iter().map(|name| &**name).filter(|name| !seen.contains_key(name)));
    findings.extend(stale.into_iter().map(|name| {
        let message = format!("needs no exception any more: take it out of {}", deny::FILE);
        Finding::new(name, message)
    }));
    findings
}

/// Whether a crate's licence is one of those for all, or one of its own.
fn is_allowed(name: &str, expression: &str, deny: &Deny, stale: &mut BTreeSet<&str>) -> bool {
    let mut allowed: Vec<&str> = deny.allow.iter().map(|licence| &**licence).collect();
    if licence::taken(expression, &allowed).is_some() {
        return true;
    }
    let own = deny.exceptions.iter().filter(|(other, _)| other == name);
    allowed.extend(own.flat_map(|(_, licences)| licences.iter().map(|licence| &**licence)));
    licence::taken(expression, &allowed).is_some() && stale.remove(name)
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
        let deny = Deny {
            allow: vec!["MIT".into(), "Apache-2.0".into()],
            skip: vec!["syn".into()],
            skip_tree: vec!["tauri".into()],
            unreasoned: vec!["syn".into()],
            ..Deny::default()
        };
        let found: Vec<_> = check(&metadata, &deny).iter().map(ToString::to_string).collect();
        let about = |text: &str| found.iter().filter(|it| it.starts_with(text)).count();
        assert_eq!(about("b 1: is not from crates.io"), 1, "{found:?}");
        assert_eq!(about("b 1: is under `GPL-3.0`"), 1, "{found:?}");
        assert_eq!(about("a: is there as 1 and 2"), 1, "{found:?}");
        assert_eq!(about("c:") + about("elsewhere"), 0, "{found:?}");
        assert_eq!(about("syn: needs no exception"), 1, "{found:?}");
        assert_eq!(about("syn: is an exception without a reason"), 1, "{found:?}");
    }

    #[test]
    fn an_exception_is_for_one_crate_and_for_as_long_as_it_needs_it() {
        let deny = Deny {
            allow: vec!["MIT".into()],
            exceptions: vec![("selectors".into(), vec!["MPL-2.0".into()])],
            ..Deny::default()
        };
        let mut stale = BTreeSet::from(["selectors"]);
        assert!(!is_allowed("other", "MPL-2.0", &deny, &mut stale));
        assert!(is_allowed("selectors", "MIT OR MPL-2.0", &deny, &mut stale));
        assert_eq!(stale.len(), 1);
        assert!(is_allowed("selectors", "MPL-2.0", &deny, &mut stale));
        assert!(stale.is_empty());
    }
}
