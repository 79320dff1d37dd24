use oci_spec::image::{
    Descriptor, DescriptorBuilder, ImageConfiguration, ImageIndex, ImageManifest,
    ImageManifestBuilder, MediaType, RootFsBuilder,
};
use serde_json::Value;
use tandem_model::{Digest, ImageRef};

use super::{
    Store, digest_of, is_list, is_manifest,
    kind::{check_parts, media_type_of},
};
use crate::{Image, ImageError, Layer, Platform, registry::RegistryError};

impl Store {
    /// Writes configuration and manifest, and gives the image its name. What
    /// had the name before loses it. The layers' blobs must be in the store;
    /// their diff ids are written into the configuration.
    pub fn put_image(
        &self,
        reference: &ImageRef,
        mut config: ImageConfiguration,
        layers: &[Layer],
    ) -> Result<Image, ImageError> {
        let diff_ids: Vec<String> = layers.iter().map(|layer| layer.diff_id.to_string()).collect();
        let rootfs = RootFsBuilder::default()
            .typ("layers".to_owned())
            .diff_ids(diff_ids)
            .build()
            .map_err(|e| ImageError::damaged("the configuration", e))?;
        config.set_rootfs(rootfs);
        let document = serde_json::to_value(&config)
            .map_err(|e| ImageError::damaged("the configuration", e))?;
        self.put_image_document(reference, document, layers)
    }

    /// [`Store::put_image`] with a configuration that may hold more than the
    /// OCI specification knows; `rootfs.diff_ids` must already be right.
    pub fn put_image_document(
        &self,
        reference: &ImageRef,
        mut config: Value,
        layers: &[Layer],
    ) -> Result<Image, ImageError> {
        for layer in layers {
            if !self.has_layer(layer) {
                return Err(ImageError::MissingBlob { digest: layer.digest.clone() });
            }
        }
        let broken = |what: &str, e: &dyn std::fmt::Display| ImageError::damaged(what, e);
        // Maps come in random order; the same image must get the same digest.
        config.sort_all_objects();
        let config = serde_json::to_vec(&config).map_err(|e| broken("the configuration", &e))?;
        let config_digest = self.write_blob(&config)?;
        let manifest = ImageManifestBuilder::default()
            .schema_version(2u32)
            .media_type(MediaType::ImageManifest)
            .config(descriptor(MediaType::ImageConfig, &config_digest, config.len() as u64)?)
            .layers(
                layers
                    .iter()
                    .map(|layer| descriptor(layer.media_type.clone(), &layer.digest, layer.size))
                    .collect::<Result<Vec<_>, _>>()?,
            )
            .build()
            .map_err(|e| broken("the manifest", &e))?;
        let manifest = serde_json::to_vec(&manifest).map_err(|e| broken("the manifest", &e))?;
        self.put_manifest(reference, &manifest, MediaType::ImageManifest)
    }

    /// Stores a manifest as it is and gives it a name.
    pub(crate) fn put_manifest(
        &self,
        reference: &ImageRef,
        manifest: &[u8],
        media_type: MediaType,
    ) -> Result<Image, ImageError> {
        let digest = self.write_blob(manifest)?;
        let image = self.load(reference.clone(), &digest)?;
        let _lock = self.lock()?;
        let mut index = self.index()?;
        index.put(reference, digest, manifest.len() as u64, media_type);
        self.write_index(&index)?;
        Ok(image)
    }

    /// Reads an image from its manifest, every digest checked.
    pub(super) fn load(&self, reference: ImageRef, digest: &Digest) -> Result<Image, ImageError> {
        let bytes = self.read_blob(digest)?;
        let kind = media_type_of(&bytes).map_err(|reason| ImageError::damaged(digest, reason))?;
        if is_list(&kind) {
            // Another tool put in a list for several platforms.
            let chosen = choose_platform(&reference, &bytes, &Platform::default())?;
            let bytes = self.read_blob(&chosen.digest)?;
            chosen.check(&bytes).map_err(|reason| ImageError::damaged(&chosen.digest, reason))?;
            return self.load_manifest(reference, chosen.digest, &bytes);
        }
        self.load_manifest(reference, digest.clone(), &bytes)
    }

    fn load_manifest(
        &self,
        reference: ImageRef,
        digest: Digest,
        bytes: &[u8],
    ) -> Result<Image, ImageError> {
        let manifest = parse_manifest(bytes).map_err(|e| ImageError::damaged(&digest, e))?;
        let config_digest = digest_of(manifest.config().digest())?;
        let config: ImageConfiguration = serde_json::from_slice(&self.read_blob(&config_digest)?)
            .map_err(|e| ImageError::damaged(&config_digest, e))?;
        let layers = layers_of(&manifest, &config, &config_digest)?;
        let created_at = config.created().as_deref().and_then(|text| text.parse().ok());
        Ok(Image { reference, digest, config_digest, config, layers, created_at })
    }
}

/// Reads a manifest of one image, OCI's or Docker's.
pub(crate) fn parse_manifest(bytes: &[u8]) -> Result<ImageManifest, String> {
    let kind = media_type_of(bytes)?;
    if is_list(&kind) {
        return Err("it is a list of images where one image should be".to_owned());
    }
    let manifest: ImageManifest = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
    if manifest.schema_version() != 2 {
        return Err(format!("its schema version is {}, not 2", manifest.schema_version()));
    }
    match manifest.media_type() {
        Some(media_type) if !is_manifest(media_type) => {
            Err(format!("its media type is {media_type}"))
        }
        _ => Ok(manifest),
    }
}

/// An image of a list, as the list promises it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chosen {
    pub(crate) digest: Digest,
    size: u64,
}

impl Chosen {
    /// Whether a manifest is as long as its list says; the error is a phrase.
    pub(crate) fn check(&self, manifest: &[u8]) -> Result<(), String> {
        let size = manifest.len() as u64;
        if size == self.size {
            return Ok(());
        }
        Err(format!("it has {size} bytes, and the list that names it says {}", self.size))
    }
}

/// The manifest for a platform from a list of several.
pub(crate) fn choose_platform(
    reference: &ImageRef,
    list: &[u8],
    wanted: &Platform,
) -> Result<Chosen, ImageError> {
    let index: ImageIndex = serde_json::from_slice(list)
        .map_err(|e| ImageError::damaged(format!("the list of {reference}"), e))?;
    let offered: Vec<(Platform, &Descriptor)> = index
        .manifests()
        .iter()
        .filter(|descriptor| !is_list(descriptor.media_type()))
        .filter_map(|it| Some((Platform::of(it.platform().as_ref()?), it)))
        .collect();
    // The first of the best ones.
    let fitting = offered.iter().filter_map(|(it, found)| Some((wanted.fit(it)?, found)));
    match fitting.rev().max_by_key(|(fit, _)| *fit) {
        Some((_, found)) => Ok(Chosen { digest: digest_of(found.digest())?, size: found.size() }),
        None => Err(RegistryError::Platform {
            reference: reference.to_string(),
            wanted: wanted.to_string(),
            available: offered
                .iter()
                .map(|(platform, _)| platform.to_string())
                // Attestations are listed as images for an unknown platform.
                .filter(|platform| platform != "unknown/unknown")
                .collect(),
        }
        .into()),
    }
}

/// The layers with both digests.
pub(crate) fn layers_of(
    manifest: &ImageManifest,
    config: &ImageConfiguration,
    config_digest: &Digest,
) -> Result<Vec<Layer>, ImageError> {
    check_parts(manifest.config(), manifest.layers())
        .map_err(|reason| ImageError::damaged(config_digest, reason))?;
    let diff_ids = config.rootfs().diff_ids();
    if diff_ids.len() != manifest.layers().len() {
        let counts = (diff_ids.len(), manifest.layers().len());
        let reason = format!("it names {} layers, the manifest {}", counts.0, counts.1);
        return Err(ImageError::damaged(config_digest, reason));
    }
    let pairs = manifest.layers().iter().zip(diff_ids);
    pairs
        .map(|(descriptor, diff_id)| {
            Ok(Layer {
                digest: digest_of(descriptor.digest())?,
                diff_id: digest_of(diff_id)?,
                size: descriptor.size(),
                media_type: descriptor.media_type().clone(),
            })
        })
        .collect()
}

fn descriptor(media_type: MediaType, digest: &Digest, size: u64) -> Result<Descriptor, ImageError> {
    let broken = |e: oci_spec::OciSpecError| ImageError::damaged("a descriptor", e);
    DescriptorBuilder::default()
        .media_type(media_type)
        .digest(oci_spec::image::Digest::try_from(digest.as_str()).map_err(broken)?)
        .size(size)
        .build()
        .map_err(broken)
}
