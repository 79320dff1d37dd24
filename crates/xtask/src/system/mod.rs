//! What the machine must have, and installing what it lacks.

mod apt;
mod distro;
mod dnf;
mod dpkg;
mod packages;
mod privilege;
mod quiet;
mod sources;

use anyhow::{Result, bail};

pub(crate) use packages::Group;
#[cfg(test)]
pub(crate) use packages::PACKAGES;
pub(crate) use privilege::is_root;

use self::distro::Family;

/// Installs the packages of these groups that are missing; says so first.
pub(crate) fn setup(groups: &[Group]) -> Result<()> {
    if std::env::var_os("TANDEM_SETUP").is_some_and(|value| value == "skip") {
        eprintln!("system packages: left as they are (TANDEM_SETUP=skip)");
        return Ok(());
    }
    let wanted = packages::of_groups(groups);
    let distro = distro::this_machine();
    match distro.family {
        Family::Debian => apt::install_missing(&wanted, &distro),
        Family::Fedora => dnf::install_missing(&wanted),
        Family::Unknown => {
            let names: Vec<_> = wanted.iter().map(|package| package.debian).collect();
            bail!(
                "`{}` is neither of the Debian nor of the Fedora family: install what Debian calls {} and set TANDEM_SETUP=skip",
                distro.name,
                names.join(" ")
            )
        }
    }
}

/// Whether somebody can see a window here.
pub(crate) fn has_display() -> bool {
    ["WAYLAND_DISPLAY", "DISPLAY"]
        .iter()
        .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}
