//! Pushing: blobs first, the manifest last.

use std::{collections::BTreeMap, sync::Arc};

use reqwest::{
    Body, Method,
    header::{CONTENT_LENGTH, CONTENT_TYPE},
};
use tandem_model::{Digest, ImageRef};
use tokio::{sync::Semaphore, task::JoinSet};

use super::{
    Access, Notice, RegistryError, Transfer,
    endpoint::{Ask, Endpoint},
    source::Source,
    upload::Upload,
};
use crate::{Image, ImageError, Store, image::sha256};

/// Blobs at once.
const AT_ONCE: usize = 4;

/// Pushes an image to the registry that `target` names, byte for byte, so
/// that it keeps its digest. Blobs that the registry has already do not
/// travel; those of its other repositories are mounted. Nothing is named
/// there before all of it is there.
///
/// # Errors
/// [`RegistryError`]; [`ImageError::Damaged`] when the store's own bytes have
/// changed.
pub async fn push(
    store: &Store,
    image: &Image,
    target: &ImageRef,
    access: Access,
    on_progress: impl Fn(Transfer) + Send + Sync + 'static,
) -> Result<Digest, ImageError> {
    if target.registry() == "localhost" {
        return Err(RegistryError::OnlyHere { reference: target.to_string() }.into());
    }
    if target.digest().is_some_and(|digest| *digest != image.digest) {
        return Err(RegistryError::OtherDigest { reference: target.to_string() }.into());
    }
    let _lease = store.lease()?;
    let notice: Notice = Arc::new(on_progress);
    let source = Source::new(store.home(), target, access, false, Arc::clone(&notice))?;
    let source = Arc::new(source);
    let manifest = store.read_blob(&image.digest)?;
    let mut blobs =
        BTreeMap::from([(image.config_digest.clone(), store.blob_size(&image.config_digest)?)]);
    for layer in &image.layers {
        if store.blob_size(&layer.digest)? != layer.size {
            return Err(ImageError::damaged(&layer.digest, "its size is another"));
        }
        blobs.insert(layer.digest.clone(), layer.size);
    }
    notice(Transfer::Planned {
        layers: image.layers.iter().map(|layer| layer.digest.clone()).collect(),
        bytes: blobs.values().sum(),
    });
    let others = store.repositories_of_blobs(target)?;
    // One knock first: who may not push should not begin with four blobs.
    source.registry().await?;
    send_all(store, &source, target, &blobs, &others).await?;
    put_manifest(source.registry().await?, target, image, manifest).await?;
    Ok(image.digest.clone())
}

fn push_scope(target: &ImageRef) -> Vec<String> {
    vec![format!("repository:{}:pull,push", target.repository())]
}

async fn send_all(
    store: &Store,
    source: &Arc<Source>,
    target: &ImageRef,
    blobs: &BTreeMap<Digest, u64>,
    others: &BTreeMap<Digest, Vec<String>>,
) -> Result<(), ImageError> {
    let free = Arc::new(Semaphore::new(AT_ONCE));
    let mut running = JoinSet::new();
    for (digest, size) in blobs {
        let (store, source, free) = (store.clone(), Arc::clone(source), Arc::clone(&free));
        let (target, digest, size) = (target.clone(), digest.clone(), *size);
        let elsewhere = others.get(&digest).cloned().unwrap_or_default();
        running.spawn(async move {
            let _turn = free.acquire_owned().await;
            let endpoint = source.registry().await?;
            let scopes = push_scope(&target);
            let upload = Upload {
                store: &store,
                endpoint,
                target: &target,
                digest: &digest,
                size,
                scopes: &scopes,
            };
            upload.run(&elsewhere).await
        });
    }
    while let Some(ended) = running.join_next().await {
        ended.unwrap_or_else(|e| Err(ImageError::damaged("the upload", e)))?;
    }
    Ok(())
}

async fn put_manifest(
    endpoint: &Endpoint,
    target: &ImageRef,
    image: &Image,
    manifest: Vec<u8>,
) -> Result<(), ImageError> {
    let document: serde_json::Value =
        serde_json::from_slice(&manifest).map_err(|e| ImageError::damaged(&image.digest, e))?;
    let media_type = document["mediaType"]
        .as_str()
        .unwrap_or("application/vnd.oci.image.manifest.v1+json")
        .to_owned();
    let name = target.tag().map_or_else(|| image.digest.to_string(), ToOwned::to_owned);
    let scopes = push_scope(target);
    let length = manifest.len().to_string();
    let actual = sha256(&manifest);
    let body = move || Body::from(manifest.clone());
    let ask = Ask {
        method: Method::PUT,
        url: endpoint.url(target.repository(), &format!("manifests/{name}")),
        headers: vec![(CONTENT_TYPE, media_type), (CONTENT_LENGTH, length)],
        scopes: &scopes,
        body: Some(&body),
    };
    let response = endpoint.send(&ask).await?;
    if !matches!(response.status().as_u16(), 201 | 202) {
        return Err(endpoint.refused("push", target, response).await.into());
    }
    let said = response.headers().get("docker-content-digest").and_then(|it| it.to_str().ok());
    match said.and_then(|it| it.parse::<Digest>().ok()) {
        Some(said) if said != actual => Err(RegistryError::Mismatch {
            registry: endpoint.name().to_owned(),
            what: format!("the name of {target}"),
            expected: actual,
            actual: said,
        }
        .into()),
        _ => Ok(()),
    }
}
