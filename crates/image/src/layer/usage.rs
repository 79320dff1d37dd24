use std::{collections::HashSet, os::unix::fs::MetadataExt as _, path::Path};

use serde::{Deserialize, Serialize};

/// What a folder takes on the disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskUsage {
    /// Allocated bytes (`st_blocks`), files with several links counted once.
    pub allocated_bytes: u64,
    /// Files, folders and links.
    pub entries: u64,
}

impl DiskUsage {
    /// Counts a folder without following links.
    pub fn of(dir: &Path) -> std::io::Result<Self> {
        let mut usage = Self::default();
        let mut seen = HashSet::new();
        let mut folders = vec![dir.to_owned()];
        usage.allocated_bytes += std::fs::symlink_metadata(dir)?.blocks() * 512;
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder)? {
                let entry = entry?;
                let metadata = entry.metadata()?;
                usage.entries += 1;
                if metadata.is_dir() {
                    folders.push(entry.path());
                } else if metadata.nlink() > 1 && !seen.insert((metadata.dev(), metadata.ino())) {
                    continue;
                }
                usage.allocated_bytes += metadata.blocks() * 512;
            }
        }
        Ok(usage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_count_once_and_holes_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a"), vec![1; 1 << 20]).unwrap();
        let one = DiskUsage::of(dir.path()).unwrap();
        std::fs::hard_link(dir.path().join("a"), dir.path().join("b")).unwrap();
        std::fs::File::create(dir.path().join("hole")).unwrap().set_len(1 << 30).unwrap();
        let all = DiskUsage::of(dir.path()).unwrap();
        assert!(one.allocated_bytes >= 1 << 20);
        assert!(all.allocated_bytes < one.allocated_bytes + (1 << 19), "{all:?}");
        assert_eq!(all.entries, 3);
    }
}
