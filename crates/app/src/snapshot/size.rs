use std::{
    collections::HashMap,
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

/// What a folder takes on the disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sizes {
    /// All of it, bytes.
    pub(crate) all: u64,
    /// What nobody outside has a link to, bytes.
    pub(crate) unique: u64,
}

/// Counts allocated bytes; a file counts as shared when it has names outside.
pub(crate) fn sizes(dir: &Path) -> io::Result<Sizes> {
    let mut found = Sizes::default();
    // Names seen, names there are, and bytes of each file with several.
    let mut linked: HashMap<(u64, u64), (u64, u64, u64)> = HashMap::new();
    let mut pending: Vec<PathBuf> = vec![dir.to_owned()];
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            let bytes = metadata.blocks() * 512;
            if metadata.is_dir() {
                pending.push(entry.path());
            } else if metadata.nlink() > 1 {
                let key = (metadata.dev(), metadata.ino());
                let seen = linked.entry(key).or_insert((0, metadata.nlink(), bytes));
                seen.0 += 1;
                continue;
            }
            found.all += bytes;
            found.unique += bytes;
        }
    }
    for (seen, names, bytes) in linked.into_values() {
        found.all += bytes;
        found.unique += if seen == names { bytes } else { 0 };
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_linked_from_outside_is_not_unique() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        fs::create_dir(&a).unwrap();
        fs::create_dir(&b).unwrap();
        fs::write(a.join("own"), vec![1; 100_000]).unwrap();
        fs::hard_link(a.join("own"), a.join("twice")).unwrap();
        let before = sizes(&a).unwrap();
        assert!(before.all >= 100_000 && before.all == before.unique);
        fs::hard_link(a.join("own"), b.join("shared")).unwrap();
        let after = sizes(&a).unwrap();
        assert_eq!(after.all, before.all);
        assert!(after.unique < 100_000);
    }
}
