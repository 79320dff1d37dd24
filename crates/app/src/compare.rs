use std::{net::Ipv4Addr, time::Duration};

use serde::{Deserialize, Serialize};
use tandem_backend::BackendError;
use tandem_lab::{LaneSetup, Plan, ResultStore, run};
use tandem_model::{InstanceOptions, Lane, PortMap, Protocol, Resources, ResultDocument, RunEvent};

use crate::{App, AppError, Cancel, RunOptions, spec::exposed_port, subject::Ready};

/// A comparison as a person asks for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ts_rs::TS)]
pub struct CompareRequest {
    /// A sample, a folder with a Dockerfile, or an image.
    pub subject: String,
    /// The lanes; the first is what the others are compared with.
    pub lanes: Vec<Lane>,
    /// Measured trials a lane.
    pub trials: u32,
    /// Trials a lane before those, which do not count.
    pub warmup: u32,
    /// Seed of order and intervals; chosen when null.
    #[ts(type = "number | null")]
    pub seed: Option<u64>,
    /// Limits of every lane.
    pub resources: Resources,
    /// Port on which the app answers; the image's lowest exposed one when null.
    pub port: Option<u16>,
    /// Seconds in which it must answer.
    pub time_limit_s: u32,
    /// Leave the last instance of each lane running.
    pub keep: bool,
}

impl CompareRequest {
    /// The usual comparison: container and VM, ten trials, the same half
    /// gigabyte and two processors (one where the machine has no more) for both.
    pub fn new(subject: &str) -> Self {
        Self {
            subject: subject.to_owned(),
            lanes: vec![Lane::CONTAINER, Lane::VM_MICRO],
            trials: 10,
            warmup: 1,
            seed: None,
            resources: Resources {
                memory_bytes: Some(512 << 20),
                milli_cpus: Some(1000 * processors().min(2)),
                pids: None,
            },
            port: None,
            time_limit_s: 120,
            keep: false,
        }
    }
}

fn processors() -> u32 {
    std::thread::available_parallelism().map_or(1, |count| u32::try_from(count.get()).unwrap_or(1))
}

impl App {
    /// Builds the subject, launches it in each lane, measures and judges.
    /// Cancelling, or an error, removes whatever the run made.
    pub async fn compare(
        &self,
        request: &CompareRequest,
        events: &mut (dyn FnMut(RunEvent) + Send),
        cancel: &Cancel,
    ) -> Result<ResultDocument, AppError> {
        let prepared = match self.plan(request, events, cancel).await {
            Ok((plan, setups)) => self.results().map(|store| (plan, setups, store)),
            Err(e) => Err(e),
        };
        let (plan, setups, store) = match prepared {
            Ok(prepared) => prepared,
            Err(e) => {
                events(RunEvent::Stopped { error: e.to_failure(), cleaned: Vec::new() });
                return Err(e);
            }
        };
        Ok(run(&plan, setups, &store, events, cancel.receiver()).await?)
    }

    fn results(&self) -> Result<ResultStore, AppError> {
        Ok(ResultStore::open(&self.home.results()).map_err(tandem_lab::LabError::from)?)
    }

    async fn plan(
        &self,
        request: &CompareRequest,
        events: &mut (dyn FnMut(RunEvent) + Send),
        cancel: &Cancel,
    ) -> Result<(Plan, Vec<LaneSetup>), AppError> {
        self.check_resources(request)?;
        let ready = self.ready(&request.subject, events, cancel).await?;
        if cancel.is_cancelled() {
            return Err(BackendError::Cancelled.into());
        }
        let setups = request
            .lanes
            .iter()
            .map(|lane| self.lane_setup(*lane, request, &ready))
            .collect::<Result<Vec<_>, _>>()?;
        let mut plan = Plan::new("compare", ready.subject);
        plan.trials = request.trials;
        plan.warmup = request.warmup;
        plan.seed = request.seed.unwrap_or(plan.seed);
        plan.keep = request.keep;
        plan.time_limit = Duration::from_secs(u64::from(request.time_limit_s));
        Ok((plan, setups))
    }

    fn lane_setup(
        &self,
        lane: Lane,
        request: &CompareRequest,
        ready: &Ready,
    ) -> Result<LaneSetup, AppError> {
        let port = request
            .port
            .or_else(|| exposed_port(&ready.image.config))
            .or(ready.port)
            .ok_or_else(|| AppError::NoPort(ready.subject.image.clone()))?;
        let host_ip = Ipv4Addr::LOCALHOST.into();
        let options = RunOptions {
            profile: lane.profile,
            accelerator: lane.accelerator,
            ports: vec![PortMap { host_ip, host_port: 0, port, protocol: Protocol::Tcp }],
            resources: request.resources,
            options: InstanceOptions { template: lane.template, ..InstanceOptions::default() },
            ..RunOptions::new(ready.subject.image.clone(), lane.backend)
        };
        let spec = self.spec(&ready.image, options)?;
        Ok(LaneSetup::new(lane, spec, self.backend(lane.backend).clone()))
    }

    /// A wish for more than the machine has would make lanes unequal: a
    /// container is then limited by the machine, a VM is not.
    fn check_resources(&self, request: &CompareRequest) -> Result<(), AppError> {
        let machine = self.machine();
        let Resources { memory_bytes, milli_cpus, .. } = request.resources;
        if let Some(milli) = milli_cpus
            && milli > machine.cores * 1000
        {
            let cores = machine.cores;
            return Err(AppError::Usage(format!(
                "this machine has {cores} processors: ask for at most that with --cpus"
            )));
        }
        if let Some(bytes) = memory_bytes.filter(|bytes| *bytes > machine.memory_bytes) {
            return Err(AppError::Usage(format!(
                "{} MiB are more than this machine has ({} MiB): ask for less with --memory",
                bytes >> 20,
                machine.memory_bytes >> 20
            )));
        }
        Ok(())
    }
}
