//! The crates that are linked into the programs.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use anyhow::Result;
use serde_json::Value;

use super::{Part, holders};
use crate::rules::{self, Deny};

/// Our packages whose programs are shipped.
const PROGRAMS: [&str; 3] = ["tandem-cli", "tandem-desktop", "tandem-guest"];

/// Every one, sorted.
pub(super) fn parts() -> Result<Vec<Part>> {
    Ok(linked(&rules::graph()?, &rules::deny()?))
}

/// Crates of others that are reached over ordinary dependencies. What builds
/// (`build-dependencies`, macros) and what tests is in no program.
fn linked(metadata: &Value, deny: &Deny) -> Vec<Part> {
    let list = |value: &'_ Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let packages: BTreeMap<String, Value> =
        list(&metadata["packages"]).into_iter().map(|it| (text(&it["id"]), it)).collect();
    let nodes: BTreeMap<String, Value> =
        list(&metadata["resolve"]["nodes"]).into_iter().map(|it| (text(&it["id"]), it)).collect();
    let is_program = |it: &&Value| PROGRAMS.iter().any(|name| it["name"] == *name);
    let mut next: Vec<String> =
        packages.values().filter(is_program).map(|it| text(&it["id"])).collect();
    let mut seen = BTreeSet::new();
    let mut parts = Vec::new();
    while let Some(id) = next.pop() {
        let (Some(package), Some(node)) = (packages.get(&id), nodes.get(&id)) else { continue };
        if is_macro(package) || !seen.insert(id) {
            continue;
        }
        for need in list(&node["deps"]) {
            if list(&need["dep_kinds"]).iter().any(|kind| kind["kind"].is_null()) {
                next.push(text(&need["pkg"]));
            }
        }
        if !package["source"].is_null() {
            parts.push(part(package, deny));
        }
    }
    parts.sort_by(|a, b| a.name.cmp(&b.name));
    parts
}

fn is_macro(package: &Value) -> bool {
    package["targets"].as_array().into_iter().flatten().any(|target| {
        target["kind"].as_array().into_iter().flatten().any(|kind| kind == "proc-macro")
    })
}

fn part(package: &Value, deny: &Deny) -> Part {
    let text = |key: &str| package[key].as_str().unwrap_or_default();
    let name = text("name");
    let folder = Path::new(text("manifest_path")).parent().unwrap_or(Path::new(""));
    let authors: Vec<&str> =
        package["authors"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let stated = Some(text("license")).filter(|licence| !licence.is_empty());
    let clarified = deny.clarified.get(name).map(String::as_str);
    Part {
        name: format!("cargo/{name}-{}", text("version")),
        licence: stated.or(clarified).unwrap_or_default().to_owned(),
        holders: holders::of(folder, name, &authors),
        notice: holders::notice(folder),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_is_linked_is_named() {
        let package = |name: &str, kind: &str| {
            json!({ "id": name, "name": name, "version": "1.0.0", "license": "MIT",
                    "source": if name.starts_with("tandem") { None } else { Some("registry") },
                    "authors": ["Ada <a@example.org>"], "manifest_path": "/nonexistent/Cargo.toml",
                    "targets": [{ "kind": [kind] }] })
        };
        let need = |name: &str, kind: Option<&str>| json!({ "pkg": name, "dep_kinds": [{ "kind": kind }] });
        let metadata = json!({
            "packages": [
                package("tandem-cli", "bin"), package("tandem-app", "lib"), package("linked", "lib"),
                package("derive", "proc-macro"), package("cc", "lib"), package("jsonschema", "lib"),
            ],
            "resolve": { "nodes": [
                { "id": "tandem-cli", "deps": [need("tandem-app", None), need("jsonschema", Some("dev"))] },
                { "id": "tandem-app", "deps": [need("linked", None), need("derive", None)] },
                { "id": "linked", "deps": [need("cc", Some("build"))] },
                { "id": "derive", "deps": [] }, { "id": "cc", "deps": [] }, { "id": "jsonschema", "deps": [] },
            ]},
        });
        let parts = linked(&metadata, &Deny::default());
        let names: Vec<_> = parts.iter().map(|part| part.name.as_str()).collect();
        assert_eq!(names, ["cargo/linked-1.0.0"]);
        assert_eq!(parts[0].holders, ["Ada"]);
    }
}
