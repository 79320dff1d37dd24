//! More or fewer processors and memory, while the machine runs.
//!
//! Processors are plugged in and pulled out; the guest's kernel brings a new
//! one up when its agent says so, and lets go of one when the firmware tables
//! ask. Memory above what the machine began with comes and goes by virtio-mem;
//! below it the balloon takes it. Each step is waited for until the guest has
//! done it.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tandem_backend::BackendError;
use tandem_model::Resources;
use tokio::time::{Instant, sleep};

use super::{RunningVm, failed, guest};
use crate::{
    machine::{BLOCK, LEAST_MEMORY, MORE, Shape},
    qmp::{Qmp, QmpError},
};

/// How long a guest may take for one step.
const LIMIT: Duration = Duration::from_secs(40);

/// How often it is looked at.
const INTERVAL: Duration = Duration::from_millis(10);

/// A place for a processor (QEMU, `qapi/machine.json`, `HotpluggableCPU`).
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Place {
    r#type: String,
    props: Value,
    /// The processor that is there.
    #[serde(default)]
    qom_path: Option<String>,
}

/// What is to become of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Target {
    cpus: u32,
    /// Bytes that virtio-mem brings.
    plugged: u64,
    /// Bytes that the balloon leaves of what the machine began with.
    rest: u64,
}

impl Target {
    /// What these limits ask of a machine.
    fn of(shape: Shape, wanted: &Resources, before: &Resources) -> Result<Self, String> {
        let milli = wanted.milli_cpus.unwrap_or(1000);
        let has_part = |milli: Option<u32>| milli.is_some_and(|milli| milli % 1000 != 0);
        if has_part(wanted.milli_cpus) != has_part(before.milli_cpus) {
            return Err("a part of a processor is set up when a machine starts".to_owned());
        }
        let cpus = milli.div_ceil(1000);
        if cpus > shape.most_cpus.max(shape.cpus) {
            return Err(format!(
                "it was started with room for {} processors (--max-cpus)",
                shape.most_cpus.max(shape.cpus)
            ));
        }
        let memory = wanted.memory_bytes.map_or(shape.memory, |it| it & !((1 << 20) - 1));
        let target = |plugged, rest| Ok(Self { cpus, plugged, rest });
        if memory == shape.memory {
            return target(0, shape.memory);
        }
        if shape.room == 0 {
            return Err(format!(
                "it was started with {} MB of memory and no room to change that (--max-memory)",
                shape.memory >> 20
            ));
        }
        if memory < LEAST_MEMORY {
            return Err(format!("a virtual machine needs {} MB at least", LEAST_MEMORY >> 20));
        }
        let plugged = memory.saturating_sub(shape.memory).next_multiple_of(BLOCK);
        if plugged > shape.room {
            let most = (shape.memory + shape.room) >> 20;
            return Err(format!("it was started with room for {most} MB (--max-memory)"));
        }
        target(plugged, memory.min(shape.memory))
    }
}

impl RunningVm {
    /// Gives the machine this size; when it fails it has the former one.
    pub(super) async fn change_size(&self, wanted: &Resources) -> Result<(), BackendError> {
        let before = self.limits.get();
        let shape = self.state.borrow().shape();
        let target = Target::of(shape, wanted, &before).map_err(BackendError::NeedsRestart)?;
        let former = Target::of(shape, &before, &before).map_err(BackendError::NeedsRestart)?;
        if let Err(e) = self.reach(target).await {
            // Best effort: the reason is what counts.
            let _ = self.reach(former).await;
            return Err(e);
        }
        let shape = Shape { cpus: target.cpus, plugged: target.plugged, ..shape };
        let sized = self.state.borrow().sized(shape);
        self.state.replace(sized);
        self.limits.set(*wanted);
        Ok(())
    }

    async fn reach(&self, target: Target) -> Result<(), BackendError> {
        self.set_processors(target.cpus).await?;
        if self.state.borrow().shape().room > 0 {
            self.set_memory(target).await?;
        }
        Ok(())
    }

    async fn set_processors(&self, wanted: u32) -> Result<(), BackendError> {
        let all = places(&self.qmp).await.map_err(failed)?;
        let (used, free): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|place| place.qom_path.is_some());
        let now = u32::try_from(used.len()).unwrap_or(u32::MAX);
        let more = usize::try_from(wanted.saturating_sub(now)).unwrap_or_default();
        // QEMU lists the highest first; the guest likes them in order.
        for place in free.iter().rev().take(more) {
            let mut device = place.props.clone();
            device["driver"] = place.r#type.clone().into();
            self.qmp.execute("device_add", Some(device)).await.map_err(failed)?;
        }
        let fewer = usize::try_from(now.saturating_sub(wanted)).unwrap_or_default();
        for place in used.iter().take(fewer) {
            let id = json!({"id": place.qom_path});
            self.qmp.execute("device_del", Some(id)).await.map_err(failed)?;
        }
        let what = || format!("the guest did not go to {wanted} processors");
        until(what, async || {
            let there = places(&self.qmp).await?.iter().filter(|it| it.qom_path.is_some()).count();
            Ok(there == usize::try_from(wanted).unwrap_or_default())
        })
        .await?;
        // A new processor takes the kernel a moment until it can be used.
        let deadline = Instant::now() + LIMIT;
        loop {
            let online = self.agent.online().await.map_err(guest)?;
            if online.cpus == wanted {
                return Ok(());
            }
            if Instant::now() > deadline {
                let text = format!("it runs {} processors instead of {wanted}", online.cpus);
                return Err(BackendError::engine("the guest", text));
            }
            sleep(INTERVAL).await;
        }
    }

    async fn set_memory(&self, target: Target) -> Result<(), BackendError> {
        let size = json!({
            "path": format!("/machine/peripheral/{MORE}"),
            "property": "requested-size",
            "value": target.plugged,
        });
        self.qmp.execute("qom-set", Some(size)).await.map_err(failed)?;
        let balloon = json!({"value": target.rest});
        self.qmp.execute("balloon", Some(balloon)).await.map_err(failed)?;
        let wanted = (target.rest + target.plugged) >> 20;
        let what =
            || format!("the guest did not go to {wanted} MB: what it uses cannot be taken from it");
        until(what, async || {
            let path = format!("/machine/peripheral/{MORE}");
            let size = json!({"path": path, "property": "size"});
            let plugged = self.qmp.execute("qom-get", Some(size)).await?;
            let rest = self.qmp.execute("query-balloon", None).await?;
            Ok(plugged == target.plugged && rest["actual"] == target.rest)
        })
        .await
    }
}

async fn places(qmp: &Qmp) -> Result<Vec<Place>, QmpError> {
    let places = qmp.execute("query-hotpluggable-cpus", None).await?;
    serde_json::from_value(places).map_err(|e| QmpError::Unreadable(e.to_string()))
}

async fn until(
    what: impl Fn() -> String,
    mut reached: impl AsyncFnMut() -> Result<bool, QmpError>,
) -> Result<(), BackendError> {
    let deadline = Instant::now() + LIMIT;
    while !reached().await.map_err(failed)? {
        if Instant::now() > deadline {
            return Err(BackendError::engine("changing the machine", what()));
        }
        sleep(INTERVAL).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resources(memory: u64, milli: u32) -> Resources {
        Resources { memory_bytes: Some(memory << 20), milli_cpus: Some(milli), pids: None }
    }

    #[test]
    fn what_has_no_room_is_refused_with_the_reason() {
        let before = resources(256, 1000);
        let plain = Shape { memory: 256 << 20, cpus: 1, most_cpus: 1, ..Shape::default() };
        let of = |shape, memory, milli| Target::of(shape, &resources(memory, milli), &before);
        assert_eq!(of(plain, 256, 1000).unwrap().rest, 256 << 20);
        assert!(of(plain, 512, 1000).unwrap_err().contains("--max-memory"));
        assert!(of(plain, 256, 2000).unwrap_err().contains("--max-cpus"));
        assert!(of(plain, 256, 500).unwrap_err().contains("part of a processor"));

        let roomy = Shape { room: 512 << 20, most_cpus: 4, ..plain };
        let grown = of(roomy, 700, 4000).unwrap();
        assert_eq!((grown.plugged, grown.rest, grown.cpus), (444 << 20, 256 << 20, 4));
        let shrunk = of(roomy, 160, 1000).unwrap();
        assert_eq!((shrunk.plugged, shrunk.rest), (0, 160 << 20));
        assert!(of(roomy, 1024, 1000).unwrap_err().contains("768 MB"));
        assert!(of(roomy, 64, 1000).unwrap_err().contains("128 MB at least"));
    }
}
