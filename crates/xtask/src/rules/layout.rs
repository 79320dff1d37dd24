//! The top level: a short list of folders, and nothing else.

use std::path::Path;

use anyhow::Result;

use super::Finding;

/// What may stand at the top level besides dotfiles. `target` is cargo's.
const ALLOWED: [&str; 10] = [
    "Cargo.toml",
    "Cargo.lock",
    "LICENSE",
    "README.md",
    "crates",
    "icons",
    "src-tauri",
    "target",
    "tests",
    "ui",
];

/// Checks the names at the top level.
pub(super) fn check(root: &Path) -> Result<Vec<Finding>> {
    let mut names: Vec<String> = std::fs::read_dir(root)?
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    Ok(odd(&names))
}

fn odd(names: &[String]) -> Vec<Finding> {
    names
        .iter()
        .filter(|name| !name.starts_with('.') && !ALLOWED.contains(&name.as_str()))
        .map(|name| Finding::new(name, "does not belong at the top level: find its folder"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_folder_at_the_top_is_found() {
        let names = ["Cargo.toml", ".gitignore", "scripts", "ui"].map(String::from);
        let found = odd(&names);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].place, "scripts");
    }
}
