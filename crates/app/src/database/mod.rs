//! A PostgreSQL to try out: where it is reached, whether it answers, and
//! queries through the `psql` of its own image.

mod answer;
mod psql;

use std::time::Duration;

use serde::Serialize;
use tandem_backend::BackendError;
use tandem_model::{InstanceRecord, InstanceState, MountSource, Protocol};
use tokio::time::Instant;

use crate::{App, AppError, Building, Cancel};

pub use answer::{QueryAnswer, QueryTable};

/// Where PostgreSQL listens inside.
const PORT: u16 = 5432;
/// Where the official image keeps its data, unless it says otherwise.
const FOLDER: &str = "/var/lib/postgresql/data";
/// The name of the image that is made from Debian's packages.
const MADE: &str = "localhost/tandem/postgres";
/// The first start makes the database, on a machine that is emulated perhaps.
const LIMIT: Duration = Duration::from_mins(5);
/// How often one that starts is asked.
const LOOK: Duration = Duration::from_millis(300);

/// An instance with a PostgreSQL in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ts_rs::TS)]
pub struct Database {
    /// The instance.
    pub name: String,
    /// What a program outside connects with; absent when it publishes no port.
    pub url: Option<String>,
    /// The volume that has the data; absent when they go with the instance.
    pub volume: Option<String>,
}

impl App {
    /// Where an image of PostgreSQL keeps its data: since its version 18 the
    /// official one has another folder.
    pub fn database_folder(&self, image: &str) -> Result<String, AppError> {
        let config = self.image(image)?.config.config().clone().unwrap_or_default();
        let folder = config.volumes().iter().flatten().next().cloned();
        Ok(folder.unwrap_or_else(|| FOLDER.to_owned()))
    }

    /// Where the PostgreSQL of an instance is reached.
    pub fn database(&self, instance: &str) -> Result<Database, AppError> {
        Ok(describe(&self.inspect(instance)?))
    }

    /// Waits until it answers from outside.
    pub async fn await_database(&self, instance: &str) -> Result<Database, AppError> {
        let record = self.inspect(instance)?;
        let name = record.spec.name;
        let limit = Instant::now() + LIMIT;
        loop {
            let record = self.inspect(&name)?;
            let up = self.is_up(&record.id)?;
            if record.state == InstanceState::Running {
                let answer = self.query_database(&name, "SELECT 1").await;
                if answer.as_ref().is_ok_and(|answer| answer.error.is_none()) {
                    return Ok(describe(&record));
                }
                // An image without psql never answers.
                if let (Err(error), true) = (answer, up) {
                    return Err(error);
                }
            }
            let why = if !up {
                "it has ended"
            } else if Instant::now() > limit {
                "it does not answer in five minutes"
            } else {
                tokio::time::sleep(LOOK).await;
                continue;
            };
            let last = self.backend(record.spec.backend).log_tail(&record.id, 3).await.join("; ");
            return Err(BackendError::Unavailable {
                what: format!("PostgreSQL in {name}"),
                why: format!("{why}, and its log ends with `{last}`"),
                fix: format!("`tandem logs {name}` shows all of it"),
            }
            .into());
        }
    }

    /// Makes an image of PostgreSQL from Debian's packages, for machines that
    /// do not reach a registry; its name.
    pub async fn make_database_image(
        &self,
        events: &mut (dyn FnMut(Building) + Send),
        cancel: &Cancel,
    ) -> Result<String, AppError> {
        let scratch = self.home.scratch("postgres")?;
        let folder = scratch.path().join("postgres");
        self.copy_sample("postgres", &folder)?;
        self.build_folder(folder, MADE, false, events, cancel).await?;
        Ok(format!("{MADE}:latest"))
    }
}

fn describe(record: &InstanceRecord) -> Database {
    let spec = &record.spec;
    let ports = if record.ports.is_empty() { &spec.ports } else { &record.ports };
    let port = ports
        .iter()
        .find(|map| map.port == PORT && map.protocol == Protocol::Tcp && map.host_port != 0);
    let settings = Settings::of(&spec.env);
    let url = port.map(|map| {
        let ip =
            if map.host_ip.is_unspecified() { "127.0.0.1".into() } else { map.host_ip.to_string() };
        let [user, password, database] =
            [settings.user, settings.password, settings.database].map(escaped);
        format!("postgresql://{user}:{password}@{ip}:{}/{database}", map.host_port)
    });
    let volume = spec.options.mounts.iter().find_map(|mount| match &mount.source {
        MountSource::Volume { name, anonymous: false, .. } => Some(name.clone()),
        _ => None,
    });
    Database { name: spec.name.clone(), url, volume }
}

/// What the environment says, with the official image's defaults.
struct Settings<'a> {
    user: &'a str,
    password: &'a str,
    database: &'a str,
}

impl<'a> Settings<'a> {
    fn of(env: &'a [String]) -> Self {
        let get = |name: &str| {
            let mut pairs = env.iter().rev().filter_map(|entry| entry.split_once('='));
            pairs.find(|(key, value)| *key == name && !value.is_empty()).map(|(_, value)| value)
        };
        let user = get("POSTGRES_USER").unwrap_or("postgres");
        Self {
            user,
            password: get("POSTGRES_PASSWORD").unwrap_or_default(),
            database: get("POSTGRES_DB").unwrap_or(user),
        }
    }
}

/// Text as it stands in an address (RFC 3986, 2.3).
fn escaped(text: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    let each = |byte: u8| {
        if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    text.bytes().map(each).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_is_read_as_the_image_reads_it() {
        let env = ["POSTGRES_USER=ann", "POSTGRES_PASSWORD=a=b"].map(str::to_owned);
        let it = Settings::of(&env);
        assert_eq!((it.user, it.password, it.database), ("ann", "a=b", "ann"));
        let it = Settings::of(&[]);
        assert_eq!((it.user, it.password, it.database), ("postgres", "", "postgres"));
    }

    #[test]
    fn a_password_stands_in_an_address() {
        assert_eq!(escaped("password!"), "password%21");
        assert_eq!(escaped("ä/@:"), "%C3%A4%2F%40%3A");
    }
}
