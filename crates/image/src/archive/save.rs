//! Store to archive.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs::File,
    io::{self, BufWriter, Read, Write},
    path::Path,
};

use oci_spec::image::{DescriptorBuilder, ImageIndexBuilder, MediaType};
use serde_json::{Value, json};
use tandem_home::Draft;
use tandem_model::Digest;

use super::{ArchiveError, Stop, docker, oci};
use crate::{Image, ImageError, Layer, Store, Transfer, layer::decompressed, store::HashRead};

/// What kind of archive to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ArchiveFormat {
    /// An OCI image layout in a tar file.
    #[default]
    Oci,
    /// What `docker load` reads; an image layout is beside it, so that the
    /// image keeps its digest where one is understood.
    Docker,
}

/// What `oci-layout` holds.
pub(super) const LAYOUT_VERSION: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

/// Writes images for a file, byte for byte as they are stored. Returns the
/// whole file, which has no name yet: it is the caller's to keep. A pipe or a
/// device at `path` is written into, and there is nothing to keep.
///
/// # Errors
/// [`ImageError::Damaged`] when the store's own bytes have changed.
pub fn save(
    store: &Store,
    images: &[Image],
    format: ArchiveFormat,
    path: &Path,
    stop: &(dyn Fn() -> bool + Sync),
    on_progress: &(dyn Fn(Transfer) + Sync),
) -> Result<Option<Draft>, ImageError> {
    let io = |e| ImageError::io("write", path)(e);
    let metadata = std::fs::metadata(path).ok();
    if metadata.as_ref().is_some_and(|it| !it.is_file() && !it.is_dir()) {
        // A pipe or a device: nothing to put in its place.
        let out = File::options().write(true).open(path).map_err(io)?;
        return save_into(store, images, format, out, stop, on_progress).map(|()| None);
    }
    let draft = Draft::beside(path, 0o644).map_err(io)?;
    save_into(store, images, format, draft.file(), stop, on_progress)?;
    draft.file().sync_all().map_err(io)?;
    Ok(Some(draft))
}

/// Writes images to a stream; see [`save`].
pub fn save_into(
    store: &Store,
    images: &[Image],
    format: ArchiveFormat,
    out: impl Write,
    stop: &(dyn Fn() -> bool + Sync),
    on_progress: &(dyn Fn(Transfer) + Sync),
) -> Result<(), ImageError> {
    let _lease = store.lease()?;
    let out = BufWriter::with_capacity(1 << 20, out);
    let mut saving = Saving { store, stop, on_progress, tar: tar::Builder::new(out) };
    let ended = saving.run(images, format);
    match ended {
        Err(_) if stop() => Err(ArchiveError::Stopped.into()),
        other => other,
    }
}

struct Saving<'a, W: Write> {
    store: &'a Store,
    stop: Stop<'a>,
    on_progress: &'a (dyn Fn(Transfer) + Sync),
    tar: tar::Builder<W>,
}

impl<W: Write> Saving<'_, W> {
    fn run(&mut self, images: &[Image], format: ArchiveFormat) -> Result<(), ImageError> {
        let mut layers: BTreeMap<&Digest, &Layer> = BTreeMap::new();
        layers.extend(images.iter().flat_map(|it| &it.layers).map(|layer| (&layer.digest, layer)));
        (self.on_progress)(Transfer::Planned {
            layers: layers.keys().map(|digest| (*digest).clone()).collect(),
            bytes: layers.values().map(|layer| layer.size).sum(),
        });
        self.document(oci::LAYOUT, LAYOUT_VERSION)?;
        self.document(oci::INDEX, &index_of(self.store, images)?)?;
        if format == ArchiveFormat::Docker {
            self.document(docker::MANIFEST, &Self::manifest(images)?)?;
        }
        let documents: BTreeSet<&Digest> =
            images.iter().flat_map(|image| [&image.digest, &image.config_digest]).collect();
        for digest in documents {
            let bytes = self.store.read_blob(digest)?;
            self.document(&oci::path(digest), &bytes)?;
        }
        let mut plain = BTreeSet::new();
        for layer in layers.values() {
            self.layer(layer)?;
            if format == ArchiveFormat::Docker && is_zstd(layer) && plain.insert(&layer.diff_id) {
                self.plain_layer(layer)?;
            }
        }
        let write = ImageError::io("write", "the archive");
        self.tar.finish().and_then(|()| self.tar.get_mut().flush()).map_err(write)
    }

    /// Docker's list: an image once, with all its names.
    fn manifest(images: &[Image]) -> Result<Vec<u8>, ImageError> {
        let mut items: Vec<(&Digest, Value)> = Vec::new();
        for image in images {
            let tag = image.reference.tag().map(|_| Value::from(image.reference.to_string()));
            if let Some((_, item)) = items.iter_mut().find(|it| *it.0 == image.config_digest) {
                if let Some(tags) = item["RepoTags"].as_array_mut() {
                    tags.extend(tag);
                }
                continue;
            }
            let layers = image.layers.iter().map(|layer| {
                let stored = if is_zstd(layer) { &layer.diff_id } else { &layer.digest };
                oci::path(stored)
            });
            let item = json!({
                "Config": oci::path(&image.config_digest),
                "RepoTags": tag.into_iter().collect::<Vec<_>>(),
                "Layers": layers.collect::<Vec<_>>(),
            });
            items.push((&image.config_digest, item));
        }
        let items: Vec<_> = items.into_iter().map(|(_, item)| item).collect();
        serde_json::to_vec(&items).map_err(|e| ImageError::damaged("the list of images", e))
    }

    fn document(&mut self, path: &str, bytes: &[u8]) -> Result<(), ImageError> {
        self.member(path, bytes.len() as u64, bytes)
    }

    fn layer(&mut self, layer: &Layer) -> Result<(), ImageError> {
        let there = self.store.blob_size(&layer.digest)?;
        if there != layer.size {
            let reason = format!("it has {there} bytes, its manifest says {}", layer.size);
            return Err(ImageError::damaged(&layer.digest, reason));
        }
        let blob = self.store.open_blob(&layer.digest)?;
        let mut reader = HashRead::new(Stoppable { reader: blob, stop: self.stop });
        let (total, digest) = (layer.size, layer.digest.clone());
        self.member(&oci::path(&layer.digest), layer.size, &mut reader)?;
        let actual = reader.digest();
        if actual != layer.digest {
            let reason = format!("its bytes have the digest {actual}");
            return Err(ImageError::damaged(&layer.digest, reason));
        }
        (self.on_progress)(Transfer::Moved { digest: digest.clone(), done: total, total });
        (self.on_progress)(Transfer::Stored { digest });
        Ok(())
    }

    /// The uncompressed layer too: older readers of Docker's archives know no
    /// zstd.
    fn plain_layer(&mut self, layer: &Layer) -> Result<(), ImageError> {
        let open = || -> Result<_, ImageError> {
            let reader = self.store.open_blob(&layer.digest)?;
            decompressed(Stoppable { reader, stop: self.stop })
                .map_err(|e| ImageError::damaged(&layer.digest, e))
        };
        let size = io::copy(&mut open()?, &mut io::sink())
            .map_err(|e| ImageError::damaged(&layer.digest, e))?;
        let mut reader = HashRead::new(open()?);
        self.member(&oci::path(&layer.diff_id), size, &mut reader)?;
        let actual = reader.digest();
        if actual == layer.diff_id {
            Ok(())
        } else {
            let reason = format!("its content has the digest {actual}, not {}", layer.diff_id);
            Err(ImageError::damaged(&layer.digest, reason))
        }
    }

    fn member(&mut self, path: &str, size: u64, reader: impl Read) -> Result<(), ImageError> {
        if (self.stop)() {
            return Err(ArchiveError::Stopped.into());
        }
        let mut header = tar::Header::new_gnu();
        header.set_size(size);
        header.set_mode(0o644);
        header.set_mtime(0);
        let written = self.tar.append_data(&mut header, path, reader.take(size));
        written.map_err(ImageError::io("write", "the archive"))
    }
}

/// `index.json` of these images, each under its name.
pub(super) fn index_of(store: &Store, images: &[Image]) -> Result<Vec<u8>, ImageError> {
    let broken = |e: &dyn std::fmt::Display| ImageError::damaged("the index", e);
    let mut manifests = Vec::new();
    for image in images {
        let bytes = store.read_blob(&image.digest)?;
        let document: Value = serde_json::from_slice(&bytes).map_err(|e| broken(&e))?;
        let media_type = document["mediaType"].as_str().map(MediaType::from);
        let digest = oci_spec::image::Digest::try_from(image.digest.as_str());
        let mut descriptor = DescriptorBuilder::default()
            .media_type(media_type.unwrap_or(MediaType::ImageManifest))
            .digest(digest.map_err(|e| broken(&e))?)
            .size(bytes.len() as u64);
        if image.reference.tag().is_some() {
            let names = oci::NAMES.map(|key| (key.to_owned(), full_name(image)));
            descriptor = descriptor.annotations(HashMap::from(names));
        }
        manifests.push(descriptor.build().map_err(|e| broken(&e))?);
    }
    let index = ImageIndexBuilder::default()
        .schema_version(2u32)
        .media_type(MediaType::ImageIndex)
        .manifests(manifests)
        .build()
        .map_err(|e| broken(&e))?;
    let mut index = serde_json::to_value(&index).map_err(|e| broken(&e))?;
    // Annotations come in random order.
    index.sort_all_objects();
    serde_json::to_vec(&index).map_err(|e| broken(&e))
}

/// The name with its registry, which other tools would guess otherwise.
fn full_name(image: &Image) -> String {
    let reference = &image.reference;
    let tag = reference.tag().unwrap_or("latest");
    format!("{}/{}:{tag}", reference.registry(), reference.repository())
}

fn is_zstd(layer: &Layer) -> bool {
    layer.media_type.as_ref().ends_with("zstd")
}

struct Stoppable<'a> {
    reader: File,
    stop: Stop<'a>,
}

impl Read for Stoppable<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if (self.stop)() {
            return Err(io::Error::other("it was given up"));
        }
        self.reader.read(buffer)
    }
}
