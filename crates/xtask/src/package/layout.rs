//! Which file goes where.

use std::{path::Path, process::Command};

use anyhow::{Context as _, Result, bail};

use super::{copyright, facts::Facts, tree::Tree};
use crate::shell;

/// The commands.
pub(crate) const COMMANDS: [&str; 2] = ["usr/bin/tandem", "usr/bin/tandem-desktop"];

/// The guest is no command: `tandem` finds it here (`tandem_home::companions`).
pub(crate) const GUEST: &str = "usr/libexec/tandem/tandem-guest";

/// Sizes of the icon theme (`hicolor`) with the file of `icons/` for each.
const ICONS: [(&str, &str); 9] = [
    ("16x16", "16x16.png"),
    ("24x24", "24x24.png"),
    ("32x32", "32x32.png"),
    ("48x48", "48x48.png"),
    ("64x64", "64x64.png"),
    ("128x128", "128x128.png"),
    ("256x256", "128x128@2x.png"),
    ("512x512", "icon.png"),
    ("scalable", "icon.svg"),
];

/// Shells, and what their completions are called where each looks for them.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "usr/share/bash-completion/completions/tandem"),
    ("zsh", "usr/share/zsh/vendor-completions/_tandem"),
    ("fish", "usr/share/fish/vendor_completions.d/tandem.fish"),
];

/// Lays everything out but the package's own control files.
pub(crate) fn fill(tree: &Tree, programs: &Path, facts: &Facts) -> Result<()> {
    for path in COMMANDS.iter().chain([&GUEST]) {
        let name = path.rsplit('/').next().unwrap_or(path);
        tree.copy(&programs.join(name), path, 0o755)
            .with_context(|| format!("`{name}` is not built: run `cargo xtask package`"))?;
        strip(&tree.path(path))?;
    }
    let tandem = programs.join("tandem");
    manual(tree, &tandem, facts)?;
    for (shell, path) in COMPLETIONS {
        tree.write(path, ask(Command::new(&tandem).args(["completion", shell]))?)?;
    }
    desktop(tree, facts)?;
    documents(tree, facts)
}

/// What is only there for debuggers and linkers goes.
fn strip(program: &Path) -> Result<()> {
    let options = ["--strip-all", "--remove-section=.comment", "--remove-section=.note"];
    shell::run(shell::command("strip", &options).arg(program))
}

fn manual(tree: &Tree, tandem: &Path, facts: &Facts) -> Result<()> {
    let folder = "usr/share/man/man1";
    tree.write(
        &format!("{folder}/tandem-desktop.1"),
        facts.fill(include_str!("files/tandem-desktop.1")),
    )?;
    ask(Command::new(tandem)
        .env_remove("TANDEM_HOME")
        .args(["man", "--dir"])
        .arg(tree.path(folder)))?;
    for page in tree.files(folder)? {
        // The mode comes from whoever runs this.
        tree.copy(&tree.path(&page), &page, 0o644)?;
        tree.compress(&page)?;
    }
    Ok(())
}

fn desktop(tree: &Tree, facts: &Facts) -> Result<()> {
    tree.write(
        "usr/share/applications/tandem-desktop.desktop",
        include_str!("files/tandem-desktop.desktop"),
    )?;
    let name = "dev.tandem.desktop.metainfo.xml";
    let text = facts.fill(include_str!("files/dev.tandem.desktop.metainfo.xml"));
    tree.write(&format!("usr/share/metainfo/{name}"), text)?;
    let icons = shell::root().join("icons");
    for (size, file) in ICONS {
        let ending = file.rsplit('.').next().unwrap_or("png");
        let path = format!("usr/share/icons/hicolor/{size}/apps/tandem.{ending}");
        tree.copy(&icons.join(file), &path, 0o644)?;
    }
    Ok(())
}

fn documents(tree: &Tree, facts: &Facts) -> Result<()> {
    let folder = "usr/share/doc/tandem";
    let copyright = copyright::find()?;
    tree.write(&format!("{folder}/copyright"), copyright.text)?;
    for (name, text) in copyright.notices {
        tree.write(&format!("{folder}/notices/{name}"), text)?;
    }
    let changelog = format!("{folder}/changelog.Debian");
    tree.write(&changelog, facts.fill(include_str!("files/changelog")))?;
    tree.compress(&changelog)?;
    tree.write("usr/share/lintian/overrides/tandem", include_str!("files/lintian-overrides"))
}

/// A program's standard output, when it did well.
fn ask(command: &mut Command) -> Result<Vec<u8>> {
    let output = command
        .output()
        .with_context(|| format!("cannot start {}", command.get_program().display()))?;
    if !output.status.success() {
        bail!(
            "{} ended with {}: {}",
            command.get_program().display(),
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(output.stdout)
}
