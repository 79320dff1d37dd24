//! Installing with dnf.

use anyhow::Result;

use super::{packages::Package, privilege};
use crate::shell;

/// Installs what is missing of `wanted`.
pub(crate) fn install_missing(wanted: &[Package]) -> Result<()> {
    let missing: Vec<&str> = wanted
        .iter()
        .filter_map(|package| package.fedora)
        .filter(|name| !is_installed(name))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    eprintln!("system packages to install: {}", missing.join(" "));
    let args = [&["install", "-y", "--setopt=install_weak_deps=False"][..], &missing[..]].concat();
    shell::run(&mut privilege::command("dnf", &args)?)
}

fn is_installed(name: &str) -> bool {
    shell::command("rpm", &["-q", "--quiet", "--whatprovides", name])
        .status()
        .is_ok_and(|status| status.success())
}
