//! What registries say besides documents.

use super::{challenge, range};
use crate::store::media_type_of;

/// Reads `WWW-Authenticate`: how many ways there are that we know.
pub fn challenges(header: &str) -> usize {
    challenge::parse_challenges(header).len()
}

/// The realm, the service and the scopes of the first bearer.
pub fn bearer(header: &str) -> Option<(String, Option<String>, Vec<String>)> {
    challenge::parse_challenges(header).into_iter().find_map(|one| match one {
        challenge::Challenge::Bearer(it) => Some((it.realm, it.service, it.scopes)),
        challenge::Challenge::Basic => None,
    })
}

/// Reads `Content-Range`: first, last and total.
pub fn content_range(header: &str) -> Option<(u64, u64, Option<u64>)> {
    range::parse_content_range(header).map(|it| (it.first, it.last, it.total))
}

/// Reads `Retry-After`, in seconds.
pub fn retry_after(header: &str) -> Option<u64> {
    range::parse_retry_after(header, jiff::Timestamp::UNIX_EPOCH).map(|it| it.as_secs())
}

/// What a manifest says it is.
pub fn media_type(manifest: &[u8]) -> Option<String> {
    media_type_of(manifest).ok().map(|it| it.to_string())
}
