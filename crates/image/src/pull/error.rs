use std::error::Error as _;

use oci_client::errors::{DigestError, OciDistributionError as Remote, OciErrorCode};
use tandem_model::ImageRef;

use crate::ImageError;

/// What a failed request means for the person.
pub(super) fn of(reference: &ImageRef, error: Remote) -> ImageError {
    let registry = reference.registry().to_owned();
    let image = reference.to_string();
    match error {
        Remote::RequestError(error) if error.is_connect() || error.is_timeout() => {
            let mut cause: &dyn std::error::Error = &error;
            while let Some(source) = cause.source() {
                cause = source;
            }
            let reason = if error.is_timeout() {
                "no answer within the time limit".to_owned()
            } else {
                cause.to_string().chars().take(200).collect()
            };
            ImageError::RegistryUnreachable { registry, reason }
        }
        Remote::UnauthorizedError { .. } => {
            ImageError::RegistryDenied { registry, reference: image, reason: "401".into() }
        }
        Remote::AuthenticationFailure(reason) => {
            let reason = reason.chars().take(200).collect();
            ImageError::RegistryDenied { registry, reference: image, reason }
        }
        Remote::RegistryError { envelope, .. } => {
            let code = envelope.errors.first().map(|error| &error.code);
            match code {
                Some(
                    OciErrorCode::ManifestUnknown
                    | OciErrorCode::NameUnknown
                    | OciErrorCode::NotFound,
                ) => ImageError::NotInRegistry { registry, reference: image },
                Some(OciErrorCode::Denied | OciErrorCode::Unauthorized) => {
                    let reason = envelope.to_string();
                    ImageError::RegistryDenied { registry, reference: image, reason }
                }
                _ => ImageError::Registry { registry, reason: envelope.to_string() },
            }
        }
        Remote::ServerError { code: 404, .. } | Remote::ImageManifestNotFoundError(_) => {
            ImageError::NotInRegistry { registry, reference: image }
        }
        Remote::ServerError { code: code @ (401 | 403), .. } => {
            ImageError::RegistryDenied { registry, reference: image, reason: code.to_string() }
        }
        Remote::ServerError { code, .. } => {
            ImageError::Registry { registry, reason: format!("HTTP {code}") }
        }
        Remote::DigestError(DigestError::VerificationError { expected, actual })
            if actual.parse::<tandem_model::Digest>().is_ok() =>
        {
            match actual.parse() {
                Ok(actual) => ImageError::DigestMismatch { what: image, expected, actual },
                Err(_) => ImageError::Registry { registry, reason: actual },
            }
        }
        Remote::IoError(source) => ImageError::Io { action: "pull", path: image.into(), source },
        other => {
            let mut reason = other.to_string();
            let mut cause = other.source();
            while let Some(source) = cause {
                reason = source.to_string();
                cause = source.source();
            }
            ImageError::Registry { registry, reason }
        }
    }
}

/// Whether the same request may succeed a moment later.
pub(super) fn is_passing(error: &ImageError) -> bool {
    match error {
        ImageError::Registry { .. } | ImageError::RegistryUnreachable { .. } => true,
        ImageError::Io { source, .. } => source.kind() == std::io::ErrorKind::UnexpectedEof,
        _ => false,
    }
}
