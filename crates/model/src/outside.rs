use serde::Serialize;

/// What a setting from outside of Tandem decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum OutsideKind {
    /// A proxy on the way to registries.
    Proxy,
    /// Hosts that no proxy is asked for.
    WithoutProxy,
    /// Asked before the registry itself.
    Mirror,
    /// Plain HTTP and unknown certificates are accepted.
    Insecure,
    /// Certificates that registries are believed by.
    Certificates,
    /// What this machine shows a registry that asks who it is.
    Identity,
    /// Certificates that build steps see.
    BuildCertificates,
    /// Where the password for a registry is kept, or would be.
    Login,
}

/// One setting that pulls, pushes and builds follow and that stands outside
/// of Tandem's own data: where it was read, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct OutsideSetting {
    /// What it decides.
    pub kind: OutsideKind,
    /// The registry, or the scheme of a proxy; `None` for all.
    pub of: Option<String>,
    /// What is set, without passwords.
    pub value: String,
    /// A file or folder, or an environment variable; empty for the system itself.
    pub source: String,
    /// Why it cannot be followed, and what to do.
    pub problem: Option<String>,
}
