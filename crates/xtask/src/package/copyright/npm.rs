//! The packages of others in the window's page.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::{Part, holders};
use crate::shell;

/// What makes the page and is in it as well: the components' own library.
const RUNTIME: &str = "svelte";

/// Every one, sorted.
pub(super) fn parts() -> Result<Vec<Part>> {
    let ui = shell::root().join("ui");
    let lock = std::fs::read_to_string(ui.join("package-lock.json"))
        .context("cannot read ui/package-lock.json")?;
    let lock: Value = serde_json::from_str(&lock).context("ui/package-lock.json is not JSON")?;
    let packages = &lock["packages"];
    Ok(in_the_page(packages)
        .into_iter()
        .map(|name| {
            let package = &packages[format!("node_modules/{name}")];
            let text = |key: &str| package[key].as_str().unwrap_or_default().to_owned();
            let folder = ui.join("node_modules").join(&name);
            Part {
                name: format!("npm/{name}-{}", text("version")),
                licence: text("license"),
                holders: holders::of(&folder, &name, &[]),
                notice: holders::notice(&folder),
            }
        })
        .collect())
}

/// Names of the page's dependencies and of all that these depend on.
fn in_the_page(packages: &Value) -> BTreeSet<String> {
    let needs = |package: &Value| -> Vec<String> {
        package["dependencies"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, _)| name.clone())
            .collect()
    };
    let mut next = needs(&packages[""]);
    next.push(RUNTIME.to_owned());
    let mut seen = BTreeSet::new();
    while let Some(name) = next.pop() {
        let package = &packages[format!("node_modules/{name}")];
        if !package.is_null() && seen.insert(name) {
            next.extend(needs(package));
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_only_makes_the_page_is_not_in_it() {
        let packages = json!({
            "": { "dependencies": { "editor": "1" }, "devDependencies": { "svelte": "5", "vite": "8" } },
            "node_modules/editor": { "dependencies": { "keys": "1" } },
            "node_modules/keys": {},
            "node_modules/svelte": { "dependencies": { "clsx": "2" } },
            "node_modules/clsx": {},
            "node_modules/vite": { "dependencies": { "rollup": "4" } },
            "node_modules/rollup": {},
        });
        let names: Vec<_> = in_the_page(&packages).into_iter().collect();
        assert_eq!(names, ["clsx", "editor", "keys", "svelte"]);
    }
}
