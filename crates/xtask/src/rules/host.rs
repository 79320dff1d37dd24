//! One folder of the page talks to the window's program.

use super::{Finding, tree::File};

const HOST: &str = "ui/src/lib/host/";

/// Finds imports of Tauri outside that folder.
pub(super) fn check(files: &[File]) -> Vec<Finding> {
    files
        .iter()
        .filter(|file| file.path.starts_with("ui/src/") && !file.path.starts_with(HOST))
        .filter(|file| file.has_ending(&["ts", "js", "svelte"]))
        .filter(|file| file.text.contains("@tauri-apps/"))
        .map(|file| Finding::new(&file.path, format!("imports @tauri-apps: only {HOST} may")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{super::tree::file, *};

    #[test]
    fn an_import_outside_the_host_folder_is_found() {
        let import = "import { invoke } from '@tauri-apps/api/core'";
        let found = check(&[
            file("ui/src/lib/host/tauri.ts", import),
            file("ui/src/lib/lab/Lab.svelte", import),
            file("ui/package.json", "\"@tauri-apps/api\": \"2\""),
        ]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].place, "ui/src/lib/lab/Lab.svelte");
    }
}
