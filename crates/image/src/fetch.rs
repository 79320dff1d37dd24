//! Files from the web, for `ADD URL`.

use std::{fs::File, io::Write as _, time::Duration};

use reqwest::{Client, header::LAST_MODIFIED, redirect::Policy};

use crate::registry::{Proxies, SILENCE, install_crypto, shown_proxy};

/// The largest file that is fetched.
const LARGEST: u64 = 16 << 30;

/// What is known of a fetched file beside its content.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fetched {
    /// `Last-Modified`, seconds since 1970.
    pub modified: Option<i64>,
    /// Its length, bytes.
    pub length: u64,
}

/// Fetches a file over HTTP, without credentials, through the proxy that the
/// environment names. The error is a sentence without an end.
pub async fn fetch_file(url: &str, to: &mut File) -> Result<Fetched, String> {
    install_crypto();
    let proxies = Proxies::of_environment().map_err(|e| e.to_string())?;
    let client = Client::builder()
        .no_proxy()
        .proxy(proxies.chooser())
        .user_agent(concat!("tandem/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::limited(10))
        .referer(false)
        .connect_timeout(Duration::from_secs(20))
        .read_timeout(SILENCE)
        .build()
        .map_err(|e| reason(&e))?;
    let mut answer = client.get(url).send().await.map_err(|error| {
        let proxy = error.url().filter(|_| error.is_connect()).and_then(|url| proxies.to(url));
        match proxy {
            Some(proxy) => format!("by the proxy {}: {}", shown_proxy(proxy), reason(&error)),
            None => reason(&error),
        }
    })?;
    if !answer.status().is_success() {
        return Err(format!("the server answers {}", answer.status()));
    }
    let modified = answer
        .headers()
        .get(LAST_MODIFIED)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| jiff::fmt::rfc2822::parse(text).ok())
        .map(|time| time.timestamp().as_second());
    let announced = answer.content_length();
    let mut length = 0;
    while let Some(piece) = answer.chunk().await.map_err(|e| reason(&e))? {
        length += piece.len() as u64;
        if length > LARGEST {
            return Err(format!("it is larger than {} GiB", LARGEST >> 30));
        }
        to.write_all(&piece).map_err(|e| e.to_string())?;
    }
    if announced.is_some_and(|announced| announced != length) {
        return Err(format!("it ended after {length} bytes of {}", announced.unwrap_or(0)));
    }
    Ok(Fetched { modified, length })
}

/// The innermost cause, which says what happened.
fn reason(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
