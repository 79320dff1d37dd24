//! Building: the static guest, the window's page, the programs.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::shell;

/// The guest must run without any library: it is the first program of a
/// virtual machine. Only the host's own target may be installed, so it is
/// linked statically against the GNU C library.
const GUEST_TARGET: &str = "x86_64-unknown-linux-gnu";

/// Folder below `target/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// `target/debug`.
    Dev,
    /// `target/release`.
    Release,
    /// `target/dist`, for other machines than this one.
    Dist,
}

impl Profile {
    fn folder(self) -> &'static str {
        match self {
            Self::Dev => "debug",
            Self::Release => "release",
            Self::Dist => "dist",
        }
    }
}

/// Where cargo puts what it builds.
pub(crate) fn target_dir() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => shell::root().join(dir),
        None => shell::root().join("target"),
    }
}

/// The folder of a profile's programs.
pub(crate) fn programs(profile: Profile) -> PathBuf {
    target_dir().join(profile.folder())
}

/// Builds the guest and puts it beside the programs of `profile`, where
/// `tandem` looks for it.
pub(crate) fn guest(profile: Profile) -> Result<()> {
    let args = ["build", "--release", "-p", "tandem-guest", "--target", GUEST_TARGET];
    let mut cargo = shell::cargo(&args);
    // It is unpacked in every boot: small is fast.
    let flags = "-C target-feature=+crt-static -C strip=symbols -C relocation-model=static";
    cargo.env("RUSTFLAGS", flags).env_remove("CARGO_ENCODED_RUSTFLAGS");
    shell::run(&mut cargo)?;
    let built = target_dir().join(GUEST_TARGET).join("release/tandem-guest");
    install(&built, &programs(profile).join("tandem-guest"))
}

/// Replaces `to` by a copy of `from`. The old file is unlinked first: cargo's
/// outputs are hard links, and writing through one would change its cache.
fn install(from: &Path, to: &Path) -> Result<()> {
    let what = || format!("cannot put {} at {}", from.display(), to.display());
    if let Some(dir) = to.parent() {
        std::fs::create_dir_all(dir).with_context(what)?;
    }
    let fresh = to.with_extension("new");
    std::fs::copy(from, &fresh).with_context(what)?;
    std::fs::rename(&fresh, to).with_context(what)
}

/// Builds the command line program, and the window's if asked.
pub(crate) fn release(window: bool) -> Result<()> {
    let mut args = vec!["build", "--release", "-p", "tandem-cli"];
    if window {
        page()?;
        // Tauri serves the page from the program itself under this feature;
        // without it the window would look for a development server.
        args.extend(["-p", "tandem-desktop"]);
    }
    shell::run(&mut shell::cargo(&args))?;
    guest(Profile::Release)
}

/// Builds everything for other machines: no path of this one gets in, so that
/// the same source gives the same bytes wherever it lies.
pub(crate) fn dist() -> Result<()> {
    page()?;
    let home = std::env::var_os("CARGO_HOME").map_or_else(
        || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cargo"),
        PathBuf::from,
    );
    let flags = [(shell::root(), "/usr/src/tandem"), (home, "/usr/src/cargo")]
        .map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display()));
    let args = ["build", "--profile", "dist", "-p", "tandem-cli", "-p", "tandem-desktop"];
    let mut cargo = shell::cargo(&args);
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
    shell::run(&mut cargo)?;
    guest(Profile::Dist)
}

/// Installs what the page is made with, when the lock file says otherwise.
pub(crate) fn page_dependencies() -> Result<()> {
    let ui = shell::root().join("ui");
    let lock = shell::newest(&[ui.join("package-lock.json")]).context("ui/package-lock.json")?;
    // npm writes this file at the end of every installation.
    if shell::newest(&[ui.join("node_modules/.package-lock.json")]) >= Some(lock) {
        return Ok(());
    }
    node_is_recent()?;
    shell::run(&mut npm(&["ci", "--no-audit", "--no-fund"]))
}

/// Builds the page into `ui/dist` when its sources are newer.
pub(crate) fn page() -> Result<()> {
    page_dependencies()?;
    let ui = shell::root().join("ui");
    let built = shell::newest(&[ui.join("dist/index.html")]);
    if built.is_some() && built >= newest_source(&ui) {
        return Ok(());
    }
    shell::run(&mut npm(&["run", "build"]))
}

/// An npm command in `ui/`.
pub(crate) fn npm(args: &[&str]) -> std::process::Command {
    let mut npm = shell::command("npm", args);
    npm.current_dir(shell::root().join("ui"));
    npm
}

fn newest_source(ui: &Path) -> Option<std::time::SystemTime> {
    let inputs: Vec<PathBuf> = std::fs::read_dir(ui)
        .ok()?
        .flatten()
        .filter(|entry| {
            let name = entry.file_name();
            !["dist", "node_modules", "docs"].iter().any(|other| name == *other)
        })
        .map(|entry| entry.path())
        .collect();
    shell::newest(&inputs)
}

/// Vite 8 needs Node 20.19 or later (its `engines` field).
fn node_is_recent() -> Result<()> {
    let version = shell::ask(&mut shell::command("node", &["--version"])).unwrap_or_default();
    if version.is_empty() {
        bail!("there is no `node` on PATH: install Node 20.19 or later to build the window");
    }
    if node_version(&version).is_none_or(|found| found < (20, 19)) {
        bail!("Node {} is too old to build the window: install 20.19 or later", version.trim());
    }
    Ok(())
}

fn node_version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.trim().strip_prefix('v')?.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_versions_compare_by_number() {
        assert_eq!(node_version("v20.20.2\n"), Some((20, 20)));
        assert!(node_version("v9.11.0") < Some((20, 19)));
        assert_eq!(node_version("20.1.0"), None);
        assert_eq!(node_version(""), None);
    }

    #[test]
    fn installing_over_a_hard_link_leaves_its_twin_alone() {
        let dir = std::env::temp_dir().join(format!("xtask-install-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let (from, to, twin) = (dir.join("from"), dir.join("to"), dir.join("twin"));
        std::fs::write(&from, "static").unwrap();
        std::fs::write(&twin, "dynamic").unwrap();
        std::fs::hard_link(&twin, &to).unwrap();
        install(&from, &to).unwrap();
        assert_eq!(std::fs::read_to_string(&to).unwrap(), "static");
        assert_eq!(std::fs::read_to_string(&twin).unwrap(), "dynamic");
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
