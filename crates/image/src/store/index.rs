use std::{collections::HashMap, path::PathBuf};

use oci_spec::image::{DescriptorBuilder, ImageIndex, ImageIndexBuilder, MediaType};
use tandem_model::{Digest, ImageRef};

use super::{Store, is_list, is_manifest};
use crate::ImageError;

/// Annotation with an image's name (OCI image specification, annotations.md).
const NAME: &str = "org.opencontainers.image.ref.name";

/// `index.json`: which manifest has which name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Index {
    pub(super) entries: Vec<Entry>,
}

/// One manifest. One without a name is an image that lost it to a newer one;
/// it stays while an instance may use it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) reference: Option<ImageRef>,
    pub(super) digest: Digest,
    pub(super) size: u64,
    pub(super) media_type: MediaType,
}

impl Index {
    /// The entry of a name. A reference with a digest fits by that digest,
    /// under whatever name it has.
    pub(super) fn find(&self, reference: &ImageRef) -> Option<&Entry> {
        let named = |entry: &&Entry| entry.reference.as_ref() == Some(reference);
        self.entries.iter().find(named).or_else(|| {
            let digest = reference.digest()?;
            self.entries.iter().find(|entry| {
                entry.digest == *digest
                    && entry.reference.as_ref().is_some_and(|other| {
                        other.registry() == reference.registry()
                            && other.repository() == reference.repository()
                    })
            })
        })
    }

    /// Names a manifest; what had the name stays without one.
    pub(super) fn put(
        &mut self,
        reference: &ImageRef,
        digest: Digest,
        size: u64,
        media_type: MediaType,
    ) {
        self.untag(reference);
        // A manifest has one nameless entry at most, and none beside a name.
        self.entries.retain(|entry| entry.reference.is_some() || entry.digest != digest);
        self.entries.push(Entry { reference: Some(reference.clone()), digest, size, media_type });
    }

    /// Takes a name away; whether it was there.
    pub(super) fn untag(&mut self, reference: &ImageRef) -> bool {
        let Some(at) =
            self.entries.iter().position(|entry| entry.reference.as_ref() == Some(reference))
        else {
            return false;
        };
        let digest = self.entries[at].digest.clone();
        if self.entries.iter().filter(|entry| entry.digest == digest).count() > 1 {
            self.entries.remove(at);
        } else {
            self.entries[at].reference = None;
        }
        true
    }
}

impl Store {
    pub(super) fn index_path(&self) -> PathBuf {
        self.home.images().join("index.json")
    }

    pub(super) fn index(&self) -> Result<Index, ImageError> {
        let path = self.index_path();
        let bytes = std::fs::read(&path).map_err(ImageError::io("read", &path))?;
        parse_index(&bytes).map_err(|reason| ImageError::damaged(path.display(), reason))
    }

    /// Replaces the index; the caller holds the store's lock.
    pub(super) fn write_index(&self, index: &Index) -> Result<(), ImageError> {
        let path = self.index_path();
        let broken = |e: oci_spec::OciSpecError| ImageError::damaged(path.display(), e);
        let mut manifests = Vec::new();
        for entry in &index.entries {
            let digest =
                oci_spec::image::Digest::try_from(entry.digest.as_str()).map_err(broken)?;
            let mut descriptor = DescriptorBuilder::default()
                .media_type(entry.media_type.clone())
                .digest(digest)
                .size(entry.size);
            if let Some(reference) = &entry.reference {
                let name = HashMap::from([(NAME.to_owned(), reference.to_string())]);
                descriptor = descriptor.annotations(name);
            }
            manifests.push(descriptor.build().map_err(broken)?);
        }
        let document = ImageIndexBuilder::default()
            .schema_version(2u32)
            .media_type(MediaType::ImageIndex)
            .manifests(manifests)
            .build()
            .map_err(broken)?;
        Ok(tandem_home::write_json(&path, &document)?)
    }
}

/// Reads an `index.json`. Entries of other kinds, and names that are no image
/// references, are other tools' business and are left out.
fn parse_index(bytes: &[u8]) -> Result<Index, String> {
    let document: ImageIndex = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
    let entries = document.manifests().iter().filter_map(|descriptor| {
        let media_type = descriptor.media_type();
        if !is_manifest(media_type) && !is_list(media_type) {
            return None;
        }
        let name = descriptor.annotations().as_ref().and_then(|all| all.get(NAME));
        Some(Entry {
            reference: name.and_then(|name| name.parse().ok()),
            digest: descriptor.digest().to_string().parse().ok()?,
            size: descriptor.size(),
            media_type: media_type.clone(),
        })
    });
    Ok(Index { entries: entries.collect() })
}

/// How many images a table names, for the fuzz targets.
pub(crate) fn count(bytes: &[u8]) -> Option<usize> {
    parse_index(bytes).ok().map(|index| index.entries.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::image::sha256;

    fn name(text: &str) -> ImageRef {
        text.parse().unwrap()
    }

    #[test]
    fn a_new_image_takes_the_name_and_the_old_one_stays_without() {
        let (old, new) = (sha256(b"old"), sha256(b"new"));
        let mut index = Index::default();
        index.put(&name("app"), old.clone(), 1, MediaType::ImageManifest);
        index.put(&name("app"), new.clone(), 1, MediaType::ImageManifest);
        assert_eq!(index.find(&name("app:latest")).unwrap().digest, new);
        assert_eq!(index.entries.iter().filter(|e| e.digest == old).count(), 1);
        // Named again, it has no nameless entry any more.
        index.put(&name("other"), old.clone(), 1, MediaType::ImageManifest);
        assert_eq!(index.entries.len(), 2);
        let by_digest = name(&format!("app@{new}"));
        assert_eq!(index.find(&by_digest).unwrap().digest, new);
    }

    proptest! {
        #[test]
        fn any_bytes_end_in_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = parse_index(&bytes);
        }
    }
}
