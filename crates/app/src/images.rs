use oci_spec::image::ImageConfiguration;
use serde::Serialize;
use tandem_image::{Image, ImageError};
use tandem_model::Digest;

use crate::{App, AppError};

/// An image as `tandem images` lists it.
#[derive(Debug, Clone, PartialEq, Serialize, ts_rs::TS)]
pub struct ImageRow {
    /// Name without the tag.
    pub name: String,
    /// The tag.
    pub tag: Option<String>,
    /// The manifest's digest.
    pub digest: Digest,
    /// Bytes of the unpacked layers.
    #[ts(type = "number")]
    pub size_bytes: u64,
    /// Those of them that no other image shares.
    #[ts(type = "number")]
    pub unique_bytes: u64,
    /// RFC 3339.
    #[ts(type = "string | null")]
    pub created_at: Option<jiff::Timestamp>,
    /// Number of layers.
    pub layers: usize,
}

impl App {
    /// The local images.
    pub fn images(&self) -> Result<Vec<ImageRow>, AppError> {
        let rows = self.images.list()?.into_iter().map(|summary| ImageRow {
            name: summary.reference.familiar_name(),
            tag: summary.reference.tag().map(ToOwned::to_owned),
            digest: summary.digest,
            size_bytes: summary.unpacked_bytes,
            unique_bytes: summary.unique_bytes,
            created_at: summary.created_at,
            layers: summary.layers,
        });
        Ok(rows.collect())
    }

    /// The OCI configuration of a local image.
    pub fn image_configuration(&self, name: &str) -> Result<ImageConfiguration, AppError> {
        Ok(self.images.find(name)?.config)
    }

    /// Gives an image a further name.
    pub fn tag_image(&self, from: &str, to: &str) -> Result<(), AppError> {
        let reference = self.images.find(from)?.reference;
        self.images.tag(&reference, &to.parse()?)?;
        Ok(())
    }

    /// Removes an image's name, and what nobody else uses with it. An image
    /// that an instance was made from stays.
    pub fn remove_image(&self, name: &str) -> Result<Image, AppError> {
        let image = self.images.find(name)?;
        let user = self.instances.list()?.into_iter().find(|it| it.spec.digest == image.digest);
        if let Some(user) = user {
            let reference = image.reference.to_string();
            return Err(ImageError::InUse { reference, instance: user.spec.name }.into());
        }
        self.images.remove(&image.reference)?;
        Ok(image)
    }

    /// The local image of this name, or the registry's.
    pub(crate) async fn image_or_pull(
        &self,
        name: &str,
        progress: &mut (dyn FnMut(&str) + Send),
    ) -> Result<Image, AppError> {
        match self.images.find(name) {
            Err(ImageError::NotFound { .. }) => self.pull_told(&name.parse()?, progress).await,
            other => Ok(other?),
        }
    }
}
