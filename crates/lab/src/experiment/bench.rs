use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use serde_json::Value;
use tandem_backend::{Backend, BackendError};
use tandem_model::{HostInstant, InstanceId, InstanceSpec, Lane, RunEvent, TrialPhase};
use tandem_probe::{FirstResponse, ReadyOptions, Shot, now, open_loop, wait_for_first_response};
use tokio::{sync::oneshot, task::JoinHandle};

use super::TrialEnd;
use crate::{
    parity::Observed,
    phases::seen,
    stage::Stage,
    trial::{Attempt, Contestant, Request, take_away},
};

/// Where one trial is made: it launches instances in the trial's lane, takes
/// down numbers, and knows whether the run was cancelled. Whatever was
/// launched is taken away when the trial is over.
pub struct Bench<'a, 's> {
    lane: &'a Contestant,
    request: &'a Request,
    stage: &'a mut Stage<'s>,
    t0: HostInstant,
    launches: u32,
    pub(crate) made: Vec<Made>,
    pub(crate) phases: Vec<TrialPhase>,
    pub(crate) metrics: BTreeMap<String, Value>,
    pub(crate) series: BTreeMap<String, Vec<[f64; 2]>>,
    pub(crate) observed: Option<Observed>,
}

/// An instance that the trial must take away.
pub(crate) struct Made {
    pub(crate) id: InstanceId,
    pub(crate) name: String,
    pub(crate) url: String,
}

/// An instance whose app has answered.
#[derive(Debug, Clone)]
pub struct Launched {
    /// Its id.
    pub id: InstanceId,
    /// Where its app answers.
    pub address: SocketAddr,
    /// What the launch measured, as in a `startup` trial: `first_response`,
    /// `memory_host`, `instance_bytes`, …
    pub metrics: BTreeMap<String, Value>,
}

impl Launched {
    /// A number that the launch measured; absent when it could not be read.
    pub fn number(&self, metric: &str) -> Option<f64> {
        self.metrics.get(metric)?.as_f64()
    }
}

impl<'a, 's> Bench<'a, 's> {
    pub(crate) fn new(
        lane: &'a Contestant,
        request: &'a Request,
        stage: &'a mut Stage<'s>,
    ) -> Self {
        Self {
            lane,
            request,
            stage,
            t0: now(),
            launches: 0,
            made: Vec::new(),
            phases: Vec::new(),
            metrics: BTreeMap::new(),
            series: BTreeMap::new(),
            observed: None,
        }
    }

    /// The lane.
    pub fn lane(&self) -> Lane {
        self.lane.setup.lane
    }

    /// Which trial of the lane it is.
    pub fn index(&self) -> u32 {
        self.request.index
    }

    /// Takes down what was found in any other way.
    pub fn take(&mut self, metrics: BTreeMap<String, Value>) {
        self.metrics.extend(metrics);
    }

    /// The backend of the lane.
    pub fn backend(&self) -> &'a dyn Backend {
        self.lane.setup.backend.as_ref()
    }

    /// What runs in the lane, before a trial changes it.
    pub fn spec(&self) -> &'a InstanceSpec {
        &self.lane.setup.spec
    }

    /// Most instances that an experiment may have at a time.
    pub fn most_instances(&self) -> u32 {
        self.request.most_instances
    }

    /// Nanoseconds since the trial began.
    pub fn at(&self, moment: HostInstant) -> f64 {
        moment.since(self.t0) as f64
    }

    /// The launch that is the trial: its numbers, phases and curves are the
    /// trial's own.
    pub async fn launch_measured(&mut self) -> Result<Launched, TrialEnd> {
        self.go(&self.lane.setup.spec.clone(), true).await
    }

    /// Launches an instance, `change`d, beside those there are.
    pub async fn launch(
        &mut self,
        change: impl FnOnce(&mut InstanceSpec) + Send,
    ) -> Result<Launched, TrialEnd> {
        let mut spec = self.lane.setup.spec.clone();
        change(&mut spec);
        self.go(&spec, false).await
    }

    async fn go(&mut self, spec: &InstanceSpec, own: bool) -> Result<Launched, TrialEnd> {
        let mut lane = self.lane.clone();
        lane.setup.spec = spec.clone();
        let mut request = self.request.clone();
        if self.launches > 0 {
            request.name = format!("{}-{}", request.name, self.launches + 1);
        }
        self.launches += 1;
        let mut attempt = Attempt::new(&lane, &request);
        let end = attempt.run(self.stage).await;
        if let Some(id) = attempt.instance.clone() {
            let (name, url) = (request.name.clone(), attempt.url.clone());
            self.made.push(Made { id, name, url });
        }
        if own {
            self.t0 = attempt.t0;
            self.phases = seen(attempt.t0, &attempt.phases);
        }
        let measured = end?;
        if self.observed.is_none() {
            self.observed = Some(measured.observed);
        }
        if own {
            self.phases = measured.phases;
            self.metrics.extend(attempt.metrics.clone());
            self.series.extend(attempt.series);
        }
        match (attempt.instance, attempt.address) {
            (Some(id), Some(address)) => Ok(Launched { id, address, metrics: attempt.metrics }),
            _ => Err(TrialEnd::Failed("the launch made no instance".to_owned())),
        }
    }

    /// Takes a number down.
    pub fn number(&mut self, metric: &str, value: f64) {
        self.metrics.insert(metric.to_owned(), Value::from(value));
    }

    /// Takes a yes or no down.
    pub fn flag(&mut self, metric: &str, value: bool) {
        self.metrics.insert(metric.to_owned(), Value::Bool(value));
    }

    /// Takes down in words why something has no number.
    pub fn note(&mut self, metric: &str, words: &str) {
        self.metrics.insert(metric.to_owned(), Value::from(words));
    }

    /// Adds a point to a curve.
    pub fn point(&mut self, curve: &str, x: f64, y: f64) {
        self.series.entry(curve.to_owned()).or_default().push([x, y]);
    }

    /// Says what is being done, one line for people.
    pub fn say(&mut self, message: &str) {
        let message = format!("{} #{}: {message}", self.lane.id, self.request.index);
        self.stage.emit(RunEvent::Preparing { step: "trial".to_owned(), message });
    }

    /// Waits for `work` unless the run is cancelled.
    pub fn work<T: Send, F: Future<Output = Result<T, BackendError>> + Send>(
        &self,
        work: F,
    ) -> impl Future<Output = Result<T, TrialEnd>> + Send + use<T, F> {
        let done = self.unless_cancelled(work);
        async move { done.await?.map_err(|e| TrialEnd::Failed(e.to_string())) }
    }

    /// Waits for `work`, whatever it gives, unless the run is cancelled.
    pub fn unless_cancelled<T: Send, F: Future<Output = T> + Send>(
        &self,
        work: F,
    ) -> impl Future<Output = Result<T, TrialEnd>> + Send + use<T, F> {
        let cancelled = self.stage.cancelled();
        async move {
            tokio::select! {
                biased;
                () = cancelled => Err(TrialEnd::Cancelled),
                done = work => Ok(done),
            }
        }
    }

    /// Lets time pass.
    pub fn pass(
        &self,
        time: Duration,
    ) -> impl Future<Output = Result<(), TrialEnd>> + Send + use<> {
        self.unless_cancelled(tokio::time::sleep(time))
    }

    /// Waits until the app of a started instance answers again.
    pub fn answer(
        &self,
        app: &Launched,
    ) -> impl Future<Output = Result<FirstResponse, TrialEnd>> + Send + use<> {
        let options = ReadyOptions { limit: self.request.time_limit, ..ReadyOptions::default() };
        let (address, path) = (app.address, self.request.path.clone());
        let found = async move { wait_for_first_response(address, &path, options).await };
        let done = self.unless_cancelled(found);
        async move {
            done.await?.map_err(|e| {
                TrialEnd::Failed(format!("http://{address} did not answer again: {e}"))
            })
        }
    }

    /// Begins to send a request each `interval`, whatever becomes of them.
    pub fn load(&self, app: &Launched, interval: Duration) -> Load {
        let (stop, stopped) = oneshot::channel::<()>();
        let (address, path) = (app.address, self.request.path.clone());
        let shots = tokio::spawn(async move {
            let end = async { drop(stopped.await) };
            open_loop(address, &path, interval, PATIENCE, end).await
        });
        Load { stop, shots }
    }

    /// Takes everything away that the trial made, or keeps its first instance.
    /// Returns a line for each thing.
    pub(crate) async fn clear(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        for made in std::mem::take(&mut self.made).into_iter().rev() {
            match take_away(self.lane.setup.backend.as_ref(), &made.id, &made.name).await {
                Ok(line) => lines.push(line),
                Err(problem) => {
                    self.stage.warn(&problem);
                    lines.push(problem);
                }
            }
        }
        lines
    }
}

/// How long a request of a load may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Requests that are sent all along; dropping it ends them.
pub struct Load {
    stop: oneshot::Sender<()>,
    shots: JoinHandle<Vec<Shot>>,
}

impl Load {
    /// Ends, waits for those under way, and returns all requests.
    pub async fn finish(self) -> Result<Vec<Shot>, TrialEnd> {
        let _ = self.stop.send(());
        self.shots.await.map_err(|e| TrialEnd::Failed(format!("the load ended early: {e}")))
    }
}
