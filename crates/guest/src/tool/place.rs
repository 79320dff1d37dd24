//! Where a copy goes and what it is called there (Docker's rules for `cp`).

use std::{
    fs, io,
    path::{Component, Path, PathBuf},
};

use tandem_guest::wire::FileSource;

/// What happens to the first name of each path in an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Rebase {
    /// It stays.
    Keep,
    /// It falls away: only what is in the folder goes there.
    Into,
    /// It becomes another.
    As(PathBuf),
}

/// The folder to write into, and what becomes of the names.
///
/// # Errors
/// When a folder would replace a file, or a file would go into a folder that
/// is not there.
pub(super) fn destination(typed: &str, source: &FileSource) -> io::Result<(PathBuf, Rebase)> {
    let to = absolute(typed);
    let refused = |reason: &str| Err(io::Error::new(io::ErrorKind::NotADirectory, reason));
    let must_be_folder = typed.ends_with('/') || typed.ends_with("/.");
    match fs::metadata(&to) {
        Ok(found) if found.is_dir() => {
            let rebase =
                if source.contents { Rebase::Into } else { Rebase::As(source.name.clone().into()) };
            return Ok((to, rebase));
        }
        Ok(_) if source.folder => return refused("a folder cannot replace a file"),
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        Err(_) if must_be_folder && !source.folder => {
            return refused("the folder to copy into is not there");
        }
        Ok(_) | Err(_) => {}
    }
    // What a link leads to is written, not the link replaced.
    let to = fs::canonicalize(&to).unwrap_or_else(|_| to.components().collect());
    let (Some(parent), Some(name)) = (to.parent(), to.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    if !fs::metadata(parent)?.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    Ok((parent.to_owned(), Rebase::As(name.into())))
}

/// A path as it is typed, from the root.
pub(super) fn absolute(typed: &str) -> PathBuf {
    Path::new("/").join(typed.trim_start_matches('/'))
}

/// Where a path of an archive goes beneath the folder; `None` when that is
/// nowhere in it.
pub(super) fn inside(path: &Path, rebase: &Rebase) -> Option<PathBuf> {
    let mut names = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => names.push(name),
            Component::CurDir | Component::RootDir => {}
            Component::ParentDir | Component::Prefix(_) => return None,
        }
    }
    match rebase {
        Rebase::Keep => Some(names.iter().collect()),
        Rebase::Into => Some(names.iter().skip(1).collect()),
        Rebase::As(name) => {
            names.first()?;
            Some(std::iter::once(name.as_os_str()).chain(names.into_iter().skip(1)).collect())
        }
    }
}

/// The source at a path as it was typed.
pub(super) fn source_of(typed: &str, folder: bool) -> FileSource {
    let contents = typed.ends_with("/.") || typed == ".";
    let name = Path::new(typed).file_name().map(|name| name.to_string_lossy().into_owned());
    // The root has no name; only what is in it can be meant.
    let contents = folder && (contents || name.is_none());
    FileSource { name: name.unwrap_or_else(|| "root".to_owned()), folder, contents }
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
        let resolve = |name: &str, source: &FileSource| {
            destination(&format!("{}/{name}", dir.path().display()), source)
        };
        let named = |name: &str| Rebase::As(name.into());
        let file = source_of("some/file.txt", false);
        assert_eq!(resolve("folder", &file).unwrap(), (at("folder"), named("file.txt")));
        assert_eq!(resolve("new", &file).unwrap().1, named("new"));
        assert_eq!(resolve("file", &file).unwrap().1, named("file"));
        assert!(resolve("new/", &file).is_err());
        assert!(resolve("none/new", &file).is_err());
        let folder = source_of("some/dir", true);
        assert_eq!(resolve("folder", &folder).unwrap(), (at("folder"), named("dir")));
        assert_eq!(resolve("new/", &folder).unwrap().1, named("new"));
        assert!(resolve("file", &folder).is_err());
        let contents = source_of("some/dir/.", true);
        assert_eq!((contents.contents, contents.name.as_str()), (true, "dir"));
        assert_eq!(resolve("folder", &contents).unwrap().1, Rebase::Into);
        assert!(source_of("/", true).contents);
    }

    #[test]
    fn nothing_leaves_the_folder() {
        let of = |path: &str, rebase: &Rebase| inside(Path::new(path), rebase);
        assert_eq!(of("a/b", &Rebase::Keep), Some("a/b".into()));
        assert_eq!(of("/a/./b", &Rebase::As("c".into())), Some("c/b".into()));
        assert_eq!(of("a", &Rebase::Into), Some(PathBuf::new()));
        assert_eq!(of("a/../../b", &Rebase::Keep), None);
    }
}
