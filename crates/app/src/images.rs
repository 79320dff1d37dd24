use serde::Serialize;
use tandem_image::{HistoryEntry, Image, ImageError, Removed, TreeLayer};
use tandem_model::{Digest, ErrorCode, Failure, ImageRef, closest};

use crate::{App, AppError, PruneFilter, work::blocking};

/// An image as `tandem images` lists it.
#[derive(Debug, Clone, PartialEq, Serialize, ts_rs::TS)]
pub struct ImageRow {
    /// Name without the tag; `<none>` for an image that lost it.
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

/// What a removal took away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ts_rs::TS)]
pub struct RemovedImage {
    /// The names that are gone.
    pub names: Vec<String>,
    /// Its manifest, unless the image stays under another name or for an
    /// instance.
    pub digest: Option<Digest>,
    /// Bytes given back.
    #[ts(type = "number")]
    pub freed_bytes: u64,
}

/// An image with what each of its layers does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImageTree {
    /// Its name.
    pub image: String,
    /// The manifest's digest.
    pub digest: Digest,
    /// Bytes of the unpacked layers.
    pub size_bytes: u64,
    /// Those of them that no other image shares.
    pub unique_bytes: u64,
    /// Those that others have too.
    pub shared_bytes: u64,
    /// The layers, bottom first.
    pub layers: Vec<TreeLayer>,
}

impl App {
    /// The local images; with `all`, those too that lost their name and stay
    /// for an instance.
    pub fn images(&self, all: bool) -> Result<Vec<ImageRow>, AppError> {
        let rows = self.images.list(all)?.into_iter().map(|summary| ImageRow {
            name: summary
                .reference
                .as_ref()
                .map_or_else(|| "<none>".to_owned(), ImageRef::familiar_name),
            tag: summary.reference.as_ref().and_then(ImageRef::tag).map(ToOwned::to_owned),
            digest: summary.digest,
            size_bytes: summary.unpacked_bytes,
            unique_bytes: summary.unique.unpacked,
            created_at: summary.created_at,
            layers: summary.layers,
        });
        Ok(rows.collect())
    }

    /// The OCI configuration of a local image.
    pub fn image_configuration(&self, name: &str) -> Result<serde_json::Value, AppError> {
        Ok(self.images.config_document(&self.image(name)?)?)
    }

    /// The digest of an image's manifest.
    pub fn image_digest(&self, name: &str) -> Result<Digest, AppError> {
        Ok(self.image(name)?.digest)
    }

    /// Gives an image a further name.
    pub fn tag_image(&self, from: &str, to: &str) -> Result<(), AppError> {
        let reference = self.image(from)?.reference;
        self.images.tag(&reference, &to.parse()?)?;
        Ok(())
    }

    /// Takes a name away, or by digest all names of an image, and what nobody
    /// else uses with the last one. An image that an instance was made from
    /// loses its last name only with `force`, and then stays without one for
    /// as long as the instance does.
    pub fn remove_image(&self, name: &str, force: bool) -> Result<RemovedImage, AppError> {
        let image = self.image(name)?;
        let by_name = name.parse::<ImageRef>().is_ok_and(|it| it == image.reference);
        let mut names = self.images.names_of(&image.digest)?;
        if !by_name && names.len() > 1 && !force {
            let list: Vec<_> = names.iter().map(ToString::to_string).collect();
            let text = format!(
                "the image {name} has several names ({}): remove one by its name, or all with -f",
                list.join(", ")
            );
            return Err(Failure::new(ErrorCode::Conflict, text).into());
        }
        if by_name {
            names.retain(|it| *it == image.reference);
        }
        let mut freed = 0;
        for name in &names {
            freed += self.images.remove(name, force)?.freed_bytes;
        }
        let gone =
            matches!(self.images.find(image.digest.as_str()), Err(ImageError::NotFound { .. }));
        Ok(RemovedImage {
            names: names.iter().map(ToString::to_string).collect(),
            digest: gone.then_some(image.digest),
            freed_bytes: freed,
        })
    }

    /// Removes what no image names any more; with `all`, the images that no
    /// instance was made from as well. With filters only of the latter, those
    /// for which they hold: without a name an image stays for an instance only.
    /// Returns their names.
    pub fn prune_images(
        &self,
        all: bool,
        filters: &[PruneFilter],
    ) -> Result<RemovedImage, AppError> {
        if !filters.is_empty() {
            let (names, freed_bytes) =
                if all { self.prune_named(filters)? } else { (Vec::new(), 0) };
            return Ok(RemovedImage { names, digest: None, freed_bytes });
        }
        let (names, Removed { freed_bytes, .. }) =
            if all { self.images.remove_unused()? } else { (Vec::new(), self.images.collect()?) };
        let names = names.iter().map(ToString::to_string).collect();
        Ok(RemovedImage { names, digest: None, freed_bytes })
    }

    /// Removes the named images that no instance was made from and for which
    /// the filters hold. Returns their names, and bytes.
    fn prune_named(&self, filters: &[PruneFilter]) -> Result<(Vec<String>, u64), AppError> {
        let records = self.instances.list()?;
        let (mut names, mut freed) = (Vec::new(), 0);
        for row in self.images(false)? {
            let used = records.iter().any(|record| record.spec.digest == row.digest);
            let Some(tag) = row.tag.filter(|_| !used) else { continue };
            let name = format!("{}:{tag}", row.name);
            let image = self.image(&name)?;
            let labels = image.config.config().as_ref().and_then(|config| config.labels().clone());
            let labels = labels.unwrap_or_default().into_iter().collect();
            if PruneFilter::all_hold(filters, row.created_at, &labels) {
                let removed = self.remove_image(&name, false)?;
                names.extend(removed.names);
                freed += removed.freed_bytes;
            }
        }
        Ok((names, freed))
    }

    /// What made an image, the first step first.
    pub fn image_history(&self, name: &str) -> Result<Vec<HistoryEntry>, AppError> {
        Ok(self.images.history(&self.image(name)?))
    }

    /// What each layer of an image adds and hides.
    pub async fn image_tree(&self, name: &str) -> Result<ImageTree, AppError> {
        let store = self.images.clone();
        let image = store.find(name)?;
        blocking("reading the layers", move |_| {
            let layers = store.tree(&image, &|_| ())?;
            let own = layers.iter().filter(|layer| layer.shared_with.is_empty());
            let unique_bytes = own.map(|layer| layer.unpacked_bytes).sum();
            let size_bytes = layers.iter().map(|layer| layer.unpacked_bytes).sum();
            Ok(ImageTree {
                image: image.reference.to_string(),
                digest: image.digest,
                size_bytes,
                unique_bytes,
                shared_bytes: size_bytes - unique_bytes,
                layers,
            })
        })
        .await
    }

    /// The local image of this name; the nearest name is suggested when there
    /// is none.
    pub(crate) fn image(&self, name: &str) -> Result<Image, AppError> {
        self.images.find(name).map_err(|error| match (error, name.parse()) {
            (error @ ImageError::NotFound { .. }, Ok(wanted)) => {
                match self.nearest_image(&wanted) {
                    Some(near) => AppError::MistypedImage { name: name.to_owned(), near },
                    None => error.into(),
                }
            }
            (error, _) => error.into(),
        })
    }

    /// The local name that a slip could have made this one of: another tag of
    /// the same image, or nearly the same letters.
    pub(crate) fn nearest_image(&self, wanted: &ImageRef) -> Option<String> {
        let images = self.images.list(false).ok()?;
        let names: Vec<_> = images.into_iter().filter_map(|image| image.reference).collect();
        let whole: Vec<_> = names.iter().map(ToString::to_string).collect();
        let whole: Vec<_> = whole.iter().map(String::as_str).collect();
        let near = closest(&wanted.to_string(), &whole).map(ToOwned::to_owned);
        near.or_else(|| {
            let familiar: Vec<_> = names.iter().map(ImageRef::familiar_name).collect();
            let familiar: Vec<_> = familiar.iter().map(String::as_str).collect();
            let near = closest(&wanted.familiar_name(), &familiar)?;
            let at = familiar.iter().position(|it| *it == near)?;
            Some(names[at].to_string())
        })
    }
}
