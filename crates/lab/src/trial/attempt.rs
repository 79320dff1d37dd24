use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use serde_json::Value;
use tandem_model::{
    HostInstant, InstanceId, InstanceRecord, InstanceSpec, InstanceState, Phase, RunEvent, Sample,
    TrialPhase,
};
use tandem_probe::{FirstResponse, ReadyError, alive, identity, is_stopped, now};
use tokio::{
    sync::mpsc,
    time::{Instant, interval, sleep_until},
};

use super::{Contestant, Request};
use crate::{
    experiment::TrialEnd as End,
    instruments::{MachineMemory, Prober, Sampler},
    parity::Observed,
    phases::{APP, LAUNCH, contiguous},
    port::free_port,
    stage::Stage,
};

/// A launch while it is measured.
pub(crate) struct Attempt<'a> {
    pub(super) lane: &'a Contestant,
    pub(super) request: &'a Request,
    pub(crate) t0: HostInstant,
    pub(crate) instance: Option<InstanceId>,
    pub(crate) phases: Vec<Phase>,
    pub(crate) metrics: BTreeMap<String, Value>,
    pub(crate) series: BTreeMap<String, Vec<[f64; 2]>>,
    pub(super) last_sample: Option<Sample>,
    /// The machine's memory before it began.
    pub(super) before: Option<MachineMemory>,
    /// Where the app answers.
    pub(crate) url: String,
    pub(crate) address: Option<SocketAddr>,
}

/// A launch that answered.
pub(crate) struct Measured {
    pub(crate) phases: Vec<TrialPhase>,
    pub(crate) observed: Observed,
}

/// How often it is looked whether the app has ended.
const LOOK: Duration = Duration::from_millis(100);

/// How long a backend may take to say that it has started, once the app has
/// answered.
const LATE: Duration = Duration::from_secs(10);

/// Log lines that a failure quotes.
const LINES: usize = 8;

impl<'a> Attempt<'a> {
    pub(crate) fn new(lane: &'a Contestant, request: &'a Request) -> Self {
        Self {
            lane,
            request,
            t0: now(),
            instance: None,
            phases: Vec::new(),
            metrics: BTreeMap::new(),
            series: BTreeMap::new(),
            last_sample: None,
            before: None,
            url: String::new(),
            address: None,
        }
    }

    /// Launches, measures and looks around. What was made is in `instance`.
    pub(crate) async fn run(&mut self, stage: &mut Stage<'_>) -> Result<Measured, End> {
        let failed = |what: &str, e: std::io::Error| End::Failed(format!("cannot {what}: {e}"));
        let (spec, addr) = self.spec().map_err(|e| failed("find a free port", e))?;
        self.url = url(addr, &self.request.path);
        self.address = Some(addr);
        let backend = &self.lane.setup.backend;
        let limit = self.request.time_limit;
        self.before = MachineMemory::read(backend.as_ref(), &[]).await;
        let mut prober = Prober::start(addr, &self.request.path, limit)
            .map_err(|e| failed("start the prober", e))?;
        self.t0 = now();
        let record = backend.create(spec).await.map_err(|e| End::Failed(e.to_string()))?;
        self.instance = Some(record.id.clone());
        let mut sampler = Sampler::start(backend.clone(), record.id.clone())
            .map_err(|e| failed("start the sampler", e))?;
        let (record, first) = self.launch(&record.id, &mut prober, &mut sampler, stage).await?;
        if record.runtime.accelerator.is_some()
            && record.runtime.accelerator != self.lane.availability.accelerator
        {
            return Err(End::Failed(self.other_accelerator(&record)));
        }
        let phases = contiguous(self.t0, &self.phases, first.at);
        if let Some(app) = phases.last() {
            self.tell_phase(&app.name, app.start_ns, app.end_ns, stage);
        }
        self.record_times(&phases, &first);
        let observed = self.settle(&record, &first, prober, sampler, stage).await?;
        Ok(Measured { phases, observed })
    }

    /// The spec for this trial, and where its app will answer.
    fn spec(&self) -> std::io::Result<(InstanceSpec, SocketAddr)> {
        let mut spec = self.lane.setup.spec.clone();
        let port = spec.ports.first_mut().ok_or(std::io::ErrorKind::InvalidInput)?;
        let ip = match port.host_ip {
            IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
            ip => ip,
        };
        *port = port.at(free_port(port.host_ip)?);
        let addr = SocketAddr::new(ip, port.host_port);
        spec.name.clone_from(&self.request.name);
        spec.owner = identity(std::process::id());
        Ok((spec, addr))
    }

    /// Starts the instance and waits until it runs and has answered.
    async fn launch(
        &mut self,
        id: &InstanceId,
        prober: &mut Prober,
        sampler: &mut Sampler,
        stage: &mut Stage<'_>,
    ) -> Result<(InstanceRecord, FirstResponse), End> {
        let backend = self.lane.setup.backend.clone();
        let cancelled = stage.cancelled();
        let (sender, mut phases) = mpsc::unbounded_channel();
        let mut on_phase = move |phase: Phase| {
            let _ = sender.send(phase);
        };
        let start = backend.start(id, &mut on_phase);
        tokio::pin!(start, cancelled);
        let mut started = None;
        let mut first = None;
        let mut look = interval(LOOK);
        let give_up = sleep_until(Instant::now() + self.request.time_limit + LATE);
        tokio::pin!(give_up);
        while started.is_none() || first.is_none() {
            tokio::select! {
                biased;
                () = &mut cancelled => return Err(End::Cancelled),
                found = &mut prober.first, if first.is_none() => {
                    let found = found.map_err(|_| End::Failed("the prober ended early".to_owned()))?;
                    match found {
                        Ok(response) => {
                            self.answered(&response, stage);
                            first = Some(response);
                        }
                        Err(e) => return Err(End::Failed(self.never_answered(id, &e).await)),
                    }
                }
                Some(phase) = phases.recv() => self.phase(phase, stage),
                result = &mut start, if started.is_none() => match result {
                    Ok(record) => started = Some(record),
                    Err(e) => return Err(End::Failed(self.with_log(id, e.to_string()).await)),
                },
                Some(sample) = sampler.samples.recv() => self.sample(sample, stage),
                _ = look.tick(), if started.is_some() => {
                    if let Some(reason) = self.ended_early(id).await {
                        return Err(End::Failed(reason));
                    }
                }
                () = &mut give_up => {
                    return Err(End::Failed("the app answered, but its start was never reported".to_owned()));
                }
            }
        }
        while let Ok(phase) = phases.try_recv() {
            self.phase(phase, stage);
        }
        started.zip(first).ok_or(End::Cancelled)
    }

    fn phase(&mut self, phase: Phase, stage: &mut Stage<'_>) {
        if self.phases.is_empty() {
            self.tell_phase(LAUNCH, 0, phase.start.since(self.t0), stage);
        }
        // As in the record: a gap belongs to what was being reached.
        let before = self.phases.last().map_or(phase.start, |last| last.end);
        if phase.name != APP {
            let (start_ns, end_ns) = (before.since(self.t0), phase.end.since(self.t0));
            self.tell_phase(&phase.name, start_ns, end_ns, stage);
        }
        self.phases.push(phase);
    }

    fn tell_phase(&self, name: &str, start_ns: u64, end_ns: u64, stage: &mut Stage<'_>) {
        stage.emit(RunEvent::Phase {
            lane: self.lane.id.clone(),
            index: self.request.index,
            name: name.to_owned(),
            start_ns,
            end_ns,
        });
    }

    fn answered(&self, response: &FirstResponse, stage: &mut Stage<'_>) {
        stage.emit(RunEvent::FirstResponse {
            lane: self.lane.id.clone(),
            index: self.request.index,
            elapsed_ns: response.at.since(self.t0),
            url: self.url.clone(),
        });
    }

    /// Records a sample; the rate needs one before it.
    pub(super) fn sample(&mut self, sample: Sample, stage: &mut Stage<'_>) {
        let at_ns = sample.at.since(self.t0);
        let memory = sample.memory.pss;
        self.series.entry("memory".to_owned()).or_default().push([at_ns as f64, memory as f64]);
        if let Some(before) = self.last_sample.replace(sample) {
            let elapsed = sample.at.since(before.at);
            if elapsed == 0 {
                return;
            }
            // The count begins anew when a cgroup takes over from the processes.
            let Some(used) = sample.cpu_ns.checked_sub(before.cpu_ns) else { return };
            let cpus = used as f64 / elapsed as f64;
            self.series.entry("cpu".to_owned()).or_default().push([at_ns as f64, cpus]);
            let (lane, index) = (self.lane.id.clone(), self.request.index);
            stage.emit(RunEvent::Sample { lane, index, at_ns, cpus, memory });
        }
    }

    async fn ended_early(&self, id: &InstanceId) -> Option<String> {
        let backend = &self.lane.setup.backend;
        let mut record = backend.inspect(id).await.ok()?;
        if record.state != InstanceState::Exited {
            let reason = abandoned(&record)?;
            // It may have written down the end in between, and left.
            record = backend.inspect(id).await.ok()?;
            if record.state != InstanceState::Exited {
                return Some(reason);
            }
        }
        let how = match record.exit {
            Some(exit) if exit.out_of_memory => {
                "the app was killed for want of memory before it answered: give it more with --memory".to_owned()
            }
            Some(exit) => match exit.error {
                Some(error) => format!("the app ended before it answered: {error}"),
                None => format!("the app ended with exit code {} before it answered", exit.code),
            },
            None => "the app ended before it answered".to_owned(),
        };
        Some(self.with_log(id, how).await)
    }

    async fn never_answered(&self, id: &InstanceId, error: &ReadyError) -> String {
        let url = &self.url;
        let port = self.lane.setup.port().map_or(0, |map| map.port);
        let held = self.lane.setup.backend.inspect(id).await.ok().and_then(|it| held_still(&it));
        let next = held.unwrap_or_else(|| format!("check that the app listens on 0.0.0.0:{port}"));
        self.with_log(id, format!("{url} gave {error}; {next}")).await
    }

    /// Adds the last lines of the app's log to a reason.
    async fn with_log(&self, id: &InstanceId, reason: String) -> String {
        let lines = self.lane.setup.backend.log_tail(id, LINES).await;
        if lines.is_empty() {
            format!("{reason}; the app has logged nothing")
        } else {
            format!("{reason}; the last log lines were:\n{}", lines.join("\n"))
        }
    }

    fn other_accelerator(&self, record: &InstanceRecord) -> String {
        let name = |accelerator: Option<tandem_model::Accelerator>| {
            accelerator.map_or("none", tandem_model::Accelerator::as_str)
        };
        format!(
            "the instance ran with accelerator {} although the lane is measured with {}: the two are never pooled",
            name(record.runtime.accelerator),
            name(self.lane.availability.accelerator)
        )
    }
}

/// Why nothing will come of an instance that counts as running: who looks
/// after it is gone.
fn abandoned(record: &InstanceRecord) -> Option<String> {
    let supervisor = record.runtime.supervisor.filter(|one| !alive(*one))?;
    let pid = supervisor.pid;
    Some(format!(
        "the instance's supervisor (process {pid}) was killed before the app answered: by somebody, or by this machine's kernel for want of memory, which `sudo dmesg` tells"
    ))
}

/// What to do about a process of the instance that a signal holds still.
fn held_still(record: &InstanceRecord) -> Option<String> {
    let runtime = &record.runtime;
    let all = [("supervisor", runtime.supervisor), ("first process", runtime.process)];
    let (what, pid) = all.into_iter().find_map(|(what, process)| {
        process.filter(|one| is_stopped(*one)).map(|one| (what, one.pid))
    })?;
    Some(format!("its {what} is held still by a signal: `kill -CONT {pid}` lets it go on"))
}

fn url(addr: SocketAddr, path: &str) -> String {
    let slash = if path.starts_with('/') { "" } else { "/" };
    format!("http://{addr}{slash}{path}")
}
