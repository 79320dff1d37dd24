//! Who one is at which registry: configuration files and credential helpers.

use std::{
    env, fmt, fs,
    path::{Path, PathBuf},
};

use tandem_model::{OutsideKind, OutsideSetting};

use super::{
    RegistryError,
    docker_config::{AuthConfig, Stored},
    helper::Helper,
    host,
};

/// Proof of who one is, for one registry.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// A name with a password or an access token.
    Password {
        /// User name.
        name: String,
        /// The secret.
        secret: String,
    },
    /// A token that the token server exchanges for others (OAuth 2 refresh
    /// token).
    IdentityToken(String),
}

impl fmt::Debug for Credentials {
    /// Leaves the secret out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Password { name, .. } => f.debug_tuple("Password").field(name).finish(),
            Self::IdentityToken(_) => f.write_str("IdentityToken"),
        }
    }
}

/// As whom to ask a registry.
#[derive(Debug, Clone, Default)]
pub enum Access {
    /// As the user's configuration files say.
    #[default]
    User,
    /// As nobody.
    Anonymous,
    /// With these credentials, at the registry itself; mirrors see nobody.
    As(Credentials),
}

/// The files that hold logins, as Docker and Podman have them.
#[derive(Debug, Clone)]
pub struct LoginFiles {
    /// Read in this order.
    read: Vec<PathBuf>,
    /// New logins go here.
    write: PathBuf,
}

impl LoginFiles {
    /// `$REGISTRY_AUTH_FILE`, which is never written, then
    /// `$DOCKER_CONFIG/config.json`, else `~/.docker/config.json`.
    pub fn of_user() -> Self {
        let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let folder = set("DOCKER_CONFIG")
            .or_else(|| set("HOME").map(|home| home.join(".docker")))
            .unwrap_or_else(|| PathBuf::from("/root/.docker"));
        let write = folder.join("config.json");
        let read = set("REGISTRY_AUTH_FILE").into_iter().chain([write.clone()]).collect();
        Self { read, write }
    }

    /// One file for everything.
    pub fn one(path: &Path) -> Self {
        Self { read: vec![path.to_owned()], write: path.to_owned() }
    }

    /// Where passwords are kept, and where a new one would be, without asking
    /// a credential helper for any.
    pub(crate) fn told(&self) -> Vec<OutsideSetting> {
        let mut told = Vec::new();
        for path in &self.read {
            let row = |of: Option<&str>, value: String, problem: Option<String>| OutsideSetting {
                kind: OutsideKind::Login,
                of: of.map(str::to_owned),
                value,
                source: path.display().to_string(),
                problem,
            };
            let config = match read(path) {
                Ok(config) => config,
                Err(error) => {
                    told.push(row(None, String::new(), Some(error.to_string())));
                    continue;
                }
            };
            let place = |registry: &str| match config.helper(registry) {
                None => (path.display().to_string(), None),
                Some(name) => match Helper::new(name, path) {
                    Ok(helper) => (helper.program().to_owned(), helper.absence()),
                    Err(error) => (name.to_owned(), Some(error)),
                },
            };
            for registry in config.registries() {
                let (value, problem) = place(registry);
                told.push(row(Some(registry), value, problem.map(|it| it.to_string())));
            }
            // No registry has this name: it stands for all others.
            if *path == self.write {
                let (value, problem) = place("");
                told.push(row(None, value, problem.map(|it| it.to_string())));
            }
        }
        told
    }

    /// The credentials for a registry, and what kept a credential helper from
    /// answering: that matters only when the registry wants somebody.
    pub(crate) async fn find(
        &self,
        registry: &str,
    ) -> Result<(Option<Credentials>, Option<RegistryError>), RegistryError> {
        let mut trouble = None;
        for path in &self.read {
            let config = read(path)?;
            if let Some(name) = config.helper(registry) {
                match Helper::new(name, path)?.get(host::key(registry)).await {
                    Ok(Some(found)) => return Ok((Some(found), trouble)),
                    Ok(None) => {}
                    Err(error) => trouble = Some(error),
                }
            }
            let stored = config.stored(registry).map_err(|reason| settings(path, reason))?;
            if stored.is_some() {
                return Ok((stored, trouble));
            }
        }
        Ok((None, trouble))
    }

    /// Keeps credentials: in the credential helper that the file names, else
    /// in the file itself. Says where.
    pub async fn store(
        &self,
        registry: &str,
        credentials: &Credentials,
    ) -> Result<String, RegistryError> {
        let registry = host::normal(registry);
        let path = &self.write;
        let mut config = read(path)?;
        if let Some(name) = config.helper(registry) {
            let helper = Helper::new(name, path)?;
            helper.store(host::key(registry), credentials).await?;
            return Ok(helper.program().to_owned());
        }
        config.put(registry, credentials);
        write(path, &config)?;
        Ok(path.display().to_string())
    }

    /// Forgets the credentials for a registry.
    ///
    /// # Errors
    /// [`RegistryError::NoLogin`] when there were none.
    pub async fn erase(&self, registry: &str) -> Result<(), RegistryError> {
        let registry = host::normal(registry);
        let path = &self.write;
        let mut config = read(path)?;
        let mut erased = false;
        if let Some(name) = config.helper(registry) {
            let helper = Helper::new(name, path)?;
            if helper.get(host::key(registry)).await?.is_some() {
                helper.erase(host::key(registry)).await?;
                erased = true;
            }
        }
        if config.remove(registry) {
            write(path, &config)?;
            erased = true;
        }
        if erased {
            Ok(())
        } else {
            Err(RegistryError::NoLogin { registry: registry.to_owned(), path: path.clone() })
        }
    }
}

impl Default for LoginFiles {
    fn default() -> Self {
        Self::of_user()
    }
}

fn settings(path: &Path, reason: impl ToString) -> RegistryError {
    RegistryError::Settings { path: path.to_owned(), reason: reason.to_string() }
}

fn read(path: &Path) -> Result<AuthConfig, RegistryError> {
    match fs::read(path) {
        Ok(bytes) => AuthConfig::parse(&bytes).map_err(|reason| settings(path, reason)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(AuthConfig::default()),
        Err(e) => Err(settings(path, e)),
    }
}

/// Replaces the file as a whole, readable to its owner only. A symbolic link
/// stays one.
fn write(path: &Path, config: &AuthConfig) -> Result<(), RegistryError> {
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if let Some(folder) = target.parent().filter(|folder| !folder.exists()) {
        tandem_home::make_private_dir(folder).map_err(|e| settings(path, e))?;
    }
    tandem_home::write_atomic(&target, &config.bytes()).map_err(|e| settings(path, e))
}

impl From<Stored> for Option<Credentials> {
    fn from(stored: Stored) -> Self {
        match stored {
            Stored::Token(token) => Some(Credentials::IdentityToken(token)),
            Stored::Password(name, secret) => Some(Credentials::Password { name, secret }),
            Stored::Elsewhere => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn ann() -> Credentials {
        Credentials::Password { name: "ann".into(), secret: "s:ecret".into() }
    }

    #[tokio::test]
    async fn a_login_is_kept_beside_everything_else_and_forgotten_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("docker/config.json");
        let files = LoginFiles::one(&path);
        files.store("https://r.example:5000/", &ann()).await.unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replacen('{', "{\"detachKeys\": \"ctrl-x\",", 1)).unwrap();
        files.store("docker.io", &Credentials::IdentityToken("t".into())).await.unwrap();
        assert_eq!(files.find("r.example:5000").await.unwrap().0, Some(ann()));
        let hub = files.find("docker.io").await.unwrap().0;
        assert_eq!(hub, Some(Credentials::IdentityToken("t".into())));
        assert_eq!(files.find("other.example").await.unwrap().0, None);
        files.erase("r.example:5000").await.unwrap();
        let again = files.erase("r.example:5000").await;
        assert!(matches!(again, Err(RegistryError::NoLogin { .. })), "{again:?}");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("ctrl-x") && !text.contains("r.example"), "{text}");
        assert!(!format!("{:?}", ann()).contains("ecret"));
    }

    #[test]
    fn where_passwords_are_is_told_without_them() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        fs::write(
            &path,
            r#"{"auths": {"r.example": {"auth": "YW5uOnM6ZWNyZXQ="}},
                "credHelpers": {"h.example": "no-such-helper-here", "bad.example": "a b"}}"#,
        )
        .unwrap();
        let told = LoginFiles::one(&path).told();
        let of = |name: Option<&str>| told.iter().find(|it| it.of.as_deref() == name).unwrap();
        let file = path.display().to_string();
        assert_eq!((of(Some("r.example")).value.as_str(), told.len()), (file.as_str(), 4));
        assert_eq!(of(Some("h.example")).value, "docker-credential-no-such-helper-here");
        assert!(of(Some("h.example")).problem.as_ref().unwrap().contains("not on PATH"));
        assert!(of(Some("bad.example")).problem.is_some());
        assert_eq!((of(None).value.as_str(), of(None).problem.as_ref()), (file.as_str(), None));
        assert!(!format!("{told:?}").contains("YW5"));
        fs::write(&path, "{").unwrap();
        let told = LoginFiles::one(&path).told();
        assert!(told[0].problem.as_ref().unwrap().contains("config.json"), "{told:?}");
    }

    #[tokio::test]
    async fn a_broken_file_is_named_and_not_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        fs::write(&path, "{ not json").unwrap();
        let files = LoginFiles::one(&path);
        let error = files.store("r.example", &ann()).await.unwrap_err();
        assert!(error.to_string().contains("config.json"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "{ not json");
    }

    #[tokio::test]
    async fn a_helper_that_is_not_there_matters_only_later() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        fs::write(&path, r#"{"credsStore": "no-such-helper-here"}"#).unwrap();
        let files = LoginFiles::one(&path);
        let (found, trouble) = files.find("r.example").await.unwrap();
        assert_eq!(found, None);
        assert!(trouble.unwrap().to_string().contains("docker-credential-no-such-helper-here"));
        assert!(files.store("r.example", &ann()).await.is_err(), "a login must not get lost");
    }
}
