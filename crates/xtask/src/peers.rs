//! Programs for the tests that this machine's own packages do not give: brought
//! from Debian, checked against its keys, and laid below `target/peers`.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

use crate::{
    shell::{self, command},
    system,
};

/// A CRIU that knows kernels of the last two years. Debian 12's and 13's fail
/// on them, over the kernel's shared library and options of sockets.
const SUITE: &str = "sid";

/// Debian's keys, where a machine has them.
const KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Where the program is looked for by the end-to-end tests.
fn folder() -> PathBuf {
    shell::root().join("target/peers/criu")
}

/// Brings CRIU with the libraries that it needs where the installed one takes
/// no process down. Without it one test is skipped and says so.
pub(crate) fn criu() {
    let wrapper = folder().join("criu");
    if works(Path::new("criu")) || works(&wrapper) {
        return;
    }
    eprintln!("CRIU: the installed one does not work with this kernel; bringing Debian's newest");
    if let Err(e) = bring(&wrapper) {
        eprintln!("CRIU could not be brought: {e:#}");
        let _ = fs::remove_file(wrapper);
    }
}

/// Whether it takes a process with a socket down: what `tandem doctor` tries
/// in full.
fn works(program: &Path) -> bool {
    let dir = folder().join("try");
    if !system::is_root() || fs::create_dir_all(&dir).is_err() {
        return false;
    }
    let Ok(socket) = std::net::TcpListener::bind(("127.0.0.1", 0)) else { return false };
    let sleeper = std::process::Command::new("setsid")
        .args(["sleep", "60"])
        .stdin(std::os::fd::OwnedFd::from(socket))
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn();
    let Ok(mut sleeper) = sleeper else { return false };
    let path = std::env::var("PATH").unwrap_or_default();
    let status = std::process::Command::new(program)
        .env("PATH", format!("{path}:/usr/sbin:/sbin"))
        .args(["dump", "--tree", &sleeper.id().to_string(), "-o", "log", "--images-dir"])
        .arg(&dir)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status();
    let _ = sleeper.kill();
    let _ = sleeper.wait();
    let _ = fs::remove_dir_all(dir);
    status.is_ok_and(|it| it.success())
}

fn bring(wrapper: &Path) -> Result<()> {
    if !Path::new(KEYS).is_file() {
        bail!("{KEYS} is not there to check its packages with");
    }
    let dir = folder();
    let (apt, root) = (dir.join("apt"), dir.join("root"));
    for made in ["state/lists/partial", "cache/archives/partial"] {
        fs::create_dir_all(apt.join(made))?;
    }
    let _ = fs::remove_dir_all(&root);
    fs::create_dir_all(&root)?;
    let mut list = fs::File::create(apt.join("debian.sources"))?;
    write!(
        list,
        "Types: deb\nURIs: http://deb.debian.org/debian\nSuites: {SUITE}\nComponents: main\nSigned-By: {KEYS}\n"
    )?;
    fs::write(apt.join("status"), "")?;
    let options = options(&apt);
    let apt_get = |words: &[&str]| {
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        shell::run(&mut command("apt-get", &[&options[..], words].concat()))
    };
    apt_get(&["update", "-q"])?;
    apt_get(&["install", "-y", "-q", "--download-only", "--no-install-recommends", "criu"])?;
    for entry in fs::read_dir(apt.join("cache/archives"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|it| it == "deb") {
            let words = ["-x", text(&path)?, text(&root)?];
            shell::run(&mut command("dpkg", &words))?;
        }
    }
    fs::remove_dir_all(&apt)?;
    fs::write(wrapper, script(text(&root)?))?;
    fs::set_permissions(wrapper, fs::Permissions::from_mode(0o755))?;
    if works(wrapper) { Ok(()) } else { bail!("Debian's newest does not work here either") }
}

/// Keeps this machine's own packages out of it, both ways.
fn options(apt: &Path) -> Vec<String> {
    let at = |name: &str| apt.join(name).display().to_string();
    [
        format!("Dir::State={}", at("state")),
        format!("Dir::State::status={}", at("status")),
        format!("Dir::Cache={}", at("cache")),
        format!("Dir::Etc::sourcelist={}", at("debian.sources")),
        "Dir::Etc::sourceparts=-".to_owned(),
        "APT::Sandbox::User=root".to_owned(),
        "Acquire::Languages=none".to_owned(),
        "Debug::NoLocking=true".to_owned(),
    ]
    .into_iter()
    .flat_map(|option| ["-o".to_owned(), option])
    .collect()
}

/// Starts the program with the libraries that it came with.
fn script(root: &str) -> String {
    format!(
        "#!/bin/sh\nroot='{root}'\nlibs=$(echo \"$root\"/usr/lib/*-linux-gnu)\nfor loader in \"$libs\"/ld-linux-*.so.*; do\n    exec \"$loader\" --library-path \"$libs\" \"$root/usr/sbin/criu\" \"$@\"\ndone\n"
    )
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().with_context(|| format!("{} is not UTF-8", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_brought_packages_touch_nothing_of_the_machine() {
        let options = options(Path::new("/peers/apt"));
        assert_eq!(options.iter().filter(|it| *it == "-o").count() * 2, options.len());
        for inside in ["Dir::State=", "Dir::Cache=", "Dir::State::status="] {
            let own = options.iter().find(|it| it.starts_with(inside)).unwrap();
            assert!(own.contains("=/peers/apt/"), "{own}");
        }
        assert!(script("/peers/root").contains("root='/peers/root'\n"));
    }
}
