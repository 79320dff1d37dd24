//! Lock files name the public registries, never somebody's mirror, and what is
//! fuzzed is what is shipped.

use std::collections::BTreeSet;

use super::{Finding, tree::File};

const CRATES: &str = "registry+https://github.com/rust-lang/crates.io-index";
const NPM: &str = "https://registry.npmjs.org/";

/// The lock file of the fuzz targets' workspace.
const FUZZ: &str = "tests/fuzz/Cargo.lock";

/// Checks both `Cargo.lock` and `ui/package-lock.json`.
pub(super) fn check(files: &[File]) -> Vec<Finding> {
    let mut findings = registries(files);
    let text = |path: &str| files.iter().find(|file| file.path == path).map(|file| &*file.text);
    if let (Some(shipped), Some(fuzzed)) = (text("Cargo.lock"), text(FUZZ)) {
        findings.extend(other_versions(shipped, fuzzed));
    }
    findings
}

/// Crates of which the fuzz targets have a version that the programs have not.
fn other_versions(shipped: &str, fuzzed: &str) -> Vec<Finding> {
    let shipped = packages(shipped);
    let names: BTreeSet<&str> = shipped.iter().map(|(name, _)| *name).collect();
    let odd = packages(fuzzed).into_iter().filter(|package| !shipped.contains(package));
    odd.filter(|(name, _)| names.contains(name))
        .map(|(name, version)| {
            let message = format!(
                "has {name} {version}, which the programs have not: copy Cargo.lock over it and run `cargo metadata` there"
            );
            Finding::new(FUZZ, message)
        })
        .collect()
}

/// Name and version of every package in a `Cargo.lock`.
fn packages(lock: &str) -> BTreeSet<(&str, &str)> {
    let packages = lock.split("[[package]]\n").skip(1).filter_map(|package| {
        let mut lines = package.lines();
        let name = lines.next()?.strip_prefix("name = \"")?.strip_suffix('"')?;
        let version = lines.next()?.strip_prefix("version = \"")?.strip_suffix('"')?;
        Some((name, version))
    });
    packages.collect()
}

fn registries(files: &[File]) -> Vec<Finding> {
    files
        .iter()
        .filter_map(|file| match file.path.as_str() {
            "Cargo.lock" | FUZZ => {
                first_odd(&file.text, "source = ", CRATES).map(|odd| (file, odd))
            }
            "ui/package-lock.json" => {
                first_odd(&file.text, "\"resolved\": ", NPM).map(|odd| (file, odd))
            }
            _ => None,
        })
        .map(|(file, line)| {
            let place = format!("{}:{line}", file.path);
            Finding::new(place, "names another registry than the public one")
        })
        .collect()
}

/// Number of the first line with `key` whose quoted value begins otherwise.
fn first_odd(text: &str, key: &str, expected: &str) -> Option<usize> {
    let odd = |line: &str| {
        line.trim()
            .strip_prefix(key)
            .is_some_and(|value| !value.trim_start_matches('"').starts_with(expected))
    };
    text.lines().position(odd).map(|at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::{super::tree::file, *};

    #[test]
    fn a_mirror_in_a_lock_file_is_found() {
        let public = format!("[[package]]\nname = \"a\"\nsource = \"{CRATES}\"\n");
        assert!(check(&[file("Cargo.lock", &public)]).is_empty());
        let mirror = format!("{public}source = \"sparse+https://mirror.example/index/\"\n");
        assert_eq!(check(&[file("Cargo.lock", &mirror)])[0].place, "Cargo.lock:4");
        assert_eq!(check(&[file(FUZZ, &mirror)]).len(), 1);
        let npm = "  \"resolved\": \"https://npm.example/a.tgz\",\n";
        assert_eq!(check(&[file("ui/package-lock.json", npm)]).len(), 1);
        let npm = "  \"resolved\": \"https://registry.npmjs.org/a/-/a-1.tgz\",\n";
        assert!(check(&[file("ui/package-lock.json", npm)]).is_empty());
    }
    #[test]
    fn a_crate_is_fuzzed_in_the_version_that_is_shipped() {
        let lock = |packages: &[(&str, &str)]| -> String {
            let package = |(name, version): &(&str, &str)| {
                format!("\n[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n")
            };
            packages.iter().map(package).collect()
        };
        let shipped = file("Cargo.lock", &lock(&[("a", "1.0.0"), ("a", "2.0.0"), ("b", "1.0.0")]));
        let same = file(FUZZ, &lock(&[("a", "2.0.0"), ("fuzzer", "1.0.0")]));
        assert_eq!(check(&[shipped.clone(), same]), []);
        let other = file(FUZZ, &lock(&[("a", "2.0.1"), ("b", "1.0.0")]));
        let found = check(&[shipped, other]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].to_string().contains("a 2.0.1"), "{found:?}");
    }
}
