//! Debian's cloud kernel, through apt and so through apt's chain of
//! signatures.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use sha2::{Digest as _, Sha256};
use tandem_model::Digest;

use super::{Flavour, KernelError, Source};

/// The package that always depends on the newest kernel of the release.
fn meta(flavour: Flavour) -> &'static str {
    match flavour {
        Flavour::Cloud => "linux-image-cloud-amd64",
        Flavour::Generic => "linux-image-amd64",
    }
}

/// Downloads and unpacks the kernel package below `dir`.
pub(super) fn fetch(
    flavour: Flavour,
    dir: &Path,
    progress: &mut dyn FnMut(&str),
) -> Result<Source, KernelError> {
    let name = package_name(flavour)?;
    let what = match flavour {
        Flavour::Cloud => "the guests' kernel",
        Flavour::Generic => "a kernel that shows folders of the host",
    };
    progress(&format!("downloading {what}, Debian's package {name}"));
    let output = run(apt("apt-get").arg("download").arg(&name).current_dir(dir))?;
    if !output.status.success() {
        return Err(KernelError::Download { package: name, reason: last_line(&output.stderr) });
    }
    let is_package = |file: &str| {
        file.starts_with(&name) && Path::new(file).extension().is_some_and(|it| it == "deb")
    };
    let package = find(dir, is_package)?;
    let sha256 = sha256(&package).map_err(KernelError::io("read", &package))?;
    let tree = dir.join("tree");
    let output = run(Command::new("dpkg-deb").arg("--extract").arg(&package).arg(&tree))?;
    if !output.status.success() {
        return Err(KernelError::Download { package: name, reason: last_line(&output.stderr) });
    }
    let image = find(&tree.join("boot"), |file| file.starts_with("vmlinuz-"))?;
    let release = release_of(&image)?;
    let modules = [tree.join("lib/modules"), tree.join("usr/lib/modules")]
        .into_iter()
        .map(|modules| modules.join(&release))
        .find(|modules| modules.is_dir())
        .ok_or_else(|| KernelError::Incomplete { what: "modules".to_owned() })?;
    let version = package.file_name().map(|file| file.to_string_lossy().into_owned());
    Ok(Source { release, image, modules, package: version, sha256: Some(sha256) })
}

/// Whether apt is there and knows of a cloud kernel.
pub(super) fn is_known() -> bool {
    package_name(Flavour::Cloud).is_ok()
}

/// The package that the meta package depends on now.
fn package_name(flavour: Flavour) -> Result<String, KernelError> {
    let output = run(apt("apt-cache").args(["show", "--no-all-versions", meta(flavour)]))?;
    package_in(&String::from_utf8_lossy(&output.stdout)).ok_or(KernelError::NotInApt)
}

/// Reads `Depends:` of a control paragraph (deb-control(5)).
pub(super) fn package_in(text: &str) -> Option<String> {
    let depends = text.lines().find_map(|line| line.strip_prefix("Depends:"))?;
    let names = depends.split([',', '|']).filter_map(|one| one.split_whitespace().next());
    let is_name = |name: &&str| {
        name.starts_with("linux-image-")
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.+".contains(&b))
    };
    names.filter(is_name).map(str::to_owned).next()
}

fn apt(program: &str) -> Command {
    let mut command = Command::new(program);
    // As root apt would become another user, who may not write into our home.
    command.env("LC_ALL", "C").args(["-q", "-o", "APT::Sandbox::User=root"]);
    command
}

fn run(command: &mut Command) -> Result<Output, KernelError> {
    command.stdin(std::process::Stdio::null()).output().map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => KernelError::NotInApt,
        _ => KernelError::io("run", Path::new(command.get_program()))(e),
    })
}

fn find(dir: &Path, wanted: impl Fn(&str) -> bool) -> Result<PathBuf, KernelError> {
    let entries = fs::read_dir(dir).map_err(KernelError::io("list", dir))?;
    let names = entries.flatten().filter(|entry| wanted(&entry.file_name().to_string_lossy()));
    names
        .map(|entry| entry.path())
        .next()
        .ok_or_else(|| KernelError::Incomplete { what: "kernel image".to_owned() })
}

/// `6.1.0-1-cloud-amd64` from `vmlinuz-6.1.0-1-cloud-amd64`.
pub(super) fn release_of(image: &Path) -> Result<String, KernelError> {
    let name = image.file_name().and_then(|name| name.to_str());
    name.and_then(|name| name.strip_prefix("vmlinuz-"))
        .map(str::to_owned)
        .ok_or_else(|| KernelError::Incomplete { what: "kernel image".to_owned() })
}

fn sha256(path: &Path) -> io::Result<Digest> {
    let mut hash = Sha256::new();
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match io::Read::read(&mut file, &mut buffer)? {
            0 => return Ok(Digest::from_sha256(&hash.finalize().into())),
            count => hash.update(&buffer[..count]),
        }
    }
}

/// What a program said last, for people.
fn last_line(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    let line = text.lines().map(str::trim).rfind(|line| !line.is_empty());
    line.unwrap_or("it said nothing").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_kernel_is_read_from_the_meta_package() {
        let text = "Package: linux-image-cloud-amd64\nVersion: 6.1.192-2\n\
                    Depends: linux-image-6.1.0-56-cloud-amd64 (= 6.1.192-2)\n";
        assert_eq!(package_in(text).as_deref(), Some("linux-image-6.1.0-56-cloud-amd64"));
        assert_eq!(package_in("Depends: linux-image-x;rm\n"), None);
        assert_eq!(package_in("N: No packages found\n"), None);
    }

    #[test]
    fn the_last_line_is_the_reason() {
        assert_eq!(
            last_line(b"Reading\nE: Unable to locate package\n\n"),
            "E: Unable to locate package"
        );
        assert_eq!(last_line(b""), "it said nothing");
    }
}
