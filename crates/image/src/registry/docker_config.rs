//! Docker's `config.json`, of which Podman's `auth.json` is a part.

use std::collections::BTreeSet;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use super::{Credentials, host};

/// The file as it is written, so that what nobody here knows stays.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct AuthConfig {
    document: Map<String, Value>,
}

/// What one entry holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stored {
    /// An identity token.
    Token(String),
    /// Name and password.
    Password(String, String),
    /// Nothing: the secret is in a credential helper.
    Elsewhere,
}

impl AuthConfig {
    /// Reads the file.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, String> {
        if bytes.trim_ascii().is_empty() {
            return Ok(Self::default());
        }
        let document = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
        Ok(Self { document })
    }

    /// The file's new content.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(&self.document).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }

    /// The credential helper for a registry: its own, else the one for all.
    pub(crate) fn helper(&self, registry: &str) -> Option<&str> {
        let own = self.object("credHelpers").and_then(|helpers| {
            helpers.iter().find(|(key, _)| host::normal(key) == registry).map(|(_, name)| name)
        });
        let name = own.or_else(|| self.document.get("credsStore"))?.as_str()?;
        (!name.is_empty()).then_some(name)
    }

    /// What the file itself holds for a registry.
    pub(crate) fn stored(&self, registry: &str) -> Result<Option<Credentials>, String> {
        let Some(auths) = self.object("auths") else { return Ok(None) };
        let Some((key, entry)) = auths.iter().find(|(key, _)| host::normal(key) == registry) else {
            return Ok(None);
        };
        let stored = entry_of(entry).ok_or_else(|| format!("the login for {key} is damaged"))?;
        Ok(stored.into())
    }

    /// Every registry that the file holds an entry or a helper for.
    pub(crate) fn registries(&self) -> BTreeSet<&str> {
        let objects = ["auths", "credHelpers"].into_iter().filter_map(|key| self.object(key));
        objects.flat_map(|entries| entries.keys().map(|key| host::normal(key))).collect()
    }

    /// Writes an entry.
    pub(crate) fn put(&mut self, registry: &str, credentials: &Credentials) {
        self.remove(registry);
        let entry = match credentials {
            Credentials::Password { name, secret } => {
                json!({"auth": STANDARD.encode(format!("{name}:{secret}"))})
            }
            Credentials::IdentityToken(token) => json!({"identitytoken": token}),
        };
        let auths = self.document.entry("auths").or_insert_with(|| json!({}));
        if !auths.is_object() {
            *auths = json!({});
        }
        auths[host::key(registry)] = entry;
    }

    /// Takes the entries of a registry out; whether there were any.
    pub(crate) fn remove(&mut self, registry: &str) -> bool {
        let Some(auths) = self.document.get_mut("auths").and_then(Value::as_object_mut) else {
            return false;
        };
        let before = auths.len();
        auths.retain(|key, _| host::normal(key) != registry);
        auths.len() < before
    }

    fn object(&self, key: &str) -> Option<&Map<String, Value>> {
        self.document.get(key)?.as_object()
    }
}

/// `identitytoken`, else `auth`, the base64 form of `NAME:SECRET`, else
/// `username` and `password`. `None` when it is damaged.
fn entry_of(entry: &Value) -> Option<Stored> {
    let text = |key: &str| {
        entry.get(key).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
    };
    if let Some(token) = text("identitytoken") {
        return Some(Stored::Token(token));
    }
    if let Some(auth) = text("auth") {
        let decoded = String::from_utf8(STANDARD.decode(auth.trim()).ok()?).ok()?;
        let (name, secret) = decoded.split_once(':')?;
        // Docker pads old entries with zero bytes.
        let secret = secret.trim_end_matches('\0');
        return Some(Stored::Password(name.to_owned(), secret.to_owned()));
    }
    match (text("username"), text("password")) {
        (Some(name), Some(secret)) => Some(Stored::Password(name, secret)),
        _ => Some(Stored::Elsewhere),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_entry_of_the_registry_is_used_and_no_other() {
        let config = AuthConfig::parse(
            br#"{"auths": {
            "https://index.docker.io/v1/": {"auth": "YW5uOnM6ZWNyZXQ="},
            "localhost:5000": {"username": "bob", "password": "p"},
            "token.example": {"auth": "eDp5", "identitytoken": "t"},
            "helped.example": {},
            "broken.example": {"auth": "!"}
        }}"#,
        )
        .unwrap();
        let of = |registry| config.stored(registry).unwrap();
        let password = |name: &str, secret: &str| {
            Some(Credentials::Password { name: name.into(), secret: secret.into() })
        };
        assert_eq!(of("docker.io"), password("ann", "s:ecret"));
        assert_eq!(of("localhost:5000"), password("bob", "p"));
        assert_eq!(of("token.example"), Some(Credentials::IdentityToken("t".into())));
        assert_eq!((of("localhost:5001"), of("helped.example")), (None, None));
        assert!(config.stored("broken.example").unwrap_err().contains("broken.example"));
    }

    #[test]
    fn a_helper_of_its_own_goes_before_the_one_for_all() {
        let text =
            br#"{"credsStore": "pass", "credHelpers": {"a.example": "own", "b.example": ""}}"#;
        let config = AuthConfig::parse(text).unwrap();
        assert_eq!(config.helper("a.example"), Some("own"));
        assert_eq!(config.helper("b.example"), None, "an empty one turns it off");
        assert_eq!(config.helper("docker.io"), Some("pass"));
        assert_eq!(AuthConfig::parse(b" \n").unwrap(), AuthConfig::default());
        assert!(AuthConfig::parse(b"[]").is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_end(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = AuthConfig::parse(&bytes).map(|config| config.stored("docker.io"));
        }

        #[test]
        fn what_is_written_is_read(name in "[^:\0]{1,20}", secret in "[^\0]{1,20}") {
            let mut config = AuthConfig::parse(br#"{"other": [1]}"#).unwrap();
            let credentials = Credentials::Password { name, secret };
            config.put("docker.io", &credentials);
            config.put("docker.io", &credentials);
            let again = AuthConfig::parse(&config.bytes()).unwrap();
            prop_assert_eq!(again.stored("docker.io").unwrap(), Some(credentials));
            prop_assert_eq!(&again.document["other"], &json!([1]));
            prop_assert_eq!(again.object("auths").unwrap().len(), 1);
        }
    }
}
