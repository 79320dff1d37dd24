//! What goes into a bundle.

use std::path::PathBuf;

use serde::Serialize;
use tandem_build::steps_of;
use tandem_home::Home;
use tandem_image::{Image, PartSource, Store, digest_of_file, layout_parts};
use tandem_model::{Digest, ResultDocument};
use tandem_vm::CarriedKernel;

use super::{
    BundleError, BundleItem, BundleKind, BundleState,
    index::{Member, Part},
    write::Piece,
};
use crate::{AppError, lesson::LONGEST};

/// What is to be carried.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    pub(super) images: Vec<Image>,
    pub(super) kernel: Option<CarriedKernel>,
    /// Lessons of one's own by id.
    pub(super) lessons: Vec<(String, PathBuf)>,
    pub(super) results: Vec<ResultDocument>,
}

impl Wanted {
    fn is_empty(&self) -> bool {
        let Self { images, kernel, lessons, results } = self;
        images.is_empty() && kernel.is_none() && lessons.is_empty() && results.is_empty()
    }
}

/// The pieces of a bundle, and what they are for people.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) pieces: Vec<Piece>,
    pub(super) items: Vec<BundleItem>,
}

/// Finds the files and takes their digests.
pub(super) fn gather(home: &Home, store: &Store, wanted: &Wanted) -> Result<Gathered, AppError> {
    if wanted.is_empty() {
        return Err(BundleError::Nothing.into());
    }
    let mut gathered = Gathered::default();
    if !wanted.images.is_empty() {
        gathered.images(home, store, &wanted.images)?;
    }
    if let Some(kernel) = &wanted.kernel {
        let mut bytes = 0;
        for (name, path) in &kernel.files {
            bytes += gathered.file(format!("kernel/{name}"), path.clone())?;
        }
        gathered.item(BundleKind::Kernel, kernel.release.clone(), bytes);
    }
    for (id, path) in &wanted.lessons {
        let name = format!("lessons/{id}.md");
        let size = path.metadata().map_err(|e| AppError::io("read", path, e))?.len();
        // What is longer is no lesson, and what is called longer has no place.
        if size <= LONGEST && Part::of(&name).is_some() {
            let bytes = gathered.file(name, path.clone())?;
            gathered.item(BundleKind::Lesson, id.clone(), bytes);
        }
    }
    for document in &wanted.results {
        let name = format!("results/{}.json", document.id);
        if Part::of(&name).is_some() {
            let bytes = gathered.text(name, document)?;
            gathered.item(BundleKind::Result, document.id.clone(), bytes);
        }
    }
    Ok(gathered)
}

impl Gathered {
    fn images(&mut self, home: &Home, store: &Store, images: &[Image]) -> Result<(), AppError> {
        for part in layout_parts(store, images)? {
            let member = Member { path: part.path, size: part.size, digest: part.digest };
            self.pieces.push(Piece { member, source: part.source });
        }
        self.items.extend(images.iter().map(|image| image_item(image, BundleState::Packed)));
        let steps = steps_of(home, images)?;
        let mut bytes = 0;
        for step in &steps {
            bytes += self.file(format!("steps/{}", step.name), step.path.clone())?;
        }
        if !steps.is_empty() {
            self.item(BundleKind::Steps, steps.len().to_string(), bytes);
        }
        Ok(())
    }

    fn file(&mut self, path: String, from: PathBuf) -> Result<u64, AppError> {
        let size = from.metadata().map_err(|e| AppError::io("read", &from, e))?.len();
        let digest = digest_of_file(&from).map_err(|e| AppError::io("read", &from, e))?;
        let member = Member { path, size, digest };
        self.pieces.push(Piece { member, source: PartSource::File(from) });
        Ok(size)
    }

    pub(super) fn text(&mut self, path: String, value: &impl Serialize) -> Result<u64, AppError> {
        use sha2::Digest as _;
        let bytes = serde_json::to_vec(value).map_err(tandem_report::ReportError::from)?;
        let digest = Digest::from_sha256(&sha2::Sha256::digest(&bytes).into());
        let size = bytes.len() as u64;
        let member = Member { path, size, digest };
        self.pieces.push(Piece { member, source: PartSource::Bytes(bytes) });
        Ok(size)
    }

    fn item(&mut self, kind: BundleKind, name: String, bytes: u64) {
        let state = BundleState::Packed;
        self.items.push(BundleItem { kind, name, digest: None, bytes, state });
    }
}

pub(super) fn image_item(image: &Image, state: BundleState) -> BundleItem {
    BundleItem {
        kind: BundleKind::Image,
        name: image.reference.to_string(),
        digest: Some(image.digest.clone()),
        bytes: image.compressed_bytes(),
        state,
    }
}
