//! Archive to store.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{Read as _, Write as _},
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use oci_spec::image::{Descriptor, DescriptorBuilder, ImageManifestBuilder, MediaType};
use tandem_model::{Digest, ImageRef};

use super::{
    ArchiveError, ArchiveSource, Stop, docker,
    input::Input,
    members::Members,
    oci,
    wanted::{Wanted, WantedLayer},
};
use crate::{
    Image, ImageError, Layer, Store, Transfer,
    image::{chain_ids, sha256},
    store::{Batch, HashRead, unpack_stream},
};

/// Images in one archive, and layers in one image: many times what is usual.
const IMAGES: usize = 1000;
const LAYERS: usize = 1000;
/// Bytes between two reports.
const REPORT: u64 = 4 << 20;

/// Loads every image of an archive and returns them as they are named now.
///
/// Layers are unpacked while their blobs are copied and digested. Either all
/// images are in the store afterwards or none of this archive's.
///
/// # Errors
/// [`ArchiveError`] within [`ImageError::Archive`]; nothing half-loaded stays.
pub fn load(
    store: &Store,
    source: &ArchiveSource,
    stop: &(dyn Fn() -> bool + Sync),
    on_progress: &(dyn Fn(Transfer) + Sync),
) -> Result<Vec<Image>, ImageError> {
    let _lease = store.lease()?;
    store.sweep_downloads(false);
    store.settle()?;
    match run(store, source, stop, on_progress) {
        Err(error) if stop() => {
            drop(error);
            Err(ArchiveError::Stopped.into())
        }
        Err(error) if error.is_no_space() => Err(too_full(store, source, 0)),
        other => other,
    }
}

fn run(
    store: &Store,
    source: &ArchiveSource,
    stop: Stop<'_>,
    on_progress: &(dyn Fn(Transfer) + Sync),
) -> Result<Vec<Image>, ImageError> {
    // A failure on one side ends the other.
    let failed = AtomicBool::new(false);
    let ended = || failed.load(Ordering::Relaxed) || stop();
    let input = Input::open(store, source, &ended)?;
    let members = Members::of(&input)?;
    let images = offered(&input, &members)?;
    let blobs = Blobs::of(store, &images);
    on_progress(Transfer::Planned { layers: blobs.labels(), bytes: blobs.missing_bytes() });
    if free_bytes(store).is_some_and(|free| free < blobs.missing_bytes()) {
        return Err(too_full(store, source, blobs.missing_bytes()));
    }
    let mut batch = Batch::new(store)?;
    let work = Work { input: &input, members: &members, on_progress, batch: &batch };
    let (copied, unpacked) = thread::scope(|scope| {
        let copying = scope
            .spawn(|| work.copy_all(&blobs).inspect_err(|_| failed.store(true, Ordering::Relaxed)));
        let unpacked = work.unpack_all(store, &images);
        if unpacked.as_ref().is_err_and(|error| !matches!(error, ImageError::Layer { .. })) {
            failed.store(true, Ordering::Relaxed);
        }
        // A layer that is no layer may have been changed: its digest will say.
        let copied = copying.join();
        (copied.unwrap_or_else(|_| Err(input.broken("reading it broke off"))), unpacked)
    });
    // Wrong bytes make wrong layers: the digest says which bytes.
    let is_mismatch =
        |error: &ImageError| matches!(error, ImageError::Archive(ArchiveError::Mismatch { .. }));
    let (copied, unpacked) = match (copied, unpacked) {
        (Ok(copied), Ok(unpacked)) => (copied, unpacked),
        (Err(error), _) if is_mismatch(&error) => return Err(named(&input, error)),
        (_, Err(error)) | (Err(error), _) => return Err(named(&input, error)),
    };
    let mut digests = BTreeMap::new();
    for blob in copied {
        if let Some(path) = blob.fresh {
            batch.add_blob(path, blob.digest.clone());
        }
        digests.insert(blob.at, (blob.digest, blob.size));
    }
    for (path, chain_id) in unpacked {
        batch.add_layer(path, chain_id);
    }
    let names = add_manifests(&mut batch, images, &digests)?;
    if stop() {
        return Err(ArchiveError::Stopped.into());
    }
    batch.commit()?;
    names.iter().map(|name| store.resolve(name)).collect()
}

/// What went wrong in a layer, as a fault of the archive.
fn named(input: &Input<'_>, error: ImageError) -> ImageError {
    match error {
        ImageError::Layer { .. } if !error.is_no_space() => input.broken(error.to_string()),
        other => other,
    }
}

/// The images of the archive: its image layout's, which has every digest, or
/// else Docker's own list.
fn offered(input: &Input<'_>, members: &Members) -> Result<Vec<Wanted>, ImageError> {
    let mut images = Vec::new();
    if let Some(index) = members.document(input, oci::INDEX)? {
        images = oci::images(input, members, &index)?;
    }
    if images.is_empty()
        && let Some(manifest) = members.document(input, docker::MANIFEST)?
    {
        images = docker::images(input, members, &manifest)?;
    }
    if images.is_empty() {
        let reason = if members.place("repositories").is_some() {
            "it was made by a Docker before 1.10, which had no digests"
        } else if members.place(oci::INDEX).or(members.place(docker::MANIFEST)).is_some() {
            "it holds no image"
        } else {
            "it has neither index.json nor manifest.json"
        };
        return Err(input.broken(reason));
    }
    if images.len() > IMAGES || images.iter().any(|image| image.layers.len() > LAYERS) {
        return Err(input.broken(format!("it has more than {IMAGES} images or layers")));
    }
    Ok(images)
}

/// The layers of all images, each once, by their place in the archive.
struct Blobs {
    /// With what is to be done: copied, or there already.
    all: Vec<(WantedLayer, bool)>,
}

/// A layer's blob in the store or in the batch.
struct Copied {
    at: u64,
    digest: Digest,
    size: u64,
    fresh: Option<PathBuf>,
}

impl Blobs {
    fn of(store: &Store, images: &[Wanted]) -> Self {
        let mut all: BTreeMap<u64, (WantedLayer, bool)> = BTreeMap::new();
        for layer in images.iter().flat_map(|image| &image.layers) {
            let there = layer
                .digest
                .as_ref()
                .is_some_and(|digest| store.has_whole_blob(digest, layer.place.size));
            all.insert(layer.place.at, (layer.clone(), there));
        }
        Self { all: all.into_values().collect() }
    }

    fn labels(&self) -> Vec<Digest> {
        self.all.iter().map(|(layer, _)| layer.label().clone()).collect()
    }

    fn missing_bytes(&self) -> u64 {
        self.all.iter().filter(|(_, there)| !there).map(|(layer, _)| layer.place.size).sum()
    }
}

impl WantedLayer {
    /// What it is called while it is on its way.
    fn label(&self) -> &Digest {
        self.digest.as_ref().unwrap_or(&self.diff_id)
    }
}

struct Work<'a> {
    input: &'a Input<'a>,
    members: &'a Members,
    on_progress: &'a (dyn Fn(Transfer) + Sync),
    batch: &'a Batch,
}

impl Work<'_> {
    fn copy_all(&self, blobs: &Blobs) -> Result<Vec<Copied>, ImageError> {
        blobs.all.iter().map(|(layer, there)| self.copy(layer, *there)).collect()
    }

    /// Copies a blob out of the archive and digests it on the way.
    fn copy(&self, layer: &WantedLayer, there: bool) -> Result<Copied, ImageError> {
        let (at, size) = (layer.place.at, layer.place.size);
        if there && let Some(digest) = &layer.digest {
            (self.on_progress)(Transfer::Present { digest: digest.clone() });
            return Ok(Copied { at, digest: digest.clone(), size, fresh: None });
        }
        let path = self.batch.path(&format!("blob-{at}"));
        let mut out = File::create_new(&path).map_err(ImageError::io("make", &path))?;
        let mut reader = HashRead::new(self.members.part(self.input, layer.place));
        let mut buffer = vec![0; 512 << 10];
        let (mut done, mut told) = (0, 0);
        loop {
            let count =
                reader.read(&mut buffer).map_err(ImageError::io("read", &self.input.name))?;
            if count == 0 {
                break;
            }
            out.write_all(&buffer[..count]).map_err(ImageError::io("write", &path))?;
            done += count as u64;
            if done - told >= REPORT || done == size {
                told = done;
                let digest = layer.label().clone();
                (self.on_progress)(Transfer::Moved { digest, done, total: size });
            }
        }
        let actual = reader.digest();
        // While the layers are still being unpacked.
        out.sync_data().map_err(ImageError::io("write", &path))?;
        match &layer.digest {
            Some(expected) if *expected != actual => Err(ArchiveError::Mismatch {
                archive: self.input.name.clone(),
                what: "a layer".to_owned(),
                expected: expected.clone(),
                actual,
            }
            .into()),
            _ => {
                (self.on_progress)(Transfer::Stored { digest: layer.label().clone() });
                Ok(Copied { at, digest: actual, size, fresh: Some(path) })
            }
        }
    }

    /// Unpacks every layer that is not unpacked yet, straight from the
    /// archive; new folders with their chain ids, bottom first.
    fn unpack_all(
        &self,
        store: &Store,
        images: &[Wanted],
    ) -> Result<Vec<(PathBuf, Digest)>, ImageError> {
        let mut fresh: Vec<(PathBuf, Digest)> = Vec::new();
        for image in images {
            let chain = chain_ids(image.layers.iter().map(|layer| &layer.diff_id));
            let mut dirs: Vec<PathBuf> = Vec::new();
            for (layer, chain_id) in image.layers.iter().zip(chain) {
                let place = store.layer_dir(&chain_id);
                let made = fresh.iter().find(|(_, other)| *other == chain_id);
                if let Some((path, _)) = made {
                    dirs.push(path.clone());
                } else if place.is_dir() {
                    dirs.push(place);
                } else {
                    let path = self.batch.path(&format!("layer-{}", fresh.len()));
                    let part = self.members.part(self.input, layer.place);
                    unpack_stream(part, &layer.as_layer(), &dirs, &path)?;
                    (self.on_progress)(Transfer::Unpacked { digest: layer.label().clone() });
                    dirs.push(path.clone());
                    fresh.push((path, chain_id));
                }
            }
        }
        Ok(fresh)
    }
}

impl WantedLayer {
    fn as_layer(&self) -> Layer {
        Layer {
            digest: self.label().clone(),
            diff_id: self.diff_id.clone(),
            size: self.place.size,
            media_type: self.media_type.clone(),
        }
    }
}

/// Adds the manifests, those of Docker archives newly made, and returns the
/// names of the images.
fn add_manifests(
    batch: &mut Batch,
    images: Vec<Wanted>,
    digests: &BTreeMap<u64, (Digest, u64)>,
) -> Result<Vec<ImageRef>, ImageError> {
    let mut named = Vec::new();
    for image in images {
        let (bytes, media_type) = match image.manifest {
            Some(manifest) => manifest,
            None => made_manifest(&image, digests)?,
        };
        let digest = sha256(&bytes);
        batch.add_document(&image.config, &image.config_digest)?;
        batch.add_document(&bytes, &digest)?;
        let mut names = image.names;
        if names.is_empty() {
            // An image needs a name to stay.
            names.push(format!("localhost/tandem/loaded:{}", digest.short()).parse()?);
        }
        for name in names {
            let size = bytes.len() as u64;
            batch.add_name(name.clone(), digest.clone(), size, media_type.clone());
            named.push(name);
        }
    }
    Ok(named)
}

fn made_manifest(
    image: &Wanted,
    digests: &BTreeMap<u64, (Digest, u64)>,
) -> Result<(Vec<u8>, MediaType), ImageError> {
    let broken = |e: &dyn std::fmt::Display| ImageError::damaged("the manifest", e);
    let descriptor = |media_type: &MediaType, digest: &Digest, size: u64| {
        let digest = oci_spec::image::Digest::try_from(digest.as_str());
        DescriptorBuilder::default()
            .media_type(media_type.clone())
            .digest(digest.map_err(|e| broken(&e))?)
            .size(size)
            .build()
            .map_err(|e| broken(&e))
    };
    let layers = image.layers.iter().map(|layer| -> Result<Descriptor, ImageError> {
        let (digest, size) = digests
            .get(&layer.place.at)
            .ok_or_else(|| ImageError::MissingBlob { digest: layer.label().clone() })?;
        descriptor(&layer.media_type, digest, *size)
    });
    let size = image.config.len() as u64;
    let manifest = ImageManifestBuilder::default()
        .schema_version(2u32)
        .media_type(MediaType::ImageManifest)
        .config(descriptor(&MediaType::ImageConfig, &image.config_digest, size)?)
        .layers(layers.collect::<Result<Vec<_>, _>>()?)
        .build()
        .map_err(|e| broken(&e))?;
    let bytes = serde_json::to_vec(&manifest).map_err(|e| broken(&e))?;
    Ok((bytes, MediaType::ImageManifest))
}

fn free_bytes(store: &Store) -> Option<u64> {
    let found = rustix::fs::statvfs(store.home().root()).ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}

fn too_full(store: &Store, source: &ArchiveSource, needed: u64) -> ImageError {
    let free = free_bytes(store).unwrap_or(0);
    ArchiveError::DiskFull {
        archive: source.to_string(),
        needed_mib: (needed.saturating_sub(free) >> 20) + 1,
        free_mib: free >> 20,
        path: store.home().root().to_owned(),
    }
    .into()
}
