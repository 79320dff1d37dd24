//! What axe finds in a page of the real window.

use std::path::Path;

use anyhow::{Context as _, Result};

use crate::desktop::Desktop;

/// Puts axe into the page; once for each window.
pub fn install(desktop: &Desktop) -> Result<()> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ui/node_modules/axe-core/axe.min.js");
    let source = std::fs::read_to_string(&file)
        .with_context(|| format!("no axe at {}: run `npm ci` in ui", file.display()))?;
    desktop.script(&format!("{source}\nwindow.axe = axe; return null"))?;
    Ok(())
}

/// What is serious or worse in what the window shows now: the rule, and the
/// first element that breaks it.
pub fn serious(desktop: &Desktop) -> Result<Vec<String>> {
    let found = desktop.script_async(
        "const done = arguments[arguments.length - 1];
         axe.run(document, { preload: false, resultTypes: ['violations'] }).then(
           (all) => done(all.violations
             .filter((one) => one.impact === 'serious' || one.impact === 'critical')
             .map((one) => `${one.id}: ${one.nodes.length} times, ${one.nodes[0].html.slice(0, 300)} (${one.nodes[0].failureSummary})`)),
           (error) => done([`axe failed: ${error}`]))",
    )?;
    let found = found.as_array().context("axe gave no list")?;
    Ok(found.iter().map(|one| one.as_str().unwrap_or_default().to_owned()).collect())
}
