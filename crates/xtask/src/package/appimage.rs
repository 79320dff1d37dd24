//! An AppImage, where the machine has what makes one.
//!
//! Its first part is a small program (the runtime) that mounts the rest. That
//! program is in no package registry: Debian has none, and the packages of
//! crates.io, PyPI and npm that make AppImages fetch it from elsewhere.

use std::path::Path;

use anyhow::{Context as _, Result, bail};

use super::{facts::Facts, tree::Tree};
use crate::shell;

const TOOL: &str = "appimagetool";

/// Starts the window; the command with the name `tandem` as first argument.
const START: &str = "\
#!/bin/sh
here=$(dirname \"$(readlink -f \"$0\")\")
if [ \"$1\" = tandem ]; then
    shift
    exec \"$here/usr/bin/tandem\" \"$@\"
fi
exec \"$here/usr/bin/tandem-desktop\" \"$@\"
";

/// Lays out the folder and has it packed; without the tool it says why not and
/// leaves it at that, since the package is made already.
pub(crate) fn make(deb: &Tree, folder: &Path, facts: &Facts) -> Result<()> {
    if !shell::on_path(TOOL) {
        eprintln!(
            "no AppImage: `{TOOL}`, with the runtime that mounts one, is in no package registry; put it on PATH and run `cargo xtask package` again, or install the package"
        );
        return Ok(());
    }
    let dir = lay_out(deb, folder)?;
    let file = folder.join(format!("Tandem-{}-x86_64.AppImage", facts.upstream));
    let mut tool = shell::command(TOOL, &[]);
    tool.arg(dir.root()).arg(&file);
    tool.env("ARCH", "x86_64").env("SOURCE_DATE_EPOCH", facts.epoch.to_string());
    shell::run(&mut tool)?;
    if !file.exists() {
        bail!("{TOOL} ended well and made no {}: try it by hand", file.display());
    }
    println!("{} (WebKitGTK and QEMU are the machine's)", file.display());
    Ok(())
}

/// The package's files, and at the top what the format asks for.
fn lay_out(deb: &Tree, folder: &Path) -> Result<Tree> {
    let dir = Tree::begin(folder.join("Tandem.AppDir"))?;
    for path in deb.files("usr")? {
        let mode = if path.starts_with("usr/bin/") || path.starts_with("usr/libexec/") {
            0o755
        } else {
            0o644
        };
        dir.copy(&deb.path(&path), &path, mode)?;
    }
    for (from, to) in [
        ("usr/share/applications/tandem-desktop.desktop", "tandem-desktop.desktop"),
        ("usr/share/icons/hicolor/256x256/apps/tandem.png", "tandem.png"),
    ] {
        dir.copy(&deb.path(from), to, 0o644)?;
    }
    let start = folder.join("AppRun");
    std::fs::write(&start, START).with_context(|| format!("cannot write {}", start.display()))?;
    dir.copy(&start, "AppRun", 0o755)?;
    std::fs::remove_file(start)?;
    Ok(dir)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    #[test]
    fn the_folder_has_what_the_format_asks_for() {
        let folder = std::env::temp_dir().join(format!("xtask-appdir-{}", std::process::id()));
        let deb = Tree::begin(folder.join("tree")).unwrap();
        for path in [
            "usr/bin/tandem",
            "usr/libexec/tandem/tandem-guest",
            "usr/share/applications/tandem-desktop.desktop",
            "usr/share/icons/hicolor/256x256/apps/tandem.png",
            "DEBIAN/control",
        ] {
            deb.write(path, path).unwrap();
        }
        let dir = lay_out(&deb, &folder).unwrap();
        let mode = |path: &str| fs::metadata(dir.path(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("AppRun"), mode("usr/bin/tandem")), (0o755, 0o755));
        assert_eq!((mode("tandem.png"), mode("tandem-desktop.desktop")), (0o644, 0o644));
        assert!(!dir.path("DEBIAN").exists() && !folder.join("AppRun").exists());
        fs::remove_dir_all(&folder).unwrap();
    }
}
