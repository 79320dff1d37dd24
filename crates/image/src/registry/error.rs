use std::{path::PathBuf, time::Duration};

use tandem_model::{Digest, ErrorCode};

/// What can go wrong between here and a registry.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// No connection.
    #[error(
        "registry {registry} cannot be reached ({reason}): check the name, the network and the proxy settings, or use a base image made here (tandem image bootstrap)"
    )]
    Unreachable {
        /// Host with port.
        registry: String,
        /// What the network said.
        reason: String,
    },
    /// A proxy on the way does not do its part.
    #[error(
        "the proxy {proxy} gives no way to registry {registry} ({reason}): mend HTTPS_PROXY or HTTP_PROXY (http://USER:PASSWORD@HOST:PORT), or name the registry in NO_PROXY if it is reached without"
    )]
    Proxy {
        /// Host with port.
        registry: String,
        /// The proxy's URL, without a password.
        proxy: String,
        /// What happened.
        reason: String,
    },
    /// The environment names a proxy that cannot be one.
    #[error(
        "{variable} is set to something that is no proxy: write http://[USER:PASSWORD@]HOST:PORT"
    )]
    ProxySetting {
        /// Name of the variable.
        variable: String,
    },
    /// The certificate is not good for this registry.
    #[error("registry {registry} shows a certificate that is not trusted here ({reason}): {next}")]
    Untrusted {
        /// Host with port.
        registry: String,
        /// What is wrong with it.
        reason: String,
        /// What to do.
        next: String,
    },
    /// It wants to see a certificate of whoever asks, or another one.
    #[error(
        "registry {registry} wants to see a certificate of yours{}: put one that it knows into /etc/docker/certs.d/{registry} or ~/.docker/certs.d/{registry} as client.cert, with its key as client.key",
        if *shown { ", and does not take the one that is here for it" } else { "" }
    )]
    ClientCertificate {
        /// Host with port.
        registry: String,
        /// Whether it was shown one.
        shown: bool,
    },
    /// A token that was stored by a login is good no more.
    #[error(
        "registry {registry} takes the stored login no more (its token has expired or was withdrawn): log in again (tandem login {registry})"
    )]
    LoginExpired {
        /// Host with port.
        registry: String,
    },
    /// User name and password do not fit.
    #[error(
        "registry {registry} refuses this user name and password: log in with the right ones (tandem login {registry})"
    )]
    WrongPassword {
        /// Host with port.
        registry: String,
    },
    /// The registry wants somebody else, or somebody at all.
    #[error(
        "registry {registry} does not allow to {action} {reference} ({reason}): check the name, or log in (tandem login {registry})"
    )]
    Denied {
        /// Host with port.
        registry: String,
        /// `pull` or `push`.
        action: &'static str,
        /// The image.
        reference: String,
        /// What it said.
        reason: String,
    },
    /// The registry does not have the image.
    #[error("registry {registry} has no image {reference}: {hint}")]
    NotThere {
        /// Host with port.
        registry: String,
        /// The image.
        reference: String,
        /// The nearest tag, or what else to look at.
        hint: String,
    },
    /// Other bytes came than were asked for.
    #[error(
        "registry {registry} sent {what} with the digest {actual}, expected {expected}: it was changed on the way and is not kept, try another network or tell the registry's owner"
    )]
    Mismatch {
        /// Host with port.
        registry: String,
        /// Manifest, configuration or layer.
        what: String,
        /// The digest asked for.
        expected: Digest,
        /// The digest of the bytes.
        actual: Digest,
    },
    /// The image is for other machines.
    #[error(
        "{reference} is not made for {wanted}{}, or take another image",
        if available.is_empty() {
            " and says no platform that it is for: ask who made it".to_owned()
        } else {
            format!(" but for {}: choose one of these with --platform", available.join(", "))
        }
    )]
    Platform {
        /// The image.
        reference: String,
        /// The platform asked for.
        wanted: String,
        /// Those that there are.
        available: Vec<String>,
    },
    /// Too many requests.
    #[error(
        "registry {registry} takes no more requests for now ({}): try again then, or log in for a higher limit (tandem login {registry})",
        wait.map_or_else(|| "too many came from here".to_owned(), |wait| format!("it asks to wait {} s", wait.as_secs()))
    )]
    TooManyRequests {
        /// Host with port.
        registry: String,
        /// How long to wait, as it says.
        wait: Option<Duration>,
    },
    /// The connection broke, and trying again did not help.
    #[error(
        "the connection to registry {registry} broke ({reason}): try again, what has arrived is kept"
    )]
    Broken {
        /// Host with port.
        registry: String,
        /// What the network said.
        reason: String,
    },
    /// The registry's own trouble.
    #[error("registry {registry} is in trouble ({reason}): try again later")]
    Trouble {
        /// Host with port.
        registry: String,
        /// Status and message.
        reason: String,
    },
    /// The registry gave an answer that cannot be used.
    #[error(
        "registry {registry} gave no usable answer ({reason}): check that it is a registry and that its name is right"
    )]
    Answer {
        /// Host with port.
        registry: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A password would travel unencrypted.
    #[error(
        "registry {registry} wants its password sent to {target}, which is not encrypted: nothing was sent; use https, or mark the host as \"insecure\" in registries.json of Tandem's home"
    )]
    Unencrypted {
        /// Host with port.
        registry: String,
        /// Where to.
        target: String,
    },
    /// The name has no registry.
    #[error(
        "{reference} is a name for this machine only: give a destination (tandem push {reference} REGISTRY/NAME:TAG)"
    )]
    OnlyHere {
        /// The image.
        reference: String,
    },
    /// The destination names other bytes than the image has.
    #[error("{reference} names the digest of another image: give a tag as destination instead")]
    OtherDigest {
        /// The destination.
        reference: String,
    },
    /// A credential helper failed.
    #[error(
        "the credential helper {program} failed ({reason}): mend it, or take it out of {config}"
    )]
    Helper {
        /// The program.
        program: String,
        /// What it said.
        reason: String,
        /// The file that names it.
        config: PathBuf,
    },
    /// A file of settings cannot be read.
    #[error("{path} cannot be used ({reason}): mend it or move it away")]
    Settings {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Nothing is stored for the registry.
    #[error("there is no login for {registry} in {path}: nothing to remove")]
    NoLogin {
        /// Host with port.
        registry: String,
        /// Where it would be.
        path: PathBuf,
    },
    /// The disk is full.
    #[error(
        "the disk is too full for {reference} ({needed_mib} MiB more are needed, {free_mib} MiB are free in {path}): free some, or use another folder with --home"
    )]
    DiskFull {
        /// The image.
        reference: String,
        /// What is still missing, in MiB.
        needed_mib: u64,
        /// What is free, in MiB.
        free_mib: u64,
        /// Tandem's home.
        path: PathBuf,
    },
}

impl RegistryError {
    /// What somebody can act on.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::NotThere { .. } | Self::NoLogin { .. } => ErrorCode::NotFound,
            Self::OnlyHere { .. } | Self::OtherDigest { .. } | Self::ProxySetting { .. } => {
                ErrorCode::Usage
            }
            Self::DiskFull { .. } => ErrorCode::NoSpace,
            Self::Settings { .. } | Self::Mismatch { .. } => ErrorCode::Internal,
            _ => ErrorCode::Unavailable,
        }
    }

    /// Whether the same request may succeed a moment later.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Broken { .. } | Self::Trouble { .. } => true,
            Self::TooManyRequests { wait, .. } => wait.is_none_or(|wait| wait <= LONGEST_WAIT),
            _ => false,
        }
    }
}

/// A registry that asks for more patience than this is not waited for.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(30);
