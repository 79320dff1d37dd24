//! What a package must be before anybody gets it.

use std::path::Path;

use anyhow::{Result, bail};

use super::tree::Tree;
use crate::{shell, system};

/// A class downloads it over one wireless network.
const LARGEST: u64 = 25_000_000;

/// Looks at the package with Debian's and the desktops' own programs.
pub(crate) fn check(tree: &Tree, file: &Path, quick: bool) -> Result<()> {
    let desktop = tree.path("usr/share/applications/tandem-desktop.desktop");
    shell::run(shell::command("desktop-file-validate", &[]).arg(desktop))?;
    let metainfo = tree.path("usr/share/metainfo/dev.tandem.desktop.metainfo.xml");
    shell::run(shell::command("appstreamcli", &["validate", "--no-net"]).arg(metainfo))?;
    let options = ["--fail-on", "error,warning", "--tag-display-limit", "0"];
    let mut lintian = shell::command("lintian", &options);
    if system::is_root() {
        lintian.arg("--allow-root");
    }
    shell::run(lintian.arg(file))?;
    let size = std::fs::metadata(file)?.len();
    if !quick && size > LARGEST {
        bail!("{} has {size} bytes, more than {LARGEST}: find what grew", file.display());
    }
    Ok(())
}
