//! Sending one blob.

use std::{
    io::Read as _,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use reqwest::{
    Body, Method, Response, Url,
    header::{CONTENT_LENGTH, CONTENT_TYPE},
};
use sha2::{Digest as _, Sha256};
use tandem_model::{Digest, ImageRef};

use super::{
    Notice, RegistryError, Transfer,
    clients::SILENCE,
    endpoint::{Ask, Endpoint},
    retry::Patience,
};
use crate::{ImageError, Store};

/// One blob on its way to a repository.
pub(crate) struct Upload<'a> {
    pub(crate) store: &'a Store,
    pub(crate) endpoint: &'a Endpoint,
    pub(crate) target: &'a ImageRef,
    pub(crate) digest: &'a Digest,
    pub(crate) size: u64,
    /// What a token must allow.
    pub(crate) scopes: &'a [String],
}

/// Bytes read at once.
const PIECE: usize = 256 << 10;

impl Upload<'_> {
    /// Sends the blob unless it is there already or the registry can take it
    /// from one of the other repositories.
    pub(crate) async fn run(&self, elsewhere: &[String]) -> Result<(), ImageError> {
        let notice = self.endpoint.notice();
        let digest = self.digest.clone();
        if self.is_there().await? {
            notice(Transfer::Present { digest });
            return Ok(());
        }
        for from in elsewhere {
            if self.mount(from).await? {
                notice(Transfer::Mounted { digest, from: from.clone() });
                return Ok(());
            }
        }
        let mut patience = Patience::default();
        loop {
            match self.send().await {
                Ok(()) => break,
                Err(ImageError::Registry(error)) => patience.after(error, notice).await?,
                Err(error) => return Err(error),
            }
        }
        notice(Transfer::Stored { digest });
        Ok(())
    }

    async fn is_there(&self) -> Result<bool, RegistryError> {
        let path = format!("blobs/{}", self.digest);
        let url = self.endpoint.url(self.target.repository(), &path);
        let response = self.endpoint.send(&ask(Method::HEAD, url, self.scopes)).await?;
        match response.status().as_u16() {
            200 => Ok(true),
            404 => Ok(false),
            _ => Err(self.refused(response).await),
        }
    }

    /// Whether the registry has taken the blob from another repository
    /// (distribution specification, "Mounting a blob from another
    /// repository"). A refusal only means that the bytes must travel.
    async fn mount(&self, from: &str) -> Result<bool, RegistryError> {
        let mut url = self.endpoint.url(self.target.repository(), "blobs/uploads/");
        url.query_pairs_mut().append_pair("mount", self.digest.as_str()).append_pair("from", from);
        let mut scopes = self.scopes.to_vec();
        scopes.push(format!("repository:{from}:pull"));
        let response = match self.endpoint.send(&ask(Method::POST, url, &scopes)).await {
            Ok(response) => response,
            Err(RegistryError::WrongPassword { .. }) => return Ok(false),
            Err(error) => return Err(error),
        };
        if response.status() == 202
            && let Ok(session) = self.endpoint.location(&response)
        {
            // It opened an upload instead, which nobody will use.
            let _ = self.endpoint.send_once(&ask(Method::DELETE, session, self.scopes)).await;
        }
        Ok(response.status() == 201)
    }

    async fn send(&self) -> Result<(), ImageError> {
        let url = self.endpoint.url(self.target.repository(), "blobs/uploads/");
        let response = self.endpoint.send(&ask(Method::POST, url, self.scopes)).await?;
        if response.status() != 202 {
            return Err(self.refused(response).await.into());
        }
        let mut session = self.endpoint.location(&response)?;
        session.query_pairs_mut().append_pair("digest", self.digest.as_str());
        // Whoever is not who he was when the blob was stored must not travel.
        let sent = Arc::new(AtomicU64::new(0));
        let path = self.store.blob_path(self.digest);
        let (digest, size) = (self.digest.clone(), self.size);
        let (counter, notice) = (Arc::clone(&sent), Arc::clone(self.endpoint.notice()));
        let body = move || body(&path, &digest, size, &counter, &notice);
        let mut put = ask(Method::PUT, session, self.scopes);
        put.headers = vec![
            (CONTENT_LENGTH, self.size.to_string()),
            (CONTENT_TYPE, "application/octet-stream".to_owned()),
        ];
        put.body = Some(&body);
        let response = tokio::select! {
            response = self.endpoint.send_once(&put) => response,
            () = silence(&sent) => Err(self.endpoint.broken("it takes no more bytes")),
        };
        match response {
            Ok(response) if response.status() == 201 => Ok(()),
            Ok(response) => Err(self.fault().unwrap_or(self.refused(response).await.into())),
            Err(error) => Err(self.fault().unwrap_or(error.into())),
        }
    }

    /// What is wrong with the blob here, now that it did not get there.
    fn fault(&self) -> Option<ImageError> {
        let damaged = |reason: String| Some(ImageError::damaged(self.digest, reason));
        let mut blob = match self.store.open_blob(self.digest) {
            Ok(blob) => blob,
            Err(error) => return Some(error),
        };
        let mut hash = Sha256::new();
        let mut buffer = vec![0; PIECE];
        loop {
            match blob.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => hash.update(&buffer[..count]),
                Err(error) => return damaged(error.to_string()),
            }
        }
        let actual = Digest::from_sha256(&hash.finalize().into());
        (actual != *self.digest).then(|| damaged(format!("its bytes have the digest {actual}")))?
    }

    async fn refused(&self, response: Response) -> RegistryError {
        self.endpoint.refused("push", self.target, response).await
    }
}

fn ask(method: Method, url: Url, scopes: &[String]) -> Ask<'_> {
    Ask { method, url, headers: Vec::new(), scopes, body: None }
}

/// The blob as a stream of pieces, digested on the way: the last piece is
/// held back when it is another blob by now.
fn body(
    path: &std::path::Path,
    digest: &Digest,
    size: u64,
    sent: &Arc<AtomicU64>,
    notice: &Notice,
) -> Body {
    struct Reading {
        file: std::fs::File,
        hash: Sha256,
        done: u64,
    }
    sent.store(0, Ordering::Relaxed);
    let start =
        std::fs::File::open(path).map(|file| Some(Reading { file, hash: Sha256::new(), done: 0 }));
    let (digest, sent, notice) = (digest.clone(), Arc::clone(sent), Arc::clone(notice));
    let pieces = futures_util::stream::unfold(start, move |reading| {
        let (digest, sent, notice) = (digest.clone(), Arc::clone(&sent), Arc::clone(&notice));
        async move {
            let mut reading = match reading {
                Ok(Some(reading)) => reading,
                Ok(None) => return None,
                Err(error) => return Some((Err(error), Ok(None))),
            };
            let mut piece = vec![0; PIECE];
            let count = match reading.file.read(&mut piece) {
                Ok(0) => return None,
                Ok(count) => count,
                Err(error) => return Some((Err(error), Ok(None))),
            };
            piece.truncate(count);
            reading.hash.update(&piece);
            reading.done += count as u64;
            sent.store(reading.done, Ordering::Relaxed);
            if reading.done >= size {
                let actual = Digest::from_sha256(&reading.hash.clone().finalize().into());
                if actual != digest || reading.done > size {
                    let error = std::io::Error::other("the blob is damaged");
                    return Some((Err(error), Ok(None)));
                }
            }
            if reading.done % (1 << 20) == 0 || reading.done == size {
                notice(Transfer::Moved { digest, done: reading.done, total: size });
            }
            Some((Ok(piece), Ok(Some(reading))))
        }
    });
    Body::wrap_stream(pieces)
}

/// Ends when nothing has been sent for a while.
async fn silence(sent: &AtomicU64) {
    let mut last = (sent.load(Ordering::Relaxed), 0);
    // The registry digests and stores what it got before it answers.
    let patience = 4 * SILENCE.as_secs();
    while last.1 < patience {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = sent.load(Ordering::Relaxed);
        last = if now == last.0 { (now, last.1 + 1) } else { (now, 0) };
    }
}
