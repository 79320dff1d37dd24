//! What may not stand in a file, and how long a file may be.

use std::path::Path;

use super::{Finding, tree::File};

/// Longest source file in lines; most are near a quarter of it.
const LONGEST: usize = 500;

/// Words that mark unfinished work, split so that this file has none of them.
const UNFINISHED: [&str; 5] = [
    concat!("to", "do!("),
    concat!("unimple", "mented!("),
    concat!("#[ig", "nore"),
    concat!("FIX", "ME"),
    concat!("X", "XX"),
];

/// Folders whose files a program writes.
const GENERATED: [&str; 2] = ["ui/src/lib/bindings/", "tests/fixtures/"];

const CODE: [&str; 5] = ["rs", "ts", "js", "svelte", "css"];

/// Checks every file.
pub(super) fn check(root: &Path, files: &[File]) -> Vec<Finding> {
    let here = root.to_string_lossy();
    files.iter().flat_map(|file| of_file(file, &here)).collect()
}

fn of_file(file: &File, root: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    if GENERATED.iter().any(|folder| file.path.starts_with(folder)) {
        return findings;
    }
    if file.has_ending(&CODE) {
        let lines = file.text.lines().count();
        if lines > LONGEST {
            let message = format!("has {lines} lines, more than {LONGEST}: it wants a wall");
            findings.push(Finding::new(&file.path, message));
        }
        for (at, line) in file.text.lines().enumerate() {
            for word in UNFINISHED.iter().filter(|word| line.contains(**word)) {
                let place = format!("{}:{}", file.path, at + 1);
                findings.push(Finding::new(place, format!("`{word}` marks unfinished work")));
            }
        }
    }
    // A clone at the top of the file system would find its path everywhere.
    if root.len() > 3
        && let Some(at) = file.text.lines().position(|line| line.contains(root))
    {
        let place = format!("{}:{}", file.path, at + 1);
        findings.push(Finding::new(place, "names the folder of this clone: write a relative path"));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::{super::tree::file, *};

    fn messages(path: &str, text: &str) -> usize {
        of_file(&file(path, text), "/home/ada/clone").len()
    }

    #[test]
    fn long_unfinished_and_machine_bound_files_are_found() {
        assert_eq!(messages("crates/a/src/lib.rs", &"line\n".repeat(LONGEST)), 0);
        assert_eq!(messages("crates/a/src/lib.rs", &"line\n".repeat(LONGEST + 1)), 1);
        assert_eq!(messages("crates/a/src/lib.rs", concat!("fn a() { to", "do!() }")), 1);
        assert_eq!(messages("crates/a/src/lib.rs", concat!("    #[ig", "nore = \"slow\"]")), 1);
        assert_eq!(messages("README.md", "cd /home/ada/clone && cargo xtask run"), 1);
        assert_eq!(messages("README.md", &"line\n".repeat(LONGEST + 1)), 0);
        assert_eq!(messages("tests/fixtures/a.rs", &"line\n".repeat(LONGEST + 1)), 0);
    }
}
