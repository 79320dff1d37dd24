use std::{fs::File, io, io::Read, path::PathBuf};

use tandem_model::{Digest, ImageRef};

use super::{Store, hash::HashRead};
use crate::{Image, ImageError};

impl Store {
    /// The blobs that an image consists of, with their files: manifest,
    /// configuration, layers.
    pub fn blobs_of(&self, image: &Image) -> Vec<(Digest, PathBuf)> {
        let own = [&image.digest, &image.config_digest];
        let all = own.into_iter().chain(image.layers.iter().map(|layer| &layer.digest));
        all.map(|digest| (digest.clone(), self.blob_path(digest))).collect()
    }

    /// Takes a blob in.
    ///
    /// # Errors
    /// [`ImageError::DigestMismatch`] when it is not the expected one.
    pub fn add_blob(&self, expected: &Digest, mut from: impl Read) -> Result<(), ImageError> {
        if self.has_blob(expected) {
            return Ok(());
        }
        let mut writer = self.blob_writer()?;
        io::copy(&mut from, &mut writer)
            .map_err(ImageError::io("write", self.blob_path(expected)))?;
        writer.finish(Some(expected)).map(drop)
    }

    /// Gives a name to the image of a manifest whose blobs are all here. A
    /// name that belongs to another image stays with that one.
    pub fn adopt_image(&self, name: &ImageRef, manifest: &Digest) -> Result<Image, ImageError> {
        let image = self.load(name.clone(), manifest)?;
        if let Some(missing) = image.layers.iter().find(|layer| !self.has_layer(layer)) {
            return Err(ImageError::MissingBlob { digest: missing.digest.clone() });
        }
        let hex = manifest.hex();
        let free = self.resolve(name).map_or(true, |there| there.digest == *manifest);
        let name = if free {
            name.clone()
        } else {
            format!("localhost/tandem/imported:{}", &hex[..12])
                .parse()
                .map_err(|e| ImageError::damaged("the name", e))?
        };
        let bytes = self.read_blob(manifest)?;
        self.put_manifest(&name, &bytes, oci_spec::image::MediaType::ImageManifest)
    }
}

/// The digest of a file's bytes.
pub fn digest_of_file(path: &std::path::Path) -> io::Result<Digest> {
    let mut reader = HashRead::new(File::open(path)?);
    io::copy(&mut reader, &mut io::sink())?;
    Ok(reader.digest())
}
