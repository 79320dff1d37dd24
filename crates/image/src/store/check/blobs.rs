//! The bytes of layers.

use std::{collections::BTreeMap, fs};

use tandem_model::Digest;

use super::{
    super::{digest_of_file, list::untagged},
    Checking, Finding, FindingKind,
};
use crate::{Image, ImageError, Layer};

/// Whether each layer's blob is sound.
pub(super) type Blobs = BTreeMap<Digest, bool>;

impl Checking<'_> {
    pub(super) fn blobs(&mut self, images: &[Image]) -> Result<Blobs, ImageError> {
        let mut judged = Blobs::new();
        for image in images {
            for (layer, chain_id) in image.layers.iter().zip(image.chain_ids()) {
                if judged.contains_key(&layer.digest) {
                    continue;
                }
                let sound = match self.fault(layer)? {
                    None => true,
                    Some(fault) => self.damaged(images, layer, &chain_id, &fault)?,
                };
                judged.insert(layer.digest.clone(), sound);
            }
        }
        Ok(judged)
    }

    /// What is wrong with a blob.
    fn fault(&self, layer: &Layer) -> Result<Option<String>, ImageError> {
        let path = self.store.blob_path(&layer.digest);
        let Ok(metadata) = fs::metadata(&path) else { return Ok(Some("it is missing".into())) };
        if metadata.len() != layer.size {
            let sizes = (metadata.len(), layer.size);
            return Ok(Some(format!("it has {} bytes instead of {}", sizes.0, sizes.1)));
        }
        (self.options.progress)(&format!("reading layer {}", layer.digest.short()));
        let actual = digest_of_file(&path).map_err(ImageError::io("read", &path))?;
        Ok((actual != layer.digest).then(|| format!("its bytes have the digest {actual}")))
    }

    /// Mends a blob where the unpacked layer gives the same bytes again, and
    /// removes it otherwise; whether it is sound now.
    fn damaged(
        &mut self,
        images: &[Image],
        layer: &Layer,
        chain_id: &Digest,
        fault: &str,
    ) -> Result<bool, ImageError> {
        let users = Self::users(images, &layer.digest);
        let names: Vec<_> = users.iter().map(|image| image.reference.to_string()).collect();
        let again = format!("pull or build {} again", names.join(", "));
        let what = format!("layer {} of {}", layer.digest.short(), names.join(", "));
        let finding = Finding::new(FindingKind::Blob, what, fault);
        if !self.options.repair {
            self.found(finding);
            return Ok(false);
        }
        let dir = self.store.layer_dir(chain_id);
        let path = self.store.blob_path(&layer.digest);
        if dir.is_dir() && self.store.pack_again(&dir, layer).is_ok() {
            self.found(finding.mended("packed again from the unpacked layer"));
            return Ok(true);
        }
        // Wrong bytes in the right place would keep the right ones away.
        if path.exists() {
            fs::remove_file(&path).map_err(ImageError::io("remove", &path))?;
        }
        if dir.is_dir() {
            self.found(finding.mended(format!(
                "the damaged bytes were removed; the image still runs, to push or save it {again}"
            )));
            return Ok(false);
        }
        self.found(finding.mended("the damaged bytes were removed"));
        for image in users {
            let error = ImageError::MissingBlob { digest: layer.digest.clone() };
            for entry in self.index.entries.clone() {
                if entry.digest == image.digest
                    && let Some(name) = entry.reference.clone().or_else(|| untagged(&entry.digest))
                {
                    self.lost(&entry, &name, &error)?;
                }
            }
        }
        Ok(false)
    }
}
