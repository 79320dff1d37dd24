use serde::Deserialize;
use tandem_image::Image;
use tandem_model::{HealthCheck, InstanceOptions};

use crate::{App, AppError};

/// What a person wants of health checks; the image's own fill the rest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HealthWishes {
    /// None at all, whatever the image says.
    pub none: bool,
    /// Command for a shell in place of the image's.
    pub command: Option<String>,
    /// Milliseconds from the end of one check to the next.
    pub interval_ms: Option<u64>,
    /// Milliseconds after which a check is killed.
    pub timeout_ms: Option<u64>,
    /// Milliseconds at the start in which failures do not count.
    pub start_period_ms: Option<u64>,
    /// The interval in that time.
    pub start_interval_ms: Option<u64>,
    /// Failures in a row that make the app unhealthy.
    pub retries: Option<u32>,
}

/// What Docker adds to an image's configuration; times in nanoseconds, 0 for
/// the default.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct DockerConfig {
    healthcheck: Option<Healthcheck>,
    shell: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Healthcheck {
    test: Vec<String>,
    interval: u64,
    timeout: u64,
    start_period: u64,
    start_interval: u64,
    retries: u32,
}

impl App {
    /// Writes the health check of an instance into its options.
    pub(crate) fn complete_health(
        &self,
        image: &Image,
        wishes: &HealthWishes,
        options: &mut InstanceOptions,
    ) -> Result<(), AppError> {
        let mut document = self.images.config_document(image)?;
        let config = serde_json::from_value(document["config"].take()).unwrap_or_default();
        options.health = check(config, wishes)?;
        Ok(())
    }
}

fn check(config: DockerConfig, wishes: &HealthWishes) -> Result<Option<HealthCheck>, AppError> {
    let (default, of_image) = (HealthCheck::default(), config.healthcheck.unwrap_or_default());
    let shell = config.shell.unwrap_or_else(|| vec!["/bin/sh".to_owned(), "-c".to_owned()]);
    let in_shell = |text: &str| [shell.as_slice(), &[text.to_owned()]].concat();
    let command = match (&wishes.command, of_image.test.split_first()) {
        (Some(text), _) => Some(in_shell(text)),
        (None, Some((kind, rest))) if kind == "CMD" && !rest.is_empty() => Some(rest.to_vec()),
        (None, Some((kind, [text, ..]))) if kind == "CMD-SHELL" => Some(in_shell(text)),
        _ => None,
    };
    let refuse = |text: &str| Err(AppError::Usage(text.to_owned()));
    if wishes.none {
        let others = HealthWishes { none: true, ..HealthWishes::default() };
        if *wishes == others {
            return Ok(None);
        }
        return refuse("--no-healthcheck leaves nothing for the other --health options to do");
    }
    let Some(command) = command else {
        if *wishes == HealthWishes::default() {
            return Ok(None);
        }
        return refuse("the image has no health check to change: give one with --health-cmd");
    };
    let time = |wish: Option<u64>, image: u64, default| match (wish, image / 1_000_000) {
        (Some(wish), _) => wish,
        (None, 0) => default,
        (None, image) => image,
    };
    Ok(Some(HealthCheck {
        command,
        interval_ms: time(wishes.interval_ms, of_image.interval, default.interval_ms),
        timeout_ms: time(wishes.timeout_ms, of_image.timeout, default.timeout_ms),
        start_period_ms: time(
            wishes.start_period_ms,
            of_image.start_period,
            default.start_period_ms,
        ),
        start_interval_ms: time(
            wishes.start_interval_ms,
            of_image.start_interval,
            default.start_interval_ms,
        ),
        retries: match (wishes.retries, of_image.retries) {
            (Some(wish), _) => wish,
            (None, 0) => default.retries,
            (None, image) => image,
        },
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json};

    use super::*;

    fn of(config: serde_json::Value, wishes: HealthWishes) -> Option<HealthCheck> {
        check(from_value(config).unwrap(), &wishes).unwrap()
    }

    #[test]
    fn the_image_decides_unless_a_person_does() {
        let image = || {
            json!({
                "Healthcheck": { "Test": ["CMD-SHELL", "curl x"], "Interval": 5_000_000_000_u64 },
                "Shell": ["/bin/bash", "-ec"],
            })
        };
        let health = of(image(), HealthWishes::default()).unwrap();
        assert_eq!(health.command, ["/bin/bash", "-ec", "curl x"]);
        assert_eq!((health.interval_ms, health.timeout_ms, health.retries), (5000, 30_000, 3));
        let wishes = HealthWishes { interval_ms: Some(7), ..HealthWishes::default() };
        assert_eq!(of(image(), wishes).unwrap().interval_ms, 7);
        let none = HealthWishes { none: true, ..HealthWishes::default() };
        assert_eq!(of(image(), none), None);
        let direct = json!({ "Healthcheck": { "Test": ["CMD", "check", "it"] } });
        assert_eq!(of(direct, HealthWishes::default()).unwrap().command, ["check", "it"]);
    }

    #[test]
    fn there_is_none_without_a_command() {
        for test in [json!(["NONE"]), json!([]), json!(["CMD"]), json!(["ODD", "x"])] {
            let config = json!({ "Healthcheck": { "Test": test } });
            assert_eq!(of(config, HealthWishes::default()), None);
        }
        let wishes = HealthWishes { command: Some("true".into()), ..HealthWishes::default() };
        assert_eq!(of(json!({}), wishes.clone()).unwrap().command, ["/bin/sh", "-c", "true"]);
        let retries = HealthWishes { retries: Some(2), ..HealthWishes::default() };
        assert!(check(DockerConfig::default(), &retries).is_err());
        let both = HealthWishes { none: true, ..wishes };
        assert!(check(DockerConfig::default(), &both).is_err());
    }
}
