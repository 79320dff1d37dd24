use std::{
    fs::{self, Metadata},
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};

use super::{BaseKind, BootstrapError};

/// What was made.
#[derive(Debug)]
pub(super) struct Made {
    /// `3.11`, for a Python base.
    pub(super) python: Option<String>,
    /// `3.11.2`, for a Python base.
    pub(super) python_version: Option<String>,
    /// Time of the newest file that came from a package, seconds since 1970:
    /// depends on the packages only.
    pub(super) newest: i64,
}

/// Traces of this machine and of the installation, and what is made again
/// when it is needed. A name that ends with `/` means what is in the folder.
const TRACES: [&str; 20] = [
    "dev/",
    "run/",
    "tmp/",
    "var/tmp/",
    "var/log/",
    "var/cache/apt/",
    "var/cache/debconf/",
    "var/cache/ldconfig/",
    "var/lib/apt/lists/",
    "var/lib/dpkg/status-old",
    "var/lib/dpkg/diversions-old",
    "var/lib/dpkg/statoverride-old",
    "etc/hostname",
    "etc/resolv.conf",
    "etc/passwd-",
    "etc/shadow-",
    "etc/group-",
    "etc/gshadow-",
    "etc/subuid-",
    "etc/subgid-",
];

/// Removes the traces, makes times and the like depend on the packages alone,
/// and checks that the base works as promised.
pub(super) fn tidy(
    root: &Path,
    kind: BaseKind,
    started: SystemTime,
) -> Result<Made, BootstrapError> {
    for trace in TRACES {
        let path = root.join(trace);
        match trace.strip_suffix('/') {
            Some(_) => empty(&path)?,
            None => remove(&path)?,
        }
    }
    slim(root)?;
    // apt wants these to exist.
    for dir in ["var/cache/apt/archives/partial", "var/lib/apt/lists/partial", "var/log/apt"] {
        let path = root.join(dir);
        fs::create_dir_all(&path).map_err(BootstrapError::io("make", &path))?;
    }
    let mut newest = 0;
    // The disk's clock may be a tick behind.
    let started = seconds(started - Duration::from_secs(2));
    each(root, &mut |_, metadata| {
        if metadata.is_file() && metadata.mtime() < started {
            newest = newest.max(metadata.mtime());
        }
        Ok(())
    })?;
    settle_shadow(root, newest)?;
    // Byte code names the time of its source: only files made just now change.
    each(root, &mut |path, metadata| {
        if metadata.mtime() >= started { set_time(path, newest) } else { Ok(()) }
    })?;
    let (python, python_version) = match kind {
        BaseKind::Python => check_python(root)?,
        BaseKind::Debian => (None, None),
    };
    Ok(Made { python, python_version, newest })
}

/// Removes what the settings of dpkg leave out of later packages from the
/// first ones too, which were extracted without dpkg.
fn slim(root: &Path) -> Result<(), BootstrapError> {
    let share = root.join("usr/share");
    for dir in ["man", "info", "lintian"] {
        empty(&share.join(dir))?;
    }
    for path in entries(&share.join("locale"))? {
        if !path.ends_with("locale.alias") {
            remove(&path)?;
        }
    }
    for package in entries(&share.join("doc"))? {
        // A link to another package's folder, or a folder.
        if !package.is_symlink() {
            for path in entries(&package)? {
                if !path.ends_with("copyright") {
                    remove(&path)?;
                }
            }
        }
    }
    Ok(())
}

/// The day on which a password was last changed is the day of installation.
fn settle_shadow(root: &Path, newest: i64) -> Result<(), BootstrapError> {
    let path = root.join("etc/shadow");
    let text = fs::read_to_string(&path).map_err(BootstrapError::io("read", &path))?;
    let day = (newest / 86400).to_string();
    let settled: String = text
        .lines()
        .map(|line| {
            let mut fields: Vec<&str> = line.split(':').collect();
            if let Some(changed) = fields.get_mut(2) {
                *changed = &day;
            }
            fields.join(":") + "\n"
        })
        .collect();
    fs::write(&path, settled).map_err(BootstrapError::io("write", &path))
}

fn check_python(root: &Path) -> Result<(Option<String>, Option<String>), BootstrapError> {
    let unusable = |reason: &str| BootstrapError::Unusable { reason: reason.to_owned() };
    for program in ["python", "python3", "pip", "pip3"] {
        if fs::symlink_metadata(root.join("usr/bin").join(program)).is_err() {
            return Err(unusable(&format!("it has no /usr/bin/{program}")));
        }
    }
    let target = fs::read_link(root.join("usr/bin/python3"))
        .map_err(BootstrapError::io("read", root.join("usr/bin/python3")))?;
    let version = target
        .file_name()
        .and_then(|name| name.to_str()?.strip_prefix("python"))
        .ok_or_else(|| unusable("/usr/bin/python3 does not say its version"))?
        .to_owned();
    let library = root.join(format!("usr/lib/python{version}"));
    if library.join("EXTERNALLY-MANAGED").exists() {
        return Err(unusable("pip would refuse to install"));
    }
    let tag = version.replace('.', "");
    if !library.join(format!("__pycache__/os.cpython-{tag}.pyc")).is_file() {
        return Err(unusable("the standard library is not compiled"));
    }
    let status = fs::read_to_string(root.join("var/lib/dpkg/status")).unwrap_or_default();
    let full = package_version(&status, &format!("python{version}"));
    Ok((Some(version), full))
}

/// The upstream version of an installed package in dpkg's status file.
fn package_version(status: &str, package: &str) -> Option<String> {
    let stanza = status.split("\n\n").find(|stanza| {
        stanza.trim_start().lines().next() == Some(format!("Package: {package}").as_str())
    })?;
    let version = stanza.lines().find_map(|line| line.strip_prefix("Version: "))?;
    let version = version.split_once(':').map_or(version, |(_, rest)| rest);
    version.split(['-', '+', '~']).next().map(ToOwned::to_owned)
}

fn set_time(path: &Path, seconds: i64) -> io::Result<()> {
    let time = Timespec { tv_sec: seconds, tv_nsec: 0 };
    let times = Timestamps { last_access: time, last_modification: time };
    Ok(utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

/// Visits everything below a folder, the folders after what is in them.
fn each(
    dir: &Path,
    visit: &mut dyn FnMut(&Path, &Metadata) -> io::Result<()>,
) -> Result<(), BootstrapError> {
    let read = |e| BootstrapError::io("read", dir)(e);
    for entry in fs::read_dir(dir).map_err(read)? {
        let path = entry.map_err(read)?.path();
        let metadata = fs::symlink_metadata(&path).map_err(BootstrapError::io("read", &path))?;
        if metadata.is_dir() {
            each(&path, visit)?;
        }
        visit(&path, &metadata).map_err(BootstrapError::io("tidy", &path))?;
    }
    Ok(())
}

fn empty(dir: &Path) -> Result<(), BootstrapError> {
    entries(dir)?.iter().try_for_each(|path| remove(path))
}

/// What is in a folder; nothing when there is none.
fn entries(dir: &Path) -> Result<Vec<PathBuf>, BootstrapError> {
    match fs::read_dir(dir) {
        Ok(entries) => Ok(entries.flatten().map(|entry| entry.path()).collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(BootstrapError::io("list", dir)(error)),
    }
}

fn remove(path: &Path) -> Result<(), BootstrapError> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => Err(error),
    };
    removed.map_err(BootstrapError::io("remove", path))
}

fn seconds(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_version_loses_what_debian_added() {
        let status = "Package: python3\nVersion: 3.11.2-1+b1\n\nPackage: python3.11\nStatus: install ok installed\nVersion: 1:3.11.2-6+deb12u6\n\n";
        assert_eq!(package_version(status, "python3.11").as_deref(), Some("3.11.2"));
        assert_eq!(package_version(status, "python3.12"), None);
    }

    #[test]
    fn what_is_made_now_gets_the_time_of_the_packages() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        for made in ["etc/hostname", "var/log/dpkg.log", "usr/file"] {
            fs::create_dir_all(root.join(made).parent().unwrap()).unwrap();
            fs::write(root.join(made), "x").unwrap();
        }
        fs::write(root.join("etc/shadow"), "root:*:20000:0:99999:7:::\n").unwrap();
        fs::write(root.join("package"), "x").unwrap();
        set_time(&root.join("package"), 86400 * 3).unwrap();
        let made = tidy(root, BaseKind::Debian, SystemTime::now()).unwrap();
        assert_eq!(made.newest, 86400 * 3);
        assert!(!root.join("etc/hostname").exists() && !root.join("var/log/dpkg.log").exists());
        let shadow = fs::read_to_string(root.join("etc/shadow")).unwrap();
        assert_eq!(shadow, "root:*:3:0:99999:7:::\n");
        for path in ["usr/file", "usr", "etc/shadow"] {
            assert_eq!(fs::metadata(root.join(path)).unwrap().mtime(), 86400 * 3, "{path}");
        }
    }
}
