//! Verified parts to home: all or none.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use tandem_build::{CarriedStep, take_steps};
use tandem_home::{Home, make_private_dir, write_atomic};
use tandem_image::{ArchiveSource, Image, Store, load};
use tandem_lab::{LabError, ResultStore, StoreError, read_document};
use tandem_model::{Digest, ImageRef, ResultDocument};
use tandem_vm::{CarryError, take_kernel};

use super::{
    BundleError, BundleEvent, BundleItem, BundleKind, BundleState, Tell, gather::image_item,
    index::Part, read::Verified,
};
use crate::{AppError, lesson::LONGEST};

/// Takes a bundle over. The images come first, since that is the long part and
/// the one that may be given up; what fails later takes them back.
pub(super) fn place(
    home: &Home,
    store: &Store,
    (file, verified, parts): (&Path, &Verified, &Path),
    stop: &(dyn Fn() -> bool + Sync),
    tell: Tell<'_>,
) -> Result<Vec<BundleItem>, AppError> {
    let placing = Placing { home, store, file, verified, parts };
    // What cannot be used is found before anything is changed.
    let results = placing.results()?;
    placing.check_lessons()?;
    let mut undo = Undo { home, store, names: Vec::new(), files: Vec::new(), results: Vec::new() };
    let placed = placing.all(&results, &mut undo, stop, tell);
    if placed.is_err() {
        undo.run();
    }
    placed
}

struct Placing<'a> {
    home: &'a Home,
    store: &'a Store,
    file: &'a Path,
    verified: &'a Verified,
    parts: &'a Path,
}

impl Placing<'_> {
    fn all(
        &self,
        results: &[ResultDocument],
        undo: &mut Undo<'_>,
        stop: &(dyn Fn() -> bool + Sync),
        tell: Tell<'_>,
    ) -> Result<Vec<BundleItem>, AppError> {
        let mut items = Vec::new();
        let mut images = Vec::new();
        if self.verified.index.has(|part| part == Part::Image) {
            images = self.images(&mut items, undo, stop, tell)?;
        }
        self.steps(&images, &mut items, undo)?;
        self.lessons(&mut items, undo)?;
        self.take_results(results, &mut items, undo)?;
        // Whole or not at all by itself, so it is the last.
        self.kernel(&mut items)?;
        Ok(items)
    }

    fn images(
        &self,
        items: &mut Vec<BundleItem>,
        undo: &mut Undo<'_>,
        stop: &(dyn Fn() -> bool + Sync),
        tell: Tell<'_>,
    ) -> Result<Vec<Image>, AppError> {
        let rows = self.store.list(false)?.into_iter();
        let before: BTreeMap<ImageRef, Digest> =
            rows.filter_map(|row| Some((row.reference?, row.digest))).collect();
        let source = ArchiveSource::File(self.file.to_owned());
        let images = load(self.store, &source, stop, &|it| tell(BundleEvent::Moved(it)))?;
        for image in &images {
            let earlier = before.get(&image.reference).cloned();
            let there = earlier.as_ref() == Some(&image.digest);
            let state = if there { BundleState::Present } else { BundleState::New };
            items.push(image_item(image, state));
            if !there {
                undo.names.push((image.reference.clone(), earlier));
            }
        }
        Ok(images)
    }

    fn steps(
        &self,
        images: &[Image],
        items: &mut Vec<BundleItem>,
        undo: &mut Undo<'_>,
    ) -> Result<(), AppError> {
        let step = |(part, member): (Part<'_>, &super::index::Member)| match part {
            Part::Step(name) => {
                let path = self.parts.join(&member.path);
                Some((CarriedStep { name: name.to_owned(), path }, member.size))
            }
            _ => None,
        };
        let (steps, sizes): (Vec<_>, Vec<u64>) =
            self.verified.index.parts().filter_map(step).unzip();
        if steps.is_empty() {
            return Ok(());
        }
        let fresh = take_steps(self.home, &steps, images).map_err(|e| match e {
            tandem_build::BuildError::Usage(reason) => self.unfit(reason),
            other => other.into(),
        })?;
        let state = if fresh.is_empty() { BundleState::Present } else { BundleState::New };
        undo.files.extend(fresh);
        items.push(item(BundleKind::Steps, steps.len().to_string(), sizes.iter().sum(), state));
        Ok(())
    }

    fn check_lessons(&self) -> Result<(), AppError> {
        for (part, member) in self.verified.index.parts() {
            if matches!(part, Part::Lesson(_)) && member.size > LONGEST {
                return Err(self.unfit(format!("{} is longer than any lesson", member.path)));
            }
        }
        Ok(())
    }

    fn lessons(&self, items: &mut Vec<BundleItem>, undo: &mut Undo<'_>) -> Result<(), AppError> {
        for (part, member) in self.verified.index.parts() {
            let Part::Lesson(id) = part else { continue };
            let text = self.read(&member.path)?;
            let to = self.home.lessons().join(format!("{id}.md"));
            let state = match fs::read(&to) {
                Ok(there) if there == text => BundleState::Present,
                // A person's own words are never written over.
                Ok(_) => BundleState::Kept,
                Err(_) => {
                    make_private_dir(&self.home.lessons())?;
                    write_atomic(&to, &text)?;
                    undo.files.push(to);
                    BundleState::New
                }
            };
            items.push(item(BundleKind::Lesson, id.to_owned(), member.size, state));
        }
        Ok(())
    }

    fn results(&self) -> Result<Vec<ResultDocument>, AppError> {
        let mut documents = Vec::new();
        for (part, member) in self.verified.index.parts() {
            let Part::Result(id) = part else { continue };
            let document = read_document(&self.read(&member.path)?)
                .map_err(|e| self.unfit(format!("{} is not taken: {e}", member.path)))?;
            if document.id != id {
                return Err(self.unfit(format!("{} is the result {}", member.path, document.id)));
            }
            documents.push(document);
        }
        Ok(documents)
    }

    fn take_results(
        &self,
        results: &[ResultDocument],
        items: &mut Vec<BundleItem>,
        undo: &mut Undo<'_>,
    ) -> Result<(), AppError> {
        if results.is_empty() {
            return Ok(());
        }
        let store = ResultStore::open(&self.home.results()).map_err(LabError::from)?;
        for document in results {
            let state = match store.take_in(document, "imported") {
                Ok(()) => {
                    undo.results.push(document.id.clone());
                    BundleState::New
                }
                Err(StoreError::Known(_)) => BundleState::Present,
                Err(e) => return Err(LabError::from(e).into()),
            };
            let path = self.parts.join(format!("results/{}.json", document.id));
            let bytes = path.metadata().map_or(0, |it| it.len());
            items.push(item(BundleKind::Result, document.id.clone(), bytes, state));
        }
        Ok(())
    }

    fn kernel(&self, items: &mut Vec<BundleItem>) -> Result<(), AppError> {
        let index = &self.verified.index;
        if !index.has(|part| part == Part::Kernel) {
            return Ok(());
        }
        let taken = take_kernel(self.home, &self.parts.join("kernel"));
        let (release, new) = taken.map_err(|e| match e {
            CarryError::Unfit(reason) => self.unfit(reason),
            CarryError::Backend(e) => e.into(),
        })?;
        let parts = index.parts().filter(|(part, _)| *part == Part::Kernel);
        let bytes = parts.map(|(_, member)| member.size).sum();
        let state = if new { BundleState::New } else { BundleState::Present };
        items.push(item(BundleKind::Kernel, release, bytes, state));
        Ok(())
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, AppError> {
        let path = self.parts.join(path);
        fs::read(&path).map_err(|e| AppError::io("read", path, e))
    }

    fn unfit(&self, reason: String) -> AppError {
        BundleError::Unfit { file: self.file.to_owned(), reason }.into()
    }
}

fn item(kind: BundleKind, name: String, bytes: u64, state: BundleState) -> BundleItem {
    BundleItem { kind, name, digest: None, bytes, state }
}

/// What was changed so far.
struct Undo<'a> {
    home: &'a Home,
    store: &'a Store,
    /// New names, with the images that had them before.
    names: Vec<(ImageRef, Option<Digest>)>,
    files: Vec<PathBuf>,
    results: Vec<String>,
}

impl Undo<'_> {
    /// Takes everything back. What fails here is only more than there was
    /// before; the error that led here is the one to tell.
    fn run(self) {
        if !self.results.is_empty()
            && let Ok(store) = ResultStore::open(&self.home.results())
        {
            for id in &self.results {
                let _ = store.remove(id);
            }
        }
        for file in &self.files {
            let _ = fs::remove_file(file);
        }
        // An image that has lost its name must not go before it has it again.
        let lease = self.store.lease();
        for (name, earlier) in &self.names {
            let _ = self.store.remove(name, true);
            if let Some(digest) = earlier {
                let _ = self.store.adopt_image(name, digest);
            }
        }
        drop(lease);
        if !self.names.is_empty() {
            let _ = self.store.collect();
        }
    }
}
