//! Installing with apt-get, and the trap of Debian 12's QEMU.

use anyhow::{Result, bail};

use super::{
    distro::Distro,
    dpkg::{self, Installed},
    packages::{Package, QEMU_SYSTEM, QEMU_UTILS},
    privilege,
    quiet::Quiet,
    sources::{self, Addition},
};
use crate::shell;

const BACKPORTS_FILE: &str = "/etc/apt/sources.list.d/tandem-backports.sources";

/// Packages built from QEMU's source: all of one machine have one version.
const QEMU_FAMILY: [&str; 6] = [
    QEMU_SYSTEM,
    QEMU_UTILS,
    "qemu-system-common",
    "qemu-system-data",
    "qemu-block-extra",
    "qemu-system-gui",
];

/// What has to be installed, and from where.
#[derive(Debug, PartialEq, Eq)]
struct Plan {
    /// From whatever apt prefers.
    plain: Vec<&'static str>,
    /// From this suite, because its siblings come from there already.
    from_suite: Option<(String, Vec<&'static str>)>,
}

impl Plan {
    fn is_empty(&self) -> bool {
        self.plain.is_empty() && self.from_suite.is_none()
    }
}

/// Installs what is missing of `wanted`.
pub(crate) fn install_missing(wanted: &[Package], distro: &Distro) -> Result<()> {
    let names: Vec<&'static str> = wanted.iter().map(|package| package.debian).collect();
    let asked = [&names[..], &QEMU_FAMILY[..]].concat();
    let mut plan = plan(&names, &dpkg::installed(&asked), distro);
    if plan.from_suite.is_none() && plan.plain.iter().all(|name| is_optional(name, wanted)) {
        // Not worth fetching the lists for what this distribution may lack.
        leave_out_unavailable(&mut plan.plain, wanted)?;
    }
    if plan.is_empty() {
        return Ok(());
    }
    let from_suite = plan.from_suite.iter().flat_map(|(_, names)| names);
    let all: Vec<&str> = plan.plain.iter().chain(from_suite).copied().collect();
    eprintln!("system packages to install: {}", all.join(" "));

    if let Some((suite, _)) = &plan.from_suite {
        add_backports(suite, &distro.codename)?;
    }
    shell::run(&mut apt_get(&["update", "-q"])?)?;
    leave_out_unavailable(&mut plan.plain, wanted)?;

    let docker = plan.plain.contains(&"docker.io");
    let quiet = if docker { Some(Quiet::begin()?) } else { None };
    if let Some((suite, names)) = &plan.from_suite {
        install(&["-t", suite], names)?;
    }
    if !plan.plain.is_empty() {
        install(&[], &plan.plain)?;
    }
    drop(quiet);
    if docker {
        Quiet::disable_services()?;
    }
    Ok(())
}

fn install(options: &[&str], names: &[&str]) -> Result<()> {
    let fixed = ["install", "-y", "-q", "--no-install-recommends"];
    shell::run(&mut apt_get(&[&fixed[..], options, names].concat())?)
}

fn apt_get(args: &[&str]) -> Result<std::process::Command> {
    // Through `env`, because sudo drops the environment.
    privilege::command("env", &[&["DEBIAN_FRONTEND=noninteractive", "apt-get"][..], args].concat())
}

/// Debian 12: with `qemu-utils` from bookworm-backports already there, a plain
/// `apt-get install qemu-system-x86` conflicts with it; then the emulator must
/// come from backports as well.
fn plan(wanted: &[&'static str], installed: &Installed, distro: &Distro) -> Plan {
    let mut plain: Vec<&'static str> =
        wanted.iter().copied().filter(|name| !installed.contains_key(*name)).collect();
    plain.dedup();
    let backported =
        QEMU_FAMILY.iter().filter_map(|name| installed.get(*name)).any(|v| is_backport(v));
    if !backported || distro.id != "debian" || distro.codename.is_empty() {
        return Plan { plain, from_suite: None };
    }
    let (qemu, plain): (Vec<_>, Vec<_>) =
        plain.into_iter().partition(|name| QEMU_FAMILY.contains(name));
    let suite = format!("{}-backports", distro.codename);
    Plan { plain, from_suite: (!qemu.is_empty()).then_some((suite, qemu)) }
}

/// `1:10.0.2+ds-2+deb13u1~bpo12+1` is one.
fn is_backport(version: &str) -> bool {
    version.contains("~bpo")
}

fn add_backports(suite: &str, base: &str) -> Result<()> {
    match sources::backports(&sources::this_machine(), base) {
        Addition::Present => Ok(()),
        Addition::Write(text) => {
            eprintln!("adding {suite} as {BACKPORTS_FILE}: qemu-utils comes from there already");
            privilege::write(BACKPORTS_FILE, &text, false)
        }
        Addition::NoMirror => bail!(
            "QEMU must come from {suite}, as qemu-utils here does, but no source of {base} says from which mirror: add {suite} to /etc/apt/sources.list.d"
        ),
    }
}

/// Drops optional packages that this distribution does not have; a needed one
/// that it lacks is an error.
fn leave_out_unavailable(names: &mut Vec<&'static str>, wanted: &[Package]) -> Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    let unknown = dpkg::without_candidate(names);
    let (optional, needed): (Vec<&String>, Vec<&String>) =
        unknown.iter().partition(|name| is_optional(name, wanted));
    if let [name, ..] = needed[..] {
        bail!(
            "apt knows no package `{name}`: check that /etc/apt/sources.list.d names a complete mirror"
        );
    }
    for name in optional {
        eprintln!("no package `{name}` in this distribution: left out");
    }
    names.retain(|name| !unknown.contains(*name));
    Ok(())
}

fn is_optional(name: &str, wanted: &[Package]) -> bool {
    wanted.iter().any(|package| package.debian == name && package.optional)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::distro::Family;

    const WANTED: [&str; 4] = ["gcc", QEMU_SYSTEM, QEMU_UTILS, "skopeo"];
    const BACKPORT: &str = "1:10.0.2+ds-2+deb13u1~bpo12+1";

    fn distro(id: &str, codename: &str) -> Distro {
        Distro { family: Family::Debian, name: id.into(), id: id.into(), codename: codename.into() }
    }

    fn having(packages: &[(&str, &str)]) -> Installed {
        packages.iter().map(|(name, version)| ((*name).into(), (*version).into())).collect()
    }

    #[test]
    fn nothing_missing_is_an_empty_plan() {
        let all = having(&WANTED.map(|name| (name, BACKPORT)));
        assert!(plan(&WANTED, &all, &distro("debian", "bookworm")).is_empty());
    }

    #[test]
    fn a_bare_machine_gets_everything_plainly() {
        let plan = plan(&WANTED, &having(&[]), &distro("debian", "bookworm"));
        assert_eq!(plan, Plan { plain: WANTED.to_vec(), from_suite: None });
    }

    #[test]
    fn the_emulator_follows_a_backported_qemu_utils() {
        let seen = having(&[("gcc", "12"), (QEMU_UTILS, BACKPORT)]);
        let plan = plan(&WANTED, &seen, &distro("debian", "bookworm"));
        assert_eq!(plan.plain, ["skopeo"]);
        assert_eq!(plan.from_suite, Some(("bookworm-backports".into(), vec![QEMU_SYSTEM])));
    }

    #[test]
    fn a_stable_qemu_utils_and_other_distributions_stay_plain() {
        let stable = having(&[(QEMU_UTILS, "1:7.2+dfsg-7+deb12u16")]);
        let expected = ["gcc", QEMU_SYSTEM, "skopeo"];
        assert_eq!(plan(&WANTED, &stable, &distro("debian", "bookworm")).plain, expected);
        let ppa = having(&[(QEMU_UTILS, BACKPORT)]);
        let ubuntu = plan(&WANTED, &ppa, &distro("ubuntu", "noble"));
        assert_eq!((&ubuntu.plain[..], &ubuntu.from_suite), (&expected[..], &None));
    }
}
