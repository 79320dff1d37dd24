//! The file that a command names.

use std::{
    collections::{HashMap, hash_map::Entry},
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use tandem_guest::wire::Failure;

/// The search path when the environment names none, Docker's.
pub(super) const DEFAULT_PATH: &str =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A program's environment: later entries replace earlier ones, and `PATH` and
/// `HOME` are there in any case.
pub(super) fn environment(env: &[String], home: &str) -> Vec<(String, String)> {
    let mut merged: Vec<(String, String)> = Vec::with_capacity(env.len() + 2);
    // An image may have a million of them.
    let mut places: HashMap<&str, usize> = HashMap::with_capacity(env.len());
    let pairs = env.iter().filter_map(|entry| entry.split_once('='));
    for (name, value) in pairs.filter(|(name, _)| !name.is_empty()) {
        match places.entry(name) {
            Entry::Occupied(place) => value.clone_into(&mut merged[*place.get()].1),
            Entry::Vacant(place) => {
                place.insert(merged.len());
                merged.push((name.to_owned(), value.to_owned()));
            }
        }
    }
    for (name, value) in [("PATH", DEFAULT_PATH), ("HOME", home)] {
        if !merged.iter().any(|(other, _)| other == name) {
            merged.push((name.to_owned(), value.to_owned()));
        }
    }
    merged
}

/// Finds the file that execvp(3) would execute.
pub(super) fn find(program: &str, cwd: &str, path: &str) -> Result<PathBuf, Failure> {
    let cwd = Path::new("/").join(cwd);
    if program.is_empty() {
        return Err(Failure::NotFound);
    }
    if program.contains('/') {
        let file = cwd.join(program);
        return executable(&file)?.then_some(file).ok_or(Failure::NotFound);
    }
    let mut refused = None;
    for dir in path.split(':') {
        // An empty entry is the working directory, by POSIX.
        let file = cwd.join(dir).join(program);
        match executable(&file) {
            Ok(true) => return Ok(file),
            Ok(false) => {}
            Err(failure) => refused = refused.or(Some(failure)),
        }
    }
    Err(refused.unwrap_or(Failure::NotFound))
}

/// `Ok(false)` when nothing is there.
fn executable(file: &Path) -> Result<bool, Failure> {
    let refused = |reason: &str| Err(Failure::NotExecutable { reason: reason.to_owned() });
    match fs::metadata(file) {
        Ok(metadata) if metadata.is_dir() => refused("it is a directory"),
        Ok(metadata) if !metadata.is_file() => refused("it is not a regular file"),
        Ok(metadata) if metadata.permissions().mode() & 0o111 == 0 => {
            refused("it has no execute permission; use chmod +x")
        }
        Ok(_) => Ok(true),
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(false)
        }
        Err(e) => refused(&e.to_string()),
    }
}

/// What the kernel's refusal to execute a file means.
pub(super) fn refusal(error: &io::Error) -> Failure {
    let reason = match error.raw_os_error() {
        Some(libc::ENOEXEC) => "it is not a program for this machine, or a script without `#!`",
        Some(libc::ENOENT) => "the interpreter or loader that it names is not in the image",
        Some(libc::EACCES) => "its user may not execute it; check the permissions",
        _ => return Failure::NotExecutable { reason: error.to_string() },
    };
    Failure::NotExecutable { reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_variables_win_and_defaults_fill_in() {
        let env = ["A=1", "PATH=/x", "broken", "A=2"].map(str::to_owned);
        let merged = environment(&env, "/home");
        let pairs: Vec<_> = merged.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        assert_eq!(pairs, [("A", "2"), ("PATH", "/x"), ("HOME", "/home")]);
    }

    #[test]
    fn programs_are_found_as_execvp_does() {
        let dir = tempfile::tempdir().unwrap();
        let file = |path: &str, mode| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            path
        };
        let plain = file("one/app", 0o644);
        let good = file("two/app", 0o755);
        let cwd = dir.path().to_str().unwrap();
        assert_eq!(find("app", cwd, "one:two"), Ok(good.clone()), "passes over what it may not");
        assert_eq!(find("two/app", cwd, ""), Ok(good));
        assert!(matches!(find("app", cwd, "one"), Err(Failure::NotExecutable { .. })));
        assert!(matches!(find("one", "/", plain.to_str().unwrap()), Err(Failure::NotFound)));
        assert!(matches!(find("./two", cwd, ""), Err(Failure::NotExecutable { .. })));
        assert_eq!(find("other", cwd, "one:two"), Err(Failure::NotFound));
        assert_eq!(find("", cwd, "one"), Err(Failure::NotFound));
    }
}
