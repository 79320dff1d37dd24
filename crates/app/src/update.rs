use std::time::Duration;

use serde::Serialize;
use tandem_backend::{Backend, BackendError};
use tandem_model::{
    BackendKind, ErrorCode, InstanceRecord, InstanceSpec, InstanceState, Resources, RestartPolicy,
};
use tandem_probe::{downtime_ns, now};
use tandem_vm::{GuestSize, check_size, guest_size, machine_size};

use crate::{
    App, AppError,
    prober::{Prober, reachable},
};

/// How limits are changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize, ts_rs::TS)]
#[serde(rename_all = "snake_case")]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ts_rs::TS)]
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
#[derive(Debug, Clone, PartialEq, Serialize, ts_rs::TS)]
pub struct UpdateReport {
    /// The instance.
    pub id: String,
    /// Its name.
    pub name: String,
    /// How.
    pub how: UpdateHow,
    /// From the request to the confirmed limits, nanoseconds.
    #[ts(type = "number")]
    pub elapsed_ns: u64,
    /// Time without service, nanoseconds: none while hot. Cold, when the app
    /// answers HTTP, from the first lost request to the next answer; otherwise
    /// from the stop to the start. Absent when nothing ran.
    #[ts(type = "number | null")]
    pub downtime_ns: Option<u64>,
    /// What the guest's kernel says that it has now; absent for a container.
    #[ts(type = "{ cpus: number, memory_bytes: number } | null")]
    pub guest: Option<GuestSize>,
    /// Bytes of memory that the host got back while hot (PSS before less PSS
    /// after); negative when the machine took more, absent for a container.
    #[ts(type = "number | null")]
    pub returned_bytes: Option<i64>,
    /// Limits before; of a virtual machine the size that it had.
    pub before: Resources,
    /// Limits now; of a virtual machine its size.
    pub after: Resources,
    /// When it is started again now; absent when that was not to change.
    #[ts(skip)]
    pub restart: Option<RestartPolicy>,
}

/// What is to change of an instance; what is `None` stays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UpdateWishes {
    /// Limits.
    pub resources: Resources,
    /// When its app is started again after its end.
    pub restart: Option<RestartPolicy>,
}

/// Time between the requests that measure a cold change.
const INTERVAL: Duration = Duration::from_millis(10);

/// How long an app may take to answer again before it counts as mute.
const BACK: Duration = Duration::from_mins(1);

impl App {
    /// Changes limits of an instance, and when it is started again.
    pub async fn update(
        &self,
        instance: &str,
        UpdateWishes { resources: wishes, restart }: UpdateWishes,
        mode: UpdateMode,
    ) -> Result<UpdateReport, AppError> {
        let record = self.instances.find(instance)?;
        if record.spec.remove && restart.is_some_and(|policy| policy != RestartPolicy::No) {
            return Err(AppError::Usage(format!(
                "instance `{}` was made with --rm, which excludes --restart: make it anew without",
                record.spec.name
            )));
        }
        let only_policy = wishes == Resources::default();
        if record.spec.backend == BackendKind::Vm
            && record.state == InstanceState::Paused
            && mode != UpdateMode::Cold
            && !only_policy
        {
            let name = record.spec.name;
            let next =
                format!("its guest takes part, so let it go on with `tandem unpause {name}`");
            return Err(BackendError::WrongState { name, state: "paused", next }.into());
        }
        let backend = self.backend(record.spec.backend).as_ref();
        let before = record.spec.resources;
        let after = Resources {
            memory_bytes: wishes.memory_bytes.or(before.memory_bytes),
            milli_cpus: wishes.milli_cpus.or(before.milli_cpus),
            pids: wishes.pids.or(before.pids),
        };
        let is_machine = record.spec.backend == BackendKind::Vm && record.state.is_up();
        let held = if is_machine { backend.sample(&record).await.ok() } else { None };
        let begin = now();
        let (how, downtime_ns) = if only_policy && record.state.is_up() {
            // The app never sees its policy.
            (UpdateHow::Hot, Some(0))
        } else if only_policy {
            (UpdateHow::NextStart, None)
        } else if record.state.is_up() {
            match mode {
                UpdateMode::Cold => cold(backend, &record, &after).await?,
                UpdateMode::Hot => hot(backend, &record, &after).await?,
                UpdateMode::Auto => match hot(backend, &record, &after).await {
                    // This machine cannot be changed this way. What a running
                    // container cannot have, it cannot have after a start either.
                    Err(e) if is_machine && e.code() == ErrorCode::Unavailable => {
                        cold(backend, &record, &after).await?
                    }
                    other => other?,
                },
            }
        } else {
            can_start(&record, &after)?;
            backend.update(&record.id, &after).await?;
            (UpdateHow::NextStart, None)
        };
        if let Some(policy) = restart {
            backend.set_restart(&record.id, policy).await?;
        }
        let elapsed_ns = now().since(begin);
        let guest = if is_machine { self.seen_by_guest(&record).await } else { None };
        let returned_bytes = match (how, held) {
            (UpdateHow::Hot, Some(held)) => {
                let holds = backend.sample(&record).await?;
                Some(signed(held.memory.pss) - signed(holds.memory.pss))
            }
            _ => None,
        };
        let had = |limits: Resources| match record.spec.backend {
            // One without a limit has a size all the same.
            BackendKind::Vm => machine_size(&limits),
            _ => limits,
        };
        let (before, after) = (had(before), had(after));
        Ok(UpdateReport {
            id: record.id.to_string(),
            name: record.spec.name,
            how,
            elapsed_ns,
            downtime_ns,
            guest,
            returned_bytes,
            before,
            after,
            restart,
        })
    }

    /// What the guest has, as its kernel says.
    async fn seen_by_guest(&self, record: &InstanceRecord) -> Option<GuestSize> {
        guest_size(&self.instances.dir(&record.id)).await.ok().flatten()
    }
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
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

/// Whether the instance can be started with these limits: asked before it is
/// stopped for them.
fn can_start(record: &InstanceRecord, after: &Resources) -> Result<(), BackendError> {
    if record.spec.backend != BackendKind::Vm {
        return Ok(());
    }
    check_size(&InstanceSpec { resources: *after, ..record.spec.clone() })
}

/// Stops, changes and starts, with requests sent all along when the app
/// answers them.
async fn cold(
    backend: &dyn Backend,
    record: &InstanceRecord,
    after: &Resources,
) -> Result<Done, BackendError> {
    can_start(record, after)?;
    let address = record.ports.iter().find_map(reachable);
    let prober = Prober::start(record, INTERVAL).await;
    let begin = now();
    let result = restart(backend, record, after).await;
    let mut downtime = Some(now().since(begin));
    if result.is_ok() && prober.is_on() {
        // A port that was left to choose is another one now.
        let again = backend.inspect(&record.id).await?.ports.iter().find_map(reachable);
        let options = tandem_probe::ReadyOptions { limit: BACK, ..Default::default() };
        let first = match again {
            Some(again) => tandem_probe::wait_for_first_response(again, "/", options).await.ok(),
            None => None,
        };
        downtime = first.map(|first| first.at.since(begin));
        let shots = prober.finish().await;
        if again == address {
            downtime = shots.and_then(|shots| downtime_ns(&shots));
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
    backend.stop_for_start(&record.id, None, None).await?;
    backend.update(&record.id, after).await?;
    if let Err(e) = backend.start(&record.id, &mut |_| {}).await {
        // It ran before; it shall run again.
        backend.update(&record.id, &before).await?;
        let _ = backend.start(&record.id, &mut |_| {}).await;
        return Err(e);
    }
    Ok(())
}
