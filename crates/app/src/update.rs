use std::{net::SocketAddr, time::Duration};

use serde::Serialize;
use tandem_backend::{Backend, BackendError};
use tandem_model::{InstanceRecord, PortMap, Protocol, Resources};
use tandem_probe::{downtime_ns, get, now, open_loop};
use tokio::sync::oneshot;

use crate::{App, AppError};

/// How limits are changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum UpdateMode {
    /// Hot where the backend can, else cold.
    #[default]
    Auto,
    /// While the app runs.
    Hot,
    /// Stop, change, start: the article's way.
    Cold,
}

/// How they were changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum UpdateHow {
    /// While the app ran on.
    Hot,
    /// With a stop and a start.
    Cold,
    /// Nothing ran; the next start has them.
    NextStart,
}

/// What changing the limits of one instance came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UpdateReport {
    /// The instance.
    pub id: String,
    /// Its name.
    pub name: String,
    /// How.
    pub how: UpdateHow,
    /// From the request to the confirmed limits, nanoseconds.
    pub elapsed_ns: u64,
    /// Time without service, nanoseconds: none while hot. Cold, when the app
    /// answers HTTP, from the first lost request to the next answer; otherwise
    /// from the stop to the start. Absent when nothing ran.
    pub downtime_ns: Option<u64>,
    /// Limits before.
    pub before: Resources,
    /// Limits now.
    pub after: Resources,
}

/// Time between the requests that measure a cold change.
const INTERVAL: Duration = Duration::from_millis(10);

/// How long one of them may take.
const ANSWER: Duration = Duration::from_secs(2);

/// How long an app may take to answer again before it counts as mute.
const BACK: Duration = Duration::from_mins(1);

impl App {
    /// Changes limits of an instance; those that `wishes` leaves out stay.
    pub async fn update(
        &self,
        instance: &str,
        wishes: &Resources,
        mode: UpdateMode,
    ) -> Result<UpdateReport, AppError> {
        let record = self.instances.find(instance)?;
        let backend = self.backend(record.spec.backend).as_ref();
        let before = record.spec.resources;
        let after = Resources {
            memory_bytes: wishes.memory_bytes.or(before.memory_bytes),
            milli_cpus: wishes.milli_cpus.or(before.milli_cpus),
            pids: wishes.pids.or(before.pids),
        };
        let begin = now();
        let (how, downtime_ns) = if record.state.is_up() {
            match mode {
                UpdateMode::Cold => cold(backend, &record, &after).await?,
                UpdateMode::Hot => hot(backend, &record, &after).await?,
                UpdateMode::Auto => match hot(backend, &record, &after).await {
                    Err(BackendError::Unsupported(_)) => cold(backend, &record, &after).await?,
                    other => other?,
                },
            }
        } else {
            backend.update(&record.id, &after).await?;
            (UpdateHow::NextStart, None)
        };
        Ok(UpdateReport {
            id: record.id.to_string(),
            name: record.spec.name,
            how,
            elapsed_ns: now().since(begin),
            downtime_ns,
            before,
            after,
        })
    }
}

type Done = (UpdateHow, Option<u64>);

async fn hot(
    backend: &dyn Backend,
    record: &InstanceRecord,
    after: &Resources,
) -> Result<Done, BackendError> {
    backend.update(&record.id, after).await?;
    Ok((UpdateHow::Hot, Some(0)))
}

/// Stops, changes and starts, with requests sent all along when the app
/// answers them.
async fn cold(
    backend: &dyn Backend,
    record: &InstanceRecord,
    after: &Resources,
) -> Result<Done, BackendError> {
    let address = record.ports.iter().find_map(reachable);
    let answers = match address {
        Some(address) => get(address, "/", ANSWER).await.is_ok_and(|body| body.status == 200),
        None => false,
    };
    let (stop, stopped) = oneshot::channel::<()>();
    let prober = address.filter(|_| answers).map(|address| {
        let end = async { drop(stopped.await) };
        tokio::spawn(open_loop(address, "/", INTERVAL, ANSWER, end))
    });
    let begin = now();
    let result = restart(backend, record, after).await;
    let mut downtime = Some(now().since(begin));
    if result.is_ok() && answers {
        // A port that was left to choose is another one now.
        let again = backend.inspect(&record.id).await?.ports.iter().find_map(reachable);
        let options = tandem_probe::ReadyOptions { limit: BACK, ..Default::default() };
        let first = match again {
            Some(again) => tandem_probe::wait_for_first_response(again, "/", options).await.ok(),
            None => None,
        };
        downtime = first.map(|first| first.at.since(begin));
        // One more request after the answer closes the gap for certain.
        tokio::time::sleep(INTERVAL * 3).await;
        let _ = stop.send(());
        if again == address
            && let Some(prober) = prober
        {
            downtime = prober.await.ok().and_then(|shots| downtime_ns(&shots));
        }
    }
    result?;
    Ok((UpdateHow::Cold, downtime))
}

async fn restart(
    backend: &dyn Backend,
    record: &InstanceRecord,
    after: &Resources,
) -> Result<(), BackendError> {
    let before = record.spec.resources;
    backend.stop(&record.id, None).await?;
    backend.update(&record.id, after).await?;
    if let Err(e) = backend.start(&record.id, &mut |_| {}).await {
        // It ran before; it shall run again.
        backend.update(&record.id, &before).await?;
        let _ = backend.start(&record.id, &mut |_| {}).await;
        return Err(e);
    }
    Ok(())
}

fn reachable(port: &PortMap) -> Option<SocketAddr> {
    let any = port.host_ip.is_unspecified();
    let ip = if any { std::net::Ipv4Addr::LOCALHOST.into() } else { port.host_ip };
    (port.protocol == Protocol::Tcp && port.host_port != 0)
        .then_some(SocketAddr::new(ip, port.host_port))
}
