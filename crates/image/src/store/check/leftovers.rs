//! What no image needs, and what killed programs left.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use super::{
    super::remove::{is_digest, layer_of_disk, list},
    Checking, Finding, FindingKind,
};
use crate::{DiskUsage, ImageError};

/// A write takes a moment; a file that has been half-written for so long was
/// given up.
const WRITING: Duration = Duration::from_mins(10);
/// Folders above the deepest file that is written so: `cache/build/steps/XX/`.
const DEPTH: usize = 5;
/// What names of half-written files begin with.
const FRESH: &str = ".new-";

impl Checking<'_> {
    pub(super) fn orphans(&mut self) -> Result<(), ImageError> {
        // An image that cannot be read, and was not taken away, may need them.
        let Ok(needed) = self.store.needed_by(&self.index, |_| true) else { return Ok(()) };
        let mut orphans: Vec<(&str, PathBuf)> = Vec::new();
        for (name, path) in list(&self.store.blobs())? {
            if is_digest(&name) && !needed.contains(&name) {
                orphans.push(("blob", path));
            }
        }
        for (name, path) in list(&self.store.home.layers())? {
            match name.strip_suffix(".json") {
                Some(chain_id) if is_digest(chain_id) && !path.with_extension("").is_dir() => {
                    orphans.push(("note of a layer that is not there,", path));
                }
                None if is_digest(&name) && !needed.contains(&name) => {
                    orphans.push(("unpacked layer", path));
                }
                _ => {}
            }
        }
        if self.store.disks().is_dir() {
            for (name, path) in list(&self.store.disks())? {
                if layer_of_disk(&name).is_some_and(|chain_id| !needed.contains(chain_id)) {
                    orphans.push(("disk of a virtual machine", path));
                }
            }
        }
        for (what, path) in orphans {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let short: String = name.chars().take(12).collect();
            let what = format!("{what} {short}");
            let finding = Finding::new(FindingKind::Orphan, what, "no image needs it");
            if !self.options.repair {
                self.found(finding);
                continue;
            }
            // The rest is the collector's.
            if path.extension().is_some_and(|it| it == "json") {
                fs::remove_file(&path).map_err(ImageError::io("remove", &path))?;
            }
            self.found(finding.mended("removed"));
        }
        Ok(())
    }

    pub(super) fn leftovers(&mut self) -> Result<(), ImageError> {
        let mut found = Vec::new();
        half_written(self.store.home.root(), DEPTH, &mut found);
        for path in found {
            let bytes = DiskUsage::of(&path).map_or(0, |usage| usage.allocated_bytes);
            let detail = format!("a program that was killed left it ({bytes} bytes)");
            let finding = Finding::new(FindingKind::Leftover, path.display(), detail);
            if self.options.repair {
                fs::remove_file(&path).map_err(ImageError::io("remove", &path))?;
                self.found(finding.mended("removed"));
            } else {
                self.found(finding);
            }
        }
        Ok(())
    }
}

/// Half-written files, so many folders deep; layers, whose files are images'
/// own, are not looked into.
fn half_written(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let Ok(metadata) = entry.metadata() else { continue };
        let name = entry.file_name().to_string_lossy().into_owned();
        if metadata.is_dir() && depth > 0 && !is_digest(&name) && name != "upper" && name != "data"
        {
            half_written(&entry.path(), depth - 1, found);
        }
        let age = metadata.modified().ok().and_then(|at| SystemTime::now().duration_since(at).ok());
        let old = age.is_some_and(|age| age > WRITING);
        if metadata.is_file() && name.starts_with(FRESH) && old {
            found.push(entry.path());
        }
    }
}
