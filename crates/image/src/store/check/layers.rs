//! Unpacked layers against their blobs.

use std::{collections::BTreeSet, fs, path::PathBuf};

use tandem_model::Digest;

use super::{
    super::{unpack_stream, unpacked::usage_path},
    Checking, Finding, FindingKind,
    blobs::Blobs,
    compare::difference,
};
use crate::{Image, ImageError};

impl Checking<'_> {
    pub(super) fn layers(&mut self, images: &[Image], blobs: &Blobs) -> Result<(), ImageError> {
        let mut seen = BTreeSet::new();
        for image in images {
            let mut parents: Vec<PathBuf> = Vec::new();
            for (at, chain_id) in image.chain_ids().iter().enumerate() {
                let dir = self.store.layer_dir(chain_id);
                let sound = blobs.get(&image.layers[at].digest) == Some(&true);
                if sound && dir.is_dir() && seen.insert(chain_id.clone()) {
                    self.layer(images, image, at, chain_id, &parents)?;
                }
                if dir.is_dir() {
                    parents.push(dir);
                }
            }
        }
        Ok(())
    }

    fn layer(
        &mut self,
        images: &[Image],
        image: &Image,
        at: usize,
        chain_id: &Digest,
        parents: &[PathBuf],
    ) -> Result<(), ImageError> {
        let layer = &image.layers[at];
        let dir = self.store.layer_dir(chain_id);
        (self.options.progress)(&format!("unpacking layer {} again", layer.digest.short()));
        let scratch = self.store.home.scratch("check")?;
        let fresh = scratch.path().join("layer");
        unpack_stream(self.store.open_blob(&layer.digest)?, layer, parents, &fresh)?;
        let found = difference(&fresh, &dir).map_err(ImageError::io("read", &dir))?;
        let Some(detail) = found else { return Ok(()) };
        let what = format!("unpacked layer {} of {}", chain_id.short(), image.reference);
        let finding = Finding::new(FindingKind::Layer, what, detail);
        if !self.options.repair {
            self.found(finding);
            return Ok(());
        }
        if let Some(name) = self.stands_on(images, chain_id)? {
            self.found(finding.advised(format!(
                "the running instance {name} stands on it: stop it and check again (tandem stop {name})"
            )));
            return Ok(());
        }
        let _lock = self.store.lock_layer(chain_id)?;
        let away = scratch.path().join("damaged");
        fs::rename(&dir, &away).map_err(ImageError::io("remove", &dir))?;
        let _ = fs::remove_file(usage_path(&dir));
        self.store.install(&fresh, chain_id, scratch)?;
        self.found(finding.mended("unpacked again"));
        Ok(())
    }

    /// A running instance of an image with this layer.
    fn stands_on(&self, images: &[Image], chain_id: &Digest) -> Result<Option<String>, ImageError> {
        let images: Vec<_> =
            images.iter().filter(|image| image.chain_ids().contains(chain_id)).collect();
        let instances = self.store.instances_with_ids()?;
        Ok(instances.into_iter().find_map(|(id, instance)| {
            let uses = images.iter().any(|image| image.digest == instance.spec.digest);
            (uses && (self.options.is_up)(&id)).then_some(instance.spec.name)
        }))
    }
}
