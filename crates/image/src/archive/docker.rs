//! `manifest.json`: what `docker save` writes, in all its ages.

use std::io::Read as _;

use oci_spec::image::{ImageConfiguration, MediaType};
use serde::Deserialize;
use tandem_model::{Digest, ImageRef};

use super::{
    ArchiveError,
    input::Input,
    members::{Members, Place},
    wanted::{Wanted, WantedLayer},
};
use crate::{ImageError, image::sha256};

pub(super) const MANIFEST: &str = "manifest.json";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Item {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
}

/// The images that `manifest.json` names.
pub(super) fn images(
    input: &Input<'_>,
    members: &Members,
    manifest: &[u8],
) -> Result<Vec<Wanted>, ImageError> {
    let items: Vec<Item> = serde_json::from_slice(manifest)
        .map_err(|e| input.broken(format!("its {MANIFEST} cannot be read: {e}")))?;
    items.into_iter().map(|item| image(input, members, item)).collect()
}

fn image(input: &Input<'_>, members: &Members, item: Item) -> Result<Wanted, ImageError> {
    let missing = |name: &str| input.broken(format!("it has no `{name}`, which {MANIFEST} names"));
    let config = members.document(input, &item.config)?.ok_or_else(|| missing(&item.config))?;
    let config_digest = sha256(&config);
    check_name(input, &item.config, &config_digest)?;
    let document: ImageConfiguration = serde_json::from_slice(&config)
        .map_err(|e| input.broken(format!("`{}` is no configuration: {e}", item.config)))?;
    let paths = item.layers.unwrap_or_default();
    let diff_ids = document.rootfs().diff_ids();
    if paths.len() != diff_ids.len() {
        let counts = (paths.len(), diff_ids.len());
        let reason =
            format!("{MANIFEST} names {} layers, the configuration {}", counts.0, counts.1);
        return Err(input.broken(reason));
    }
    let layers = paths.iter().zip(diff_ids).map(|(path, diff_id)| {
        let diff_id: Digest = diff_id.parse().map_err(|e| input.broken(format!("{e}")))?;
        let place = members.place(path).ok_or_else(|| missing(path))?;
        let media_type = media_type(input, members, place)?;
        let digest = (media_type == MediaType::ImageLayer).then(|| diff_id.clone());
        Ok(WantedLayer { digest, diff_id, media_type, place })
    });
    let tags = item.repo_tags.unwrap_or_default();
    let names = tags.iter().filter(|tag| !tag.starts_with("<none>")).map(|tag| {
        tag.parse::<ImageRef>().map_err(|e| input.broken(format!("it names an image wrongly: {e}")))
    });
    Ok(Wanted {
        names: names.collect::<Result<_, _>>()?,
        manifest: None,
        config,
        config_digest,
        layers: layers.collect::<Result<_, ImageError>>()?,
    })
}

/// A configuration whose name is a digest must have it.
fn check_name(input: &Input<'_>, path: &str, actual: &Digest) -> Result<(), ImageError> {
    let file = path.rsplit('/').next().unwrap_or(path);
    let expected = format!("sha256:{}", file.strip_suffix(".json").unwrap_or(file));
    match expected.parse::<Digest>() {
        Ok(expected) if expected != *actual => Err(ArchiveError::Mismatch {
            archive: input.name.clone(),
            what: "a configuration".to_owned(),
            expected,
            actual: actual.clone(),
        }
        .into()),
        _ => Ok(()),
    }
}

/// What a layer is, from its first bytes: the archive does not say.
fn media_type(input: &Input<'_>, members: &Members, place: Place) -> Result<MediaType, ImageError> {
    let mut head = Vec::new();
    let read = members.part(input, place).take(4).read_to_end(&mut head);
    read.map_err(ImageError::io("read", &input.name))?;
    Ok(match head[..] {
        [0x1f, 0x8b, ..] => MediaType::ImageLayerGzip,
        [0x28, 0xb5, 0x2f, 0xfd] => MediaType::ImageLayerZstd,
        _ => MediaType::ImageLayer,
    })
}
