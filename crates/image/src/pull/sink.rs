use std::{
    io::{self, Write as _},
    pin::Pin,
    task::{Context, Poll},
};

use tandem_model::Digest;
use tokio::io::AsyncWrite;

use super::{OnProgress, PullProgress};
use crate::store::BlobWriter;

/// Takes the bytes of one blob and refuses more than were announced.
///
/// Writing goes to the page cache and does not wait, so it is done in place.
pub(super) struct Sink {
    writer: BlobWriter,
    digest: Digest,
    received: u64,
    reported: u64,
    total: u64,
    on_progress: OnProgress,
}

/// Bytes between two reports.
const REPORT: u64 = 1 << 20;

impl Sink {
    pub(super) fn new(
        writer: BlobWriter,
        digest: Digest,
        total: u64,
        on_progress: OnProgress,
    ) -> Self {
        Self { writer, digest, received: 0, reported: 0, total, on_progress }
    }

    pub(super) fn into_writer(self) -> BlobWriter {
        self.writer
    }
}

impl AsyncWrite for Sink {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let count = match self.writer.write(bytes) {
            Ok(count) => count,
            Err(error) => return Poll::Ready(Err(error)),
        };
        self.received += count as u64;
        if self.received > self.total {
            let more = "the registry sends more bytes than it announced";
            return Poll::Ready(Err(io::Error::other(more)));
        }
        if self.received - self.reported >= REPORT || self.received == self.total {
            self.reported = self.received;
            (self.on_progress)(PullProgress::Received {
                digest: self.digest.clone(),
                received: self.received,
                total: self.total,
            });
        }
        Poll::Ready(Ok(count))
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.writer.flush())
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(context)
    }
}
