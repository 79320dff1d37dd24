use std::{env, fs, path::PathBuf};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

/// A name and a secret for one registry.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// User name.
    pub name: String,
    /// Password or access token.
    pub secret: String,
}

impl std::fmt::Debug for Credentials {
    /// Leaves the secret out.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Credentials {
    /// What the user's Docker configuration (`$DOCKER_CONFIG/config.json`,
    /// else `~/.docker/config.json`) holds for a registry.
    pub fn of_user(registry: &str) -> Option<Self> {
        let folder = match env::var_os("DOCKER_CONFIG") {
            Some(folder) => PathBuf::from(folder),
            None => PathBuf::from(env::var_os("HOME")?).join(".docker"),
        };
        Self::of_docker_config(&fs::read(folder.join("config.json")).ok()?, registry)
    }

    /// The credentials for a registry in a Docker configuration file: `auth`,
    /// the base64 form of `name:secret`, or `username` and `password`.
    pub fn of_docker_config(bytes: &[u8], registry: &str) -> Option<Self> {
        let config: Value = serde_json::from_slice(bytes).ok()?;
        let auths = config.get("auths")?.as_object()?;
        let (_, entry) = auths.iter().find(|(key, _)| host(key) == host(registry))?;
        let text = |key: &str| entry.get(key).and_then(Value::as_str);
        if let Some(auth) = text("auth").filter(|auth| !auth.is_empty()) {
            let decoded = String::from_utf8(STANDARD.decode(auth).ok()?).ok()?;
            let (name, secret) = decoded.split_once(':')?;
            // Docker pads old entries with zero bytes.
            let secret = secret.trim_end_matches('\0');
            return Some(Self { name: name.to_owned(), secret: secret.to_owned() });
        }
        Some(Self { name: text("username")?.to_owned(), secret: text("password")?.to_owned() })
    }
}

/// The registry that a key means: keys may be URLs, and Docker Hub has three
/// names.
fn host(key: &str) -> &str {
    let key = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    match key.split('/').next().unwrap_or_default() {
        "index.docker.io" | "registry-1.docker.io" => "docker.io",
        host => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_entry_of_the_registry_is_used_and_no_other() {
        let config = br#"{"auths": {
            "https://index.docker.io/v1/": {"auth": "YW5uOnM6ZWNyZXQ="},
            "localhost:5000": {"username": "bob", "password": "p"},
            "broken.example": {"auth": "!"}
        }}"#;
        let of = |registry| Credentials::of_docker_config(config, registry);
        let hub = of("docker.io").unwrap();
        assert_eq!((hub.name.as_str(), hub.secret.as_str()), ("ann", "s:ecret"));
        assert_eq!(of("localhost:5000").unwrap().name, "bob");
        assert_eq!(of("localhost:5001"), None);
        assert_eq!(of("broken.example"), None);
        assert!(!format!("{hub:?}").contains("ecret"));
        assert_eq!(Credentials::of_docker_config(b"[]", "docker.io"), None);
    }
}
