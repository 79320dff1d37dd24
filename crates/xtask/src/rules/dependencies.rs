//! Which of our crates may name which (`crates/ARCHITECTURE.md`).

use serde_json::Value;

use super::Finding;

/// Every crate with those of ours that it may depend on. What is not here may
/// not be: `lab` never names an engine, an engine never names `lab`, and
/// nothing below `app` knows of the window.
const ALLOWED: &[(&str, &[&str])] = &[
    ("tandem-model", &[]),
    ("tandem-home", &[]),
    ("tandem-stats", &["tandem-model"]),
    ("tandem-probe", &["tandem-model"]),
    ("tandem-rootless", &["tandem-model", "tandem-home", "tandem-probe"]),
    ("tandem-backend", &["tandem-model", "tandem-home", "tandem-probe"]),
    ("tandem-image", &["tandem-model", "tandem-home", "tandem-rootless"]),
    ("tandem-build", &["tandem-model", "tandem-home", "tandem-image", "tandem-backend"]),
    ("tandem-container", ENGINE),
    (
        "tandem-docker",
        &["tandem-model", "tandem-home", "tandem-image", "tandem-backend", "tandem-probe"],
    ),
    (
        "tandem-vm",
        &[
            "tandem-model",
            "tandem-home",
            "tandem-image",
            "tandem-backend",
            "tandem-probe",
            "tandem-rootless",
            // Both ends of the wire between host and guest are one library.
            "tandem-guest",
        ],
    ),
    ("tandem-work", &[]),
    ("tandem-guest", &["tandem-work"]),
    (
        "tandem-lab",
        &["tandem-model", "tandem-home", "tandem-backend", "tandem-probe", "tandem-stats"],
    ),
    ("tandem-lesson", &["tandem-model"]),
    ("tandem-report", &["tandem-model", "tandem-stats"]),
    (
        "tandem-app",
        &[
            "tandem-model",
            "tandem-home",
            "tandem-backend",
            "tandem-image",
            "tandem-build",
            "tandem-container",
            "tandem-docker",
            "tandem-vm",
            "tandem-work",
            "tandem-lab",
            "tandem-lesson",
            "tandem-report",
            "tandem-stats",
            "tandem-probe",
            "tandem-rootless",
        ],
    ),
    ("tandem-wire", &[]),
    ("tandem-service", &["tandem-app", "tandem-model", "tandem-wire"]),
    ("tandem-cli", SHELL),
    // The window knows no use case: what the page asks goes to the service.
    ("tandem-desktop", &["tandem-model", "tandem-wire"]),
    // The end-to-end tests run the programs; only words and measures are shared.
    // The benchmark times the drawing of charts, which no program does alone.
    ("tandem-tests", &["tandem-model", "tandem-stats", "tandem-probe", "tandem-report"]),
    ("xtask", &[]),
];

const ENGINE: &[&str] = &[
    "tandem-model",
    "tandem-home",
    "tandem-image",
    "tandem-backend",
    "tandem-probe",
    "tandem-rootless",
];

/// A shell uses `app`; besides it may name the types that pass through `app`,
/// but no engine and not the laboratory.
const SHELL: &[&str] = &[
    "tandem-app",
    "tandem-model",
    "tandem-backend",
    "tandem-image",
    "tandem-build",
    "tandem-lesson",
    "tandem-report",
    // The window's half of it starts the command with a hidden word.
    "tandem-service",
    "tandem-wire",
];

/// Crates that only the window's program may name.
const WINDOW_ONLY: [&str; 3] = ["tauri", "wry", "tao"];

/// Compares the table with `cargo metadata --no-deps`.
pub(super) fn check(metadata: &Value) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let name = package["name"].as_str().unwrap_or_default();
        let Some((_, allowed)) = ALLOWED.iter().find(|(known, _)| *known == name) else {
            findings.push(Finding::new(
                name,
                "is not in the table of crates: add it to xtask's rules and to crates/ARCHITECTURE.md",
            ));
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let other = dependency["name"].as_str().unwrap_or_default();
            // A test may use anything that does not change what is shipped.
            let is_dev = dependency["kind"].as_str() == Some("dev");
            let ours = ALLOWED.iter().any(|(known, _)| *known == other);
            if ours && !is_dev && !allowed.contains(&other) {
                let message = format!(
                    "may not depend on {other}: see the directions in crates/ARCHITECTURE.md"
                );
                findings.push(Finding::new(name, message));
            }
            let window = WINDOW_ONLY.contains(&other) || other.starts_with("tauri-");
            if window && name != "tandem-desktop" {
                let message = format!("may not depend on {other}: only src-tauri knows the window");
                findings.push(Finding::new(name, message));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn package(name: &str, dependencies: &[(&str, Option<&str>)]) -> Value {
        let dependencies: Vec<_> =
            dependencies.iter().map(|(name, kind)| json!({ "name": name, "kind": kind })).collect();
        json!({ "packages": [{ "name": name, "dependencies": dependencies }] })
    }

    #[test]
    fn a_laboratory_that_names_an_engine_is_found() {
        let found = check(&package("tandem-lab", &[("tandem-vm", None), ("serde", None)]));
        assert_eq!(found.len(), 1);
        assert!(found[0].to_string().starts_with("tandem-lab: may not depend on tandem-vm"));
        assert!(check(&package("tandem-lab", &[("tandem-stats", None)])).is_empty());
        assert!(check(&package("tandem-lab", &[("tandem-vm", Some("dev"))])).is_empty());
    }

    #[test]
    fn unknown_crates_and_tauri_below_the_shell_are_found() {
        assert_eq!(check(&package("tandem-new", &[])).len(), 1);
        assert_eq!(check(&package("tandem-app", &[("tauri-plugin-opener", None)])).len(), 1);
        assert!(check(&package("tandem-desktop", &[("tauri", None)])).is_empty());
    }

    #[test]
    fn the_table_itself_has_no_cycle() {
        // Every crate names only crates that can be built before it.
        let mut built: Vec<&str> = Vec::new();
        while built.len() < ALLOWED.len() {
            let ready = ALLOWED.iter().find(|(name, needs)| {
                !built.contains(name) && needs.iter().all(|need| built.contains(need))
            });
            built.push(ready.expect("the table has a cycle").0);
        }
    }
}
