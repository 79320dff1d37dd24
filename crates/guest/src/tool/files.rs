use std::{
    fs,
    io::{self, BufRead, BufReader, BufWriter, Write as _},
    os::unix::fs::{FileTypeExt as _, MetadataExt as _, lchown},
    path::{Path, PathBuf},
    process::ExitCode,
};

use tandem_guest::wire::{FileAnswer, FileFailure, FileSource, FileTask, FileWork};
use tar::{Archive, Builder, EntryType};

use super::place::{Rebase, absolute, destination, inside, source_of};

/// The longest request that is read, in bytes.
const LONGEST: u64 = 64 * 1024;

/// Reads a request and does it.
pub(super) fn run() -> ExitCode {
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022));
    let mut input = BufReader::with_capacity(64 * 1024, io::stdin());
    match serve(&mut input) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let mut line = serde_json::to_vec(&FileAnswer::Failed(failure)).unwrap_or_default();
            line.push(b'\n');
            let _ = io::stderr().write_all(&line);
            ExitCode::from(125)
        }
    }
}

fn serve(input: &mut impl BufRead) -> Result<(), FileFailure> {
    let mut line = String::new();
    let read = io::Read::take(&mut *input, LONGEST).read_line(&mut line);
    let task: FileTask = read
        .and_then(|_| Ok(serde_json::from_str(&line)?))
        .map_err(|e| failure("internal", format!("the request cannot be read: {e}")))?;
    match task.task {
        FileWork::Read { path, follow } => {
            send(&path, follow).map_err(|e| refused("copy", &path, &e))
        }
        FileWork::Write { path, source, keep_owners } => {
            receive(input, &path, source.as_ref(), keep_owners)
                .map_err(|e| refused("copy to", &path, &e))?;
            tell(&FileAnswer::Written).map_err(|e| refused("copy to", &path, &e))
        }
    }
}

fn failure(code: &str, message: String) -> FileFailure {
    FileFailure { code: code.to_owned(), message }
}

fn refused(action: &str, path: &str, e: &io::Error) -> FileFailure {
    let (code, why) = match e.kind() {
        io::ErrorKind::NotFound => ("not_found", "it is not there".to_owned()),
        io::ErrorKind::ReadOnlyFilesystem => {
            ("conflict", "it lies on a read-only file system".to_owned())
        }
        _ => ("internal", e.to_string()),
    };
    failure(code, format!("cannot {action} {path} in the machine: {why}"))
}

fn tell(answer: &FileAnswer) -> io::Result<()> {
    super::tell(answer)
}

/// Sends what is at `typed`.
fn send(typed: &str, follow: bool) -> io::Result<()> {
    let path = absolute(typed);
    // A link itself is sent, unless what it leads to is meant.
    let follows = follow || typed.ends_with('/') || typed.ends_with("/.");
    let found = if follows { fs::metadata(&path)? } else { fs::symlink_metadata(&path)? };
    let source = source_of(typed, found.is_dir());
    tell(&FileAnswer::Sending(source.clone()))?;
    let mut builder = Builder::new(BufWriter::with_capacity(64 * 1024, io::stdout()));
    builder.follow_symlinks(false);
    let path = if follows { fs::canonicalize(&path)? } else { path };
    append(&mut builder, &path, Path::new(&source.name))?;
    builder.into_inner()?.flush()
}

fn append(builder: &mut Builder<impl io::Write>, path: &Path, name: &Path) -> io::Result<()> {
    let first = path;
    let mut pending = vec![(path.to_owned(), name.to_owned())];
    while let Some((path, name)) = pending.pop() {
        let found = match fs::symlink_metadata(&path) {
            // The app removed it meanwhile.
            Err(e) if e.kind() == io::ErrorKind::NotFound && path != first => continue,
            other => other?,
        };
        if found.file_type().is_socket() {
            continue;
        }
        builder.append_path_with_name(&path, &name)?;
        // What the kernel makes up, /proc say, is not the instance's.
        if found.is_dir() && (path == first || is_stored(&found)) {
            for entry in fs::read_dir(&path)? {
                let entry = entry?;
                pending.push((entry.path(), name.join(entry.file_name())));
            }
        }
    }
    Ok(())
}

/// Whether it is not in one of the kernel's own file systems.
fn is_stored(found: &fs::Metadata) -> bool {
    let kernel = ["/proc", "/sys"].map(|path| fs::metadata(path).map(|found| found.dev()).ok());
    !kernel.contains(&Some(found.dev()))
}

/// Writes an archive.
fn receive(
    input: &mut impl BufRead,
    typed: &str,
    source: Option<&FileSource>,
    keep_owners: bool,
) -> io::Result<()> {
    let (folder, rebase) = match source {
        Some(source) => destination(typed, source)?,
        None => (absolute(typed), Rebase::Keep),
    };
    if !fs::metadata(&folder)?.is_dir() {
        return Err(io::Error::new(io::ErrorKind::NotADirectory, "it is not a folder"));
    }
    let mut archive = Archive::new(&mut *input);
    let mut folders = Vec::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let place = inside(&path, &rebase).ok_or_else(|| {
            let reason = format!("the archive leads outside with {}", path.display());
            io::Error::new(io::ErrorKind::InvalidData, reason)
        })?;
        let to = folder.join(&place);
        if place.as_os_str().is_empty() {
            continue;
        }
        let owner = if keep_owners || source.is_none() {
            let (uid, gid) = (entry.header().uid()?, entry.header().gid()?);
            (u32::try_from(uid).unwrap_or_default(), u32::try_from(gid).unwrap_or_default())
        } else {
            (0, 0)
        };
        if entry.header().entry_type() == EntryType::Link {
            link(&mut entry, &folder, &rebase, &to)?;
            continue;
        }
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent)?;
        }
        let is_folder = entry.header().entry_type().is_dir();
        entry.set_preserve_permissions(true);
        entry.set_preserve_mtime(!is_folder);
        entry.unpack(&to)?;
        lchown(&to, Some(owner.0), Some(owner.1))?;
        if is_folder {
            folders.push((to, entry.header().mode()?));
        } else if !entry.header().entry_type().is_symlink() {
            // A change of owner takes set-user-ID away.
            set_mode(&to, entry.header().mode()?)?;
        }
    }
    for (path, mode) in folders.iter().rev() {
        set_mode(path, *mode)?;
    }
    // What the archive ends with is read, so that the sender is not cut off.
    io::copy(input, &mut io::sink()).map(drop)
}

fn link(
    entry: &mut tar::Entry<'_, impl io::Read>,
    folder: &Path,
    rebase: &Rebase,
    to: &PathBuf,
) -> io::Result<()> {
    let bad = || io::Error::new(io::ErrorKind::InvalidData, "the archive has a link to nowhere");
    let target = entry.link_name()?.ok_or_else(bad)?.into_owned();
    let target = folder.join(inside(&target, rebase).ok_or_else(bad)?);
    match fs::remove_file(to) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    fs::hard_link(target, to)
}

fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode & 0o7777))
}
