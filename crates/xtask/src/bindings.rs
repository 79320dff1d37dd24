//! The window's TypeScript types, written from the Rust ones.
//!
//! The types live in crates that this one does not depend on (it would take
//! minutes to start); an example of the `tandem-app` package writes them.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

use crate::{build, shell};

/// Writes the types into the page's sources.
pub(crate) fn write() -> Result<()> {
    let folder = committed();
    let fresh = export()?;
    if folder.is_dir() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    for (name, text) in &fresh {
        std::fs::write(folder.join(name), text)?;
    }
    eprintln!("{} types written to {}", fresh.len(), folder.display());
    Ok(())
}

/// An error when the committed types are not those that the code has now.
pub(crate) fn check() -> Result<()> {
    let stale = differences(&read(&committed())?, &export()?);
    if !stale.is_empty() {
        bail!("the TypeScript types are stale ({}): run `cargo xtask bindings`", stale.join(", "));
    }
    Ok(())
}

fn committed() -> PathBuf {
    shell::root().join("ui/src/lib/bindings")
}

/// File name to text of every type as the code has it now.
fn export() -> Result<BTreeMap<String, String>> {
    let folder = build::target_dir().join("bindings");
    if folder.is_dir() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    // All of the workspace's features, so that `test` need not compile again.
    shell::run(&mut shell::cargo(&["build", "--workspace", "--example", "bindings"]))?;
    let program = build::programs(build::Profile::Dev).join("examples/bindings");
    shell::run(shell::command(program, &[]).arg(&folder))?;
    let files = read(&folder)?;
    if let Some((name, _)) = files.iter().find(|(_, text)| text.contains("bigint")) {
        bail!(
            "{name} has a bigint, which JSON cannot carry: mark the field #[ts(type = \"number\")]"
        );
    }
    if files.is_empty() {
        bail!("the `bindings` example of tandem-app wrote nothing to {}", folder.display());
    }
    Ok(files)
}

fn read(folder: &Path) -> Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(files) };
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "ts") {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let text =
                std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            files.insert(name, text);
        }
    }
    Ok(files)
}

/// Names that are in one only or differ.
fn differences(old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> Vec<String> {
    let changed = new.iter().filter(|(name, text)| old.get(*name) != Some(text));
    let gone = old.iter().filter(|(name, _)| !new.contains_key(*name));
    changed.chain(gone).map(|(name, _)| name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_missing_and_left_over_types_are_stale() {
        let files = |list: &[(&str, &str)]| {
            list.iter().map(|(name, text)| ((*name).into(), (*text).into())).collect()
        };
        let old = files(&[("A.ts", "1"), ("B.ts", "1"), ("Gone.ts", "1")]);
        let new = files(&[("A.ts", "1"), ("B.ts", "2"), ("New.ts", "1")]);
        assert_eq!(differences(&old, &new), ["B.ts", "New.ts", "Gone.ts"]);
        assert!(differences(&new, &new).is_empty());
    }
}
