use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{NOTHING, files::Entry};

/// Everything before this came with the context and must keep its time.
const PRESENT: u64 = 1_700_000_000;

/// How two file systems differ, ours first.
pub(super) fn files(
    ours: &BTreeMap<String, Entry>,
    theirs: &BTreeMap<String, Entry>,
    peer: &str,
) -> Vec<String> {
    let mut differences = Vec::new();
    let names: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
    for name in names {
        match (ours.get(name), theirs.get(name)) {
            (Some(_), None) => differences.push(format!("only Tandem has /{name}")),
            (None, Some(_)) => differences.push(format!("only {peer} has /{name}")),
            (Some(ours), Some(theirs)) => {
                let (ours, theirs) = (shown(ours, theirs), shown(theirs, theirs));
                if ours != theirs {
                    differences.push(format!("/{name}: {ours} is not {theirs}"));
                }
            }
            (None, None) => {}
        }
    }
    differences
}

/// All that counts of a file. A time counts where the other kept an old one.
fn shown(entry: &Entry, theirs: &Entry) -> String {
    let time = if theirs.modified < PRESENT && theirs.kind != 'd' {
        format!(" at {}", entry.modified)
    } else {
        String::new()
    };
    format!(
        "{}{:04o} {}:{} {:?} {:?} {:?}{time}",
        entry.kind,
        entry.mode,
        entry.owner.0,
        entry.owner.1,
        entry.content,
        entry.first,
        entry.xattrs
    )
}

/// Settings of an image that a builder makes.
const SETTINGS: [&str; 12] = [
    "Env",
    "Cmd",
    "Entrypoint",
    "WorkingDir",
    "User",
    "ExposedPorts",
    "Volumes",
    "Labels",
    "Healthcheck",
    "OnBuild",
    "Shell",
    "StopSignal",
];

/// How two configurations differ, ours first.
pub(super) fn settings(ours: &Value, theirs: &Value) -> Vec<String> {
    let mut differences = Vec::new();
    for name in SETTINGS {
        let (ours, theirs) = (value(ours, name), value(theirs, name));
        if ours != theirs {
            differences.push(format!("{name}: {ours} is not {theirs}"));
        }
    }
    differences
}

/// A setting; empty ones are as good as none.
fn value<'a>(config: &'a Value, name: &str) -> &'a Value {
    let value = config.get(name).unwrap_or(&NOTHING);
    let empty = match value {
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    };
    if empty { &NOTHING } else { value }
}
