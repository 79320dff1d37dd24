use std::{
    io,
    path::{Path, PathBuf},
};

use tandem_backend::BackendError;

use super::Root;

/// The search path when the image's environment names none, Docker's.
pub(crate) const DEFAULT_PATH: &str =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The value of an environment variable; a later entry wins.
pub(crate) fn variable<'a>(env: &'a [String], name: &str) -> Option<&'a str> {
    env.iter().rev().find_map(|entry| entry.strip_prefix(name)?.strip_prefix('='))
}

/// Finds the file that `execvp(3)` would execute: `program` itself when it has
/// a slash (relative to `cwd`), else the first executable file of that name in
/// the directories of `PATH`. Returns its path inside the root.
pub(crate) fn find_program(
    root: &Root,
    program: &str,
    cwd: &str,
    env: &[String],
) -> Result<PathBuf, BackendError> {
    let not_found = || BackendError::CommandNotFound(program.to_owned());
    let cwd = Path::new("/").join(cwd);
    if program.is_empty() {
        return Err(not_found());
    }
    if program.contains('/') {
        let path = cwd.join(program);
        return match executable(root, &path) {
            Ok(()) => Ok(path),
            Err(Refusal::NotThere) => Err(not_found()),
            Err(Refusal::Because(reason)) => {
                Err(BackendError::NotExecutable { program: program.to_owned(), reason })
            }
        };
    }
    let search = variable(env, "PATH").unwrap_or(DEFAULT_PATH);
    let mut refused = None;
    for directory in search.split(':') {
        // An empty entry is the working directory, by POSIX.
        let path = cwd.join(directory).join(program);
        match executable(root, &path) {
            Ok(()) => return Ok(path),
            Err(Refusal::NotThere) => {}
            Err(Refusal::Because(reason)) => refused = refused.or(Some(reason)),
        }
    }
    Err(refused.map_or_else(not_found, |reason| BackendError::NotExecutable {
        program: program.to_owned(),
        reason,
    }))
}

enum Refusal {
    NotThere,
    Because(String),
}

fn executable(root: &Root, path: &Path) -> Result<(), Refusal> {
    match root.mode(path) {
        Ok(mode) if mode & libc::S_IFMT == libc::S_IFDIR => {
            Err(Refusal::Because("it is a directory".to_owned()))
        }
        Ok(mode) if mode & libc::S_IFMT != libc::S_IFREG => {
            Err(Refusal::Because("it is not a regular file".to_owned()))
        }
        Ok(mode) if mode & 0o111 == 0 => {
            Err(Refusal::Because("it has no execute permission; use chmod +x".to_owned()))
        }
        Ok(_) => Ok(()),
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Err(Refusal::NotThere)
        }
        Err(e) => Err(Refusal::Because(e.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{PermissionsExt as _, symlink},
    };

    use super::*;

    fn rootfs() -> (tempfile::TempDir, Root) {
        let dir = tempfile::tempdir().unwrap();
        for path in ["bin", "usr/bin", "srv"] {
            fs::create_dir_all(dir.path().join(path)).unwrap();
        }
        let file = |path: &str, mode| {
            fs::write(dir.path().join(path), "").unwrap();
            fs::set_permissions(dir.path().join(path), fs::Permissions::from_mode(mode)).unwrap();
        };
        file("bin/sh", 0o755);
        file("usr/bin/app", 0o644);
        file("bin/app", 0o755);
        file("srv/run", 0o755);
        file("srv/text", 0o644);
        symlink("/bin/sh", dir.path().join("usr/bin/link")).unwrap();
        let root = Root::open(dir.path()).unwrap();
        (dir, root)
    }

    #[test]
    fn programs_are_found_as_execvp_finds_them() {
        let (_dir, root) = rootfs();
        let env = ["PATH=/none".to_owned(), "PATH=/usr/bin:/bin".to_owned()];
        let find = |program: &str| find_program(&root, program, "/srv", &env);
        assert_eq!(find("sh").unwrap(), Path::new("/bin/sh"));
        assert_eq!(find("link").unwrap(), Path::new("/usr/bin/link"));
        assert_eq!(find("app").unwrap(), Path::new("/bin/app"), "the first is not executable");
        assert_eq!(find("./run").unwrap(), Path::new("/srv/./run"));
        assert_eq!(find_program(&root, "sh", "/", &[]).unwrap(), Path::new("/bin/sh"));
    }

    #[test]
    fn what_cannot_run_is_told_from_what_is_not_there() {
        let (dir, root) = rootfs();
        let find = |program: &str| find_program(&root, program, "/srv", &[]).unwrap_err();
        for missing in ["nothing", "/bin/nothing", "", "/bin/sh/x"] {
            assert!(matches!(find(missing), BackendError::CommandNotFound(_)), "{missing}");
        }
        nix::unistd::mkfifo(&dir.path().join("srv/pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        for refused in ["/srv/text", "./text", "/usr", "/srv/pipe"] {
            assert!(matches!(find(refused), BackendError::NotExecutable { .. }), "{refused}");
        }
    }
}
