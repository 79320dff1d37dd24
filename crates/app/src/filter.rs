use std::str::FromStr;

use tandem_model::{
    HealthStatus, ImageRef, InstanceRecord, InstanceState, MountSource, PortMap, Protocol,
    did_you_mean,
};

use crate::AppError;

/// A condition on instances, as it is typed: `KEY=VALUE` (those of `docker ps
/// --filter`). Conditions of one key are alternatives, but for labels; those
/// of different keys must all hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceFilter {
    key: Key,
    value: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    Id,
    Name,
    Label,
    Status,
    Exited,
    Ancestor,
    Before,
    Since,
    Volume,
    Network,
    Publish,
    Health,
}

const KEYS: [(&str, Key); 12] = [
    ("id", Key::Id),
    ("name", Key::Name),
    ("label", Key::Label),
    ("status", Key::Status),
    ("exited", Key::Exited),
    ("ancestor", Key::Ancestor),
    ("before", Key::Before),
    ("since", Key::Since),
    ("volume", Key::Volume),
    ("network", Key::Network),
    ("publish", Key::Publish),
    ("health", Key::Health),
];

const STATES: [(&str, InstanceState); 6] = [
    ("created", InstanceState::Created),
    ("starting", InstanceState::Starting),
    ("running", InstanceState::Running),
    ("paused", InstanceState::Paused),
    ("restarting", InstanceState::Restarting),
    ("exited", InstanceState::Exited),
];

const HEALTH: [(&str, Option<HealthStatus>); 4] = [
    ("none", None),
    ("starting", Some(HealthStatus::Starting)),
    ("healthy", Some(HealthStatus::Healthy)),
    ("unhealthy", Some(HealthStatus::Unhealthy)),
];

/// The value of a word in a table, or a sentence about a word that it lacks.
fn word<T: Copy>(what: &str, table: &[(&str, T)], text: &str) -> Result<T, String> {
    if let Some((_, value)) = table.iter().find(|(word, _)| *word == text) {
        return Ok(*value);
    }
    let words: Vec<_> = table.iter().map(|(word, _)| *word).collect();
    Err(lacking(what, &words, text))
}

/// A sentence about a word that is none of those that there are.
fn lacking(what: &str, words: &[&str], text: &str) -> String {
    let near = did_you_mean(text, words);
    format!("`{text}` is no {what}{near} (there are {})", words.join(", "))
}

/// The two halves of any filter; `example` is one.
pub(crate) fn halves<'t>(text: &'t str, example: &str) -> Result<(&'t str, &'t str), String> {
    let none = || format!("`{text}` is no filter: write KEY=VALUE, e.g. {example}");
    text.split_once('=').ok_or_else(none)
}

/// What to say of a key that no filter has; `keys` are those that there are.
pub(crate) fn no_filter(keys: &[&str], key: &str) -> String {
    lacking("filter", keys, key)
}

/// The value of `dangling`.
pub(crate) fn dangling(value: &str) -> Result<bool, String> {
    match value {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err("dangling is true or false: write dangling=true".to_owned()),
    }
}

impl FromStr for InstanceFilter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (key, value) = halves(text, "status=exited")?;
        let key = word("filter", &KEYS, key)?;
        match key {
            Key::Status => word("state", &STATES, value).map(|_| ())?,
            Key::Health => word("state of health", &HEALTH, value).map(|_| ())?,
            Key::Exited => {
                let no_code = |_| format!("`{value}` is no exit code: write a number");
                value.parse::<i32>().map(|_| ()).map_err(no_code)?;
            }
            Key::Publish => {
                port(value)
                    .ok_or_else(|| format!("`{value}` is no port: write PORT[/tcp|/udp]"))?;
            }
            _ => {}
        }
        Ok(Self { key, value: value.to_owned() })
    }
}

/// Whether a name has a piece in it, which `^` and `$` tie to its beginning and
/// its end, as scripts write for Docker; names begin with a slash there.
fn is_named(name: &str, piece: &str) -> bool {
    let (from_start, piece) = piece.strip_prefix('^').map_or((false, piece), |rest| (true, rest));
    let (to_end, piece) = piece.strip_suffix('$').map_or((false, piece), |rest| (true, rest));
    let piece = piece.strip_prefix('/').unwrap_or(piece);
    match (from_start, to_end) {
        (true, true) => name == piece,
        (true, false) => name.starts_with(piece),
        (false, true) => name.ends_with(piece),
        (false, false) => name.contains(piece),
    }
}

fn port(text: &str) -> Option<(u16, Option<Protocol>)> {
    let (number, protocol) = match text.split_once('/') {
        None => (text, None),
        Some((number, "tcp")) => (number, Some(Protocol::Tcp)),
        Some((number, "udp")) => (number, Some(Protocol::Udp)),
        Some(_) => return None,
    };
    Some((number.parse().ok()?, protocol))
}

impl InstanceFilter {
    /// Whether it asks for instances that do not run, which a list then has
    /// without being asked for all.
    pub(crate) fn wants_ended(&self) -> bool {
        matches!(self.key, Key::Status | Key::Exited)
    }

    fn holds(&self, record: &InstanceRecord, all: &[InstanceRecord]) -> bool {
        let (value, spec) = (self.value.as_str(), &record.spec);
        let other = || all.iter().find(|it| it.spec.name == value || it.id.as_str() == value);
        match self.key {
            Key::Id => record.id.as_str().starts_with(value),
            Key::Name => is_named(&spec.name, value),
            Key::Label => match value.split_once('=') {
                Some((name, value)) => spec.labels.get(name).is_some_and(|it| it == value),
                None => spec.labels.contains_key(value),
            },
            Key::Status => word("state", &STATES, value) == Ok(record.state),
            Key::Exited => {
                let code = record.exit.as_ref().map(|exit| exit.code.to_string());
                record.state == InstanceState::Exited && code.as_deref() == Some(value)
            }
            Key::Ancestor => is_image(record, value),
            Key::Before => other().is_some_and(|it| record.created_at < it.created_at),
            Key::Since => other().is_some_and(|it| record.created_at > it.created_at),
            Key::Volume => spec.options.mounts.iter().any(|mount| {
                let named = match &mount.source {
                    MountSource::Volume { name, .. } => name == value,
                    MountSource::Bind { path } => path.to_str() == Some(value),
                    MountSource::Tmpfs { .. } => false,
                };
                named || mount.target == value
            }),
            Key::Network => spec.options.all_networks().any(|it| it.to_string() == *value),
            Key::Publish => spec.ports.iter().chain(&record.ports).any(|it| publishes(it, value)),
            Key::Health => {
                let health = record.health.as_ref().map(|health| health.status);
                word("state of health", &HEALTH, value) == Ok(health)
            }
        }
    }
}

fn is_image(record: &InstanceRecord, value: &str) -> bool {
    let same = |name: ImageRef| record.spec.image.parse::<ImageRef>().is_ok_and(|it| it == name);
    let hex = value.strip_prefix("sha256:").unwrap_or(value);
    let digits = record.spec.digest.as_str().trim_start_matches("sha256:");
    (hex.len() >= 4 && digits.starts_with(hex)) || value.parse::<ImageRef>().is_ok_and(same)
}

fn publishes(map: &PortMap, value: &str) -> bool {
    let wanted = |(number, protocol): (u16, Option<Protocol>)| {
        (map.port == number || map.candidates().contains(&number))
            && protocol.is_none_or(|protocol| protocol == map.protocol)
    };
    port(value).is_some_and(wanted)
}

/// Leaves those for which the filters hold.
///
/// # Errors
/// When a filter names another instance that is not there.
pub(crate) fn keep(
    records: &mut Vec<InstanceRecord>,
    filters: &[InstanceFilter],
    find: impl Fn(&str) -> Result<InstanceRecord, AppError>,
) -> Result<(), AppError> {
    let mut others = Vec::new();
    for filter in filters.iter().filter(|it| matches!(it.key, Key::Before | Key::Since)) {
        let mut other = find(&filter.value)?;
        other.spec.name.clone_from(&filter.value);
        others.push(other);
    }
    records.retain(|record| {
        filters.iter().all(|filter| {
            let mut same = filters.iter().filter(|it| it.key == filter.key);
            if filter.key == Key::Label {
                filter.holds(record, &others)
            } else {
                same.any(|it| it.holds(record, &others))
            }
        })
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> String {
        text.parse::<InstanceFilter>().unwrap_err()
    }

    #[test]
    fn what_is_no_filter_is_told() {
        assert!("status=exited".parse::<InstanceFilter>().unwrap().wants_ended());
        assert!(!"label=a=b".parse::<InstanceFilter>().unwrap().wants_ended());
        assert!(problem("exited").contains("KEY=VALUE"));
        assert!(problem("statsu=exited").contains("did you mean status?"));
        assert!(problem("status=exitd").contains("did you mean exited?"));
        assert!(problem("exited=x").contains("no exit code"));
        assert!(problem("publish=80/sctp").contains("no port"));
    }

    #[test]
    fn a_name_is_found_by_a_piece_or_by_its_ends() {
        for (value, fits) in [
            ("web", true),
            ("eb-1", true),
            ("^web-1$", true),
            ("^/web-1$", true),
            ("^web", true),
            ("1$", true),
            ("^web$", false),
            ("^eb", false),
            ("web$", false),
            ("", true),
        ] {
            assert_eq!(is_named("web-1", value), fits, "{value}");
        }
    }

    #[test]
    fn ports_match_on_either_side() {
        let map: PortMap = "127.0.0.1:8080:80".parse().unwrap();
        for (value, fits) in
            [("80", true), ("8080/tcp", true), ("80/udp", false), ("81", false), ("", false)]
        {
            assert_eq!(publishes(&map, value), fits, "{value}");
        }
    }
}
