//! What `COPY --parents` takes.
//!
//! BuildKit copies what is in the folder before `/./`, or in the root, and
//! takes the rest of the source as a pattern for the paths below it, read as a
//! line of an ignore file is: `**` is any number of folders, and what is in a
//! folder that fits comes along. The folders above come along with what they
//! hold, and no link on the way is followed.

use std::{
    collections::HashSet,
    ffi::OsString,
    io,
    path::{Path, PathBuf},
};

use super::select::{Source, matches};
use crate::{
    ignore::{Glob, Ignore},
    tree::{Entry, Found, Tree, lexical, resolve, walk},
};

/// Finds what a source of `COPY --parents` means, without what is left out;
/// that all of it is left out is not that nothing was found. The error is a
/// sentence.
pub(super) fn select_parents(
    tree: &dyn Tree,
    written: &str,
    left_out: &Ignore,
) -> Result<Vec<Source>, String> {
    let failed = |e: io::Error| format!("`{written}` cannot be read: {e}");
    let (above, rest) = written.split_once("/./").unwrap_or(("", written));
    let bases = if Glob::is_pattern(above) {
        matches(tree, above)?
    } else {
        vec![lexical(Path::new(above))]
    };
    let rest = lexical(Path::new(rest));
    let glob = Glob::new(&rest.to_string_lossy()).map_err(|e| format!("`{written}`: {e}"))?;
    let mut sources = Vec::new();
    for base in bases {
        let base = resolve(tree, &base, true).map_err(failed)?;
        let mut found = candidates(tree, &base, &rest).map_err(failed)?;
        let whole = rest.as_os_str().is_empty();
        let fits = |path: &str| whole || glob.covers(path);
        keep(&mut found, fits);
        if found.len() > 1 || whole && !found.is_empty() {
            keep(&mut found, |path| fits(path) && !left_out.excludes(path));
            sources.push(Source { name: OsString::new(), is_dir: true, found });
        }
    }
    Ok(sources)
}

/// Whatever the pattern may mean, folders first: the folders that it names
/// without a wildcard, and all that is at and below the last of these names.
fn candidates(tree: &dyn Tree, base: &Path, rest: &Path) -> io::Result<Vec<Found>> {
    let plain: PathBuf =
        rest.iter().take_while(|part| !Glob::is_pattern(&part.to_string_lossy())).collect();
    let mut found = Vec::new();
    let mut on_the_way: Vec<&Path> = plain.ancestors().skip(1).collect();
    on_the_way.reverse();
    for below in on_the_way {
        let path = at(base, below);
        let Some(entry) = tree.entry(&path)?.filter(Entry::is_dir) else {
            return Ok(Vec::new());
        };
        found.push(Found { path, below: below.to_owned(), entry });
    }
    let last = walk(tree, &at(base, &plain))?;
    if plain.as_os_str().is_empty() && last.first().is_some_and(|first| !first.entry.is_dir()) {
        return Ok(Vec::new());
    }
    found.extend(last.into_iter().map(|file| {
        let below = at(&plain, &file.below);
        Found { below, ..file }
    }));
    Ok(found)
}

/// A path below another; joining nothing would leave a slash behind.
fn at(base: &Path, below: &Path) -> PathBuf {
    if below.as_os_str().is_empty() { base.to_owned() } else { base.join(below) }
}

/// Keeps what is wanted, the folders above it, and the root.
fn keep(found: &mut Vec<Found>, wanted: impl Fn(&str) -> bool) {
    let mut needed: HashSet<PathBuf> = HashSet::from([PathBuf::new()]);
    let kept: Vec<bool> = found
        .iter()
        .rev()
        .map(|file| {
            let kept = needed.contains(&file.below) || wanted(&file.below.to_string_lossy());
            if kept && let Some(parent) = file.below.parent() {
                needed.insert(parent.to_owned());
            }
            kept
        })
        .collect();
    let mut kept = kept.into_iter().rev();
    found.retain(|_| kept.next().unwrap_or(false));
}
