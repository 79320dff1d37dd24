//! The code map names every crate, and only crates that are there.

use std::path::Path;

use super::{Finding, tree::File};

const MAP: &str = "crates/ARCHITECTURE.md";

/// Compares the folders of `crates/` with the map.
pub(super) fn check(root: &Path, files: &[File]) -> Vec<Finding> {
    let crates: Vec<String> = std::fs::read_dir(root.join("crates"))
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    let Some(map) = files.iter().find(|file| file.path == MAP) else {
        return vec![Finding::new(MAP, "is missing")];
    };
    differences(&crates, &map.text)
}

/// A row of the map begins with `| \`name/\` |`.
fn differences(crates: &[String], map: &str) -> Vec<Finding> {
    let named: Vec<&str> = map
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("/` |"))
        .map(|(name, _)| name)
        .collect();
    let missing = crates
        .iter()
        .filter(|name| !named.contains(&name.as_str()))
        .map(|name| Finding::new(MAP, format!("does not name crates/{name}")));
    let stale = named
        .iter()
        .filter(|name| !name.contains('/') && !crates.iter().any(|own| own == *name))
        .map(|name| Finding::new(MAP, format!("names crates/{name}, which is not there")));
    missing.chain(stale).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_and_stale_rows_are_found() {
        let map = "| folder | what |\n|---|---|\n| `model/` | words |\n| `gone/` | no more |\n";
        let found = differences(&["model".into(), "new".into()], map);
        let text: Vec<_> = found.iter().map(ToString::to_string).collect();
        assert_eq!(text.len(), 2);
        assert!(text[0].ends_with("does not name crates/new"), "{text:?}");
        assert!(text[1].contains("names crates/gone"), "{text:?}");
    }
}
