//! What templates see: the words of Docker's command line beside our own.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use tandem_app::{ImageRow, InstanceRow, NetworkRow, UsageRow, VolumeRow};
use tandem_model::{
    Digest, HealthStatus, InstanceOptions, InstanceRecord, InstanceState, MountSource, MountSpec,
    RestartPolicy, format::format_bytes,
};

use crate::output::{ago, plain};

/// An instance of a list, as `docker ps --format` names its fields. What
/// `tandem ps` prints is given by the caller.
pub(crate) fn instance(
    row: &InstanceRow,
    record: Option<&InstanceRecord>,
    command: &str,
    status: &str,
) -> Value {
    let spec = record.map(|record| &record.spec);
    let mounts = spec.into_iter().flat_map(|spec| &spec.options.mounts);
    let mounts: Vec<&str> = mounts.map(|mount| mount.target.as_str()).collect();
    with(
        row,
        json!({
            "ID": row.id,
            "Names": row.name,
            "Image": row.image,
            "Command": format!("{command:?}"),
            "CreatedAt": row.created_at.to_string(),
            "RunningFor": ago(row.created_at),
            "Ports": row.ports.join(", "),
            "State": row.state,
            "Status": status,
            "Labels": spec.map(|spec| labelled(&spec.labels)).unwrap_or_default(),
            "Mounts": mounts.join(","),
            "Networks": spec.map(|spec| names_of_networks(&spec.options)),
        }),
    )
}

/// An image of a list, as `docker images --format` names its fields.
pub(crate) fn image(row: &ImageRow) -> Value {
    with(
        row,
        json!({
            "ID": row.digest.short(),
            "Repository": row.name,
            "Tag": row.tag.as_deref().unwrap_or("<none>"),
            "Digest": row.digest,
            "CreatedAt": row.created_at.map(|time| time.to_string()),
            "CreatedSince": row.created_at.map(ago),
            "Size": format_bytes(row.size_bytes),
        }),
    )
}

/// An image's OCI configuration with the fields of `docker image inspect`.
/// `rows` are its names.
pub(crate) fn image_configuration(
    configuration: Value,
    digest: &Digest,
    rows: &[&ImageRow],
) -> Value {
    let named = rows.iter().filter_map(|row| Some(format!("{}:{}", row.name, row.tag.as_ref()?)));
    let layers = configuration.pointer("/rootfs/diff_ids").cloned();
    let theirs = json!({
        "Id": digest,
        "RepoTags": named.collect::<Vec<_>>(),
        "Created": configuration.get("created"),
        "Author": configuration.get("author"),
        "Architecture": configuration.get("architecture"),
        "Os": configuration.get("os"),
        "Config": configuration.get("config"),
        "Size": rows.first().map(|row| row.size_bytes),
        "RootFS": { "Type": "layers", "Layers": layers },
    });
    with(&configuration, theirs)
}

/// What an instance uses, as `docker stats --format` names its fields.
pub(crate) fn usage(row: &UsageRow) -> Value {
    let pair = |a: Option<u64>, b: Option<u64>| match (a, b) {
        (Some(a), Some(b)) => format!("{} / {}", format_bytes(a), format_bytes(b)),
        _ => "--".to_owned(),
    };
    let memory = row.memory_bytes.unwrap_or(row.memory_pss_bytes);
    with(
        row,
        json!({
            "ID": row.id,
            "Container": row.id,
            "Name": row.name,
            "CPUPerc": row.cpu_percent.map_or_else(|| "--".to_owned(), |it| format!("{it:.2}%")),
            "MemUsage": pair(Some(memory), Some(row.memory_limit_bytes)),
            "MemPerc": format!("{:.2}%", row.memory_percent),
            "NetIO": pair(row.net_received_bytes, row.net_sent_bytes),
            "BlockIO": pair(row.io_read_bytes, row.io_written_bytes),
            "PIDs": row.pids,
        }),
    )
}

/// A volume of a list, as `docker volume ls --format` names its fields.
pub(crate) fn volume(row: &VolumeRow) -> Value {
    with(
        row,
        json!({
            "Name": row.name,
            "Driver": "local",
            "Scope": "local",
            "Mountpoint": row.path,
            "Labels": labelled(&row.labels),
        }),
    )
}

/// A network of a list, as `docker network ls --format` names its fields.
pub(crate) fn network_row(row: &NetworkRow) -> Value {
    with(
        row,
        json!({
            "Name": row.name,
            "Driver": row.kind,
            "Scope": "local",
            "Internal": row.internal,
            "CreatedAt": row.created_at.map(|time| time.to_string()),
            "Labels": labelled(&row.labels),
        }),
    )
}

fn labelled(labels: &BTreeMap<String, String>) -> String {
    labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}

/// An instance as `docker inspect` names what both engines have.
pub(crate) fn record(record: &InstanceRecord) -> Value {
    let (spec, options) = (&record.spec, &record.spec.options);
    let (entry, rest) =
        spec.args.split_first().map_or(("", &[][..]), |(it, rest)| (it.as_str(), rest));
    with(
        record,
        json!({
            "Id": record.id,
            "Name": format!("/{}", spec.name),
            "Created": record.created_at,
            "Path": entry,
            "Args": rest,
            "Image": spec.digest,
            "RestartCount": record.restarts,
            "State": state(record),
            "Config": {
                "Hostname": spec.hostname.as_deref().unwrap_or(record.id.as_str()),
                "User": spec.user, "Env": spec.env, "Cmd": spec.args, "Image": spec.image,
                "WorkingDir": spec.cwd, "Labels": spec.labels, "StopSignal": spec.stop_signal,
                "StopTimeout": spec.stop_timeout_s, "Tty": options.terminal,
                "OpenStdin": options.stdin,
            },
            "HostConfig": {
                "Memory": spec.resources.memory_bytes.unwrap_or_default(),
                "NanoCpus": u64::from(spec.resources.milli_cpus.unwrap_or_default()) * 1_000_000,
                "PidsLimit": spec.resources.pids,
                "NetworkMode": options.network.to_string(),
                "RestartPolicy": restart(options.restart),
                "AutoRemove": spec.remove,
                "ReadonlyRootfs": options.security.read_only,
                "CapAdd": options.security.cap_add, "CapDrop": options.security.cap_drop,
                "Init": options.init, "Dns": options.dns,
            },
            "Mounts": options.mounts.iter().map(mount).collect::<Vec<_>>(),
            "NetworkSettings": networks(record),
        }),
    )
}

fn state(record: &InstanceRecord) -> Value {
    let is = |state| record.state == state;
    let exit = record.exit.as_ref().filter(|_| !is(InstanceState::Running));
    let health = record.health.as_ref().map(|health| {
        let status = match health.status {
            HealthStatus::Starting => "starting",
            HealthStatus::Healthy => "healthy",
            HealthStatus::Unhealthy => "unhealthy",
        };
        let log = health.log.iter().map(|one| {
            json!({ "Start": one.started_at, "End": one.finished_at, "ExitCode": one.exit_code, "Output": one.output })
        });
        json!({ "Status": status, "FailingStreak": health.failing, "Log": log.collect::<Vec<_>>() })
    });
    json!({
        "Status": record.state,
        "Running": matches!(record.state, InstanceState::Running | InstanceState::Paused),
        "Paused": is(InstanceState::Paused),
        "Restarting": is(InstanceState::Restarting),
        "OOMKilled": exit.is_some_and(|exit| exit.out_of_memory),
        "Dead": false,
        "Pid": record.runtime.process.map_or(0, |process| process.pid),
        "ExitCode": exit.map_or(0, |exit| exit.code),
        "Error": exit.and_then(|exit| exit.error.as_ref()).map(ToString::to_string).unwrap_or_default(),
        "StartedAt": record.started_at,
        "FinishedAt": record.finished_at,
        "Health": health,
    })
}

fn names_of_networks(options: &InstanceOptions) -> String {
    let all: Vec<_> = options.all_networks().map(|it| it.to_string()).collect();
    all.join(",")
}

fn restart(policy: RestartPolicy) -> Value {
    let (name, most) = match policy {
        RestartPolicy::No => ("no", None),
        RestartPolicy::Always => ("always", None),
        RestartPolicy::UnlessStopped => ("unless-stopped", None),
        RestartPolicy::OnFailure { most } => ("on-failure", most),
    };
    json!({ "Name": name, "MaximumRetryCount": most.unwrap_or_default() })
}

fn mount(mount: &MountSpec) -> Value {
    let (kind, name, source) = match &mount.source {
        MountSource::Volume { name, .. } => ("volume", name.clone(), String::new()),
        MountSource::Bind { path } => ("bind", String::new(), path.to_string_lossy().into_owned()),
        MountSource::Tmpfs { .. } => ("tmpfs", String::new(), String::new()),
    };
    json!({ "Type": kind, "Name": name, "Source": source, "Destination": mount.target, "RW": !mount.read_only })
}

fn networks(record: &InstanceRecord) -> Value {
    let mut ports = Map::new();
    let published = if record.ports.is_empty() { &record.spec.ports } else { &record.ports };
    for map in published {
        let key = format!("{}/{}", map.port, map.protocol);
        let last = map.host_last.map(|last| format!("-{last}")).unwrap_or_default();
        let at = json!({ "HostIp": map.host_ip, "HostPort": format!("{}{last}", map.host_port) });
        if let Value::Array(places) = ports.entry(key).or_insert_with(|| json!([])) {
            places.push(at);
        }
    }
    let options = &record.spec.options;
    let address = record.runtime.ip.map(|ip| ip.to_string()).unwrap_or_default();
    let mut networks = Map::new();
    let first = json!({ "IPAddress": address, "Aliases": options.aliases });
    networks.insert(options.network.to_string(), first);
    for further in &options.networks {
        let address = record.runtime.addresses.get(&further.name).map(ToString::to_string);
        let shown = json!({ "IPAddress": address.unwrap_or_default(), "Aliases": further.aliases });
        networks.insert(further.name.clone(), shown);
    }
    json!({ "IPAddress": address, "Ports": ports, "Networks": networks })
}

/// Docker's fields beside ours, which begin with small letters.
fn with(own: &impl serde::Serialize, theirs: Value) -> Value {
    let mut all = serde_json::to_value(own).unwrap_or_default();
    if let (Value::Object(all), Value::Object(theirs)) = (&mut all, theirs) {
        all.extend(theirs);
    }
    all
}

/// A text of one line, as a list shows it.
pub(crate) fn command(words: &[String], letters: usize) -> String {
    plain(&words.join(" ")).chars().take(letters).collect()
}
