use std::{
    fs,
    io::{self, BufRead, BufReader, BufWriter, Write},
    os::unix::fs::FileTypeExt as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use nix::sys::stat::{Mode, umask};
use tandem_backend::{BackendError, InstanceStore};
use tandem_home::Home;
use tandem_image::{Extract, LayerError, Limits, PlainFiles, Rebase, extract, pack_tree};
use tandem_model::{ErrorCode, Failure};

use super::{FilesAnswer, FilesRequest, FilesSource, FilesTask, place};

/// The hidden entry point `tandem __files`: a [`FilesRequest`] comes in on
/// standard input, a [`FilesAnswer`] goes out. The process must have a single
/// thread.
pub fn files_main() -> ExitCode {
    let mut input = BufReader::new(io::stdin());
    match run(&mut input) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            tell(&FilesAnswer::Failed(failure));
            ExitCode::from(125)
        }
    }
}

fn tell(answer: &FilesAnswer) {
    let mut line = serde_json::to_vec(answer).unwrap_or_default();
    line.push(b'\n');
    // An error in the middle of an archive must not look like part of it.
    let sent = match answer {
        FilesAnswer::Failed(_) => io::stderr().write_all(&line),
        _ => io::stdout().write_all(&line).and_then(|()| io::stdout().flush()),
    };
    // Whoever asked is gone; then nobody waits for an answer.
    drop(sent);
}

fn run(input: &mut impl BufRead) -> Result<(), Failure> {
    let broken = |e: &dyn std::fmt::Display| {
        Failure::new(ErrorCode::Internal, format!("the request cannot be read: {e}"))
    };
    let mut line = String::new();
    input.read_line(&mut line).map_err(|e| broken(&e))?;
    let request: FilesRequest = serde_json::from_str(&line).map_err(|e| broken(&e))?;
    let store = Home::open(Some(&request.home)).map(InstanceStore::new);
    let store = store.map_err(|e| BackendError::from(e).to_failure())?;
    let record = store.load(&request.id).map_err(|e| e.to_failure())?;
    umask(Mode::from_bits_truncate(0o022));
    // While `/proc` is the machine's.
    let files = PlainFiles::of_this_process()
        .map_err(|e| BackendError::engine("reaching this process's files", e).to_failure())?;
    let _lock = place::enter(&store, &record).map_err(|e| e.to_failure())?;
    let name = &record.spec.name;
    match &request.task {
        FilesTask::Read { path, follow } => read(name, path, *follow, &files),
        FilesTask::Write { path, source, keep_owners } => {
            write(input, name, path, source.as_ref(), *keep_owners)?;
            tell(&FilesAnswer::Written);
            Ok(())
        }
    }
}

/// A path as it is typed, from the root. What stands at its end (`/`, `/.`)
/// stays: the kernel knows what it means.
fn absolute(path: &str) -> PathBuf {
    if path.starts_with('/') { PathBuf::from(path) } else { PathBuf::from(format!("/{path}")) }
}

fn refused(action: &str, name: &str, path: &str, e: &io::Error) -> Failure {
    let (code, why) = match e.kind() {
        io::ErrorKind::NotFound => (ErrorCode::NotFound, "it is not there".to_owned()),
        _ => (ErrorCode::Internal, e.to_string()),
    };
    Failure::new(code, format!("cannot {action} `{path}` of {name}: {why}; check the path"))
}

fn read(name: &str, path: &str, follow: bool, files: &PlainFiles) -> Result<(), Failure> {
    let from = absolute(path);
    let metadata = if follow { fs::metadata(&from) } else { fs::symlink_metadata(&from) };
    let metadata = metadata
        .and_then(|metadata| copied_as_it_is(&metadata).map(|()| metadata))
        .map_err(|e| refused("copy", name, path, &e))?;
    let source = FilesSource::of(path, metadata.is_dir());
    tell(&FilesAnswer::Sending(source.clone()));
    let out = BufWriter::with_capacity(128 << 10, io::stdout().lock());
    pack_tree(&from, Path::new(&source.name), follow, files, out)
        .map_err(|e| Failure::new(ErrorCode::Internal, format!("cannot copy from {name}: {e}")))
}

fn write(
    input: &mut impl BufRead,
    name: &str,
    path: &str,
    source: Option<&FilesSource>,
    keep_owners: bool,
) -> Result<(), Failure> {
    let to = absolute(path);
    let (dir, rebase) = match source {
        Some(source) => copy_destination(&to, path, source),
        None if to.is_dir() => Ok((to, Rebase::Keep)),
        None => Err(no_folder()),
    }
    .map_err(|e| refused("copy to", name, path, &e))?;
    let owner = (source.is_some() && !keep_owners).then_some((0, 0));
    // Whoever may write as root inside may also give privileges inside.
    let options = Extract { rebase, owner, privileges: true, limits: Limits::default() };
    extract(input, &dir, &options).map_err(|e| match e {
        LayerError::Io { source, .. } if source.kind() == io::ErrorKind::ReadOnlyFilesystem => {
            let text = format!(
                "cannot copy to `{path}` of {name}: nothing can be written there, since its files (--read-only) or that mount (:ro) are read-only; copy to a volume or a memory file system of it"
            );
            Failure::new(ErrorCode::Conflict, text)
        }
        e => Failure::new(ErrorCode::Internal, format!("cannot copy to {name}: {e}")),
    })
}

/// Refuses what is left out of copies, when it is all that is to be copied.
///
/// # Errors
/// A sentence about a device or a socket.
pub fn copied_as_it_is(metadata: &fs::Metadata) -> io::Result<()> {
    let kind = metadata.file_type();
    let what = if kind.is_char_device() || kind.is_block_device() {
        "a device"
    } else if kind.is_socket() {
        "a socket"
    } else {
        return Ok(());
    };
    let text = format!("it is {what}, which means nothing elsewhere");
    Err(io::Error::new(io::ErrorKind::InvalidInput, text))
}

fn no_folder() -> io::Error {
    io::Error::new(io::ErrorKind::NotADirectory, "the folder to copy into is not there")
}

/// Where a copy goes and what it is called there (Docker's rules for `cp`).
///
/// # Errors
/// When a folder would replace a file, or a file would go into a folder that
/// is not there.
pub fn copy_destination(
    to: &Path,
    typed: &str,
    source: &FilesSource,
) -> io::Result<(PathBuf, Rebase)> {
    let must_be_folder = typed.ends_with('/') || typed.ends_with("/.");
    match fs::metadata(to) {
        Ok(found) if found.is_dir() => {
            let rebase = if source.contents {
                Rebase::Into
            } else {
                Rebase::As(source.name.clone().into_bytes())
            };
            return Ok((to.to_owned(), rebase));
        }
        Ok(_) if source.folder => {
            let reason = "a folder cannot replace a file";
            return Err(io::Error::new(io::ErrorKind::NotADirectory, reason));
        }
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        Err(_) if must_be_folder && !source.folder => return Err(no_folder()),
        Ok(_) | Err(_) => {}
    }
    // What a link leads to is written, not the link replaced.
    let to = match fs::canonicalize(to) {
        Ok(real) => real,
        Err(_) => to.components().collect(),
    };
    let (Some(parent), Some(name)) = (to.parent(), to.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    match fs::metadata(parent) {
        Ok(parent) if parent.is_dir() => {}
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => return Err(no_folder()),
    }
    Ok((parent.to_owned(), Rebase::As(name.as_encoded_bytes().to_vec())))
}

impl FilesSource {
    /// The source at a path as it was typed.
    pub fn of(typed: &str, folder: bool) -> Self {
        let contents = typed.ends_with("/.") || typed == ".";
        let name = Path::new(typed).file_name().map(|name| name.to_string_lossy().into_owned());
        // The root has no name; only what is in it can be meant.
        let contents = folder && (contents || name.is_none());
        Self { name: name.unwrap_or_else(|| "root".to_owned()), folder, contents }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_are_those_of_docker() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir(at("folder")).unwrap();
        fs::write(at("file"), "").unwrap();
        let resolve = |name: &str, source: &FilesSource| {
            let path = format!("{}/{name}", dir.path().display());
            copy_destination(Path::new(&path), &path, source)
        };
        let named = |name: &str| Rebase::As(name.as_bytes().to_vec());
        let file = FilesSource::of("some/file.txt", false);
        assert_eq!(resolve("folder", &file).unwrap(), (at("folder"), named("file.txt")));
        assert_eq!(resolve("new", &file).unwrap().1, named("new"));
        assert_eq!(resolve("file", &file).unwrap().1, named("file"));
        assert!(resolve("new/", &file).is_err());
        let error = resolve("none/new", &file).unwrap_err().to_string();
        assert_eq!(error, "the folder to copy into is not there");
        let folder = FilesSource::of("some/dir", true);
        assert_eq!(resolve("folder", &folder).unwrap(), (at("folder"), named("dir")));
        assert_eq!(resolve("new", &folder).unwrap().1, named("new"));
        assert_eq!(resolve("new/", &folder).unwrap().1, named("new"));
        assert!(resolve("file", &folder).is_err());
        let contents = FilesSource::of("some/dir/.", true);
        assert_eq!((contents.contents, contents.name.as_str()), (true, "dir"));
        assert_eq!(resolve("folder", &contents).unwrap().1, Rebase::Into);
        assert!(FilesSource::of("/", true).contents);
    }

    #[test]
    fn what_would_be_left_out_is_not_copied_alone() {
        let dir = tempfile::tempdir().unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("socket")).unwrap();
        let said = |path: &Path| copied_as_it_is(&fs::metadata(path).unwrap()).err();
        assert!(said(Path::new("/dev/null")).unwrap().to_string().contains("it is a device"));
        assert!(said(&dir.path().join("socket")).unwrap().to_string().contains("it is a socket"));
        assert!(said(dir.path()).is_none() && said(Path::new("/etc/passwd")).is_none());
    }
}
