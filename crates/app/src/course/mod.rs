//! Experiments that need more than a backend can do: images, snapshots,
//! commands inside, another home. Each is a course of use cases, carried out
//! by the laboratory like every other experiment.

mod bench;
mod job;
mod judge;
mod names;
mod program;
mod resources;
mod sandbox;
mod snapshot;
mod storage;
mod ways;
mod work;

use std::{collections::BTreeMap, sync::Mutex, time::Duration};

use async_trait::async_trait;
use serde_json::Value;
use tandem_lab::{Experiment, Method, TrialEnd};
use tandem_model::{BackendKind, Lane, ResultDocument, Verdict};

use crate::{App, ExperimentRequest, spec::exposed_port, subject::Ready};

use bench::Bench;
pub(crate) use program::is_wanted;

/// Metric id to value; times in nanoseconds, sizes in bytes.
type Metrics = BTreeMap<String, Value>;

/// What says what is being done.
type Note<'a> = &'a mut (dyn for<'l> FnMut(&'l str) + Send);

/// The experiments that are courses, with what is compared between lanes.
const COURSES: [(&str, &[&str]); 8] = [
    (
        "elasticity",
        &["reached_bytes", "got_cpus", "reached_when_given_bytes", "got_when_given_cpus"],
    ),
    ("snapshot", &["snapshot_time", "restore_time", "snapshot_pause", "snapshot_bytes"]),
    ("persistence", &["survives.layer_restart", "survives.layer_anew", "survives.volume_anew"]),
    ("portability", &["export_bytes", "export_time", "import_time"]),
    ("isolation", &["own_kernel", "contained.bomb"]),
    (
        "neighbour",
        &[
            "latency_p50",
            "latency_p99",
            "latency_p50_beside",
            "latency_p99_beside",
            "latency_p99_beside_memory",
            "latency_p99_beside_disk",
        ],
    ),
    (
        "overhead",
        &[
            "cpu_time",
            "memory_time",
            "disk_time",
            "disk_read_time",
            "disk_random_time",
            "disk_sync_time",
            "throughput",
            "latency_p50",
            "latency_p99",
        ],
    ),
    ("build", &["edit_to_response", "build_cold", "build_cached"]),
];

/// How the trials of a course are looked at.
#[derive(Clone, Copy)]
struct Look {
    id: &'static str,
    compared: &'static [&'static str],
}

impl Look {
    fn of(id: &str) -> Option<Self> {
        let (id, compared) = COURSES.into_iter().find(|(it, _)| *it == id)?;
        Some(Self { id, compared })
    }
}

impl Method for Look {
    fn id(&self) -> &'static str {
        self.id
    }

    fn compared(&self) -> &'static [&'static str] {
        self.compared
    }

    fn judge(&self, document: &ResultDocument) -> Vec<Verdict> {
        judge::verdicts(document)
    }
}

/// How the results of an experiment are judged, whoever carries it out.
pub(crate) fn method(id: &str) -> Option<Box<dyn Method>> {
    match tandem_lab::experiment(id) {
        Some(experiment) => Some(experiment),
        None => Some(Box::new(Look::of(id)?)),
    }
}

/// One such experiment under way.
pub(crate) struct Course<'a> {
    look: Look,
    subject: String,
    bench: Bench<'a>,
}

impl<'a> Course<'a> {
    /// The course of a request; `None` when the experiment is none.
    pub(crate) fn of(
        app: &'a App,
        request: &ExperimentRequest,
        ready: Ready,
        seed: u64,
    ) -> Option<Self> {
        let look = Look::of(&request.experiment)?;
        let port = request.port.or_else(|| exposed_port(&ready.image.config)).or(ready.port);
        let bench = Bench {
            app,
            image: ready.image,
            program: ready.program,
            port,
            resources: request.resources,
            // Part of the seed keeps runs apart that go on at once.
            prefix: format!("{}-{:x}-{:x}", look.id, std::process::id(), seed & 0xffff),
            limit: Duration::from_secs(u64::from(request.time_limit_s)),
            elsewhere: Mutex::default(),
        };
        Some(Self { look, subject: request.subject.clone(), bench })
    }

    async fn go(&self, lane: Lane, index: u32, note: Note<'_>) -> Result<Metrics, String> {
        let bench = &self.bench;
        match self.look.id {
            "elasticity" => Box::pin(resources::elasticity(bench, lane, index, note)).await,
            "snapshot" => Box::pin(snapshot::snapshot(bench, lane, index, note)).await,
            "persistence" => Box::pin(storage::persistence(bench, lane, index, note)).await,
            "portability" => Box::pin(storage::portability(bench, lane, index, note)).await,
            "isolation" => Box::pin(sandbox::isolation(bench, lane, index, note)).await,
            "neighbour" => Box::pin(sandbox::neighbour(bench, lane, index, note)).await,
            "overhead" => Box::pin(work::overhead(bench, lane, index, note)).await,
            _ => Box::pin(work::build(bench, &self.subject, lane, index, note)).await,
        }
    }
}

impl Method for Course<'_> {
    fn id(&self) -> &'static str {
        self.look.id()
    }

    fn compared(&self) -> &'static [&'static str] {
        self.look.compared()
    }

    fn judge(&self, document: &ResultDocument) -> Vec<Verdict> {
        self.look.judge(document)
    }
}

#[async_trait]
impl Experiment for Course<'_> {
    fn compares_answers(&self) -> bool {
        false
    }

    fn lacks(&self, lane: Lane) -> Option<&'static str> {
        lacks(self.look.id, lane.backend)
    }

    fn reads_the_time_of_day(&self) -> bool {
        self.look.id == "overhead"
    }

    async fn clean_up(&self) -> Vec<String> {
        self.bench.clean_up().await
    }

    async fn trial(&self, bench: &mut tandem_lab::Bench<'_, '_>) -> Result<(), TrialEnd> {
        let (lane, index) = (bench.lane(), bench.index());
        let (sender, mut lines) = tokio::sync::mpsc::unbounded_channel();
        let mut note = move |line: &str| {
            // Nobody listens any more only when the trial is over.
            let _ = sender.send(line.to_owned());
        };
        let course = self.go(lane, index, &mut note);
        tokio::pin!(course);
        let done = loop {
            let either = async {
                tokio::select! {
                    biased;
                    Some(line) = lines.recv() => Err(line),
                    done = &mut course => Ok(done),
                }
            };
            match bench.unless_cancelled(either).await? {
                Ok(done) => break done,
                Err(line) => bench.say(&line),
            }
        };
        bench.take(done.map_err(TrialEnd::Failed)?);
        Ok(())
    }
}

/// Why an experiment cannot be carried out in lanes of a kind.
fn lacks(experiment: &str, backend: BackendKind) -> Option<&'static str> {
    let foreign = matches!(backend, BackendKind::Docker | BackendKind::Podman);
    let process = backend == BackendKind::Process;
    match experiment {
        "snapshot" if foreign => {
            Some("the engine keeps the container's files, and takes snapshots in a form of its own")
        }
        "portability" if foreign => {
            Some("an instance whose files the engine keeps cannot be exported from here")
        }
        "snapshot" | "portability" | "persistence" | "isolation" if process => {
            Some("nothing can be executed inside a bare process, which has no inside")
        }
        _ => None,
    }
}

fn is_vm(lane: Lane) -> bool {
    lane.backend == BackendKind::Vm
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_lane_lacks_is_said_and_the_rest_is_measured() {
        use BackendKind::{Container, Docker, Podman, Process, Vm};
        for (id, _) in COURSES {
            assert!(lacks(id, Container).is_none() && lacks(id, Vm).is_none(), "{id}");
            let refused = ["snapshot", "portability"].contains(&id);
            assert_eq!(lacks(id, Docker).is_some(), refused, "{id}");
            assert_eq!(lacks(id, Podman).is_some(), refused, "{id}");
        }
        assert!(lacks("isolation", Process).is_some() && lacks("overhead", Process).is_none());
    }
}
