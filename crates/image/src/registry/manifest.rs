//! Fetching manifests.

use oci_spec::image::MediaType;
use reqwest::{
    Method,
    header::{ACCEPT, CONTENT_TYPE},
};
use tandem_model::{Digest, ImageRef};

use super::{
    RegistryError, answer,
    endpoint::{Ask, Endpoint},
    retry::Patience,
};
use crate::{
    ImageError, Platform,
    image::sha256,
    store::{choose_platform, contradict, is_list, media_type_of},
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
    let name = chosen.digest.to_string();
    let (bytes, media_type) = document(endpoint, reference, &name, Some(&chosen.digest)).await?;
    chosen.check(&bytes).map_err(|reason| endpoint.bad(&format!("{name}: {reason}")))?;
    Ok((bytes, media_type))
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
    let served = response.headers().get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
    let served = served.map(|it| MediaType::from(it.split(';').next().unwrap_or(it).trim()));
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
    if let Some(served) = served.filter(|served| contradict(served, &media_type)) {
        let reason = format!("it serves a {media_type} as a {served}");
        return Err(endpoint.bad(&reason));
    }
    Ok((bytes, media_type))
}
