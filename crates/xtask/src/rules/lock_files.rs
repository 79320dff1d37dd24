//! Lock files name the public registries, never somebody's mirror.

use super::{Finding, tree::File};

const CRATES: &str = "registry+https://github.com/rust-lang/crates.io-index";
const NPM: &str = "https://registry.npmjs.org/";

/// Checks `Cargo.lock` and `ui/package-lock.json`.
pub(super) fn check(files: &[File]) -> Vec<Finding> {
    files
        .iter()
        .filter_map(|file| match file.path.as_str() {
            "Cargo.lock" => first_odd(&file.text, "source = ", CRATES).map(|odd| (file, odd)),
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
        let npm = "  \"resolved\": \"https://npm.example/a.tgz\",\n";
        assert_eq!(check(&[file("ui/package-lock.json", npm)]).len(), 1);
        let npm = "  \"resolved\": \"https://registry.npmjs.org/a/-/a-1.tgz\",\n";
        assert!(check(&[file("ui/package-lock.json", npm)]).is_empty());
    }
}
