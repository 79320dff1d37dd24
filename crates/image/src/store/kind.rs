//! What a document is that a registry, an archive or another tool gave: one
//! image, or a list of images. Whatever could be read as both is neither
//! (CVE-2021-41190), since the digest would then stand for two contents.

use oci_spec::image::{Descriptor, MediaType};
use serde_json::Value;

use super::{is_list, is_manifest};

/// The media type of a document, from what it says and what it has. Registries
/// are known to serve both without a `mediaType`; a list shows by its
/// `manifests`. The error is a phrase.
pub(crate) fn media_type_of(bytes: &[u8]) -> Result<MediaType, String> {
    let document: Value =
        serde_json::from_slice(bytes).map_err(|e| format!("the manifest is not readable: {e}"))?;
    let has = |field: &str| document.get(field).is_some();
    let (list, image) = (has("manifests"), has("layers") || has("config") || has("fsLayers"));
    if list && image {
        return Err("it has both `manifests` and `layers`, and so could be two things".to_owned());
    }
    let said = match document.get("mediaType") {
        Some(Value::String(said)) => MediaType::from(said.as_str()),
        Some(_) => return Err("its media type is no text".to_owned()),
        None if list => MediaType::ImageIndex,
        None => MediaType::ImageManifest,
    };
    if is_list(&said) && image {
        return Err("it calls itself a list of images and has layers".to_owned());
    }
    if is_manifest(&said) && list {
        return Err("it calls itself an image and lists several".to_owned());
    }
    Ok(said)
}

/// Whether one of both is a list and the other an image. What is neither says
/// nothing: archives and old registries give descriptors without a type.
pub(crate) fn contradict(promised: &MediaType, found: &MediaType) -> bool {
    is_list(promised) && is_manifest(found) || is_manifest(promised) && is_list(found)
}

/// Checks that a layer is one, and the configuration none. The error is a
/// phrase.
pub(super) fn check_parts(config: &Descriptor, layers: &[Descriptor]) -> Result<(), String> {
    let layer = |it: &Descriptor| {
        let kind = it.media_type().as_ref();
        kind.starts_with("application/vnd.oci.image.layer.")
            || kind.starts_with("application/vnd.docker.image.rootfs.")
    };
    let kind = |it: &Descriptor| {
        let kind = it.media_type().as_ref().chars().filter(|c| !c.is_control());
        kind.take(100).collect::<String>()
    };
    if layer(config) || is_list(config.media_type()) || is_manifest(config.media_type()) {
        return Err(format!("its configuration is of the type `{}`", kind(config)));
    }
    match layers.iter().find(|it| !layer(it)) {
        Some(odd) => Err(format!("it has a layer of the type `{}`, which is none", kind(odd))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str) -> Result<String, String> {
        media_type_of(text.as_bytes()).map(|it| it.to_string())
    }

    #[test]
    fn a_document_is_one_thing() {
        let (list, image) =
            (MediaType::ImageIndex.to_string(), MediaType::ImageManifest.to_string());
        assert_eq!(kind(r#"{"manifests":[]}"#), Ok(list.clone()));
        assert_eq!(kind(r#"{"layers":[],"config":{}}"#), Ok(image.clone()));
        assert_eq!(kind(r#"{"mediaType":"text/x","layers":[]}"#), Ok("text/x".to_owned()));
        for both in [
            r#"{"manifests":[],"layers":[]}"#.to_owned(),
            r#"{"manifests":[],"config":{}}"#.to_owned(),
            format!(r#"{{"mediaType":"{list}","manifests":[],"layers":[]}}"#),
            format!(r#"{{"mediaType":"{image}","manifests":[],"layers":[]}}"#),
        ] {
            assert!(kind(&both).unwrap_err().contains("both"), "{both}");
        }
        for wrong in [
            format!(r#"{{"mediaType":"{list}","layers":[]}}"#),
            format!(r#"{{"mediaType":"{image}","manifests":[]}}"#),
            r#"{"mediaType":7,"layers":[]}"#.to_owned(),
            "[".to_owned(),
        ] {
            assert!(kind(&wrong).is_err(), "{wrong}");
        }
        assert!(contradict(&MediaType::ImageIndex, &MediaType::ImageManifest));
        assert!(!contradict(&MediaType::ImageManifest, &MediaType::ImageManifest));
        assert!(!contradict(&MediaType::Other("x".into()), &MediaType::ImageIndex));
    }
}
