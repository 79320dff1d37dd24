//! What RUN steps need of the host's network settings.

use std::{
    env,
    path::{Path, PathBuf},
};

/// The proxy variables that Docker predefines as build arguments: RUN sees
/// them, the image and the cache do not.
pub(crate) const PROXY_VARIABLES: [&str; 10] = [
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "FTP_PROXY",
    "ftp_proxy",
    "NO_PROXY",
    "no_proxy",
    "ALL_PROXY",
    "all_proxy",
];

/// Proxy variables that this process has.
pub(crate) fn host_proxies() -> Vec<(String, String)> {
    let set = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    PROXY_VARIABLES.iter().filter_map(|name| Some(((*name).to_owned(), set(name)?))).collect()
}

/// Where distributions keep all certificates in one file: Debian and its
/// kin, Fedora and its kin, openSUSE, Alpine.
const BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The variable that names other certificates than the distribution's.
const VARIABLE: &str = "SSL_CERT_FILE";

/// Certificates that RUN steps see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostCertificates {
    /// All of them in one file.
    pub file: PathBuf,
    /// The variable that names it; `None` for the distribution's own.
    pub variable: Option<&'static str>,
}

/// The certificates that this host trusts: `SSL_CERT_FILE`, else the
/// distribution's bundle.
pub fn host_certificates() -> Option<HostCertificates> {
    let named = env::var_os(VARIABLE).map(|path| (path.into(), Some(VARIABLE)));
    let all = named.into_iter().chain(BUNDLES.map(|path| (path.into(), None)));
    all.map(|(file, variable)| HostCertificates { file, variable })
        .find(|found| readable(&found.file))
}

fn readable(path: &Path) -> bool {
    path.is_file() && std::fs::File::open(path).is_ok()
}
