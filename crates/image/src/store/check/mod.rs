//! Whether the store is sound, and what can be mended.
//!
//! ```text
//! index.json ── names ── manifests, configurations ── layers' blobs
//!     │                                                   │ unpacked again, compared
//!     └── instances' images                           layers/CHAINID
//! what is left over: orphans, half-written files
//! ```
//!
//! A blob is judged by its digest, an unpacked layer by unpacking its blob
//! once more beside it. A lost blob can be packed again from the unpacked
//! layer when that gives the same bytes.

mod blobs;
mod compare;
mod finding;
mod images;
mod layers;
mod leftovers;
#[cfg(test)]
mod tests;

pub use finding::{Finding, FindingKind};
use tandem_home::Lock;
use tandem_model::Digest;

use super::{Store, index::Index};
use crate::{Image, ImageError};

/// How to check.
#[derive(Clone, Copy)]
pub struct CheckOptions<'a> {
    /// Mend what can be mended.
    pub repair: bool,
    /// Whether the instance of an id runs: what it stands on stays untouched.
    pub is_up: &'a dyn Fn(&str) -> bool,
    /// Gets a line for each thing that takes its time.
    pub progress: &'a dyn Fn(&str),
}

struct Checking<'a> {
    store: &'a Store,
    options: CheckOptions<'a>,
    index: Index,
    findings: Vec<Finding>,
}

impl Store {
    /// Looks at everything and returns what is not as it should be, mended or
    /// not.
    ///
    /// # Errors
    /// [`ImageError::Busy`] while a build or a pull is at work.
    pub fn check(&self, options: CheckOptions<'_>) -> Result<Vec<Finding>, ImageError> {
        let lease = Lock::try_exclusive(&self.home.images().join(".lease"))?;
        let lease = lease.ok_or(ImageError::Busy)?;
        let mut checking =
            Checking { store: self, options, index: Index::default(), findings: Vec::new() };
        if !checking.index()? {
            return Ok(checking.findings);
        }
        checking.instances()?;
        let images = checking.images()?;
        let blobs = checking.blobs(&images)?;
        checking.layers(&images, &blobs)?;
        checking.orphans()?;
        checking.leftovers()?;
        let Checking { findings, .. } = checking;
        drop(lease);
        if options.repair && findings.iter().any(|it| it.kind == FindingKind::Orphan) {
            self.collect()?;
        }
        Ok(findings)
    }
}

impl Checking<'_> {
    fn found(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// Changes the index on disk when it is to be mended.
    fn change_index(&mut self, change: impl Fn(&mut Index)) -> Result<(), ImageError> {
        if self.options.repair {
            let _lock = self.store.lock()?;
            let mut index = self.store.index()?;
            change(&mut index);
            self.store.write_index(&index)?;
        }
        change(&mut self.index);
        Ok(())
    }

    /// Names of the images that have a layer, for people.
    fn users<'a>(images: &'a [Image], digest: &Digest) -> Vec<&'a Image> {
        let uses = |image: &&Image| image.layers.iter().any(|layer| layer.digest == *digest);
        images.iter().filter(uses).collect()
    }
}
