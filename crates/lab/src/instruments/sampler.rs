use std::{io, sync::Arc, time::Duration};

use tandem_backend::Backend;
use tandem_model::{InstanceId, InstanceRecord, InstanceState, Sample};
use tandem_probe::{Follower, thread_cpu_ns};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep},
};

/// Reads what an instance uses, about ten times a second.
pub(crate) struct Sampler {
    /// The samples, as they are read.
    pub(crate) samples: mpsc::UnboundedReceiver<Sample>,
    stop: oneshot::Sender<()>,
    cost: oneshot::Receiver<u64>,
}

/// Between two samples.
const PERIOD: Duration = Duration::from_millis(100);

/// A sample may cost this part of the time between two of them; when it costs
/// more they become rarer, so that watching stays cheaper than 2 % of one
/// processor.
const SHARE: u32 = 50;

impl Sampler {
    /// Samples the instance as soon as its process is known.
    pub(crate) fn start(backend: Arc<dyn Backend>, id: InstanceId) -> io::Result<Self> {
        let (sender, samples) = mpsc::unbounded_channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let (cost_sender, cost) = oneshot::channel();
        super::on_thread("tandem-sampler", move || async move {
            tokio::select! {
                () = watch(backend.as_ref(), &id, &sender) => {}
                _ = stopped => {}
            }
            let _ = cost_sender.send(thread_cpu_ns());
        })?;
        Ok(Self { samples, stop, cost })
    }

    /// Ends sampling; the processor time that it took, nanoseconds.
    pub(crate) async fn stop(self) -> Option<u64> {
        let _ = self.stop.send(());
        self.cost.await.ok()
    }
}

async fn watch(backend: &dyn Backend, id: &InstanceId, samples: &mpsc::UnboundedSender<Sample>) {
    let mut record: Option<InstanceRecord> = None;
    let mut follower = None;
    loop {
        let begin = Instant::now();
        // Once it runs, its processes and cgroups stay the same.
        if record.as_ref().is_none_or(|record| record.state != InstanceState::Running) {
            let found = backend.inspect(id).await.ok();
            record = found.filter(|record| {
                record.runtime.process.is_some() || record.state == InstanceState::Running
            });
        }
        if let Some(record) = &record
            && let Some(sample) = sample(backend, record, &mut follower).await
            && samples.send(sample).is_err()
        {
            return;
        }
        let cost = begin.elapsed();
        sleep((cost * SHARE).max(PERIOD).saturating_sub(cost)).await;
    }
}

/// What the instance uses; a glance where that is enough.
async fn sample(
    backend: &dyn Backend,
    record: &InstanceRecord,
    follower: &mut Option<Follower>,
) -> Option<Sample> {
    if let (None, Some(process)) = (&follower, record.runtime.process) {
        *follower = Some(Follower::new(process.pid, &record.runtime.cgroups));
    }
    if let Some(sample) = follower.as_mut().and_then(Follower::glance) {
        return Some(sample);
    }
    let sample = backend.sample(record).await.ok()?;
    if let Some(follower) = follower {
        follower.keep(&sample);
    }
    Some(sample)
}
