//! Every crate states the licence, takes the workspace's lints, and wants no
//! more of a library in its tests than in its programs.

use serde_json::Value;

use super::{Finding, tree::File};

/// Checks each package's manifest.
pub(super) fn check(metadata: &Value, files: &[File]) -> Vec<Finding> {
    let root = metadata["workspace_root"].as_str().unwrap_or_default();
    let mut findings = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let full = package["manifest_path"].as_str().unwrap_or_default();
        let path = full.strip_prefix(root).unwrap_or(full).trim_start_matches('/');
        if package["license"].as_str() != Some("Apache-2.0") {
            findings.push(Finding::new(path, "has no licence: write `license.workspace = true`"));
        }
        let manifest = files.iter().find(|file| file.path == path);
        if !manifest.is_some_and(|file| takes_workspace_lints(&file.text)) {
            let message =
                "does not take the workspace's lints: write `[lints]` and `workspace = true`";
            findings.push(Finding::new(path, message));
        }
        if manifest.is_some_and(|file| has_features_of_tests(&file.text)) {
            let message = "gives a dev-dependency features: name them in the workspace's \
                           `Cargo.toml`, or tests and programs are two builds of everything";
            findings.push(Finding::new(path, message));
        }
    }
    findings
}

/// The lines of a manifest, each with the section that it stands in.
fn lines_in_sections(manifest: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut section = "";
    manifest.lines().map(str::trim).map(move |line| {
        if line.starts_with('[') {
            section = line;
        }
        (section, line)
    })
}

fn takes_workspace_lints(manifest: &str) -> bool {
    lines_in_sections(manifest)
        .any(|(section, line)| section == "[lints]" && line.replace(' ', "") == "workspace=true")
}

fn has_features_of_tests(manifest: &str) -> bool {
    lines_in_sections(manifest)
        .any(|(section, line)| section.contains("dev-dependencies") && line.contains("features"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::tree::file, *};

    #[test]
    fn lints_must_stand_in_their_own_section() {
        assert!(takes_workspace_lints("[package]\nname = \"a\"\n[lints]\nworkspace = true\n"));
        assert!(!takes_workspace_lints("[lints.clippy]\nworkspace = true\n"));
        assert!(!takes_workspace_lints("[lints]\n[dependencies.x]\nworkspace = true\n"));
        assert!(!takes_workspace_lints(""));
    }

    #[test]
    fn features_for_tests_alone_are_found() {
        let a = "[dependencies]\na = { workspace = true, features = [\"x\"] }\n";
        assert!(!has_features_of_tests(a));
        let b = format!("{a}[dev-dependencies]\nb.workspace = true\n");
        assert!(!has_features_of_tests(&format!("{b}[features]\n# features\nc = []\n")));
        assert!(has_features_of_tests(&format!("{b}a = {{ path = \".\", features = [\"y\"] }}\n")));
        assert!(has_features_of_tests("[dev-dependencies.a]\nfeatures = [\"y\"]\n"));
    }

    #[test]
    fn a_missing_licence_is_found() {
        let metadata = json!({ "workspace_root": "/r", "packages": [
            { "manifest_path": "/r/crates/a/Cargo.toml", "license": null },
            { "manifest_path": "/r/crates/b/Cargo.toml", "license": "Apache-2.0" },
        ]});
        let lints = "[lints]\nworkspace = true\n";
        let files = [file("crates/a/Cargo.toml", lints), file("crates/b/Cargo.toml", lints)];
        let found = check(&metadata, &files);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].place, "crates/a/Cargo.toml");
    }
}
