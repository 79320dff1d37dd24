use std::{
    collections::{BTreeSet, HashSet},
    fs::{self, Metadata},
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use serde::Serialize;
use tandem_image::layer_of_disk;

use crate::{App, AppError};

/// What the home takes on the disk, by kind. The bytes add up to what `du`
/// says: allocated blocks, each file with several names once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ts_rs::TS)]
pub struct DfReport {
    /// A row for each kind, in a fixed order.
    pub rows: Vec<DfRow>,
    /// The sum of the rows.
    #[ts(type = "number")]
    pub bytes: u64,
    /// The sum of what can be given back.
    #[ts(type = "number")]
    pub reclaimable_bytes: u64,
}

/// One kind of thing in the home.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ts_rs::TS)]
pub struct DfRow {
    /// `images`, `layers`, `instances`, `volumes`, `kernels`, `disks`,
    /// `builds`, `downloads`, `results` or `other`.
    pub kind: &'static str,
    /// How many there are.
    pub count: usize,
    /// How many of them are in use.
    pub active: usize,
    /// Allocated bytes.
    #[ts(type = "number")]
    pub bytes: u64,
    /// Those of them that a prune gives back.
    #[ts(type = "number")]
    pub reclaimable_bytes: u64,
}

/// Files seen so far: one with several names counts where it is met first.
#[derive(Default)]
struct Seen(HashSet<(u64, u64)>);

impl App {
    /// What the home takes on the disk.
    pub fn disk_use(&self) -> Result<DfReport, AppError> {
        let mut seen = Seen::default();
        let needed = self.images.needed(true)?;
        let rows = vec![
            self.image_row(&needed, &mut seen)?,
            self.layer_row(&needed, &mut seen),
            self.instance_row(&mut seen)?,
            self.volume_use(&mut seen)?,
            named(&self.home.kernels(), "kernels", &mut seen, |_| true),
            self.disk_row(&needed, &mut seen),
            all_spare(named(&self.home.cache().join("build"), "builds", &mut seen, |_| false)),
            all_spare(named(&self.home.cache().join("downloads"), "downloads", &mut seen, |_| {
                false
            })),
            self.results_row(&mut seen),
        ];
        let counted: u64 = rows.iter().map(|row| row.bytes).sum();
        // Whatever no row has counted: locks, notes, work in progress.
        let other = seen.bytes(self.home.root());
        let mut rows = rows;
        rows.push(DfRow { kind: "other", count: 0, active: 0, bytes: other, reclaimable_bytes: 0 });
        let reclaimable_bytes = rows.iter().map(|row| row.reclaimable_bytes).sum();
        Ok(DfReport { rows, bytes: counted + other, reclaimable_bytes })
    }

    fn image_row(&self, needed: &BTreeSet<String>, seen: &mut Seen) -> Result<DfRow, AppError> {
        let blobs = self.home.images().join("blobs/sha256");
        let mut row = named(&blobs, "images", seen, |name| needed.contains(name));
        row.bytes += seen.bytes(&self.home.images());
        let images = self.images.list(true)?;
        let digests: BTreeSet<_> = images.into_iter().map(|image| image.digest).collect();
        row.count = digests.len();
        row.active = digests.iter().filter(|digest| needed.contains(digest.hex())).count();
        Ok(row)
    }

    fn layer_row(&self, needed: &BTreeSet<String>, seen: &mut Seen) -> DfRow {
        named(&self.home.layers(), "layers", seen, |name| {
            needed.contains(name.strip_suffix(".json").unwrap_or(name))
        })
    }

    fn instance_row(&self, seen: &mut Seen) -> Result<DfRow, AppError> {
        let records = self.instances.list()?;
        let up = |name: &str| {
            records.iter().any(|record| record.id.as_str() == name && record.state.is_up())
        };
        let mut row = named(&self.home.instances(), "instances", seen, up);
        row.count = records.len();
        row.active = records.iter().filter(|record| record.state.is_up()).count();
        Ok(row)
    }

    fn volume_use(&self, seen: &mut Seen) -> Result<DfRow, AppError> {
        let volumes = self.volumes()?;
        let used = |name: &str| {
            volumes.iter().any(|volume| volume.name == name && !volume.instances.is_empty())
        };
        let mut row = named(&self.home.volumes(), "volumes", seen, used);
        row.count = volumes.len();
        row.active = volumes.iter().filter(|volume| !volume.instances.is_empty()).count();
        Ok(row)
    }

    fn disk_row(&self, needed: &BTreeSet<String>, seen: &mut Seen) -> DfRow {
        named(&self.images.disks(), "disks", seen, |name| {
            layer_of_disk(name).is_none_or(|chain_id| needed.contains(chain_id))
        })
    }

    fn results_row(&self, seen: &mut Seen) -> DfRow {
        let mut row =
            DfRow { kind: "results", count: 0, active: 0, bytes: 0, reclaimable_bytes: 0 };
        let path = self.home.results();
        for suffix in ["", "-wal", "-shm"] {
            let mut path = path.clone().into_os_string();
            path.push(suffix);
            let path = Path::new(&path);
            if path.exists() {
                row.bytes += seen.bytes(path);
                row.count += usize::from(suffix.is_empty());
            }
        }
        row.active = row.count;
        row
    }
}

/// Counts a folder whose entries are things of one kind. Entries that begin
/// with a dot are no things, but their bytes count.
fn named(
    folder: &Path,
    kind: &'static str,
    seen: &mut Seen,
    in_use: impl Fn(&str) -> bool,
) -> DfRow {
    let mut row = DfRow { kind, count: 0, active: 0, bytes: 0, reclaimable_bytes: 0 };
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let bytes = seen.bytes(&entry.path());
        let name = entry.file_name().to_string_lossy().into_owned();
        row.bytes += bytes;
        if name.starts_with('.') {
            continue;
        }
        let active = in_use(&name);
        if !active {
            row.reclaimable_bytes += bytes;
        }
        // The note beside a layer is part of it.
        if kind != "layers" || Path::new(&name).extension().is_none_or(|it| it != "json") {
            row.count += 1;
            row.active += usize::from(active);
        }
    }
    row.bytes += seen.bytes(folder);
    row
}

fn all_spare(row: DfRow) -> DfRow {
    DfRow { active: 0, ..row }
}

impl Seen {
    /// Allocated bytes of what is at a path and has not been counted, with
    /// all in it. What vanishes meanwhile is left out.
    fn bytes(&mut self, path: &Path) -> u64 {
        let Ok(root) = fs::symlink_metadata(path) else { return 0 };
        let mut total = self.count(&root);
        let mut pending = Vec::new();
        pending.extend(root.is_dir().then(|| path.to_owned()));
        while let Some(folder) = pending.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let Ok(metadata) = entry.metadata() else { continue };
                if metadata.dev() != root.dev() {
                    continue;
                }
                if metadata.is_dir() {
                    pending.push(entry.path());
                }
                total += self.count(&metadata);
            }
        }
        total
    }

    fn count(&mut self, metadata: &Metadata) -> u64 {
        let new = self.0.insert((metadata.dev(), metadata.ino()));
        if new { metadata.blocks() * 512 } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_counts_once_and_nothing_is_left_out() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a/one", "a/two", "b/three"] {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, vec![1; 100_000]).unwrap();
        }
        fs::hard_link(dir.path().join("a/one"), dir.path().join("b/again")).unwrap();
        let whole = Seen::default().bytes(dir.path());
        assert_eq!(whole, tandem_probe::allocated_bytes(dir.path()).unwrap());
        let mut seen = Seen::default();
        let a = named(&dir.path().join("a"), "volumes", &mut seen, |name| name == "one");
        assert_eq!((a.count, a.active), (2, 1));
        assert!(a.reclaimable_bytes >= 100_000 && a.reclaimable_bytes < a.bytes);
        let rest = seen.bytes(dir.path());
        assert_eq!(a.bytes + rest, whole);
    }
}
