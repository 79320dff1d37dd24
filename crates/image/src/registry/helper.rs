//! Credential helpers: programs `docker-credential-NAME` that keep secrets in
//! a key ring and speak JSON (docker-credential-helpers, README).

use std::{env, path::Path, process::Stdio, time::Duration};

use serde::{Deserialize, Serialize};
use tokio::{io::AsyncWriteExt as _, process::Command};

use super::{Credentials, RegistryError};

/// One helper.
pub(crate) struct Helper<'a> {
    program: String,
    config: &'a Path,
}

/// What a helper takes and gives.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    #[serde(rename = "ServerURL", default)]
    server: String,
    username: String,
    secret: String,
}

/// Why a program cannot be started.
const NOT_THERE: &str = "it is not on PATH";
/// The user name that marks an identity token.
const TOKEN: &str = "<token>";
/// A key ring may ask the person for its own password.
const LIMIT: Duration = Duration::from_mins(2);

impl<'a> Helper<'a> {
    /// The helper of that name, as `config` has it.
    pub(crate) fn new(name: &str, config: &'a Path) -> Result<Self, RegistryError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if !name.chars().all(plain) {
            let reason = format!("`{name}` names no credential helper");
            return Err(RegistryError::Settings { path: config.to_owned(), reason });
        }
        Ok(Self { program: format!("docker-credential-{name}"), config })
    }

    pub(crate) fn program(&self) -> &str {
        &self.program
    }

    /// That its program is nowhere on PATH.
    pub(crate) fn absence(&self) -> Option<RegistryError> {
        let path = env::var_os("PATH").unwrap_or_default();
        let there = env::split_paths(&path).any(|folder| folder.join(&self.program).is_file());
        (!there).then(|| self.failed(NOT_THERE))
    }

    /// The credentials for a server, if it has any.
    pub(crate) async fn get(&self, server: &str) -> Result<Option<Credentials>, RegistryError> {
        let (good, said) = self.run("get", server.as_bytes()).await?;
        if !good {
            let none = said.to_ascii_lowercase().contains("credentials not found");
            return if none { Ok(None) } else { Err(self.failed(&said)) };
        }
        let entry: Entry = serde_json::from_str(&said).map_err(|e| self.failed(&e.to_string()))?;
        Ok(match entry {
            Entry { secret, .. } if secret.is_empty() => None,
            Entry { username, secret, .. } if username == TOKEN => {
                Some(Credentials::IdentityToken(secret))
            }
            Entry { username, secret, .. } => {
                Some(Credentials::Password { name: username, secret })
            }
        })
    }

    /// Keeps credentials.
    pub(crate) async fn store(
        &self,
        server: &str,
        credentials: &Credentials,
    ) -> Result<(), RegistryError> {
        let (username, secret) = match credentials.clone() {
            Credentials::Password { name, secret } => (name, secret),
            Credentials::IdentityToken(token) => (TOKEN.to_owned(), token),
        };
        let entry = Entry { server: server.to_owned(), username, secret };
        let entry = serde_json::to_vec(&entry).map_err(|e| self.failed(&e.to_string()))?;
        match self.run("store", &entry).await? {
            (true, _) => Ok(()),
            (false, said) => Err(self.failed(&said)),
        }
    }

    /// Forgets credentials.
    pub(crate) async fn erase(&self, server: &str) -> Result<(), RegistryError> {
        match self.run("erase", server.as_bytes()).await? {
            (true, _) => Ok(()),
            (false, said) => Err(self.failed(&said)),
        }
    }

    /// Runs the helper; whether it succeeded, and what it printed.
    async fn run(&self, verb: &str, input: &[u8]) -> Result<(bool, String), RegistryError> {
        let mut child = Command::new(&self.program)
            .arg(verb)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|e| match e.kind() {
                std::io::ErrorKind::NotFound => self.failed(NOT_THERE),
                _ => self.failed(&e.to_string()),
            })?;
        let talk = async {
            if let Some(mut stdin) = child.stdin.take() {
                // One that does not read its input says so by its result.
                let _ = stdin.write_all(input).await;
            }
            child.wait_with_output().await
        };
        let output = tokio::time::timeout(LIMIT, talk)
            .await
            .map_err(|_| self.failed("it gave no answer"))?
            .map_err(|e| self.failed(&e.to_string()))?;
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        Ok((output.status.success(), said))
    }

    fn failed(&self, reason: &str) -> RegistryError {
        RegistryError::Helper {
            program: self.program.clone(),
            reason: super::answer::one_line(reason),
            config: self.config.to_owned(),
        }
    }
}
