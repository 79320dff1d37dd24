//! Experiments as a person asks for them.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};
use tandem_backend::BackendError;
use tandem_image::Image;
use tandem_lab::{
    CATALOGUE, Description, LabError, LaneSetup, Plan, ResultStore, Resumable, describe, run,
    run_with,
};
use tandem_model::{
    BackendKind, CacheState, InstanceOptions, Lane, PortMap, Prediction, Protocol, Resources,
    ResultDocument, RunEvent, closest,
};

use crate::{
    App, AppError, Cancel, RunOptions,
    course::{Course, is_wanted},
    prediction::checked_words,
    spec::exposed_port,
    subject::Ready,
};

/// An experiment as a person asks for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ts_rs::TS)]
pub struct ExperimentRequest {
    /// Its id, e.g. `startup`.
    pub experiment: String,
    /// A sample, a folder with a Dockerfile, or an image.
    pub subject: String,
    /// The lanes; the first is what the others are compared with. The same
    /// lane twice is an A/A run.
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
    /// State of the page cache before each trial.
    pub cache: CacheState,
    /// Most instances side by side, where an experiment asks for several.
    pub instances: u32,
    /// Port on which the app answers; the image's lowest exposed one when null.
    pub port: Option<u16>,
    /// Seconds in which it must answer.
    pub time_limit_s: u32,
    /// Leave the last instance of each lane running, where a trial is one
    /// launch.
    pub keep: bool,
    /// What somebody expects of it; it travels in the result.
    #[serde(default)]
    pub prediction: Option<String>,
}

impl ExperimentRequest {
    /// The usual request: container and VM, hello-flask, the experiment's own
    /// number of trials, the same half gigabyte and two processors (one where
    /// the machine has no more) for both.
    pub fn new(experiment: &str) -> Self {
        Self {
            experiment: experiment.to_owned(),
            subject: "hello-flask".to_owned(),
            lanes: vec![Lane::CONTAINER, Lane::VM_MICRO],
            trials: describe(experiment).map_or(10, |description| description.trials),
            warmup: u32::from(["startup", "size", COMPARE].contains(&experiment)),
            seed: None,
            resources: usual_limits(),
            cache: CacheState::Warm,
            instances: 8,
            port: None,
            time_limit_s: 120,
            keep: false,
            prediction: None,
        }
    }

    /// The usual comparison, which is the experiments `startup` and `size` in
    /// one run.
    pub fn compare(subject: &str) -> Self {
        Self { subject: subject.to_owned(), ..Self::new(COMPARE) }
    }

    /// The prediction as the result holds it; an empty one is none.
    fn expected(&self) -> Option<Prediction> {
        let expected = self.prediction.as_deref().map(str::trim).filter(|text| !text.is_empty())?;
        let question = describe(&self.experiment).map_or("", |it| it.prediction).to_owned();
        Some(Prediction { question, expected: expected.to_owned(), explanation: None })
    }
}

fn usual_limits() -> Resources {
    Resources {
        memory_bytes: Some(512 << 20),
        milli_cpus: Some(1000 * processors().min(2)),
        pids: None,
    }
}

/// The id of a comparison.
const COMPARE: &str = "compare";

/// What to carry out, and what there is of it already.
type Wanted = (ExperimentRequest, Option<Resumable>);

/// The rest of a run must measure what its first part did.
fn same_image(earlier: Option<&Resumable>, ready: &Ready) -> Result<(), AppError> {
    let Some(found) = earlier.filter(|found| found.digest != ready.subject.digest) else {
        return Ok(());
    };
    Err(AppError::Usage(format!(
        "the run {} cannot be resumed: {} is another image now ({} before, {} now); begin a new run",
        found.earlier.id,
        ready.subject.name,
        found.digest.short(),
        ready.subject.digest.short()
    )))
}

fn processors() -> u32 {
    std::thread::available_parallelism().map_or(1, |count| u32::try_from(count.get()).unwrap_or(1))
}

impl App {
    /// All experiments, those too that this version cannot run.
    pub fn experiments(&self) -> &'static [Description] {
        CATALOGUE
    }

    /// The experiment with this id.
    pub fn describe_experiment(&self, id: &str) -> Result<&'static Description, AppError> {
        describe(id).ok_or_else(|| {
            let ids: Vec<_> = CATALOGUE.iter().map(|it| it.id).collect();
            let name = id.to_owned();
            match closest(id, &ids) {
                Some(near) => AppError::NoExperimentNear { name, near: near.to_owned() },
                None => AppError::NoExperiment(name),
            }
        })
    }

    /// Makes the subject ready, carries the experiment out in each lane, and
    /// judges. Cancelling, or an error, removes whatever the run made.
    pub async fn experiment(
        &self,
        request: &ExperimentRequest,
        events: &mut (dyn FnMut(RunEvent) + Send),
        cancel: &Cancel,
    ) -> Result<ResultDocument, AppError> {
        self.carry_out(Ok((request.clone(), None)), events, cancel).await
    }

    /// Goes on with a run that was killed or stopped, in the order that its
    /// seed drew, up to its result.
    ///
    /// # Errors
    ///
    /// Refused for a run that has a result or goes on still, and where machine,
    /// version, image or engines are not what they were.
    pub async fn resume_experiment(
        &self,
        id: &str,
        events: &mut (dyn FnMut(RunEvent) + Send),
        cancel: &Cancel,
    ) -> Result<ResultDocument, AppError> {
        self.carry_out(self.resumable(id), events, cancel).await
    }

    fn resumable(&self, id: &str) -> Result<Wanted, AppError> {
        let found = self.results()?.earlier(id).map_err(LabError::from)?;
        let request = serde_json::from_str(&found.request).map_err(|e| {
            let id = &found.earlier.id;
            AppError::Usage(format!(
                "the run {id} cannot be resumed: what it was asked for does not read back ({e}); begin a new one"
            ))
        })?;
        Ok((ExperimentRequest { seed: Some(found.seed), ..request }, Some(found)))
    }

    async fn carry_out(
        &self,
        wanted: Result<Wanted, AppError>,
        events: &mut (dyn FnMut(RunEvent) + Send),
        cancel: &Cancel,
    ) -> Result<ResultDocument, AppError> {
        let prepared = match wanted.and_then(|wanted| Ok((wanted, self.results()?))) {
            Ok(((request, earlier), store)) => {
                let plan = self.plan(&request, earlier, events, cancel).await;
                plan.map(|plan| (request, plan, store))
            }
            Err(e) => Err(e),
        };
        let (request, (plan, setups, ready), store) = match prepared {
            Ok(prepared) => prepared,
            Err(e) => {
                events(RunEvent::Stopped { error: e.to_failure(), cleaned: Vec::new() });
                return Err(e);
            }
        };
        let cancel = cancel.receiver();
        if let Some(course) = Course::of(self, &request, ready.clone(), plan.seed) {
            let run = run_with(&plan, &course, setups, &store, events, cancel);
            let outcome = Box::pin(run).await;
            self.without_program(&ready);
            return Ok(outcome?);
        }
        Ok(run(&plan, setups, &store, events, cancel).await?)
    }

    /// The results of this home.
    pub(crate) fn results(&self) -> Result<ResultStore, AppError> {
        let path = self.home.results();
        let opened = if self.home.is_read_only() {
            ResultStore::open_read_only(&path)
        } else {
            ResultStore::open(&path)
        };
        Ok(opened.map_err(LabError::from)?)
    }

    async fn plan(
        &self,
        request: &ExperimentRequest,
        earlier: Option<Resumable>,
        events: &mut (dyn FnMut(RunEvent) + Send),
        cancel: &Cancel,
    ) -> Result<(Plan, Vec<LaneSetup>, Ready), AppError> {
        self.check_request(request)?;
        self.end_instances_of_the_dead().await?;
        self.drop_what_is_of_the_dead()?;
        let ready = self.ready(&request.subject, events, cancel).await?;
        if cancel.is_cancelled() {
            return Err(BackendError::Cancelled.into());
        }
        let mut plan = Plan::new(&*request.experiment, ready.subject.clone());
        plan.seed = request.seed.unwrap_or(plan.seed);
        let ready = if is_wanted(&request.experiment) {
            let run = format!("{:x}", plan.seed & 0xffff_ffff);
            self.with_program(ready, &run)?
        } else {
            ready
        };
        plan.subject = ready.subject.clone();
        let setups = request
            .lanes
            .iter()
            .map(|lane| self.lane_setup(*lane, request, &ready))
            .collect::<Result<Vec<_>, _>>();
        let setups = setups
            .and_then(|setups| same_image(earlier.as_ref(), &ready).map(|()| setups))
            .inspect_err(|_| self.without_program(&ready))?;
        plan.request = serde_json::to_string(request).unwrap_or_default();
        plan.prediction = request.expected();
        plan.earlier = earlier.map(|found| found.earlier);
        plan.trials = request.trials;
        plan.warmup = request.warmup;
        plan.keep = request.keep;
        plan.cache = request.cache;
        plan.most_instances = request.instances;
        plan.time_limit = Duration::from_secs(u64::from(request.time_limit_s));
        Ok((plan, setups, ready))
    }

    fn lane_setup(
        &self,
        lane: Lane,
        request: &ExperimentRequest,
        ready: &Ready,
    ) -> Result<LaneSetup, AppError> {
        let port = request
            .port
            .or_else(|| exposed_port(&ready.image.config))
            .or(ready.port)
            .ok_or_else(|| AppError::NoPort(ready.subject.image.clone()))?;
        let options = RunOptions {
            profile: lane.profile,
            accelerator: lane.accelerator,
            ports: vec![PortMap::anywhere(port, Protocol::Tcp)],
            resources: self.limits(lane.backend, request.resources),
            options: InstanceOptions { template: lane.template, ..InstanceOptions::default() },
            ..RunOptions::new(ready.subject.image.clone(), lane.backend)
        };
        let spec = self.spec(&ready.image, options)?;
        let mut setup = LaneSetup::new(lane, spec, self.backend(lane.backend).clone());
        setup.files = self.shared_files();
        setup.sizes = self.sizes(&ready.image)?;
        Ok(setup)
    }

    /// A lane's limits. An ordinary user to whom no control groups were
    /// delegated can have none in a container, and shall see the usual
    /// comparison all the same: parity then says that it is unequal. Limits
    /// that somebody asked for are refused where they cannot be.
    fn limits(&self, backend: BackendKind, asked: Resources) -> Resources {
        if asked != usual_limits() {
            return asked;
        }
        let backend = self.backend(backend);
        let given = |one: Resources| backend.check_limits(&one).is_ok();
        let none = Resources::default();
        let (memory, cpus) = (asked.memory_bytes, asked.milli_cpus);
        Resources {
            memory_bytes: memory.filter(|_| given(Resources { memory_bytes: memory, ..none })),
            milli_cpus: cpus.filter(|_| given(Resources { milli_cpus: cpus, ..none })),
            ..none
        }
    }

    /// What an image takes that no launch changes: packed, unpacked, and how
    /// much of both together other images share.
    fn sizes(&self, image: &Image) -> Result<BTreeMap<String, u64>, AppError> {
        let rows = self.images.list(false)?;
        let Some(row) = rows.iter().find(|row| row.digest == image.digest) else {
            return Ok(BTreeMap::new());
        };
        let unique = row.unique.compressed + row.unique.unpacked;
        let shared = (row.size_bytes + row.unpacked_bytes).saturating_sub(unique);
        Ok(BTreeMap::from([
            ("image_compressed_bytes".to_owned(), row.size_bytes),
            ("image_unpacked_bytes".to_owned(), row.unpacked_bytes),
            ("image_unique_bytes".to_owned(), unique),
            ("image_shared_bytes".to_owned(), shared),
        ]))
    }

    /// What launches read and instances share: unpacked layers, kernels, the
    /// disks made of images.
    fn shared_files(&self) -> Vec<PathBuf> {
        vec![self.home.layers(), self.home.kernels(), self.home.cache()]
    }

    /// What would end in an unequal run, or in none, is said before anything
    /// is built.
    fn check_request(&self, request: &ExperimentRequest) -> Result<(), AppError> {
        let id = &request.experiment;
        if id != "compare"
            && let Some(why) = self.describe_experiment(id)?.missing
        {
            return Err(AppError::Usage(format!("the experiment `{id}` cannot run: {why}")));
        }
        if request.trials == 0 {
            let text = "no trials are asked for: --trials takes 1 or more";
            return Err(AppError::Usage(text.to_owned()));
        }
        if let Some(text) = &request.prediction {
            checked_words("the prediction", text)?;
        }
        self.check_resources(&request.resources)
    }

    /// A wish for more than the machine has would make lanes unequal: a
    /// container is then limited by the machine, a VM is not.
    fn check_resources(&self, resources: &Resources) -> Result<(), AppError> {
        let machine = self.machine();
        let Resources { memory_bytes, milli_cpus, .. } = *resources;
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
