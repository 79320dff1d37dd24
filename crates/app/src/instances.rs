use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use serde::Serialize;
use tandem_backend::BackendError;
use tandem_model::{
    Accelerator, BackendKind, Digest, ErrorCode, Exit, HealthStatus, InstanceRecord, InstanceState,
    PortMap, Protocol, Resources,
};

use crate::{App, AppError, InstanceFilter, filter, spec::signal_of};

/// An instance as `tandem ps` lists it.
#[derive(Debug, Clone, PartialEq, Serialize, ts_rs::TS)]
pub struct InstanceRow {
    /// Twelve hexadecimal digits.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What runs it.
    pub backend: BackendKind,
    /// Kind of virtual machine.
    pub profile: Option<String>,
    /// The image's reference.
    pub image: String,
    /// The manifest's digest.
    pub digest: Digest,
    /// Program and arguments.
    pub command: Vec<String>,
    /// Where it stands.
    pub state: InstanceState,
    /// Published ports, `127.0.0.1:8080->8080/tcp`.
    pub ports: Vec<String>,
    /// Where a browser finds it, when it runs and publishes a port that may be
    /// a web server's.
    pub url: Option<String>,
    /// RFC 3339.
    #[ts(type = "string")]
    pub created_at: jiff::Timestamp,
    /// RFC 3339.
    #[ts(type = "string | null")]
    pub started_at: Option<jiff::Timestamp>,
    /// RFC 3339.
    #[ts(type = "string | null")]
    pub finished_at: Option<jiff::Timestamp>,
    /// Process id of the container's init or of QEMU, while it runs.
    pub pid: Option<u32>,
    /// Exit code, once it ended.
    pub exit_code: Option<i32>,
    /// The kernel ended something of it for want of memory.
    pub out_of_memory: bool,
    /// Accelerator that runs it.
    pub accelerator: Option<Accelerator>,
    /// Limits.
    pub resources: Resources,
    /// What its health checks say; absent without any.
    pub health: Option<HealthStatus>,
    /// How often its supervisor has started it again.
    pub restarts: u32,
}

/// Ports of programs that no browser can talk to: shells, mail, names, and the
/// databases that people run most.
const NOT_FOR_BROWSERS: [u16; 14] =
    [21, 22, 23, 25, 53, 110, 143, 1433, 3306, 5432, 5672, 6379, 11211, 27017];

/// The address that a browser opens for a published port. What speaks there is
/// known by the port inside only; where that says nothing it may be HTTP.
fn web_address(map: &PortMap) -> Option<String> {
    let reachable = map.protocol == Protocol::Tcp && map.host_port != 0;
    (reachable && !NOT_FOR_BROWSERS.contains(&map.port)).then(|| {
        let ip = match map.host_ip {
            ip if !ip.is_unspecified() => ip,
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        };
        format!("http://{}/", SocketAddr::new(ip, map.host_port))
    })
}

impl InstanceRow {
    fn from_record(record: InstanceRecord) -> Self {
        let running = matches!(record.state, InstanceState::Running | InstanceState::Paused);
        let ports = if record.ports.is_empty() { &record.spec.ports } else { &record.ports };
        let url = running.then(|| ports.iter().find_map(web_address)).flatten();
        Self {
            id: record.id.to_string(),
            ports: ports.iter().map(ToString::to_string).collect(),
            url,
            name: record.spec.name,
            backend: record.spec.backend,
            profile: record.spec.profile.map(|profile| profile.to_string()),
            image: record.spec.image,
            digest: record.spec.digest,
            command: record.spec.args,
            state: record.state,
            created_at: record.created_at,
            started_at: record.started_at,
            finished_at: record.finished_at,
            pid: record.runtime.process.filter(|_| running).map(|process| process.pid),
            out_of_memory: record.exit.as_ref().is_some_and(|exit| exit.out_of_memory),
            exit_code: record.exit.map(|exit| exit.code),
            accelerator: record.runtime.accelerator,
            resources: record.spec.resources,
            health: record.health.filter(|_| running).map(|health| health.status),
            restarts: record.restarts,
        }
    }
}

impl App {
    /// The instances, oldest first; only those that run unless `all`.
    pub fn instances(&self, all: bool) -> Result<Vec<InstanceRow>, AppError> {
        let shown = |record: &InstanceRecord| all || record.state.is_up();
        let records = self.instances.list()?;
        Ok(records.into_iter().filter(shown).map(InstanceRow::from_record).collect())
    }

    /// The instances for which all filters hold, oldest first; without `all`
    /// and a filter that asks for ended ones only those that run. `last` leaves
    /// so many of the youngest of all.
    pub fn instances_where(
        &self,
        all: bool,
        filters: &[InstanceFilter],
        last: Option<usize>,
    ) -> Result<Vec<InstanceRow>, AppError> {
        let all = all || last.is_some() || filters.iter().any(InstanceFilter::wants_ended);
        let mut records = self.instances.list()?;
        records.retain(|record| all || record.state.is_up());
        filter::keep(&mut records, filters, |name| Ok(self.instances.find(name)?))?;
        let surplus = last.map_or(0, |last| records.len().saturating_sub(last));
        Ok(records.into_iter().skip(surplus).map(InstanceRow::from_record).collect())
    }

    /// Everything that is known of an instance, by name or id.
    pub fn inspect(&self, instance: &str) -> Result<InstanceRecord, AppError> {
        Ok(self.instances.find(instance)?)
    }

    /// Gives an instance another name.
    pub async fn rename(&self, instance: &str, name: &str) -> Result<(), AppError> {
        let record = self.instances.find(instance)?;
        if record.spec.name == name {
            return Err(BackendError::NameKept(name.to_owned()).into());
        }
        Ok(self.backend(record.spec.backend).rename(&record.id, name).await?)
    }

    /// Starts an instance that exists. Resolves when its app was executed.
    pub async fn start(&self, instance: &str) -> Result<InstanceRecord, AppError> {
        let record = self.instances.find(instance)?;
        if record.state == InstanceState::Running {
            return Ok(record);
        }
        Ok(self.backend(record.spec.backend).start(&record.id, &mut |_| {}).await?)
    }

    /// Stops an instance; one that does not run is left as it is.
    pub async fn stop(
        &self,
        instance: &str,
        grace: Option<Duration>,
    ) -> Result<InstanceRecord, AppError> {
        self.stop_with(instance, grace, None).await
    }

    /// The same with another signal than the instance's own, by name or number.
    pub async fn stop_with(
        &self,
        instance: &str,
        grace: Option<Duration>,
        signal: Option<&str>,
    ) -> Result<InstanceRecord, AppError> {
        let signal = signal_of(signal)?;
        let record = self.instances.find(instance)?;
        if !record.state.is_up() {
            return Ok(record);
        }
        Ok(self.backend(record.spec.backend).stop_with(&record.id, grace, signal).await?)
    }

    /// Removes an instance with its files; `force` kills it first, `volumes`
    /// takes the volumes made for it alone along.
    pub async fn remove(&self, instance: &str, force: bool, volumes: bool) -> Result<(), AppError> {
        let record = self.instances.find(instance)?;
        let backend = self.backend(record.spec.backend);
        if force {
            backend.take_away(&record.id, Some(Duration::ZERO)).await?;
        } else {
            backend.remove(&record.id).await?;
        }
        if volumes {
            self.remove_anonymous_volumes(&record)?;
        }
        Ok(())
    }

    /// Stops an instance and removes it. One that goes at its end by itself is
    /// gone then, and that is what was wanted.
    pub async fn discard(&self, instance: &str, volumes: bool) -> Result<(), AppError> {
        let stopped = self.stop(instance, None).await?;
        match self.remove(stopped.id.as_str(), false, volumes).await {
            Err(e) if stopped.spec.remove && e.code() == ErrorCode::NotFound => Ok(()),
            other => other,
        }
    }

    /// Waits until an instance has ended and tells how.
    pub async fn wait(&self, instance: &str) -> Result<Option<Exit>, AppError> {
        let record = self.instances.find(instance)?;
        let ended = self.ended(&record.id).await?;
        if ended.as_ref().is_some_and(|record| record.state == InstanceState::Created) {
            let name = record.spec.name;
            let next = format!("start it first with `tandem start {name}`");
            return Err(BackendError::WrongState { name, state: "not started yet", next }.into());
        }
        Ok(ended.and_then(|record| record.exit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_is_sent_to_what_may_be_a_web_server() {
        let address = |text: &str| web_address(&text.parse().unwrap());
        assert_eq!(address("8080:80").as_deref(), Some("http://127.0.0.1:8080/"));
        assert_eq!(address("0.0.0.0:8080:5000").as_deref(), Some("http://127.0.0.1:8080/"));
        assert_eq!(address("192.0.2.7:81:80").as_deref(), Some("http://192.0.2.7:81/"));
        assert_eq!(address("[::]:8080:80").as_deref(), Some("http://[::1]:8080/"));
        for other in ["5432:5432", "8080:6379", "8053:8053/udp", "0:80"] {
            assert_eq!(address(other), None, "{other}");
        }
    }
}
