//! Which other packages this one needs, and what for.
//!
//! Shared libraries come on top (`control`). The names are those of
//! `system::PACKAGES`; a test holds this list against that one.

/// Without these a page of the window or a lane fails. What is marked
/// essential in Debian (dpkg, util-linux, coreutils) is not named.
pub(crate) const DEPENDS: &[&str] = &[
    // Kernels are fetched with it.
    "apt",
    // Base images and kernels come from Debian packages.
    "ca-certificates",
    "debian-archive-keyring",
    "mmdebstrap",
    "xz-utils",
    // Disks and the machine itself.
    "e2fsprogs",
    "qemu-system-x86",
    "qemu-utils",
    // Container networks.
    "kmod",
    "nftables",
    // Letters of what is exported as pixels or pages, and the window's.
    "fonts-dejavu-core",
    // The window: its icons, and the browser that opens an app.
    "librsvg2-common",
    "xdg-utils",
];

/// What an ordinary user's containers and some builds need.
pub(crate) const RECOMMENDS: &[&str] = &[
    // `ADD` of a repository.
    "git",
    // The way out of an ordinary user's container networks.
    "passt | slirp4netns",
    // Users of an image as an ordinary user.
    "uidmap",
];

/// Lanes beside our own, and the memory of containers.
pub(crate) const SUGGESTS: &[&str] = &["docker.io | podman", "criu"];

/// Other programs of the same name.
pub(crate) const CONFLICTS: &[&str] = &[
    // A mass spectrometry program, `/usr/bin/tandem` too.
    "tandem-mass",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::{Group, PACKAGES};

    /// Needed by the tests, which look at a machine from outside, or by what
    /// `mmdebstrap` brings along itself.
    const NOT_AT_RUN_TIME: [&str; 2] = ["iproute2", "zstd"];

    fn names(relations: &[&'static str]) -> Vec<&'static str> {
        relations.iter().flat_map(|relation| relation.split(" | ")).collect()
    }

    #[test]
    fn what_is_installed_for_running_is_what_the_package_asks_for() {
        let asked = [names(DEPENDS), names(RECOMMENDS)].concat();
        for package in PACKAGES.iter().filter(|package| package.group == Group::Run) {
            let name = package.debian;
            let said = asked.contains(&name) != NOT_AT_RUN_TIME.contains(&name);
            assert!(said, "{name} is in one list of two");
        }
        for name in asked.iter().filter(|name| **name != "apt") {
            assert!(PACKAGES.iter().any(|package| package.debian == *name), "{name} is not set up");
        }
    }
}
