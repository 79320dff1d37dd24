//! Places that a command's surroundings are mounted on. Those that the image
//! lacks are made for the time being and must not get into the layer, nor must
//! the folders that were copied up or changed for them alone.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{
        AtFlags, FileType, Mode, OFlags, ResolveFlags, Timespec, Timestamps, UTIME_OMIT, futimens,
        openat2, statat, unlinkat,
    },
    io::Errno,
};

/// What tells whether a folder was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    modified: (i64, i64),
    mode: u32,
    owner: (u32, u32),
}

impl State {
    /// The state of a folder; `None` when there is none.
    fn of(path: &Path) -> Option<Self> {
        fs::symlink_metadata(path).ok().filter(fs::Metadata::is_dir).as_ref().map(Self::from)
    }
}

impl From<&fs::Metadata> for State {
    fn from(found: &fs::Metadata) -> Self {
        Self {
            modified: (found.mtime(), found.mtime_nsec()),
            mode: found.mode(),
            owner: (found.uid(), found.gid()),
        }
    }
}

/// A folder in which stubs were made.
#[derive(Debug)]
struct Parent {
    path: PathBuf,
    before: State,
    after: State,
}

/// What was made.
#[derive(Debug, Default)]
pub(super) struct Stubs {
    /// Outermost first, as paths in the root.
    made: Vec<PathBuf>,
    parents: Vec<Parent>,
}

/// A path in the root as one below a folder.
fn below(folder: &Path, path: &Path) -> PathBuf {
    folder.join(path.strip_prefix("/").unwrap_or(path))
}

impl Stubs {
    /// Makes places with `make`, which returns what it had to make for one.
    /// `merged` is the root's folder.
    pub(super) fn make<T>(
        &mut self,
        merged: &Path,
        place: &Path,
        make: impl FnOnce() -> io::Result<(T, Vec<PathBuf>)>,
    ) -> io::Result<T> {
        // The nearest folder that exists is the one that would change.
        let nearest = place
            .ancestors()
            .skip(1)
            .find_map(|path| Some((path.to_owned(), State::of(&below(merged, path))?)));
        let (value, made) = make()?;
        if let (Some((path, before)), false) = (nearest, made.is_empty()) {
            let after = State::of(&below(merged, &path)).unwrap_or(before);
            match self.parents.iter_mut().find(|known| known.path == path) {
                Some(known) => known.after = after,
                None => self.parents.push(Parent { path, before, after }),
            }
        }
        self.made.extend(made);
        Ok(value)
    }

    /// Removes from `upper` what is still as it was made: empty files and
    /// folders. What the command put content into stays. The command may have
    /// put links on the way: what lies behind them is not ours.
    pub(super) fn remove(&self, upper: &Path) -> io::Result<()> {
        let state = |parent: &Parent| {
            let folder = inside(upper, &parent.path)?;
            folder.map(|folder| Ok(State::from(&folder.metadata()?))).transpose()
        };
        let now: Vec<_> = self.parents.iter().map(state).collect::<io::Result<_>>()?;
        for path in self.made.iter().rev() {
            remove_if_empty(upper, path)?;
        }
        for (parent, now) in self.parents.iter().zip(now) {
            let Some(now) = now else { continue };
            if now != parent.after {
                set_modified(upper, &parent.path, now.modified)?;
            } else if parent.path == Path::new("/") || !remove_if_empty(upper, &parent.path)? {
                // Not empty: the command changed something further below.
                set_modified(upper, &parent.path, parent.before.modified)?;
            }
        }
        Ok(())
    }
}

/// The folder at a path of the root; `None` when it is not there, or only
/// behind a link.
fn inside(upper: &Path, path: &Path) -> io::Result<Option<fs::File>> {
    let root = fs::File::open(upper)?;
    let path = path.strip_prefix("/").unwrap_or(path);
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    match openat2(&root, path, flags, Mode::empty(), resolve) {
        Ok(folder) => Ok(Some(folder.into())),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

/// Removes an empty file or folder; whether there is none now.
fn remove_if_empty(upper: &Path, path: &Path) -> io::Result<bool> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Ok(false) };
    let Some(parent) = inside(upper, parent)? else { return Ok(true) };
    let found = match statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(true),
        other => other?,
    };
    let flags = match FileType::from_raw_mode(found.st_mode) {
        FileType::RegularFile if found.st_size == 0 => AtFlags::empty(),
        FileType::Directory => AtFlags::REMOVEDIR,
        _ => return Ok(false),
    };
    match unlinkat(&parent, name, flags) {
        Ok(()) => Ok(true),
        Err(Errno::NOTEMPTY | Errno::EXIST) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

fn set_modified(upper: &Path, path: &Path, (seconds, nanoseconds): (i64, i64)) -> io::Result<()> {
    let Some(folder) = inside(upper, path)? else { return Ok(()) };
    let times = Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: seconds, tv_nsec: nanoseconds },
    };
    Ok(futimens(folder, &times)?)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    fn old() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000)
    }

    /// A root with an old `/etc` in which a stub was made.
    fn with_stub(dir: &Path) -> Stubs {
        let etc = dir.join("etc");
        fs::create_dir(&etc).unwrap();
        fs::File::open(&etc).unwrap().set_modified(old()).unwrap();
        let mut stubs = Stubs::default();
        let place = Path::new("/etc/hosts");
        stubs
            .make(dir, place, || {
                fs::write(etc.join("hosts"), "")?;
                Ok(((), vec![place.to_owned()]))
            })
            .unwrap();
        stubs
    }

    #[test]
    fn a_folder_that_only_held_a_stub_goes_with_it() {
        let dir = tempfile::tempdir().unwrap();
        with_stub(dir.path()).remove(dir.path()).unwrap();
        assert!(!dir.path().join("etc").exists());
    }

    #[test]
    fn a_change_further_below_leaves_the_folders_time() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("etc")).unwrap();
        fs::remove_dir(dir.path().join("etc")).unwrap();
        let stubs = with_stub(dir.path());
        // As overlayfs copies up: the parent's time is kept.
        let etc = dir.path().join("etc");
        let time = fs::metadata(&etc).unwrap().modified().unwrap();
        fs::create_dir(etc.join("ssl")).unwrap();
        fs::File::open(&etc).unwrap().set_modified(time).unwrap();
        stubs.remove(dir.path()).unwrap();
        assert_eq!(fs::metadata(&etc).unwrap().modified().unwrap(), old());
        assert!(etc.join("ssl").exists() && !etc.join("hosts").exists());
    }

    #[test]
    fn what_the_command_wrote_stays_with_its_time() {
        let dir = tempfile::tempdir().unwrap();
        let stubs = with_stub(dir.path());
        let etc = dir.path().join("etc");
        fs::write(etc.join("new"), "x").unwrap();
        let changed = old() + Duration::from_secs(5);
        fs::File::open(&etc).unwrap().set_modified(changed).unwrap();
        stubs.remove(dir.path()).unwrap();
        assert_eq!(fs::metadata(&etc).unwrap().modified().unwrap(), changed);
        assert!(etc.join("new").exists() && !etc.join("hosts").exists());
    }

    #[test]
    fn a_stub_with_content_is_the_commands_own() {
        let dir = tempfile::tempdir().unwrap();
        let stubs = with_stub(dir.path());
        fs::write(dir.path().join("etc/hosts"), "mine").unwrap();
        stubs.remove(dir.path()).unwrap();
        assert_eq!(fs::read_to_string(dir.path().join("etc/hosts")).unwrap(), "mine");
    }

    #[test]
    fn nothing_behind_a_link_is_touched() {
        let dir = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("hosts"), "").unwrap();
        fs::File::open(outside.path()).unwrap().set_modified(old()).unwrap();
        let stubs = with_stub(dir.path());
        // The command moves the folder away and points at the machine.
        fs::rename(dir.path().join("etc"), dir.path().join("moved")).unwrap();
        std::os::unix::fs::symlink(outside.path(), dir.path().join("etc")).unwrap();
        stubs.remove(dir.path()).unwrap();
        assert!(outside.path().join("hosts").exists());
        assert_eq!(fs::metadata(outside.path()).unwrap().modified().unwrap(), old());
    }
}
