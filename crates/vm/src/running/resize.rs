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
    machine::{BLOCK, Board, MORE, Shape},
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

/// Beyond this size the kernel's list of its own pages counts, bytes.
const ORDINARY: u64 = 1 << 30;

/// What a kernel keeps of each page is a 64th of it.
const LIST_SHARE: u64 = 64;

/// The least that the balloon leaves of a machine that comes up with `least`.
fn floor(shape: Shape, least: u64) -> u64 {
    least + (shape.memory + shape.room).saturating_sub(ORDINARY) / LIST_SHARE
}

impl Target {
    /// What these limits ask of a machine that comes up with `least` bytes.
    fn of(
        shape: Shape,
        least: u64,
        wanted: &Resources,
        before: &Resources,
    ) -> Result<Self, String> {
        if wanted.pids != before.pids {
            return Err("its number of processes is limited when it starts".to_owned());
        }
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
        let floor = floor(shape, least);
        if memory < floor {
            return Err(format!("such a machine needs {} MB at least while it runs", floor >> 20));
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
        if self.agent.is_none() {
            let why = "its disk came from elsewhere, and nobody inside would take part";
            return Err(BackendError::NeedsRestart(why.to_owned()));
        }
        let before = self.limits.get();
        let shape = self.state.borrow().shape();
        let of = |limits: &Resources| Target::of(shape, self.least, limits, &before);
        let target = of(wanted).map_err(BackendError::NeedsRestart)?;
        let former = of(&before).map_err(BackendError::NeedsRestart)?;
        if self.state.borrow().board == Board::Microvm {
            // One processor, and nothing that comes or goes: it has that size.
            self.limits.set(*wanted);
            return Ok(());
        }
        if self.places.get() < target.cpus.saturating_sub(self.processors().await?) {
            let why = "too many processors were taken away and came back: QEMU's software emulation has no place for one more";
            return Err(BackendError::NeedsRestart(why.to_owned()));
        }
        if let Err(e) = self.reach(target).await {
            // Best effort: the reason is what counts.
            let most = self.processors().await?.saturating_add(self.places.get());
            let former = Target { cpus: former.cpus.min(most), ..former };
            let _ = self.reach(former).await;
            let sized = self.state.borrow().sized(Shape { cpus: former.cpus, ..shape });
            self.state.replace(sized);
            return Err(e);
        }
        let shape = Shape { cpus: target.cpus, plugged: target.plugged, ..shape };
        let sized = self.state.borrow().sized(shape);
        self.state.replace(sized);
        self.limits.set(*wanted);
        Ok(())
    }

    /// How many processors are plugged in.
    async fn processors(&self) -> Result<u32, BackendError> {
        let all = places(&self.qmp).await.map_err(failed)?;
        let used = all.iter().filter(|place| place.qom_path.is_some()).count();
        Ok(u32::try_from(used).unwrap_or(u32::MAX))
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
            self.places.set(self.places.get().saturating_sub(1));
            self.qmp.execute("device_add", Some(device)).await.map_err(failed)?;
        }
        let fewer = usize::try_from(now.saturating_sub(wanted)).unwrap_or_default();
        for place in used.iter().take(fewer) {
            self.lost_one.set(true);
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
            let online = self.agent()?.online().await.map_err(guest)?;
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
        let wanted = (target.rest + target.plugged) >> 20;
        let what =
            || format!("the guest did not go to {wanted} MB: what it uses cannot be taken from it");
        // One after the other: what the balloon holds would be in the way of
        // memory that is to go.
        until(what, async || {
            let path = format!("/machine/peripheral/{MORE}");
            let size = json!({"path": path, "property": "size"});
            Ok(self.qmp.execute("qom-get", Some(size)).await? == target.plugged)
        })
        .await?;
        let balloon = json!({"value": target.rest});
        self.qmp.execute("balloon", Some(balloon)).await.map_err(failed)?;
        until(what, async || {
            Ok(self.qmp.execute("query-balloon", None).await?["actual"] == target.rest)
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
        let least = 128 << 20;
        let of =
            |shape, memory, milli| Target::of(shape, least, &resources(memory, milli), &before);
        assert_eq!(of(plain, 256, 1000).unwrap().rest, 256 << 20);
        assert!(of(plain, 512, 1000).unwrap_err().contains("--max-memory"));
        assert!(of(plain, 200, 1000).unwrap_err().contains("no room to change that"));
        assert!(of(plain, 256, 2000).unwrap_err().contains("--max-cpus"));
        assert!(of(plain, 256, 500).unwrap_err().contains("part of a processor"));

        let roomy = Shape { room: 512 << 20, most_cpus: 4, ..plain };
        let grown = of(roomy, 700, 4000).unwrap();
        assert_eq!((grown.plugged, grown.rest, grown.cpus), (444 << 20, 256 << 20, 4));
        let shrunk = of(roomy, 160, 1000).unwrap();
        assert_eq!((shrunk.plugged, shrunk.rest), (0, 160 << 20));
        assert!(of(roomy, 1024, 1000).unwrap_err().contains("768 MB"));
        assert!(of(roomy, 64, 1000).unwrap_err().contains("128 MB at least"));
        let large = Shape { memory: 8 << 30, ..roomy };
        assert!(of(large, 200, 1000).unwrap_err().contains("248 MB at least"));
        let counted = Resources { pids: Some(50), ..before };
        assert!(Target::of(roomy, least, &counted, &before).unwrap_err().contains("processes"));
    }
}
