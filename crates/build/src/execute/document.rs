//! The image configuration: OCI's, with the fields that only Docker's image
//! specification has (`Healthcheck`, `OnBuild`, `Shell`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tandem_image::{Layer, Platform};

/// What `tandem image inspect` shows.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Document {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) created: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) author: Option<String>,
    pub(super) architecture: String,
    pub(super) os: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    variant: Option<String>,
    #[serde(default)]
    pub(super) config: Settings,
    #[serde(default)]
    pub(super) history: Vec<History>,
}

/// What a container of the image starts with.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Settings {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) exposed_ports: Option<BTreeMap<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) env: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) entrypoint: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cmd: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) volumes: Option<BTreeMap<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) working_dir: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) labels: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) stop_signal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) healthcheck: Option<Healthcheck>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) shell: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) on_build: Option<Vec<String>>,
}

/// Docker's health check; durations in nanoseconds, 0 for the default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Healthcheck {
    pub(super) test: Vec<String>,
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) interval: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) timeout: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) start_period: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) start_interval: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) retries: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(value: &u64) -> bool {
    *value == 0
}

/// One line of the image's history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct History {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) created: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) created_by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) author: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) comment: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) empty_layer: bool,
}

/// Where programs are looked for when an image does not say (Docker's
/// default).
pub(super) const DEFAULT_PATH: &str =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

impl Document {
    /// The configuration that `FROM scratch` begins with.
    pub(super) fn scratch() -> Self {
        Self {
            created: None,
            author: None,
            architecture: Platform::default().architecture().to_owned(),
            os: "linux".to_owned(),
            variant: None,
            config: Settings {
                env: Some(vec![format!("PATH={DEFAULT_PATH}")]),
                working_dir: Some("/".to_owned()),
                ..Settings::default()
            },
            history: Vec::new(),
        }
    }

    /// What it is for.
    pub(super) fn platform(&self) -> String {
        let variant = self.variant.iter().map(|it| format!("/{it}"));
        format!("{}/{}{}", self.os, self.architecture, variant.collect::<String>())
    }

    /// Makes it one for another machine.
    pub(super) fn set_platform(&mut self, platform: &Platform) {
        platform.architecture().clone_into(&mut self.architecture);
        self.variant = platform.variant().map(str::to_owned);
    }

    /// Reads a configuration as it is stored.
    pub(super) fn deserialize_value(value: &Value) -> serde_json::Result<Self> {
        Self::deserialize(value)
    }

    /// As it is stored, with the layers' diff ids.
    pub(super) fn to_value(&self, layers: &[Layer]) -> serde_json::Result<Value> {
        let mut value = serde_json::to_value(self)?;
        let diff_ids: Vec<&str> = layers.iter().map(|layer| layer.diff_id.as_str()).collect();
        value["rootfs"] = json!({ "type": "layers", "diff_ids": diff_ids });
        Ok(value)
    }
}

impl Settings {
    /// A variable's value.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        let pairs = self.env.iter().flatten().filter_map(|pair| pair.split_once('='));
        pairs.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    /// Sets a variable; one that is there keeps its place.
    pub(super) fn set_variable(&mut self, name: &str, value: &str) {
        let pair = format!("{name}={value}");
        let env = self.env.get_or_insert_default();
        match env.iter_mut().find(|old| old.split('=').next() == Some(name)) {
            Some(old) => *old = pair,
            None => env.push(pair),
        }
    }

    /// Program and arguments that run a text in the image's shell.
    pub(super) fn in_shell(&self, text: &str) -> Vec<String> {
        let mut args = match &self.shell {
            Some(shell) if !shell.is_empty() => shell.clone(),
            _ => vec!["/bin/sh".to_owned(), "-c".to_owned()],
        };
        args.push(text.to_owned());
        args
    }

    /// Where relative paths begin.
    pub(super) fn folder(&self) -> &str {
        self.working_dir.as_deref().filter(|dir| !dir.is_empty()).unwrap_or("/")
    }
}
