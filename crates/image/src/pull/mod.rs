//! Pulling from a registry (OCI distribution specification). Every byte is
//! checked against a digest before it becomes visible.

mod credentials;
mod error;
mod sink;

use std::{
    sync::{Arc, Once},
    time::Duration,
};

pub use credentials::Credentials;
use oci_client::{
    Client, Reference, client::ClientConfig, client::ClientProtocol, manifest::OciDescriptor,
    secrets::RegistryAuth,
};
use oci_spec::image::{Descriptor, MediaType};
use tandem_model::{Digest, ImageRef};
use tokio::{sync::Semaphore, task::JoinSet};

use crate::{
    Image, ImageError, Store,
    image::sha256,
    store::{choose_platform, parse_manifest},
};
use sink::Sink;

/// How a pull comes along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PullProgress {
    /// The manifest is here.
    Resolved {
        /// Its digest.
        digest: Digest,
        /// Number of layers.
        layers: usize,
        /// Bytes to fetch; layers already here are not counted.
        bytes: u64,
    },
    /// Bytes of a blob arrived.
    Received {
        /// The blob.
        digest: Digest,
        /// Bytes so far.
        received: u64,
        /// Bytes in all.
        total: u64,
    },
    /// A blob is complete, checked and stored.
    Stored {
        /// The blob.
        digest: Digest,
    },
}

type OnProgress = Arc<dyn Fn(PullProgress) + Send + Sync>;

const CONNECT_LIMIT: Duration = Duration::from_secs(5);
const SILENCE_LIMIT: Duration = Duration::from_secs(30);
const ATTEMPTS: u32 = 3;
/// Blobs at once, as Docker does.
const AT_ONCE: usize = 3;

/// Pulls an image for this machine's platform into the store.
///
/// Plain HTTP is used for registries on this machine only. The host's
/// certificates (`SSL_CERT_FILE`, `SSL_CERT_DIR`, else the system's bundle) and
/// proxy settings (`HTTPS_PROXY`, `NO_PROXY`) apply, and the credentials of
/// `~/.docker/config.json`. Credentials are not sent on to another host when
/// the registry redirects.
///
/// Dropping the future stops the pull; nothing half-written stays visible.
///
/// # Errors
/// [`ImageError::RegistryUnreachable`] within seconds when there is no way to
/// the registry. A name under plain `localhost/` is never looked for on the
/// network: [`ImageError::NotFound`].
pub async fn pull(
    store: &Store,
    reference: &ImageRef,
    on_progress: impl Fn(PullProgress) + Send + Sync + 'static,
) -> Result<Image, ImageError> {
    pull_as(store, reference, Credentials::of_user(reference.registry()), on_progress).await
}

/// [`pull`] with given credentials, or anonymously.
pub async fn pull_as(
    store: &Store,
    reference: &ImageRef,
    credentials: Option<Credentials>,
    on_progress: impl Fn(PullProgress) + Send + Sync + 'static,
) -> Result<Image, ImageError> {
    if reference.registry() == "localhost" {
        return Err(ImageError::NotFound { name: reference.to_string() });
    }
    let _lease = store.lease()?;
    let source = Source::new(store.clone(), reference, credentials, Arc::new(on_progress))?;
    let source = Arc::new(source);
    let (bytes, media_type) = source.manifest().await?;
    let manifest = parse_manifest(&bytes).map_err(|reason| source.bad(&reason))?;
    let config = manifest.config().clone();
    let mut wanted = vec![config];
    for layer in manifest.layers() {
        let known = wanted.iter().any(|other| other.digest() == layer.digest());
        if !known {
            wanted.push(layer.clone());
        }
    }
    wanted.retain(|blob| blob_digest(blob).is_none_or(|digest| !store.has_blob(&digest)));
    (source.on_progress)(PullProgress::Resolved {
        digest: sha256(&bytes),
        layers: manifest.layers().len(),
        bytes: wanted.iter().map(Descriptor::size).sum(),
    });
    fetch_all(&source, wanted).await?;
    store.put_manifest(reference, &bytes, media_type)
}

/// Fetches blobs, some at once; the first failure stops the others.
async fn fetch_all(source: &Arc<Source>, blobs: Vec<Descriptor>) -> Result<(), ImageError> {
    let free = Arc::new(Semaphore::new(AT_ONCE));
    let mut running = JoinSet::new();
    for blob in blobs {
        let (source, free) = (Arc::clone(source), Arc::clone(&free));
        running.spawn(async move {
            let _turn = free.acquire_owned().await;
            source.blob(&blob).await
        });
    }
    while let Some(ended) = running.join_next().await {
        ended.map_err(|e| source.bad(&e.to_string()))??;
    }
    Ok(())
}

/// One image in its registry.
struct Source {
    store: Store,
    reference: ImageRef,
    remote: Reference,
    client: Client,
    auth: RegistryAuth,
    on_progress: OnProgress,
}

impl Source {
    fn new(
        store: Store,
        reference: &ImageRef,
        credentials: Option<Credentials>,
        on_progress: OnProgress,
    ) -> Result<Self, ImageError> {
        install_crypto();
        let registry = reference.registry();
        let protocol = if is_loopback(registry) {
            ClientProtocol::HttpsExcept(vec![registry.to_owned()])
        } else {
            ClientProtocol::Https
        };
        let config = ClientConfig {
            protocol,
            connect_timeout: Some(CONNECT_LIMIT),
            read_timeout: Some(SILENCE_LIMIT),
            user_agent: concat!("tandem/", env!("CARGO_PKG_VERSION")),
            ..ClientConfig::default()
        };
        let client = Client::try_from(config).map_err(|e| error::of(reference, e))?;
        let auth = match credentials {
            Some(Credentials { name, secret }) => RegistryAuth::Basic(name, secret),
            None => RegistryAuth::Anonymous,
        };
        let remote = match reference.digest() {
            Some(digest) => Reference::with_digest(
                registry.to_owned(),
                reference.repository().to_owned(),
                digest.to_string(),
            ),
            None => Reference::with_tag(
                registry.to_owned(),
                reference.repository().to_owned(),
                reference.tag().unwrap_or("latest").to_owned(),
            ),
        };
        Ok(Self { store, reference: reference.clone(), remote, client, auth, on_progress })
    }

    /// The manifest of this machine's platform, as bytes, checked.
    async fn manifest(&self) -> Result<(Vec<u8>, MediaType), ImageError> {
        let (bytes, media_type) = self.document(&self.remote, self.reference.digest()).await?;
        if !crate::store::is_list(&media_type) {
            return Ok((bytes, media_type));
        }
        let chosen = choose_platform(&self.reference, &bytes)?;
        let remote = self.remote.clone_with_digest(chosen.to_string());
        self.document(&remote, Some(&chosen)).await
    }

    async fn document(
        &self,
        remote: &Reference,
        expected: Option<&Digest>,
    ) -> Result<(Vec<u8>, MediaType), ImageError> {
        let accepted = [
            "application/vnd.oci.image.manifest.v1+json",
            "application/vnd.oci.image.index.v1+json",
            "application/vnd.docker.distribution.manifest.v2+json",
            "application/vnd.docker.distribution.manifest.list.v2+json",
        ];
        let (bytes, _) = self
            .client
            .pull_manifest_raw(remote, &self.auth, &accepted)
            .await
            .map_err(|e| error::of(&self.reference, e))?;
        let actual = sha256(&bytes);
        if let Some(expected) = expected
            && *expected != actual
        {
            return Err(ImageError::DigestMismatch {
                what: format!("the manifest of {}", self.reference),
                expected: expected.to_string(),
                actual,
            });
        }
        let media_type = media_type_of(&bytes).map_err(|reason| self.bad(&reason))?;
        Ok((bytes.to_vec(), media_type))
    }

    /// Fetches one blob; a broken connection is tried again.
    async fn blob(&self, blob: &Descriptor) -> Result<(), ImageError> {
        let digest = blob_digest(blob)
            .ok_or_else(|| self.bad(&format!("{} is no sha256 digest", blob.digest())))?;
        let mut attempt = 1;
        loop {
            match self.blob_once(blob, &digest).await {
                Ok(()) => break,
                Err(error) if attempt < ATTEMPTS && error::is_passing(&error) => {
                    tokio::time::sleep(Duration::from_millis(500) * attempt).await;
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        }
        (self.on_progress)(PullProgress::Stored { digest });
        Ok(())
    }

    async fn blob_once(&self, blob: &Descriptor, digest: &Digest) -> Result<(), ImageError> {
        let mut sink = Sink::new(
            self.store.blob_writer()?,
            digest.clone(),
            blob.size(),
            Arc::clone(&self.on_progress),
        );
        // Only these fields: a descriptor's `urls` would lead to other hosts.
        let descriptor = OciDescriptor {
            media_type: blob.media_type().to_string(),
            digest: digest.to_string(),
            size: i64::try_from(blob.size()).unwrap_or(i64::MAX),
            ..OciDescriptor::default()
        };
        self.client
            .pull_blob(&self.remote, &descriptor, &mut sink)
            .await
            .map_err(|e| error::of(&self.reference, e))?;
        let (writer, expected) = (sink.into_writer(), digest.clone());
        let stored = tokio::task::spawn_blocking(move || writer.finish(Some(&expected))).await;
        stored.map_err(|e| self.bad(&e.to_string()))?.map(drop)
    }

    fn bad(&self, reason: &str) -> ImageError {
        ImageError::Registry {
            registry: self.reference.registry().to_owned(),
            reason: reason.to_owned(),
        }
    }
}

fn blob_digest(blob: &Descriptor) -> Option<Digest> {
    blob.digest().to_string().parse().ok()
}

/// What a manifest says it is. Registries are known to serve them without a
/// `mediaType`, which the list shows by its `manifests`.
fn media_type_of(bytes: &[u8]) -> Result<MediaType, String> {
    let document: serde_json::Value = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
    Ok(match document.get("mediaType").and_then(|value| value.as_str()) {
        Some(media_type) => MediaType::from(media_type),
        None if document.get("manifests").is_some() => MediaType::ImageIndex,
        None => MediaType::ImageManifest,
    })
}

/// Whether a registry is on this machine, so that plain HTTP is safe.
fn is_loopback(registry: &str) -> bool {
    let host = match registry.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => registry.split(':').next().unwrap_or_default(),
    };
    host == "localhost"
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Makes *ring* the TLS provider of this process, once.
fn install_crypto() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // An error means that somebody installed one before.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_this_machine_only() {
        for near in ["localhost:5000", "127.0.0.1:5000", "127.3.2.1", "[::1]:5000"] {
            assert!(is_loopback(near), "{near}");
        }
        for far in ["localhost.example.org", "10.0.0.1:5000", "docker.io", "127.0.0.1.nip.io"] {
            assert!(!is_loopback(far), "{far}");
        }
    }

    #[tokio::test]
    async fn a_registry_that_is_not_there_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let home = tandem_home::Home::open(Some(dir.path())).unwrap();
        let store = Store::open(&home).unwrap();
        // Port 1 of this machine has no listener.
        let reference: ImageRef = "127.0.0.1:1/nothing:here".parse().unwrap();
        let error = pull(&store, &reference, |_| ()).await.unwrap_err();
        assert!(
            matches!(&error, ImageError::RegistryUnreachable { registry, .. } if registry == "127.0.0.1:1"),
            "{error:?}"
        );
        let local: ImageRef = "localhost/tandem/python:3.11-bookworm".parse().unwrap();
        assert!(matches!(pull(&store, &local, |_| ()).await, Err(ImageError::NotFound { .. })));
    }
}
