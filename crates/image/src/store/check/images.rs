//! The index, the names in it, and the images of instances.

use std::fs;

use oci_spec::image::MediaType;
use tandem_model::{Digest, ImageRef};

use super::{
    super::{
        index::{Entry, Index},
        list::untagged,
        parse_manifest,
        remove::{is_digest, list},
    },
    Checking, Finding, FindingKind,
};
use crate::{Image, ImageError};

impl Checking<'_> {
    /// Reads the index; false when it cannot be read and is not to be mended.
    pub(super) fn index(&mut self) -> Result<bool, ImageError> {
        let path = self.store.index_path();
        match self.store.index() {
            Ok(index) => {
                self.index = index;
                return Ok(true);
            }
            Err(ImageError::Damaged { reason, .. }) => {
                let finding = Finding::new(FindingKind::Index, path.display(), reason);
                if !self.options.repair {
                    self.found(finding);
                    return Ok(false);
                }
                let _lock = self.store.lock()?;
                self.index = self.rebuilt()?;
                let aside = path.with_extension("json.damaged");
                fs::rename(&path, &aside).map_err(ImageError::io("move away", &path))?;
                self.store.write_index(&self.index)?;
                self.found(finding.mended(format!(
                    "made anew from {} manifests, the old one is {}",
                    self.index.entries.len(),
                    aside.display()
                )));
            }
            Err(other) => return Err(other),
        }
        Ok(true)
    }

    /// An index of all manifests that are there. Names stand nowhere else
    /// but in instances.
    fn rebuilt(&self) -> Result<Index, ImageError> {
        let instances = self.store.instances().unwrap_or_default();
        let mut index = Index::default();
        for (name, _) in list(&self.store.blobs())?.into_iter().filter(|(it, _)| is_digest(it)) {
            let Ok(digest) = format!("sha256:{name}").parse::<Digest>() else { continue };
            let small = self.store.blob_size(&digest).is_ok_and(|size| size < 4 << 20);
            let bytes = small.then(|| self.store.read_blob(&digest).ok()).flatten();
            let Some(bytes) = bytes else { continue };
            let Ok(manifest) = parse_manifest(&bytes) else { continue };
            let by_instance = instances.iter().find(|it| it.spec.digest == digest);
            let reference: ImageRef = match by_instance.and_then(|it| it.spec.image.parse().ok()) {
                Some(reference) => reference,
                None => format!("localhost/tandem/found:{}", digest.short()).parse()?,
            };
            let media_type = manifest.media_type().clone().unwrap_or(MediaType::ImageManifest);
            index.put(&reference, digest, bytes.len() as u64, media_type);
        }
        Ok(index)
    }

    /// Every instance needs its image.
    pub(super) fn instances(&mut self) -> Result<(), ImageError> {
        for instance in self.store.instances()? {
            let digest = instance.spec.digest;
            if self.index.entries.iter().any(|entry| entry.digest == digest) {
                continue;
            }
            let what = format!("instance {}", instance.spec.name);
            let Some(loaded) =
                untagged(&digest).and_then(|name| self.store.load(name, &digest).ok())
            else {
                let detail =
                    format!("its image {} ({}) is gone", instance.spec.image, digest.short());
                self.found(Finding::new(FindingKind::Instance, what, detail).advised(format!(
                    "pull or load the image again, or remove the instance (tandem rm {})",
                    instance.spec.name
                )));
                continue;
            };
            let size = self.store.blob_size(&digest)?;
            let entry = Entry {
                reference: None,
                digest: loaded.digest,
                size,
                media_type: MediaType::ImageManifest,
            };
            self.change_index(|index| index.entries.push(entry.clone()))?;
            let finding =
                Finding::new(FindingKind::Instance, what, "its image is not in the index any more");
            let repair = self.options.repair;
            self.found(if repair { finding.mended("it is in the index again") } else { finding });
        }
        Ok(())
    }

    /// The images that can be read; names of others are taken away.
    pub(super) fn images(&mut self) -> Result<Vec<Image>, ImageError> {
        let mut sound = Vec::new();
        for entry in self.index.entries.clone() {
            let Some(name) = entry.reference.clone().or_else(|| untagged(&entry.digest)) else {
                continue;
            };
            match self.store.load(name.clone(), &entry.digest) {
                Ok(image) => sound.push(image),
                Err(error) => self.lost(&entry, &name, &error)?,
            }
        }
        Ok(sound)
    }

    /// An image that cannot be used: its name goes.
    pub(super) fn lost(
        &mut self,
        entry: &Entry,
        name: &ImageRef,
        error: &ImageError,
    ) -> Result<(), ImageError> {
        let detail = match error {
            ImageError::MissingBlob { digest } => format!("its blob {digest} is missing"),
            ImageError::Damaged { what, reason } => format!("{what} is damaged: {reason}"),
            other => other.to_string(),
        };
        let what = format!("image {name}");
        let finding = Finding::new(FindingKind::Image, what, detail);
        let again = format!("pull or build it again (tandem pull {name})");
        self.change_index(|index| index.entries.retain(|it| it != entry))?;
        self.found(if self.options.repair {
            finding.mended(format!("the name was taken away; {again}"))
        } else {
            finding
        });
        Ok(())
    }
}
