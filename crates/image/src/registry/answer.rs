//! What a failed request means.

use std::{error::Error, io};

use reqwest::{Response, StatusCode, header::RETRY_AFTER};
use serde_json::Value;

use super::{RegistryError, range::parse_retry_after};

/// Bytes of an error's body that are looked at.
const BODY: usize = 64 << 10;

/// A foreign text for one line: no control characters, not too long.
pub(crate) fn one_line(text: &str) -> String {
    text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect()
}

/// A request that got no answer, or half of one.
pub(crate) fn of_transport(registry: &str, error: &reqwest::Error) -> RegistryError {
    let registry = registry.to_owned();
    let causes = causes(error);
    let certificate = causes.iter().find_map(|cause| match cause.downcast_ref::<rustls::Error>() {
        Some(rustls::Error::InvalidCertificate(reason)) => Some(reason),
        _ => None,
    });
    if let Some(reason) = certificate {
        let (reason, next) = certificate_reason(&registry, reason);
        return RegistryError::Untrusted { registry, reason, next };
    }
    if causes.iter().any(|cause| cause.downcast_ref().is_some_and(wants_certificate)) {
        let shown = super::settings::has_identity(&registry);
        return RegistryError::ClientCertificate { registry, shown };
    }
    let reason = if error.is_timeout() {
        "no answer within the time limit".to_owned()
    } else {
        causes.last().map(|cause| one_line(&cause.to_string())).unwrap_or_default()
    };
    if error.is_connect() {
        RegistryError::Unreachable { registry, reason }
    } else {
        RegistryError::Broken { registry, reason }
    }
}

/// Whether the other side ended the connection over our certificate, or over
/// there being none (RFC 8446, section 6.2; Go's servers say `bad_certificate`
/// of none before TLS 1.3).
fn wants_certificate(error: &rustls::Error) -> bool {
    use rustls::AlertDescription as Alert;
    let rustls::Error::AlertReceived(alert) = error else { return false };
    matches!(
        alert,
        Alert::CertificateRequired
            | Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
    )
}

/// What is wrong with a certificate, and what to do about that.
fn certificate_reason(registry: &str, error: &rustls::CertificateError) -> (String, String) {
    use rustls::CertificateError as Bad;
    let renew = "ask whoever runs it for a new one, and check this machine's clock".to_owned();
    match error {
        Bad::UnknownIssuer => {
            let next = format!(
                "put its CA into /etc/docker/certs.d/{registry}/ca.crt or ~/.docker/certs.d/{registry}/ca.crt, or name it as \"ca\" in registries.json of Tandem's home"
            );
            ("nobody known here has signed it".to_owned(), next)
        }
        Bad::Expired | Bad::ExpiredContext { .. } => ("it has expired".to_owned(), renew),
        Bad::NotValidYet | Bad::NotValidYetContext { .. } => {
            ("it is not valid yet".to_owned(), renew)
        }
        Bad::NotValidForName => ("it is made out to another name".to_owned(), other_name()),
        Bad::NotValidForNameContext { presented, .. } => {
            // As the library writes them: DnsName("a.example"), IpAddress(127.0.0.1).
            let names: Vec<_> = presented
                .iter()
                .map(|it| it.trim_end_matches([')', '"']).rsplit(['(', '"']).next().unwrap_or(it))
                .collect();
            let reason = match names[..] {
                [] => "it is made out to no name".to_owned(),
                _ => one_line(&format!("it is made out to {}", names.join(", "))),
            };
            (reason, other_name())
        }
        other => (one_line(&other.to_string()), renew),
    }
}

fn other_name() -> String {
    "use the name that it is made out to, or ask whoever runs it for one with this name".to_owned()
}

/// Whether a connection was there and failed over its encryption.
pub(crate) fn is_of_tls(error: &reqwest::Error) -> bool {
    causes(error).iter().any(|cause| cause.downcast_ref::<rustls::Error>().is_some())
}

/// What a proxy's failure means, from the words of the HTTP library.
pub(crate) fn of_proxy(reason: &str) -> String {
    if reason.ends_with("proxy authorization required") {
        WANTS_LOGIN.to_owned()
    } else if reason.ends_with(REFUSES) {
        "it refuses to connect there".to_owned()
    } else {
        reason.to_owned()
    }
}

/// The HTTP library's word for a proxy that was asked for a way and gave none.
const REFUSES: &str = "tunnel error: unsuccessful";
/// What 407 means.
pub(crate) const WANTS_LOGIN: &str = "it wants another user name and password";

/// Whether a proxy refuses to make a way for TLS: many do that for all ports
/// but 443, and hand plain HTTP on.
pub(crate) fn proxy_refuses_tls(error: &reqwest::Error) -> bool {
    let last = causes(error).last().map(ToString::to_string);
    error.is_connect() && last.is_some_and(|last| last.ends_with(REFUSES))
}

/// Whether somebody is there who does not speak TLS.
pub(crate) fn speaks_no_tls(error: &reqwest::Error) -> bool {
    error.is_connect()
        && causes(error).iter().any(|cause| {
            matches!(cause.downcast_ref::<rustls::Error>(), Some(rustls::Error::InvalidMessage(_)))
                || cause.downcast_ref::<io::Error>().is_some_and(|e| {
                    matches!(
                        e.kind(),
                        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset
                    )
                })
        })
        || error.is_connect() && error.is_timeout()
}

/// The error and what is behind it; an I/O error may wrap another one that
/// `source` alone would pass over.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> Vec<&'a (dyn Error + 'static)> {
    let mut causes = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        causes.push(error);
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match wrapped {
            Some(wrapped) => Some(wrapped as &(dyn Error + 'static)),
            None => error.source(),
        };
    }
    causes
}

/// Statuses that the same request may not get a moment later.
pub(crate) fn is_passing(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504)
}

/// An answer with a passing status.
pub(crate) async fn passing(registry: &str, response: Response) -> RegistryError {
    let registry = registry.to_owned();
    let wait = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| parse_retry_after(value, jiff::Timestamp::now()));
    let many = response.status() == StatusCode::TOO_MANY_REQUESTS;
    if many || (response.status() == StatusCode::SERVICE_UNAVAILABLE && wait.is_some()) {
        return RegistryError::TooManyRequests { registry, wait };
    }
    RegistryError::Trouble { registry, reason: reason(response).await }
}

/// What an answer says: its status, and the first error of its body
/// (distribution specification, "Error Codes").
pub(crate) async fn reason(response: Response) -> String {
    let status = response.status();
    let status = format!("HTTP {}", status.as_u16());
    let body = limited(response, BODY).await.unwrap_or_default();
    let Ok(body) = serde_json::from_slice::<Value>(&body) else { return status };
    let error = &body["errors"][0];
    let text = |key: &str| error[key].as_str().filter(|text| !text.is_empty());
    match (text("code"), text("message")) {
        (Some(code), Some(message)) => one_line(&format!("{status}, {code}: {message}")),
        (Some(text), None) | (None, Some(text)) => one_line(&format!("{status}, {text}")),
        (None, None) => match body["details"].as_str().or(body["message"].as_str()) {
            Some(text) => one_line(&format!("{status}, {text}")),
            None => status,
        },
    }
}

/// The body, when it is not longer than a limit.
pub(crate) async fn limited(
    mut response: Response,
    limit: usize,
) -> Result<Vec<u8>, Option<reqwest::Error>> {
    let mut body = Vec::new();
    loop {
        let chunk = tokio::time::timeout(super::clients::SILENCE, response.chunk()).await;
        match chunk.map_err(|_| None)?? {
            Some(chunk) if body.len() + chunk.len() > limit => return Err(None),
            Some(chunk) => body.extend_from_slice(&chunk),
            None => return Ok(body),
        }
    }
}
