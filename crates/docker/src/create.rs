//! What an instance is in an engine's words.

use serde_json::{Map, Value, json};
use tandem_model::{InstanceRecord, Resources};

/// Marks a container as an instance of ours.
pub(crate) const INSTANCE: &str = "dev.tandem.instance";

/// The home that the instance belongs to.
pub(crate) const HOME: &str = "dev.tandem.home";

/// The request's body that makes a container. The engine adds nothing of the
/// image's own: both have been merged, and Tandem runs the health checks.
pub(crate) fn request(record: &InstanceRecord, image: &str, home: &str) -> Value {
    let spec = &record.spec;
    let mut labels: Map<String, Value> =
        spec.labels.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
    labels.insert(INSTANCE.to_owned(), json!(record.id));
    labels.insert(HOME.to_owned(), json!(home));
    let mut host = limits(&spec.resources);
    let mut ports = Map::new();
    for port in &spec.ports {
        let bound = json!({
            "HostIp": port.host_ip.to_string(),
            // Empty asks for any free one, a range for one of its own.
            "HostPort": match (port.host_port, port.host_last) {
                (0, _) => String::new(),
                (first, Some(last)) => format!("{first}-{last}"),
                (only, None) => only.to_string(),
            },
        });
        let key = format!("{}/{}", port.port, port.protocol);
        match ports.entry(key).or_insert_with(|| json!([])) {
            Value::Array(bindings) => bindings.push(bound),
            _ => unreachable!("only lists are put in"),
        }
    }
    let exposed: Map<String, Value> = ports.keys().map(|key| (key.clone(), json!({}))).collect();
    host.insert("PortBindings".to_owned(), Value::Object(ports));
    let hostname = spec.hostname.clone().unwrap_or_else(|| record.id.to_string());
    let security = &["no-new-privileges"];
    if spec.options.security.no_new_privileges {
        host.insert("SecurityOpt".to_owned(), json!(security));
    }
    json!({
        "Image": image,
        "Entrypoint": spec.args.first().into_iter().collect::<Vec<_>>(),
        "Cmd": spec.args.get(1..).unwrap_or_default(),
        "Env": spec.env,
        "WorkingDir": spec.cwd,
        "User": spec.user,
        "Hostname": hostname,
        "StopSignal": spec.stop_signal,
        "Labels": labels,
        "ExposedPorts": exposed,
        "Healthcheck": { "Test": ["NONE"] },
        "HostConfig": host,
    })
}

/// Limits as `HostConfig` and the update request have them; what is not
/// limited is left out. As much swap as memory, as in the container lane.
pub(crate) fn limits(resources: &Resources) -> Map<String, Value> {
    let mut limits = Map::new();
    if let Some(bytes) = resources.memory_bytes {
        limits.insert("Memory".to_owned(), json!(bytes));
        limits.insert("MemorySwap".to_owned(), json!(bytes.saturating_mul(2)));
    }
    if let Some(milli) = resources.milli_cpus {
        // A period and a quota: Podman's update knows no `NanoCpus`.
        limits.insert("CpuPeriod".to_owned(), json!(100_000));
        limits.insert("CpuQuota".to_owned(), json!(u64::from(milli) * 100));
    }
    if let Some(most) = resources.pids {
        limits.insert("PidsLimit".to_owned(), json!(most));
    }
    limits
}

/// Whether a container's `HostConfig` has these limits. What the engine makes
/// of swap depends on the kernel.
pub(crate) fn has_limits(host: &Value, resources: &Resources) -> bool {
    limits(resources).iter().all(|(key, value)| key == "MemorySwap" || host[key] == *value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_that_are_there_are_seen() {
        let asked = Resources { memory_bytes: Some(64 << 20), ..Resources::default() };
        assert!(has_limits(&json!({ "Memory": 64 << 20, "MemorySwap": -1 }), &asked));
        assert!(!has_limits(&json!({ "Memory": 32 << 20 }), &asked));
        assert!(has_limits(&json!({}), &Resources::default()));
    }

    #[test]
    fn limits_are_only_what_was_asked_for() {
        assert!(limits(&Resources::default()).is_empty());
        let asked =
            Resources { memory_bytes: Some(64 << 20), milli_cpus: Some(1500), pids: Some(9) };
        let limits = Value::Object(limits(&asked));
        let expected = json!({
            "Memory": 64 << 20, "MemorySwap": 128 << 20,
            "CpuPeriod": 100_000, "CpuQuota": 150_000, "PidsLimit": 9,
        });
        assert_eq!(limits, expected);
    }
}
