//! What each layer of an image brings and takes away.

use std::{
    collections::BTreeMap,
    fs,
    ops::Bound,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

use serde::Serialize;
use tandem_model::Digest;

use super::Store;
use crate::{Image, ImageError, OverlayXattrs};

/// One layer of an image beside those of all others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TreeLayer {
    /// Digest of the blob.
    pub digest: Digest,
    /// Digest of the uncompressed bytes.
    pub diff_id: Digest,
    /// The command that made it, as far as the image tells.
    pub created_by: String,
    /// Bytes of the blob.
    pub size_bytes: u64,
    /// Allocated bytes of the unpacked layer.
    pub unpacked_bytes: u64,
    /// Names of the other images that have the same layer on the same ones.
    pub shared_with: Vec<String>,
    /// Files that it adds, changes and hides, by path.
    pub changes: Vec<LayerChange>,
}

/// What a layer does to one path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LayerChange {
    /// Below the image's root, without a slash in front.
    pub path: PathBuf,
    /// What happens to it.
    pub kind: LayerChangeKind,
    /// Bytes of the new file, or of what is hidden, folders with all in them.
    pub bytes: u64,
}

/// What happens to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LayerChangeKind {
    /// It was not there.
    Added,
    /// It was there and is another now, or has other attributes.
    Changed,
    /// It was there and is no more (a whiteout).
    Hidden,
}

/// The files that the layers so far show, with their bytes; folders have 0.
type Shown = BTreeMap<PathBuf, (bool, u64)>;

impl Store {
    /// The layers of an image, bottom first. Layers that are not unpacked are
    /// unpacked first.
    pub fn tree(
        &self,
        image: &Image,
        progress: &dyn Fn(&str),
    ) -> Result<Vec<TreeLayer>, ImageError> {
        let dirs = self.layer_dirs(image, progress)?;
        let mut steps = self.history(image).into_iter().filter(|step| step.layer.is_some());
        let others = self.others(image)?;
        let mut shown = Shown::new();
        let mut rows = Vec::new();
        for ((layer, chain_id), dir) in image.layers.iter().zip(image.chain_ids()).zip(dirs) {
            let mut changes = Vec::new();
            apply(&dir, Path::new(""), &mut shown, &mut changes)
                .map_err(ImageError::io("read", &dir))?;
            changes.sort_by(|a, b| a.path.cmp(&b.path));
            rows.push(TreeLayer {
                digest: layer.digest.clone(),
                diff_id: layer.diff_id.clone(),
                created_by: steps.next().map(|step| step.created_by).unwrap_or_default(),
                size_bytes: layer.size,
                unpacked_bytes: self.layer_usage(&chain_id)?.allocated_bytes,
                shared_with: others.get(&chain_id).cloned().unwrap_or_default(),
                changes,
            });
        }
        Ok(rows)
    }

    /// By chain id, the names of the other images that have the layer.
    fn others(&self, image: &Image) -> Result<BTreeMap<Digest, Vec<String>>, ImageError> {
        let mut others: BTreeMap<Digest, Vec<String>> = BTreeMap::new();
        for entry in self.index()?.entries {
            let Some(reference) = entry.reference else { continue };
            if entry.digest == image.digest {
                continue;
            }
            let Ok(other) = self.load(reference, &entry.digest) else { continue };
            for chain_id in other.chain_ids() {
                others.entry(chain_id).or_default().push(other.reference.to_string());
            }
        }
        Ok(others)
    }
}

/// Applies one folder of a layer, in overlayfs form, to what was shown.
fn apply(
    layer: &Path,
    folder: &Path,
    shown: &mut Shown,
    changes: &mut Vec<LayerChange>,
) -> std::io::Result<()> {
    for entry in fs::read_dir(layer.join(folder))? {
        let entry = entry?;
        let path = folder.join(entry.file_name());
        let metadata = entry.metadata()?;
        let kind = metadata.file_type();
        if kind.is_char_device() && metadata.rdev() == 0 {
            if let Some(bytes) = hide(shown, &path) {
                changes.push(LayerChange { path, kind: LayerChangeKind::Hidden, bytes });
            }
            continue;
        }
        let before = shown.get(&path).copied();
        if kind.is_dir() {
            let was_folder = before.is_some_and(|(is_folder, _)| is_folder);
            if !was_folder || is_opaque(&entry.path())? {
                let hidden = hide(shown, &path);
                if let (true, Some(bytes)) = (was_folder, hidden) {
                    let (path, kind) = (path.clone(), LayerChangeKind::Hidden);
                    changes.push(LayerChange { path, kind, bytes });
                }
            }
            if !was_folder {
                let kind = if before.is_some() {
                    LayerChangeKind::Changed
                } else {
                    LayerChangeKind::Added
                };
                changes.push(LayerChange { path: path.clone(), kind, bytes: 0 });
            }
            shown.insert(path.clone(), (true, 0));
            apply(layer, &path, shown, changes)?;
            continue;
        }
        hide(shown, &path);
        let bytes = if kind.is_file() { metadata.len() } else { 0 };
        let kind = if before.is_some() { LayerChangeKind::Changed } else { LayerChangeKind::Added };
        shown.insert(path.clone(), (false, bytes));
        changes.push(LayerChange { path, kind, bytes });
    }
    Ok(())
}

/// Takes a path and all beneath it away; the bytes of its files, or `None`
/// when there was nothing.
fn hide(shown: &mut Shown, path: &Path) -> Option<u64> {
    let (is_folder, mut bytes) = shown.remove(path)?;
    if is_folder {
        let below = (Bound::Excluded(path.to_owned()), Bound::Unbounded);
        let paths: Vec<PathBuf> = shown
            .range::<PathBuf, _>(below)
            .map(|(other, _)| other)
            .take_while(|other| other.starts_with(path))
            .cloned()
            .collect();
        for path in paths {
            bytes += shown.remove(&path).map_or(0, |(_, bytes)| bytes);
        }
    }
    Some(bytes)
}

fn is_opaque(path: &Path) -> std::io::Result<bool> {
    let mark = xattr::get(path, OverlayXattrs::of_process().opaque())?;
    Ok(mark.is_some_and(|value| value == b"y"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hiding_a_folder_hides_what_is_in_it_and_nothing_beside_it() {
        let mut shown = Shown::new();
        let files = [("a", true, 0), ("a/x", false, 5), ("a/y", false, 7), ("a.b", false, 1)];
        for (path, is_folder, bytes) in files {
            shown.insert(path.into(), (is_folder, bytes));
        }
        assert_eq!(hide(&mut shown, Path::new("a")), Some(12));
        assert_eq!(shown.keys().collect::<Vec<_>>(), [Path::new("a.b")]);
        assert_eq!(hide(&mut shown, Path::new("a")), None);
    }

    #[test]
    fn a_layer_adds_and_changes() {
        let dir = tempfile::tempdir().unwrap();
        for (file, text) in
            [("1/etc/a", "old"), ("1/etc/b", "b"), ("2/etc/a", "newer"), ("2/c", "")]
        {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let mut shown = Shown::new();
        apply(&dir.path().join("1"), Path::new(""), &mut shown, &mut Vec::new()).unwrap();
        let mut changes = Vec::new();
        apply(&dir.path().join("2"), Path::new(""), &mut shown, &mut changes).unwrap();
        changes.sort_by(|a, b| a.path.cmp(&b.path));
        let seen: Vec<_> =
            changes.iter().map(|it| (it.path.to_str().unwrap(), it.kind, it.bytes)).collect();
        let expected = [("c", LayerChangeKind::Added, 0), ("etc/a", LayerChangeKind::Changed, 5)];
        assert_eq!(seen, expected);
        assert_eq!(shown.len(), 4);
    }
}
