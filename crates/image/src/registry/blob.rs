//! Fetching one blob, going on after a cut.

use std::{sync::Arc, time::Duration};

use oci_spec::image::Descriptor;
use reqwest::{
    Method, Response,
    header::{CONTENT_RANGE, RANGE},
};
use tandem_model::{Digest, ImageRef};

use super::{
    RegistryError, Transfer,
    clients::SILENCE,
    endpoint::{Ask, Endpoint},
    follow::Growing,
    manifest::pull_scope,
    range::parse_content_range,
    retry::Patience,
};
use crate::{ImageError, Store, store::Download};

/// A blob that is wanted.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    /// For whoever reads while it arrives.
    pub(crate) growing: Arc<Growing>,
}

/// Bytes between two reports.
const REPORT: u64 = 1 << 20;
/// How often to look whether somebody else has finished.
const LOOK: Duration = Duration::from_millis(100);

impl Wanted {
    pub(crate) fn of(store: &Store, descriptor: &Descriptor) -> Option<Self> {
        let digest: Digest = descriptor.digest().to_string().parse().ok()?;
        let growing = Growing::new(store.download_path(&digest), store.blob_path(&digest));
        Some(Self { digest, size: descriptor.size(), growing })
    }
}

/// Fetches a blob into the store.
pub(crate) async fn fetch(
    store: &Store,
    endpoint: &Endpoint,
    reference: &ImageRef,
    wanted: &Wanted,
) -> Result<(), ImageError> {
    let Some(download) = begin(store, wanted).await? else {
        (endpoint.notice())(Transfer::Present { digest: wanted.digest.clone() });
        wanted.growing.complete(wanted.size);
        return Ok(());
    };
    let mut fetching =
        Fetching { endpoint, reference, wanted, download, whole: false, ranges: true };
    if let Err(error) = fetching.run().await {
        let keep = !matches!(error, ImageError::Registry(RegistryError::Mismatch { .. }))
            && !error.is_no_space();
        if !keep {
            fetching.download.discard();
        }
        return Err(error);
    }
    let (digest, download) = (wanted.digest.clone(), fetching.download);
    blocking(endpoint, move || download.finish(&digest)).await?;
    wanted.growing.complete(wanted.size);
    (endpoint.notice())(Transfer::Stored { digest: wanted.digest.clone() });
    Ok(())
}

/// The download, once it is ours; `None` when the blob is here.
async fn begin(store: &Store, wanted: &Wanted) -> Result<Option<Download>, ImageError> {
    loop {
        if store.has_whole_blob(&wanted.digest, wanted.size) {
            return Ok(None);
        }
        let (store, digest) = (store.clone(), wanted.digest.clone());
        let begun = tokio::task::spawn_blocking(move || store.download(&digest)).await;
        match begun {
            Ok(Ok(Some(download))) => return Ok(Some(download)),
            Ok(Ok(None)) => tokio::time::sleep(LOOK).await,
            Ok(Err(error)) => return Err(error),
            Err(error) => {
                return Err(ImageError::io("read", store_path(wanted))(std::io::Error::other(
                    error,
                )));
            }
        }
    }
}

fn store_path(wanted: &Wanted) -> String {
    wanted.digest.to_string()
}

struct Fetching<'a> {
    endpoint: &'a Endpoint,
    reference: &'a ImageRef,
    wanted: &'a Wanted,
    download: Download,
    /// All that is here came in one answer.
    whole: bool,
    /// It is worth asking for a part.
    ranges: bool,
}

impl Fetching<'_> {
    async fn run(&mut self) -> Result<(), ImageError> {
        let mut patience = Patience::default();
        self.wanted.growing.grown_to(self.download.have());
        self.whole = self.download.have() == 0;
        loop {
            let before = self.download.have();
            if before != self.wanted.size {
                match self.receive().await {
                    Ok(()) => {}
                    Err(ImageError::Registry(error)) => {
                        if self.ranges && self.download.have() > before {
                            patience.restore();
                        }
                        patience.after(error, self.endpoint.notice()).await?;
                        self.whole &= self.download.have() == 0;
                        continue;
                    }
                    Err(error) => return Err(error),
                }
            }
            let actual = self.download.digest();
            if actual == self.wanted.digest {
                return Ok(());
            }
            if self.whole {
                return Err(RegistryError::Mismatch {
                    registry: self.endpoint.name().to_owned(),
                    what: format!("a layer of {}", self.reference),
                    expected: self.wanted.digest.clone(),
                    actual,
                }
                .into());
            }
            // Pieces that do not fit together: all of it in one piece.
            self.restart()?;
        }
    }

    /// Gets what is missing, as far as it comes.
    async fn receive(&mut self) -> Result<(), ImageError> {
        if self.download.have() > self.wanted.size || (!self.ranges && self.download.have() > 0) {
            self.restart()?;
        }
        let have = self.download.have();
        let scopes = pull_scope(self.endpoint, self.reference);
        let path = format!("blobs/{}", self.wanted.digest);
        let range = (have > 0).then(|| (RANGE, format!("bytes={have}-")));
        let ask = Ask {
            method: Method::GET,
            url: self.endpoint.url(self.reference.repository(), &path),
            headers: range.into_iter().collect(),
            scopes: &scopes,
            body: None,
        };
        let response = self.endpoint.send_once(&ask).await?;
        match response.status().as_u16() {
            200 => {
                if have > 0 {
                    self.restart()?;
                }
            }
            206 if have > 0 && self.continues(&response) => {}
            206 | 416 if have > 0 => {
                self.restart()?;
                return Err(self.endpoint.broken("it gives another part than asked for").into());
            }
            404 => {
                let reason = format!("it has no blob {}", self.wanted.digest);
                return Err(self.endpoint.bad(&reason).into());
            }
            _ => return Err(self.endpoint.refused("pull", self.reference, response).await.into()),
        }
        self.take(response).await
    }

    fn continues(&self, response: &Response) -> bool {
        let header = response.headers().get(CONTENT_RANGE).and_then(|it| it.to_str().ok());
        header.and_then(parse_content_range).is_some_and(|range| {
            range.first == self.download.have()
                && range.last < self.wanted.size
                && range.total.is_none_or(|total| total == self.wanted.size)
        })
    }

    async fn take(&mut self, mut response: Response) -> Result<(), ImageError> {
        let mut reported = self.download.have();
        loop {
            let chunk = tokio::time::timeout(SILENCE, response.chunk())
                .await
                .map_err(|_| self.endpoint.broken("no more bytes within the time limit"))?
                .map_err(|e| self.endpoint.transport(&e))?;
            let Some(chunk) = chunk else { break };
            if self.download.have() + chunk.len() as u64 > self.wanted.size {
                let more = "it sends more bytes than it announced";
                return Err(self.endpoint.bad(more).into());
            }
            self.download.write(&chunk).map_err(ImageError::io("write", self.download.path()))?;
            let have = self.download.have();
            self.wanted.growing.grown_to(have);
            if have - reported >= REPORT || have == self.wanted.size {
                reported = have;
                (self.endpoint.notice())(Transfer::Moved {
                    digest: self.wanted.digest.clone(),
                    done: have,
                    total: self.wanted.size,
                });
            }
        }
        if self.download.have() < self.wanted.size {
            return Err(self.endpoint.broken("it ended too early").into());
        }
        Ok(())
    }

    fn restart(&mut self) -> Result<(), ImageError> {
        self.download.restart().map_err(ImageError::io("write", self.download.path()))?;
        self.wanted.growing.restarted();
        (self.whole, self.ranges) = (true, false);
        Ok(())
    }
}

/// Work that waits for the disk.
async fn blocking<T: Send + 'static>(
    endpoint: &Endpoint,
    work: impl FnOnce() -> Result<T, ImageError> + Send + 'static,
) -> Result<T, ImageError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(_) => Err(endpoint.broken("the work was given up").into()),
    }
}
