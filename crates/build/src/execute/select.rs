//! What a COPY or ADD takes, found and digested before anything is written.

use std::{
    ffi::OsString,
    fs::File,
    io::{self, Read as _},
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};

use super::{interrupt::Interrupt, upper::portable_xattrs};
use crate::{
    ignore::{Glob, Ignore},
    tree::{Found, Kind, Tree, lexical, resolve, walk},
};

/// One source with all that is below it.
#[derive(Debug)]
pub(super) struct Source {
    /// Its last component as written or matched, the name in a folder.
    pub(super) name: OsString,
    /// It is a folder, so its content is copied and not itself.
    pub(super) is_dir: bool,
    /// The files, folders first.
    pub(super) found: Vec<Found>,
}

/// Finds a source, which may be a pattern. The error is a sentence.
pub(super) fn select(tree: &dyn Tree, written: &str) -> Result<Vec<Source>, String> {
    let failed = |e: io::Error| format!("`{written}` cannot be read: {e}");
    let paths = if Glob::is_pattern(written) {
        matches(tree, written)?
    } else {
        vec![lexical(Path::new(written))]
    };
    let mut sources = Vec::new();
    for path in paths {
        let followed = resolve(tree, &path, true).map_err(failed)?;
        let found = walk(tree, &followed).map_err(failed)?;
        let Some(first) = found.first() else { continue };
        sources.push(Source {
            name: path.file_name().unwrap_or_default().to_owned(),
            is_dir: first.entry.is_dir(),
            found,
        });
    }
    Ok(sources)
}

/// The paths that a pattern matches; as in Docker each component matches one
/// component, and links are not followed on the way.
pub(super) fn matches(tree: &dyn Tree, written: &str) -> Result<Vec<PathBuf>, String> {
    let failed = |e: io::Error| format!("`{written}` cannot be read: {e}");
    let clean = lexical(Path::new(written));
    let mut places = vec![PathBuf::new()];
    let mut plain = true;
    for part in &clean {
        let part = part.to_string_lossy();
        if plain && !Glob::is_pattern(&part) {
            places[0].push(&*part);
            continue;
        }
        if plain {
            places[0] = resolve(tree, &places[0], true).map_err(failed)?;
            plain = false;
        }
        let glob = Glob::single(&part).map_err(|e| format!("`{written}`: {e}"))?;
        let mut next = Vec::new();
        for place in places {
            if !tree.entry(&place).map_err(failed)?.is_some_and(|entry| entry.is_dir()) {
                continue;
            }
            for name in tree.list(&place).map_err(failed)? {
                if glob.matches(&name.to_string_lossy()) {
                    next.push(place.join(name));
                }
            }
        }
        places = next;
    }
    Ok(places)
}

/// Leaves out what the patterns name, relative to each source.
pub(super) fn exclude(sources: &mut Vec<Source>, ignore: &Ignore) {
    if ignore.is_empty() {
        return;
    }
    for source in sources.iter_mut() {
        let name = PathBuf::from(&source.name);
        let path = |found: &Found| {
            if source.is_dir { found.below.clone() } else { name.clone() }
        };
        let out: Vec<bool> = source
            .found
            .iter()
            .map(|found| ignore.excludes(&path(found).to_string_lossy()))
            .collect();
        let kept: Vec<PathBuf> = source
            .found
            .iter()
            .zip(&out)
            .filter(|(found, out)| !**out && !found.entry.is_dir())
            .map(|(found, _)| found.below.clone())
            .collect();
        // A folder stays when something in it does.
        let stays = |found: &Found| {
            found.entry.is_dir() && kept.iter().any(|below| below.starts_with(&found.below))
        };
        let mut out = out.into_iter();
        let root = |found: &Found| source.is_dir && found.below.as_os_str().is_empty();
        source.found.retain(|found| {
            let out = out.next().unwrap_or(false);
            !out || root(found) || stays(found)
        });
    }
    sources.retain(|source| !source.found.is_empty());
}

/// A digest over everything that decides what arrives: names, kinds, modes,
/// contents, link targets, attributes; owners too when they are kept. Times
/// do not count, as in Docker.
pub(super) fn digest(
    tree: &dyn Tree,
    sources: &[Source],
    keep_owners: bool,
    interrupt: &Interrupt,
) -> io::Result<[u8; 32]> {
    let mut hash = Sha256::new();
    let mut field = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    for source in sources {
        field(source.name.as_bytes());
        field(&(source.found.len() as u64).to_le_bytes());
        for found in &source.found {
            interrupt.check()?;
            let entry = &found.entry;
            field(found.below.as_os_str().as_bytes());
            field(&[entry.kind as u8]);
            field(&entry.mode.to_le_bytes());
            if keep_owners {
                field(&entry.uid.to_le_bytes());
                field(&entry.gid.to_le_bytes());
            }
            match entry.kind {
                Kind::File => {
                    let mut file = tree.open(&found.path)?;
                    for (name, value) in portable_xattrs(&file)? {
                        field(name.as_bytes());
                        field(&value);
                    }
                    field(&content(&mut file, interrupt)?);
                }
                Kind::Symlink => field(tree.read_link(&found.path)?.as_os_str().as_bytes()),
                Kind::CharDevice | Kind::BlockDevice => field(&entry.device.to_le_bytes()),
                Kind::Dir | Kind::Fifo | Kind::Socket => {}
            }
        }
    }
    Ok(hash.finalize().into())
}

pub(super) fn content(file: &mut File, interrupt: &Interrupt) -> io::Result<[u8; 32]> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        interrupt.check()?;
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hash.finalize().into()),
            Ok(count) => hash.update(&buffer[..count]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}
