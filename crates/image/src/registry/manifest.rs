//! Fetching manifests.

use oci_spec::image::MediaType;
use reqwest::{Method, header::ACCEPT};
use tandem_model::{Digest, ImageRef};

use super::{
    RegistryError, answer,
    endpoint::{Ask, Endpoint},
    retry::Patience,
};
use crate::{
    ImageError, Platform,
    image::sha256,
    store::{choose_platform, is_list},
};

const ACCEPTED: &str = "application/vnd.oci.image.manifest.v1+json, \
     application/vnd.oci.image.index.v1+json, \
     application/vnd.docker.distribution.manifest.v2+json, \
     application/vnd.docker.distribution.manifest.list.v2+json";

/// Manifests larger than this are not read.
const BYTES: usize = 8 << 20;

/// What a token must allow for a pull.
pub(crate) fn pull_scope(endpoint: &Endpoint, reference: &ImageRef) -> Vec<String> {
    vec![format!("repository:{}:pull", endpoint.repository(reference.repository()))]
}

/// The manifest of a platform, as bytes, checked. One that is not in a list
/// is for whatever platform its configuration says.
pub(crate) async fn fetch(
    endpoint: &Endpoint,
    reference: &ImageRef,
    platform: &Platform,
) -> Result<(Vec<u8>, MediaType), ImageError> {
    let expected = reference.digest();
    let name = expected
        .map_or_else(|| reference.tag().unwrap_or("latest").to_owned(), ToString::to_string);
    let (bytes, media_type) = document(endpoint, reference, &name, expected).await?;
    if !is_list(&media_type) {
        return Ok((bytes, media_type));
    }
    let chosen = choose_platform(reference, &bytes, platform)?;
    Ok(document(endpoint, reference, &chosen.to_string(), Some(&chosen)).await?)
}

async fn document(
    endpoint: &Endpoint,
    reference: &ImageRef,
    name: &str,
    expected: Option<&Digest>,
) -> Result<(Vec<u8>, MediaType), RegistryError> {
    let scopes = pull_scope(endpoint, reference);
    let ask = Ask {
        method: Method::GET,
        url: endpoint.url(reference.repository(), &format!("manifests/{name}")),
        headers: vec![(ACCEPT, ACCEPTED.to_owned())],
        scopes: &scopes,
        body: None,
    };
    let mut patience = Patience::default();
    loop {
        match document_once(endpoint, reference, &ask, expected).await {
            Err(error) => patience.after(error, endpoint.notice()).await?,
            found => return found,
        }
    }
}

async fn document_once(
    endpoint: &Endpoint,
    reference: &ImageRef,
    ask: &Ask<'_>,
    expected: Option<&Digest>,
) -> Result<(Vec<u8>, MediaType), RegistryError> {
    let response = endpoint.send_once(ask).await?;
    if response.status() != 200 {
        return Err(endpoint.refused("pull", reference, response).await);
    }
    let said = response.headers().get("docker-content-digest");
    let said = said.and_then(|it| it.to_str().ok()).and_then(|it| it.parse::<Digest>().ok());
    let bytes = answer::limited(response, BYTES).await.map_err(|error| match error {
        Some(error) => endpoint.transport(&error),
        None => endpoint.bad("the manifest does not come, or it is larger than one may be"),
    })?;
    let actual = sha256(&bytes);
    if let Some(expected) = expected.or(said.as_ref())
        && *expected != actual
    {
        return Err(RegistryError::Mismatch {
            registry: endpoint.name().to_owned(),
            what: format!("the manifest of {reference}"),
            expected: expected.clone(),
            actual,
        });
    }
    let media_type = media_type_of(&bytes).map_err(|reason| endpoint.bad(&reason))?;
    Ok((bytes, media_type))
}

/// What a manifest says it is. Registries are known to serve them without a
/// `mediaType`, which a list shows by its `manifests`.
pub(super) fn media_type_of(bytes: &[u8]) -> Result<MediaType, String> {
    let document: serde_json::Value =
        serde_json::from_slice(bytes).map_err(|e| format!("the manifest is not readable: {e}"))?;
    Ok(match document.get("mediaType").and_then(|value| value.as_str()) {
        Some(media_type) => MediaType::from(media_type),
        None if document.get("manifests").is_some() => MediaType::ImageIndex,
        None => MediaType::ImageManifest,
    })
}
