//! What is known of a dump beside CRIU's own images, and the images that wait
//! for an instance's next start.

use std::{
    fs, io,
    net::Ipv4Addr,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use tandem_backend::BackendError;
use tandem_home::{make_private_dir, read_json, write_json};

/// What a restore must know of a dump; `checkpoint.json` among the images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    pub(super) version: u32,
    /// The name that the app knows itself by.
    pub hostname: String,
    /// Its address, where it has a network of its own.
    pub(crate) address: Option<Ipv4Addr>,
    /// A socket is bound to that very address, so that it needs it again.
    pub(crate) bound: bool,
    /// Whether the network namespace is to be given.
    pub(super) namespace: bool,
    /// Inodes of the pipes that were its standard streams.
    pub(super) streams: [Option<u64>; 3],
    /// Mounts that are to be given.
    pub(super) mounts: Vec<GivenMount>,
}

/// A mount that comes from outside of the app's file system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct GivenMount {
    /// What CRIU's images call it.
    pub(super) key: String,
    /// Where it is, inside.
    pub(super) place: String,
    /// It shows control groups.
    pub(super) cgroup: bool,
}

const RECORD: &str = "checkpoint.json";

/// The folder of an instance in which images wait for its next start.
const PENDING: &str = "resume";

impl Checkpoint {
    pub(super) const VERSION: u32 = 1;

    /// The one whose images lie in a folder; `None` when none do.
    pub fn in_folder(dir: &Path) -> Result<Option<Self>, BackendError> {
        let found: Option<Self> = read_json(&dir.join(RECORD))?;
        match found {
            Some(it) if it.version != Self::VERSION => Err(BackendError::Unavailable {
                what: "the saved memory".into(),
                why: format!("its format {} is not known", it.version),
                fix: "restore it with the version of Tandem that took it, or leave the memory out with --without-memory".into(),
            }),
            found => Ok(found),
        }
    }

    /// Places inside at which control groups are seen.
    pub(crate) fn cgroup_places(&self) -> impl Iterator<Item = &str> {
        self.mounts.iter().filter(|mount| mount.cgroup).map(|mount| mount.place.as_str())
    }

    pub(super) fn write(&self, dir: &Path) -> Result<(), BackendError> {
        Ok(write_json(&dir.join(RECORD), self)?)
    }
}

/// The images that wait in an instance's folder.
pub(crate) fn pending(instance: &Path) -> Result<Option<(PathBuf, Checkpoint)>, BackendError> {
    let dir = instance.join(PENDING);
    Ok(Checkpoint::in_folder(&dir)?.map(|it| (dir, it)))
}

/// Lays the images in `from` ready for the next start of the instance in this
/// folder, in place of others. They are links: images never change.
///
/// # Errors
/// When a file cannot be linked; nothing waits then.
pub fn lay_pending(instance: &Path, from: &Path) -> Result<(), BackendError> {
    drop_pending(instance)?;
    let dir = instance.join(PENDING);
    let linked = link_all(from, &dir);
    if linked.is_err() {
        drop_pending(instance)?;
    }
    linked.map_err(|e| BackendError::io("link the saved memory into", &dir, e))
}

fn link_all(from: &Path, to: &Path) -> io::Result<()> {
    make_private_dir(to).map_err(io::Error::other)?;
    // The record comes last: without it there are no images.
    let mut last = None;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_name() == RECORD {
            last = Some(entry.path());
        } else {
            fs::hard_link(entry.path(), to.join(entry.file_name()))?;
        }
    }
    last.map_or(Ok(()), |record| fs::hard_link(record, to.join(RECORD)))
}

/// Forgets images that wait for the next start of an instance.
pub fn drop_pending(instance: &Path) -> Result<(), BackendError> {
    let dir = instance.join(PENDING);
    // Without its record the rest is none, should this be killed half-way.
    for gone in [fs::remove_file(dir.join(RECORD)), fs::remove_dir_all(&dir)] {
        match gone {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                return Err(BackendError::io("remove", dir, e));
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint() -> Checkpoint {
        Checkpoint {
            version: Checkpoint::VERSION,
            hostname: "web".into(),
            address: Some(Ipv4Addr::new(10, 200, 0, 2)),
            bound: false,
            namespace: true,
            streams: [None, Some(5), Some(6)],
            mounts: Vec::new(),
        }
    }

    #[test]
    fn images_wait_once_and_others_take_their_place() {
        let dir = tempfile::tempdir().unwrap();
        let (images, instance) = (dir.path().join("memory"), dir.path().join("instance"));
        fs::create_dir_all(&images).unwrap();
        fs::create_dir_all(&instance).unwrap();
        fs::write(images.join("pages-1.img"), "pages").unwrap();
        assert_eq!(pending(&instance).unwrap(), None);
        checkpoint().write(&images).unwrap();
        lay_pending(&instance, &images).unwrap();
        lay_pending(&instance, &images).unwrap();
        let (at, found) = pending(&instance).unwrap().unwrap();
        assert_eq!(found, checkpoint());
        assert_eq!(fs::read_to_string(at.join("pages-1.img")).unwrap(), "pages");
        drop_pending(&instance).unwrap();
        drop_pending(&instance).unwrap();
        assert_eq!(pending(&instance).unwrap(), None);
        assert!(images.join("pages-1.img").exists());
    }

    #[test]
    fn a_format_of_another_time_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        Checkpoint { version: 9, ..checkpoint() }.write(dir.path()).unwrap();
        let error = Checkpoint::in_folder(dir.path()).unwrap_err().to_string();
        assert!(error.contains("--without-memory"), "{error}");
    }
}
