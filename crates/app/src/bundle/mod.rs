//! A bundle: all that a class needs without internet, as one file.
//!
//! ```text
//! create: prepare ─ gather ─ write     samples built, kernel fetched │ files and digests │ one tar
//! open:   read (every digest) ─ place  nothing is changed before all of it was looked at
//! ```
//!
//! The file is a plain tar archive. Its first member, `tandem-bundle.json`,
//! has the format's version and the size and SHA-256 of every other one:
//!
//! | members | what they are |
//! |---|---|
//! | `oci-layout`, `index.json`, `blobs/sha256/…` | an image layout, so `tandem load -i` and other tools read the images too |
//! | `steps/…` | what build steps made, so that the same builds need no network |
//! | `kernel/…` | the kernel of virtual machines, ready for use |
//! | `lessons/ID.md` | lessons of one's own |
//! | `results/ID.json` | results, when they are wanted |
//!
//! Nothing in it is compressed but the layers themselves, so it is never
//! larger than its own length says.

mod error;
mod found;
mod gather;
mod index;
mod place;
mod prepare;
mod read;
mod write;

#[cfg(test)]
mod tests;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use tandem_image::Transfer;
use tandem_model::Digest;

pub use error::BundleError;
pub use found::{FoundBundle, found_bundles};

use crate::{App, AppError, Cancel, work::blocking};

/// What a bundle is to hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ts_rs::TS)]
pub struct BundleRequest {
    /// Only these images; when empty, what a class needs: the samples, their
    /// bases, the kernel, lessons of one's own.
    pub images: Vec<String>,
    /// The kernel of virtual machines beside such images.
    pub kernel: bool,
    /// All finished results too.
    pub results: bool,
    /// Take only what is here; build, pull and fetch nothing.
    pub no_build: bool,
}

/// What happens meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BundleEvent {
    /// A sentence for everybody.
    Note(String),
    /// A line for those who want to know all.
    Log(String),
    /// Bytes are on their way.
    Moved(Transfer),
}

/// What a kind of thing in a bundle is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ts_rs::TS)]
#[serde(rename_all = "snake_case")]
pub enum BundleKind {
    /// An image.
    Image,
    /// What build steps made; the name says how many.
    Steps,
    /// The kernel of virtual machines; the name is its release.
    Kernel,
    /// A lesson of one's own.
    Lesson,
    /// A result.
    Result,
}

/// What became of a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ts_rs::TS)]
#[serde(rename_all = "snake_case")]
pub enum BundleState {
    /// It is in the bundle.
    Packed,
    /// It is in the home now, and was not before.
    New,
    /// The home had it.
    Present,
    /// The home has another one with this name, and keeps that.
    Kept,
}

/// A thing in a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ts_rs::TS)]
pub struct BundleItem {
    /// What it is.
    pub kind: BundleKind,
    /// Its name.
    pub name: String,
    /// The digest of an image.
    pub digest: Option<Digest>,
    /// Bytes in the bundle; what images share counts for each.
    #[ts(type = "number")]
    pub bytes: u64,
    /// What became of it.
    pub state: BundleState,
}

/// What was put in or taken out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ts_rs::TS)]
pub struct BundleReport {
    /// The file.
    pub file: PathBuf,
    /// Its length.
    #[ts(type = "number")]
    pub bytes: u64,
    /// What is in it.
    pub items: Vec<BundleItem>,
}

type Tell<'a> = &'a (dyn Fn(BundleEvent) + Send + Sync);

impl App {
    /// Makes a bundle. Dropping the future, or cancelling, ends the work and
    /// leaves no half file; images that were built meanwhile stay.
    pub async fn create_bundle(
        &self,
        request: &BundleRequest,
        file: &Path,
        on_event: impl Fn(BundleEvent) + Send + Sync + 'static,
        cancel: &Cancel,
    ) -> Result<BundleReport, AppError> {
        write::check_place(file)?;
        // Nothing of it may be collected before it is packed.
        let lease = self.images.lease()?;
        let wanted = self.wanted(request, &on_event, cancel).await?;
        let (home, store, file) = (self.home.clone(), self.images.clone(), file.to_owned());
        let on_event = Arc::new(on_event);
        blocking("making the bundle", move |stop| {
            let gathered = gather::gather(&home, &store, &wanted)?;
            on_event(BundleEvent::Note(format!("writing {}", file.display())));
            let bytes = write::write(&gathered.pieces, &file, stop, &*on_event)?;
            drop(lease);
            Ok(BundleReport { file, bytes, items: gathered.items })
        })
        .await
    }

    /// Takes a bundle over: everything in it or nothing. What is here already
    /// stays. Dropping the future ends the work and leaves nothing of it.
    pub async fn open_bundle(
        &self,
        file: &Path,
        on_event: impl Fn(BundleEvent) + Send + Sync + 'static,
    ) -> Result<BundleReport, AppError> {
        let (home, store, file) = (self.home.clone(), self.images.clone(), file.to_owned());
        blocking("opening the bundle", move |stop| {
            let scratch = home.scratch("bundle")?;
            let parts = scratch.path().join("parts");
            on_event(BundleEvent::Note(format!("checking {}", file.display())));
            let verified = read::verify(&file, &parts, stop)?;
            let items = place::place(&home, &store, (&file, &verified, &parts), stop, &on_event)?;
            Ok(BundleReport { file, bytes: verified.bytes, items })
        })
        .await
    }
}
