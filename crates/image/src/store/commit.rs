use std::{
    fs,
    io::{BufWriter, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use oci_spec::image::MediaType;
use tandem_model::Digest;

use super::{Store, gzip::Gzip, hash::HashWrite};
use crate::{
    ImageError, Layer, LayerError, NewLayer, Stop, Stoppable, image::chain_id, layer::pack,
    stoppable::go_on,
};

impl Store {
    /// Makes a layer of an overlay's upper folder (or of any folder, for a
    /// bottom layer). The blob is written, and the folder itself becomes the
    /// unpacked layer: **it is gone from `upper` afterwards**. The overlay
    /// must be unmounted and must have been mounted with `redirect_dir=off`
    /// and `metacopy=off`.
    ///
    /// The same files, times included, make the same blob.
    pub fn commit_layer_dir(
        &self,
        upper: &Path,
        parent_chain: Option<&Digest>,
    ) -> Result<NewLayer, ImageError> {
        let layer = self.pack_layer_dir(upper, &|| false)?;
        self.adopt_layer_dir(upper, layer, parent_chain)
    }

    /// The first half of [`Self::commit_layer_dir`], which takes the time:
    /// writes the blob. Ends with an error soon after `stop` says so, and then
    /// has made nothing.
    pub fn pack_layer_dir(&self, upper: &Path, stop: Stop<'_>) -> Result<Layer, ImageError> {
        // What the folder itself looks like is no part of a layer; all
        // unpacked layers have the same.
        let public = fs::Permissions::from_mode(0o755);
        fs::set_permissions(upper, public).map_err(ImageError::io("set the mode of", upper))?;
        self.pack_blob(upper, stop)
    }

    /// The second half: the folder that was packed becomes the unpacked layer.
    pub fn adopt_layer_dir(
        &self,
        upper: &Path,
        layer: Layer,
        parent_chain: Option<&Digest>,
    ) -> Result<NewLayer, ImageError> {
        let chain_id = chain_id(parent_chain, &layer.diff_id);
        let _lock = self.lock_layer(&chain_id)?;
        let dir = self.layer_dir(&chain_id);
        if dir.is_dir() {
            fs::remove_dir_all(upper).map_err(ImageError::io("remove", upper))?;
        } else {
            self.adopt(upper, &layer, &chain_id)?;
        }
        Ok(NewLayer { digest: layer.digest, diff_id: layer.diff_id, size: layer.size, chain_id })
    }

    fn pack_blob(&self, upper: &Path, stop: Stop<'_>) -> Result<Layer, ImageError> {
        let failed = |error: LayerError| ImageError::layer(upper.display())(error);
        let write = |error| failed(LayerError::io("write", b"the archive")(error));
        let gzip = Gzip::new(self.blob_writer()?).map_err(write)?;
        let mut tar = BufWriter::with_capacity(128 << 10, HashWrite::new(gzip));
        pack(upper, Stoppable::new(&mut tar, stop)).map_err(failed)?;
        tar.flush().map_err(write)?;
        let hashed = tar.into_inner().map_err(|e| write(e.into_error()))?;
        let (gzip, diff_id) = hashed.finish();
        go_on(stop).map_err(write)?;
        let (digest, size) = gzip.finish().map_err(write)?.finish(None)?;
        Ok(Layer { digest, diff_id, size, media_type: MediaType::ImageLayerGzip })
    }

    /// Packs an unpacked layer once more; only the blob that it was is taken.
    pub(super) fn pack_again(&self, dir: &Path, layer: &Layer) -> Result<(), ImageError> {
        let failed = |error: LayerError| ImageError::layer(dir.display())(error);
        let write = |error| failed(LayerError::io("write", b"the archive")(error));
        let mut out = self.blob_writer()?;
        if layer.digest == layer.diff_id {
            pack(dir, &mut out).map_err(failed)?;
        } else {
            let gzip = Gzip::new(out).map_err(write)?;
            let mut tar = BufWriter::with_capacity(128 << 10, gzip);
            pack(dir, &mut tar).map_err(failed)?;
            let gzip = tar.into_inner().map_err(|e| write(e.into_error()))?;
            out = gzip.finish().map_err(write)?;
        }
        out.finish(Some(&layer.digest)).map(drop)
    }

    /// Moves the folder to its place, or unpacks the blob there when it lies
    /// on another file system.
    fn adopt(&self, upper: &Path, layer: &Layer, chain_id: &Digest) -> Result<(), ImageError> {
        let scratch = self.home.scratch("layer")?;
        let fresh = scratch.path().join("layer");
        match fs::rename(upper, &fresh) {
            Ok(()) => self.install(&fresh, chain_id, scratch),
            Err(error) if error.kind() == std::io::ErrorKind::CrossesDevices => {
                self.unpack_into(layer, &[], chain_id)?;
                fs::remove_dir_all(upper).map_err(ImageError::io("remove", upper))
            }
            Err(error) => Err(ImageError::io("move", upper)(error)),
        }
    }
}
