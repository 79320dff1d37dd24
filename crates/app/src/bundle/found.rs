//! Bundles where one looks for them: on sticks, and among what was downloaded.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use serde::Serialize;

/// How a bundle's name ends.
const ENDING: &str = "tandem";

/// More than these are no help to choose from.
const MOST: usize = 20;

/// A file that is called like a bundle. Nobody has looked into it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, ts_rs::TS)]
pub struct FoundBundle {
    /// The file.
    pub file: PathBuf,
    /// Its length.
    #[ts(type = "number")]
    pub bytes: u64,
}

/// Files called `….tandem` on what is plugged in and in the folder of
/// downloads, by name; twenty at most. A stick may take its time to answer.
pub fn found_bundles() -> Vec<FoundBundle> {
    let mut folders = plugged_in();
    let home = env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute());
    if let Some(home) = home {
        let config = env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
        let config = config.filter(|it| it.is_absolute()).unwrap_or_else(|| home.join(".config"));
        let named = fs::read_to_string(config.join("user-dirs.dirs")).unwrap_or_default();
        folders.push(downloads(&named, &home).unwrap_or_else(|| home.join("Downloads")));
    }
    found_in(&folders)
}

/// Where desktops mount sticks: for each user, or for all.
fn plugged_in() -> Vec<PathBuf> {
    let mut folders = Vec::new();
    for place in ["/media", "/run/media"] {
        for user in below(Path::new(place)) {
            folders.extend(below(&user));
            folders.push(user);
        }
    }
    folders
}

fn below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

/// The folder of downloads that `user-dirs.dirs` names: `XDG_DOWNLOAD_DIR`,
/// absolute or below `$HOME` (xdg-user-dirs).
fn downloads(named: &str, home: &Path) -> Option<PathBuf> {
    let value = named.lines().find_map(|line| line.trim().strip_prefix("XDG_DOWNLOAD_DIR="))?;
    let value = value.trim().trim_matches('"');
    match value.strip_prefix("$HOME/") {
        Some(rest) => Some(home.join(rest)),
        None => Some(PathBuf::from(value)).filter(|path| path.is_absolute()),
    }
}

fn found_in(folders: &[PathBuf]) -> Vec<FoundBundle> {
    let files = folders.iter().flat_map(|folder| below(folder));
    let called = files.filter(|file| file.extension().is_some_and(|it| it == ENDING));
    let mut found: Vec<_> = called
        .filter_map(|file| {
            let metadata = fs::symlink_metadata(&file).ok().filter(fs::Metadata::is_file)?;
            // What is no text cannot be asked for.
            file.to_str()?;
            Some(FoundBundle { bytes: metadata.len(), file })
        })
        .collect();
    found.sort();
    found.dedup();
    found.truncate(MOST);
    found
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn files_called_so_are_found_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let [stick, home] = ["stick", "home"].map(|name| dir.path().join(name));
        for folder in [&stick, &home] {
            fs::create_dir(folder).unwrap();
        }
        fs::write(stick.join("b.tandem"), "12").unwrap();
        fs::write(home.join("a.tandem"), "1").unwrap();
        fs::write(home.join("tandem"), "").unwrap();
        fs::write(home.join("notes.txt"), "").unwrap();
        fs::create_dir(home.join("folder.tandem")).unwrap();
        symlink("/dev/zero", home.join("link.tandem")).unwrap();
        let gone = dir.path().join("gone");
        let found = found_in(&[stick.clone(), home.clone(), home.clone(), gone]);
        let expected = [(home.join("a.tandem"), 1), (stick.join("b.tandem"), 2)];
        assert_eq!(found, expected.map(|(file, bytes)| FoundBundle { file, bytes }));
        for at in 0..30 {
            fs::write(stick.join(format!("{at}.tandem")), "").unwrap();
        }
        assert_eq!(found_in(&[stick]).len(), MOST);
    }

    #[test]
    fn downloads_lie_where_the_person_has_them() {
        let home = Path::new("/home/me");
        let said = |text: &str| downloads(text, home);
        let german =
            "# x\nXDG_DESKTOP_DIR=\"$HOME/Schreibtisch\"\nXDG_DOWNLOAD_DIR=\"$HOME/Geladenes\"\n";
        assert_eq!(said(german), Some("/home/me/Geladenes".into()));
        assert_eq!(said("XDG_DOWNLOAD_DIR=\"/data/new\""), Some("/data/new".into()));
        assert_eq!(said("XDG_DOWNLOAD_DIR=\"new\""), None);
        assert_eq!(said(""), None);
    }
}
