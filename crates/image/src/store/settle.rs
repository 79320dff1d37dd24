//! Layers that may not be on the disk yet.
//!
//! To wait until a layer's many files are on the disk takes longer than to
//! unpack it, and a layer can always be unpacked again: its blob is safe. So
//! nobody waits. A note says in which boot of the machine the layer was made;
//! in a later boot the layer is not believed and goes, unless somebody has
//! seen it safe and taken the note away meanwhile.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};
use tandem_home::make_private_dir;
use tandem_model::Digest;

use super::{
    Store,
    unpacked::{sync_file_system, usage_path},
};
use crate::ImageError;

#[derive(Debug, Serialize, Deserialize)]
struct Note {
    /// The kernel's name for this boot.
    boot: String,
    layers: Vec<Digest>,
}

/// By then the kernel has written most of it by itself (`dirty_expire`), and
/// waiting for the rest takes little.
const WRITTEN: Duration = Duration::from_mins(1);

impl Store {
    /// To be called before the layers become visible.
    pub(super) fn note_unsettled(&self, layers: &[&Digest]) -> Result<(), ImageError> {
        let (Some(first), Some(boot)) = (layers.first(), boot()) else {
            return sync_file_system(&self.home.layers());
        };
        let folder = self.unsettled();
        make_private_dir(&folder)?;
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let name = format!("{}-{}-{}", first.short(), std::process::id(), since.as_nanos());
        let layers = layers.iter().map(|layer| (*layer).clone()).collect();
        Ok(tandem_home::write_json(&folder.join(name), &Note { boot, layers })?)
    }

    /// Removes layers that an earlier boot of the machine has perhaps left
    /// half-written. No instance can stand on them any more.
    pub(super) fn drop_unsettled(&self) -> Result<(), ImageError> {
        let Ok(entries) = fs::read_dir(self.unsettled()) else { return Ok(()) };
        let now = boot();
        for path in entries.flatten().map(|entry| entry.path()) {
            // Somebody else may have done it, and a note of which nothing is
            // on the disk stands for layers of which nothing is visible.
            let note: Option<Note> = tandem_home::read_json(&path).ok().flatten();
            if note.as_ref().is_some_and(|note| Some(&note.boot) == now.as_ref()) || is_new(&path) {
                continue;
            }
            for layer in note.iter().flat_map(|note| &note.layers) {
                self.drop_layer(layer)?;
            }
            let _ = fs::remove_file(&path);
        }
        Ok(())
    }

    fn drop_layer(&self, chain_id: &Digest) -> Result<(), ImageError> {
        let _lock = self.lock_layer(chain_id)?;
        let dir = self.layer_dir(chain_id);
        if !dir.is_dir() {
            return Ok(());
        }
        let scratch = self.home.scratch("unsettled")?;
        let away = scratch.path().join("layer");
        fs::rename(&dir, &away).map_err(ImageError::io("remove", &dir))?;
        let _ = fs::remove_file(usage_path(&dir));
        Ok(())
    }

    /// Makes sure that layers made a while ago are on the disk, and takes
    /// their notes away. For commands that take their time anyway.
    pub(crate) fn settle(&self) -> Result<(), ImageError> {
        let Ok(entries) = fs::read_dir(self.unsettled()) else { return Ok(()) };
        let old: Vec<PathBuf> =
            entries.flatten().map(|it| it.path()).filter(|path| age(path) > WRITTEN).collect();
        if !old.is_empty() {
            sync_file_system(&self.home.layers())?;
        }
        for path in old {
            let _ = fs::remove_file(path);
        }
        Ok(())
    }

    fn unsettled(&self) -> PathBuf {
        self.home.cache().join("unsettled")
    }
}

/// A note that is just being written.
fn is_new(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with('.') && age(path) < WRITTEN
}

fn age(path: &Path) -> Duration {
    let modified = fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    modified.and_then(|at| SystemTime::now().duration_since(at).ok()).unwrap_or_default()
}

fn boot() -> Option<String> {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(text.trim().to_owned()).filter(|id| !id.is_empty())
}

#[cfg(test)]
mod tests {
    use tandem_home::Home;

    use super::*;
    use crate::{Layer, store::Store};

    #[test]
    fn only_layers_of_this_boot_or_seen_safe_are_believed() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(Some(dir.path())).unwrap();
        let store = Store::open(&home).unwrap();
        let upper = tempfile::tempdir_in(home.temporary()).unwrap().keep();
        fs::write(upper.join("file"), "content").unwrap();
        let new = store.commit_layer_dir(&upper, None).unwrap();
        let layer: Layer = new.clone().into();
        let config = oci_spec::image::ImageConfigurationBuilder::default().build().unwrap();
        let image = store.put_image(&"x".parse().unwrap(), config, &[layer]).unwrap();
        let notes = || fs::read_dir(store.unsettled()).unwrap().flatten().map(|it| it.path());
        let note = notes().next().unwrap();
        // Another command of the same boot.
        assert!(Store::open(&home).unwrap().is_unpacked(&new.chain_id));
        store.settle().unwrap();
        assert_eq!(notes().count(), 1, "it is too young to be safe");
        let text = fs::read_to_string(&note).unwrap().replace(&boot().unwrap(), "earlier");
        fs::write(&note, text).unwrap();
        let later = Store::open(&home).unwrap();
        assert!(!later.is_unpacked(&new.chain_id) && notes().count() == 0);
        let dirs = later.layer_dirs(&image, &|_| ()).unwrap();
        assert_eq!(fs::read_to_string(dirs[0].join("file")).unwrap(), "content");
        let note = notes().next().unwrap();
        let old = SystemTime::now() - 2 * WRITTEN;
        fs::File::open(&note).unwrap().set_modified(old).unwrap();
        later.settle().unwrap();
        assert_eq!(notes().count(), 0);
    }
}
