//! `DEBIAN/control` and `DEBIAN/md5sums`.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, bail};

use super::{
    facts::{self, Facts},
    layout::COMMANDS,
    relations::{CONFLICTS, DEPENDS, RECOMMENDS, SUGGESTS},
    tree::Tree,
};
use crate::shell;

/// What was written.
#[derive(Debug)]
pub(crate) struct Control {
    /// `Installed-Size`, in KiB.
    pub(crate) size: u64,
}

/// Writes the control files of what is laid out.
pub(crate) fn write(tree: &Tree, facts: &Facts) -> Result<Control> {
    let size = tree.kibibytes()?;
    let libraries = shared_libraries(tree)?;
    let mut depends: Vec<&str> = libraries.split(", ").chain(DEPENDS.iter().copied()).collect();
    depends.sort_unstable();
    let text = facts
        .fill(include_str!("files/control"))
        .replace("@SIZE@", &size.to_string())
        .replace("@DEPENDS@", &depends.join(", "))
        .replace("@RECOMMENDS@", &RECOMMENDS.join(", "))
        .replace("@SUGGESTS@", &SUGGESTS.join(", "))
        .replace("@CONFLICTS@", &CONFLICTS.join(", "))
        .replace("@BUILT_USING@", &linked_c_library()?);
    let sums = sums(tree)?;
    tree.write("DEBIAN/control", text)?;
    tree.write("DEBIAN/md5sums", sums)?;
    Ok(Control { size })
}

/// Packages of the shared libraries, with the oldest versions that have every
/// symbol in use, as dpkg-shlibdeps reads them from the programs.
fn shared_libraries(tree: &Tree) -> Result<String> {
    // It wants a source package around it.
    let folder = tree.root().with_extension("shlibdeps");
    let debian = folder.join("debian");
    fs::create_dir_all(&debian)?;
    let text = "Source: tandem\n\nPackage: tandem\nArchitecture: any\n";
    fs::write(debian.join("control"), text)?;
    let mut dpkg = shell::command("dpkg-shlibdeps", &["-O"]);
    dpkg.current_dir(&folder).env("LC_ALL", "C");
    for path in COMMANDS {
        dpkg.arg(format!("-e{}", tree.path(path).display()));
    }
    let output = dpkg.output().context("cannot start dpkg-shlibdeps: is dpkg-dev installed?")?;
    fs::remove_dir_all(&folder)?;
    let found = String::from_utf8_lossy(&output.stdout).into_owned();
    match found.trim().strip_prefix("shlibs:Depends=") {
        Some(list) if output.status.success() => Ok(list.to_owned()),
        _ => bail!(
            "dpkg-shlibdeps does not say which libraries are needed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        ),
    }
}

/// The guest has the GNU C library in it, whose source its licence (LGPL)
/// keeps beside it: `glibc (= 2.36-9+deb12u10)`.
fn linked_c_library() -> Result<String> {
    let format = "-f=${source:Package} (= ${source:Version})";
    facts::ask("dpkg-query", &["-W", format, "libc6-dev"])
        .context("dpkg does not know libc6-dev, which the guest is linked with")
}

fn sums(tree: &Tree) -> Result<String> {
    let mut md5sum = shell::command("md5sum", &[]);
    md5sum.current_dir(tree.root()).args(tree.files("")?.iter().map(Path::new));
    let output = md5sum.output()?;
    if !output.status.success() {
        bail!("md5sum: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8(output.stdout)?)
}
