//! What needs root: owners, devices, file capabilities, a real overlay, and
//! what other tools make of it.

mod support;

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink},
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use oci_spec::image::ImageConfiguration;
use support::{Overlay, differences, see};
use tandem_home::Home;
use tandem_image::{
    Image, Layer, NewLayer, Store,
    bootstrap::{BaseKind, bootstrap_until},
};

fn main() {
    let arguments = Arguments::from_args();
    let tests = vec![
        test("an overlay comes back as it was", &[], an_overlay_comes_back),
        test("other tools see the same files", &["skopeo", "umoci"], other_tools_agree),
        test("a cancelled bootstrap leaves nothing", &["mmdebstrap"], cancelled_bootstrap),
    ];
    libtest_mimic::run(&arguments, tests).exit();
}

fn test(name: &str, tools: &'static [&'static str], run: fn() -> Result<()>) -> Trial {
    Trial::ignorable_test(name, move || {
        if !rustix::process::geteuid().is_root() {
            return Ok(Completion::ignored_with("needs root"));
        }
        for tool in tools {
            if Command::new(tool).arg("--version").output().is_err() {
                return Ok(Completion::ignored_with(format!("needs {tool}")));
            }
        }
        run().map_err(|e| Failed::from(format!("{e:?}")))?;
        Ok(Completion::Completed)
    })
}

struct Place {
    dir: tempfile::TempDir,
    store: Store,
}

impl Place {
    fn new() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let home = Home::open(Some(&dir.path().join("home")))?;
        Ok(Self { store: Store::open(&home)?, dir })
    }

    /// A bottom layer with something of everything, and one on top, made by
    /// changing it through a real overlay; and what that overlay showed.
    fn two_layers(&self) -> Result<(Image, support::Tree)> {
        let base = self.dir.path().join("base");
        fill(&base)?;
        let base = self.store.commit_layer_dir(&base, None)?;
        let overlay = Overlay::mount(self.dir.path(), &[self.store.layer_dir(&base.chain_id)])?;
        change(overlay.root())?;
        let shown = see(overlay.root())?;
        let upper = overlay.unmount()?;
        let top = self.store.commit_layer_dir(&upper, Some(&base.chain_id))?;
        Ok((self.image(&[base, top])?, shown))
    }

    fn image(&self, layers: &[NewLayer]) -> Result<Image> {
        let layers: Vec<Layer> = layers.iter().cloned().map(Into::into).collect();
        Ok(self.store.put_image(&"x:1".parse()?, ImageConfiguration::default(), &layers)?)
    }
}

fn fill(root: &Path) -> Result<()> {
    for dir in ["etc", "usr/share/perl", "var/gone", "home/app", "tmp"] {
        fs::create_dir_all(root.join(dir))?;
    }
    for file in ["etc/a", "usr/share/perl/1", "usr/share/perl/2", "var/gone/x", "etc/deleted"] {
        fs::write(root.join(file), file)?;
    }
    fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777))?;
    chown(root.join("home/app"), Some(1000), Some(70_000_000))?;
    fs::write(root.join("usr/ping"), "program")?;
    fs::set_permissions(root.join("usr/ping"), fs::Permissions::from_mode(0o4755))?;
    chown(root.join("usr/ping"), Some(0), Some(5))?;
    fs::set_permissions(root.join("usr/ping"), fs::Permissions::from_mode(0o6755))?;
    // cap_net_raw=ep in the form of version 2; two bytes are line ends.
    let mut capability = vec![1, 0, 0, 2];
    for word in [0x0a0a_2000u32, 0, 0, 0] {
        capability.extend(word.to_le_bytes());
    }
    xattr::set(root.join("etc/a"), "security.capability", &capability)?;
    Ok(())
}

fn change(root: &Path) -> Result<()> {
    fs::remove_file(root.join("etc/deleted"))?;
    fs::remove_dir_all(root.join("var/gone"))?;
    fs::remove_dir_all(root.join("usr/share/perl"))?;
    fs::create_dir(root.join("usr/share/perl"))?;
    fs::write(root.join("usr/share/perl/new"), "n")?;
    fs::hard_link(root.join("usr/share/perl/new"), root.join("etc/hard"))?;
    symlink("/proc/self/exe", root.join("etc/soft"))?;
    fs::write(root.join("home/app/data"), "d")?;
    rustix::fs::mknodat(
        rustix::fs::CWD,
        root.join("etc/null"),
        rustix::fs::FileType::CharacterDevice,
        rustix::fs::Mode::from_raw_mode(0o666),
        rustix::fs::makedev(1, 3),
    )?;
    fs::write(root.join("usr/ping"), "other program")?;
    Ok(())
}

fn an_overlay_comes_back() -> Result<()> {
    let place = Place::new()?;
    let (image, shown) = place.two_layers()?;
    let dirs = place.store.layer_dirs(&image, &|line| panic!("{line}"))?;
    let installed: Vec<_> = dirs.iter().map(|dir| see(dir)).collect::<Result<_>>()?;
    let overlay = Overlay::mount(place.dir.path(), &dirs)?;
    ensure!(differences(&see(overlay.root())?, &shown).is_empty(), "moved into place");
    overlay.unmount()?;

    for dir in &dirs {
        fs::remove_dir_all(dir)?;
    }
    let again = place.store.layer_dirs(&image, &|_| ())?;
    ensure!(again == dirs);
    for (dir, was) in dirs.iter().zip(&installed) {
        let differing = differences(&see(dir)?, was);
        ensure!(differing.is_empty(), "unpacked from the blob: {differing:?}");
    }
    let overlay = Overlay::mount(place.dir.path(), &dirs)?;
    let differing = differences(&see(overlay.root())?, &shown);
    ensure!(differing.is_empty(), "{differing:?}");
    let ping = fs::metadata(overlay.root().join("home/app"))?;
    ensure!((ping.uid(), ping.gid()) == (1000, 70_000_000));
    ensure!(xattr::get(overlay.root().join("etc/a"), "security.capability")?.is_some());
    overlay.unmount()?;
    Ok(())
}

fn other_tools_agree() -> Result<()> {
    let place = Place::new()?;
    let (_, shown) = place.two_layers()?;
    let ours = format!("oci:{}:x:1", place.store.home().images().display());
    let copy = place.dir.path().join("copy");
    run(Command::new("skopeo").args(["inspect", &ours]))?;
    run(Command::new("skopeo")
        .args(["copy", "--insecure-policy", &ours])
        .arg(format!("oci:{}:x", copy.display())))?;
    let bundle = place.dir.path().join("bundle");
    run(Command::new("umoci")
        .args(["unpack", "--image"])
        .arg(format!("{}:x", copy.display()))
        .arg(&bundle))?;
    let mut theirs = see(&bundle.join("rootfs"))?;
    let mut shown = shown;
    for tree in [&mut theirs, &mut shown] {
        // umoci keeps no times of folders that a later layer changes, and
        // leaves out the nanoseconds.
        for seen in tree.values_mut() {
            seen.modified = if seen.kind == 'd' { (0, 0) } else { (seen.modified.0, 0) };
        }
    }
    let differing = differences(&theirs, &shown);
    ensure!(differing.is_empty(), "{differing:?}");
    Ok(())
}

fn cancelled_bootstrap() -> Result<()> {
    let place = Place::new()?;
    let before = stray();
    let begun = Instant::now();
    let result = bootstrap_until(&place.store, BaseKind::Debian, &mut |_| (), &|| {
        begun.elapsed() > Duration::from_secs(3)
    });
    let error = result.err().context("it ended before it was cancelled")?;
    // Where no mirror is in reach it ends with that error instead.
    ensure!(
        error.to_string().contains("cancelled") || error.to_string().contains("mirror"),
        "{error}"
    );
    ensure!(begun.elapsed() < Duration::from_secs(15), "took {:?}", begun.elapsed());
    let left: Vec<_> = fs::read_dir(place.store.home().temporary())?
        .flatten()
        .map(|entry| entry.file_name())
        .filter(|name| name != ".making")
        .collect();
    ensure!(left.is_empty(), "{left:?}");
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    ensure!(!mounts.contains(&*place.dir.path().to_string_lossy()));
    ensure!(place.store.list(false)?.is_empty());
    ensure!(stray() == before, "{:?}", stray());
    Ok(())
}

/// What mmdebstrap keeps beside its target.
fn stray() -> Vec<std::ffi::OsString> {
    let entries = fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.file_name()).collect();
    names.retain(|name| name.to_string_lossy().starts_with("mmdebstrap."));
    names.sort();
    names
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output()?;
    let text = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {text}");
    Ok(())
}
