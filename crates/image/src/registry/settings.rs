//! `registries.json` in the home: mirrors, hosts without TLS, CAs.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
};

use reqwest::{Certificate, Identity};
use serde::Deserialize;

use super::{RegistryError, host};

/// Settings by registry.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    hosts: BTreeMap<String, HostSettings>,
}

/// What is set for one registry.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HostSettings {
    /// Asked before the registry itself, in this order:
    /// `[http[s]://]HOST[:PORT][/PATH]`.
    #[serde(default)]
    pub(crate) mirrors: Vec<String>,
    /// Plain HTTP and unknown certificates are accepted.
    #[serde(default)]
    pub(crate) insecure: bool,
    /// File with further certificates (PEM) to trust.
    #[serde(default)]
    pub(crate) ca: Option<PathBuf>,
}

/// Where Docker and Podman keep certificates by registry, for the machine.
const OF_MACHINE: [&str; 2] = ["/etc/docker/certs.d", "/etc/containers/certs.d"];
/// The same for a person, below the home folder.
const OF_PERSON: [&str; 3] =
    [".docker/certs.d", ".config/docker/certs.d", ".config/containers/certs.d"];

impl Settings {
    /// Where a home's settings stand.
    pub(crate) fn file(home: &Path) -> PathBuf {
        home.join("registries.json")
    }

    /// Reads `registries.json` of a home; a missing file sets nothing.
    pub(crate) fn of_home(home: &Path) -> Result<Self, RegistryError> {
        let path = Self::file(home);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(e) => return Err(RegistryError::Settings { path, reason: e.to_string() }),
        };
        Self::parse(&bytes).map_err(|reason| RegistryError::Settings { path, reason })
    }

    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let written: BTreeMap<String, HostSettings> =
            serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
        let hosts = written.into_iter().map(|(name, it)| (host::normal(&name).to_owned(), it));
        Ok(Self { hosts: hosts.collect() })
    }

    /// The settings of a registry or of any other host.
    pub(crate) fn of(&self, name: &str) -> HostSettings {
        self.hosts.get(host::normal(name)).cloned().unwrap_or_default()
    }

    /// Every registry that something is set for.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, &HostSettings)> {
        self.hosts.iter().map(|(name, set)| (name.as_str(), set))
    }

    /// Certificates to trust for a host beside the system's: those of the
    /// settings, and Docker's for the host.
    pub(crate) fn certificates(&self, name: &str) -> Result<Vec<Certificate>, RegistryError> {
        let mut files: Vec<PathBuf> = self.of(name).ca.into_iter().collect();
        files.extend(files_for(name, "crt"));
        let mut certificates = Vec::new();
        for path in files {
            let bad = |reason: String| RegistryError::Settings { path: path.clone(), reason };
            let bytes = fs::read(&path).map_err(|e| bad(e.to_string()))?;
            let found = Certificate::from_pem_bundle(&bytes).map_err(|e| bad(e.to_string()))?;
            if found.is_empty() {
                return Err(bad("it holds no certificate in PEM form".to_owned()));
            }
            certificates.extend(found);
        }
        Ok(certificates)
    }
}

/// What this machine shows a host that asks for a certificate: the first
/// `NAME.cert` with its `NAME.key`.
pub(crate) fn identity(name: &str) -> Result<Option<Identity>, RegistryError> {
    let Some(path) = files_for(name, "cert").into_iter().next() else { return Ok(None) };
    let bad = |reason: String| RegistryError::Settings { path: path.clone(), reason };
    let mut bytes = fs::read(path.with_extension("key"))
        .map_err(|e| bad(format!("its key {}: {e}", path.with_extension("key").display())))?;
    bytes.push(b'\n');
    bytes.extend(fs::read(&path).map_err(|e| bad(e.to_string()))?);
    Identity::from_pem(&bytes).map(Some).map_err(|e| bad(e.to_string()))
}

/// Whether a host that asks is shown a certificate.
pub(crate) fn has_identity(name: &str) -> bool {
    !files_for(name, "cert").is_empty()
}

/// The hosts that Docker or Podman have files of a kind for, with the files.
pub(crate) fn files_by_host(extension: &str) -> BTreeMap<String, Vec<PathBuf>> {
    let hosts = folders().into_iter().flat_map(|it| fs::read_dir(it).into_iter().flatten());
    let hosts = hosts.flatten().map(|it| it.file_name().to_string_lossy().into_owned());
    let found = hosts.map(|host| (host.clone(), files_for(&host, extension)));
    found.filter(|(_, files)| !files.is_empty()).collect()
}

/// The folders in which Docker and Podman have a folder for each host.
fn folders() -> Vec<PathBuf> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let mut folders: Vec<PathBuf> = OF_MACHINE.map(PathBuf::from).into();
    folders.extend(set("DOCKER_CONFIG").map(|folder| folder.join("certs.d")));
    folders.extend(set("HOME").into_iter().flat_map(|home| OF_PERSON.map(|it| home.join(it))));
    folders
}

/// The files of a kind that Docker or Podman have for a host.
fn files_for(name: &str, extension: &str) -> Vec<PathBuf> {
    // A host is a folder's name only when it is nothing else.
    if name.is_empty() || name.contains('/') || name.starts_with('.') {
        return Vec::new();
    }
    let mut files = Vec::new();
    for folder in folders() {
        let entries = fs::read_dir(folder.join(name)).into_iter().flatten().flatten();
        let fitting = entries.map(|it| it.path());
        let fitting = fitting.filter(|it| it.extension().is_some_and(|end| end == extension));
        files.extend(fitting);
    }
    files.sort();
    files.dedup();
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_found_by_any_name_of_the_host() {
        let text = br#"{"https://index.docker.io/v1/": {"mirrors": ["m.example/hub"]},
            "r.example:5000": {"insecure": true, "ca": "/x.crt"}}"#;
        let settings = Settings::parse(text).unwrap();
        assert_eq!(settings.of("docker.io").mirrors, ["m.example/hub"]);
        assert!(settings.of("r.example:5000").insecure);
        assert_eq!(settings.of("r.example"), HostSettings::default());
        assert!(settings.certificates("r.example:5000").is_err(), "the file is not there");
        for bad in ["[]", "{\"a\": {\"mirror\": []}}", "{"] {
            assert!(Settings::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
