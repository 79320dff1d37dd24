//! The package: what is in it, and the programs as it lays them out.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{
    Case, Need, Start, World,
    desktop::{Desktop, Look},
    process,
    world::programs,
};

/// The package's cases.
pub(super) const CASES: &[Case] = &[Case {
    name: "package::it_is_clean_and_its_programs_find_each_other",
    needs: &[
        Need::Root,
        Need::Window,
        Need::Program("dpkg-deb"),
        Need::Program("dpkg-shlibdeps"),
        Need::Program("lintian"),
        Need::Program("appstreamcli"),
        Need::Program("desktop-file-validate"),
        Need::Program("Xvfb"),
        Need::Program("dbus-run-session"),
        Need::Program("WebKitWebDriver"),
    ],
    start: Start::Empty,
    run: whole,
}];

/// Stripping, packing and lintian, on a busy machine.
const MAKING: Duration = Duration::from_mins(6);
const SOON: Duration = Duration::from_secs(90);

/// 2023-11-14 22:13:20, a date that nothing else here has.
const EPOCH: &str = "1700000000";
const DATE: &str = "2023-11-14 22:13";

/// What people and desktops look for, with the mode it must have.
const FILES: &[(&str, &str)] = &[
    ("usr/bin/tandem", "-rwxr-xr-x"),
    ("usr/bin/tandem-desktop", "-rwxr-xr-x"),
    ("usr/libexec/tandem/tandem-guest", "-rwxr-xr-x"),
    ("usr/share/applications/tandem-desktop.desktop", "-rw-r--r--"),
    ("usr/share/bash-completion/completions/tandem", "-rw-r--r--"),
    ("usr/share/doc/tandem/changelog.Debian.gz", "-rw-r--r--"),
    ("usr/share/doc/tandem/copyright", "-rw-r--r--"),
    ("usr/share/fish/vendor_completions.d/tandem.fish", "-rw-r--r--"),
    ("usr/share/icons/hicolor/16x16/apps/tandem.png", "-rw-r--r--"),
    ("usr/share/icons/hicolor/512x512/apps/tandem.png", "-rw-r--r--"),
    ("usr/share/icons/hicolor/scalable/apps/tandem.svg", "-rw-r--r--"),
    ("usr/share/man/man1/tandem-desktop.1.gz", "-rw-r--r--"),
    ("usr/share/man/man1/tandem-snapshot-create.1.gz", "-rw-r--r--"),
    ("usr/share/man/man1/tandem.1.gz", "-rw-r--r--"),
    ("usr/share/metainfo/dev.tandem.desktop.metainfo.xml", "-rw-r--r--"),
    ("usr/share/zsh/vendor-completions/_tandem", "-rw-r--r--"),
];

/// The programs that are tested anyway are packed as they are: another build
/// would cost a quarter of an hour. How large the package is says nothing then.
fn whole(world: &World) -> Result<()> {
    let made = world.scratch().join("made");
    let mut make = Command::new(programs().join("xtask"));
    make.args(["package", "--programs"]).arg(programs()).arg("--out").arg(&made);
    world.prepare(&mut make);
    make.env("SOURCE_DATE_EPOCH", EPOCH).env("TANDEM_SETUP", "skip");
    // Lintian leaves temporary files, which are not Tandem's.
    make.env("TMPDIR", world.scratch());
    // Lintian is among what this runs: a package that it minds is not made.
    let made_it = process::run(make, MAKING)?.ok()?;
    let has_image = std::fs::read_dir(&made)?
        .flatten()
        .any(|entry| entry.path().extension().is_some_and(|ending| ending == "AppImage"));
    let said = made_it.stderr.contains("no AppImage: `appimagetool`");
    ensure!(has_image != said, "neither an AppImage nor why there is none: {made_it}");

    let package = the_package(&made)?;
    let path = package.to_string_lossy().into_owned();
    contents(&world.run("dpkg-deb", &["--contents", &path])?.ok()?.stdout)?;
    fields(world, &path)?;
    let root = world.scratch().join("root");
    world.run("dpkg-deb", &["--extract", &path, &root.to_string_lossy()])?.ok()?;
    sums(world, &made, &root)?;
    std::fs::remove_dir_all(&made)?;

    world.test_programs_in(root.join("usr/bin"))?;
    let version = world.tandem(["--version"])?.ok()?;
    ensure!(version.line() == concat!("tandem ", env!("CARGO_PKG_VERSION")), "{version}");
    // The guest program is no neighbour of the command here.
    let found = world.tandem(["doctor", "--json"])?.ok()?.json()?;
    let guest = found.as_array().into_iter().flatten().find(|entry| entry["id"] == "vm_guest");
    let place = root.join("usr/libexec/tandem/tandem-guest").display().to_string();
    ensure!(guest.is_some_and(|it| it["detail"] == place.as_str()), "{guest:?} is not {place}");
    let desktop = Desktop::open(world, Look::Light)?;
    desktop.wait("lab-launch", SOON)?;
    desktop.screenshot("package")?;
    desktop.close(SOON)
}

fn the_package(folder: &Path) -> Result<PathBuf> {
    let files = std::fs::read_dir(folder)?.flatten().map(|entry| entry.path());
    let packages: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|ending| ending == "deb")).collect();
    let [package] = &packages[..] else { bail!("not one package: {packages:?}") };
    let name = package.file_name().unwrap_or_default().to_string_lossy();
    let begin = concat!("tandem_", env!("CARGO_PKG_VERSION"), "-");
    ensure!(name.starts_with(begin), "{name} does not begin with {begin}");
    Ok(package.clone())
}

/// Lines are `-rwxr-xr-x root/root 1234 2023-11-14 22:13 ./usr/bin/tandem`.
fn contents(list: &str) -> Result<()> {
    for line in list.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [mode, owner, _, day, time, path] = words[..] else { bail!("not understood: {line}") };
        ensure!(owner == "root/root", "somebody else's: {line}");
        ensure!(format!("{day} {time}") == DATE, "another time than all: {line}");
        let usual = ["drwxr-xr-x", "-rwxr-xr-x", "-rw-r--r--"].contains(&mode);
        ensure!(usual, "an unusual mode: {line}");
        let runs = path.starts_with("./usr/bin/") || path.starts_with("./usr/libexec/tandem/");
        ensure!(!mode.starts_with("-rwx") || runs, "this is no program: {line}");
    }
    for (path, mode) in FILES {
        let end = format!(" ./{path}");
        let line = list.lines().find(|line| line.ends_with(&end));
        let line = line.with_context(|| format!("{path} is missing"))?;
        ensure!(line.starts_with(mode), "{line}");
    }
    Ok(())
}

fn fields(world: &World, package: &str) -> Result<()> {
    let field = |name: &str| -> Result<String> {
        Ok(world.run("dpkg-deb", &["--field", package, name])?.ok()?.line().to_owned())
    };
    let depends = field("Depends")?;
    for name in ["libc6 (>= ", "libwebkit2gtk-4.1-0", "qemu-system-x86", "qemu-utils", "e2fsprogs"]
    {
        ensure!(depends.contains(name), "Depends has no {name}: {depends}");
    }
    let recommends = field("Recommends")?;
    ensure!(recommends.contains("uidmap") && recommends.contains("passt"), "{recommends}");
    ensure!(field("Built-Using")?.starts_with("glibc (= "), "the guest's C library");
    let size: u64 = field("Installed-Size")?.parse()?;
    ensure!(size > 1000, "{size} KiB are too few");
    Ok(())
}

/// Every file but the control files is in the package's sums, and fits.
fn sums(world: &World, made: &Path, root: &Path) -> Result<()> {
    let sums = made.join("tree/DEBIAN/md5sums");
    let mut check = Command::new("md5sum");
    check.args(["--check", "--strict", "--quiet"]).arg(&sums);
    world.prepare(&mut check);
    check.current_dir(root);
    world.finish(check)?.ok()?;
    let named = std::fs::read_to_string(sums)?.lines().count();
    let found = world.run("find", &[&root.to_string_lossy(), "-type", "f"])?.ok()?;
    let found = found.stdout.lines().count();
    ensure!(named == found, "{named} sums for {found} files");
    Ok(())
}
