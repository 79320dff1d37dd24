mod part;

use std::{
    collections::VecDeque,
    io,
    path::PathBuf,
    process::Command,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use jiff::Timestamp;
use tandem_model::{
    BackendKind, Capability, ExecSpec, Exit, InstanceId, InstanceOptions, InstanceRecord,
    InstanceSpec, InstanceState, Lane, Ledger, Membership, MountSource, MountSpec, Phase,
    Resources, RestartPolicy, Sample,
};
use tandem_probe::alive;
use tokio::{net::UnixStream, time::sleep};

use crate::{
    AttachWishes, Attached, Availability, Backend, BackendError, ControlRequest, InstanceStore,
    LaunchEvent, LogReader, call, control::attach, launch::LaunchStream, standby::StandBy,
    store::LAST_MOMENT,
};

pub use part::Supervised;

/// A [`Backend`] whose instances have a supervisor process each.
pub struct SupervisedBackend<T> {
    inner: T,
    store: InstanceStore,
    /// The `tandem` executable, for its hidden entry points.
    program: PathBuf,
    /// A supervisor for the next instance that is started.
    standby: Mutex<Option<StandBy>>,
}

impl<T: Supervised> SupervisedBackend<T> {
    /// A backend that keeps its instances in `store` and starts supervisors
    /// with `program`, the `tandem` executable.
    pub fn new(inner: T, store: InstanceStore, program: PathBuf) -> Self {
        Self { inner, store, program, standby: Mutex::new(None) }
    }

    /// Asks the supervisor of an instance, which must be there.
    async fn ask(&self, id: &InstanceId, request: &ControlRequest) -> Result<(), BackendError> {
        let begin = Instant::now();
        while !call(&self.store.dir(id), request).await? {
            self.nobody_listens(id, begin).await?;
        }
        Ok(())
    }

    /// Has the supervisor change what it holds, or changes the record of an
    /// instance that has none.
    async fn change(
        &self,
        id: &InstanceId,
        request: &ControlRequest,
        change: impl FnOnce(&mut InstanceSpec) + Send,
    ) -> Result<(), BackendError> {
        let Some(_lock) = self.store.lock_ended(id)? else {
            return self.ask(id, request).await;
        };
        let mut record = self.store.load(id)?;
        change(&mut record.spec);
        self.store.save(&record)
    }

    /// Nobody listened to somebody who asks since `begin`: the instance does not
    /// run, or its supervisor has only begun or is just writing the end down,
    /// which is waited for.
    async fn nobody_listens(&self, id: &InstanceId, begin: Instant) -> Result<(), BackendError> {
        let record = self.store.load(id)?;
        let there = record.state.is_up() && record.runtime.supervisor.is_some_and(alive);
        if !there || begin.elapsed() > LAST_MOMENT {
            return Err(self.not_running(id));
        }
        sleep(Duration::from_millis(1)).await;
        Ok(())
    }

    fn not_running(&self, id: &InstanceId) -> BackendError {
        match self.store.load(id) {
            Ok(record) => {
                let next = format!("start it first with `tandem start {}`", record.spec.name);
                Self::wrong_state(&record, "not running", next)
            }
            Err(e) => e,
        }
    }

    /// Starts the supervisor and waits until the app was executed. Whoever has
    /// `wishes` gets a connection on which it has asked for them.
    async fn launch(
        &self,
        id: &InstanceId,
        wishes: Option<AttachWishes>,
        phase: &mut (dyn FnMut(Phase) + Send),
    ) -> Result<(InstanceRecord, Option<UnixStream>), BackendError> {
        let before = self.store.load(id)?;
        let standby = self.standby.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (mut stream, attached) = match standby {
            Some(standby) => standby.begin(id, wishes).await?,
            None => LaunchStream::begin(&self.program, &self.store, id, wishes).await?,
        };
        loop {
            match stream.next().await? {
                LaunchEvent::Phase { phase: slice } => phase(slice),
                LaunchEvent::Started => match self.store.load(id) {
                    // It was to be removed at its end, and has ended already.
                    Err(BackendError::NoInstance(_)) => {
                        let ended = InstanceRecord { state: InstanceState::Exited, ..before };
                        return Ok((ended, attached));
                    }
                    other => return Ok((other?, attached)),
                },
                LaunchEvent::Failed { failure } => return Err(failure.into()),
            }
        }
    }

    fn wrong_state(record: &InstanceRecord, state: &'static str, next: String) -> BackendError {
        BackendError::WrongState { name: record.spec.name.clone(), state, next }
    }
}

/// The first option that a backend does not honour.
fn refused(backend: &impl Supervised, options: &InstanceOptions) -> Option<&'static str> {
    if backend.honours_options() {
        return None;
    }
    let named =
        |mount: &MountSpec| matches!(mount.source, MountSource::Volume { anonymous: false, .. });
    if !backend.has_volumes() {
        return options.container_only();
    }
    if !options.mounts.iter().all(named) {
        return Some("a mount that is no volume with a name");
    }
    InstanceOptions { mounts: Vec::new(), ..options.clone() }.container_only()
}

#[async_trait]
impl<T: Supervised> Backend for SupervisedBackend<T> {
    fn kind(&self) -> BackendKind {
        self.inner.kind()
    }

    async fn capabilities(&self) -> Vec<Capability> {
        self.inner.capabilities().await
    }

    async fn availability(&self, lane: &Lane) -> Result<Availability, BackendError> {
        self.inner.availability(lane).await
    }

    fn check_limits(&self, resources: &Resources) -> Result<(), BackendError> {
        self.inner.check_limits(resources)
    }

    fn stand_by(&self) {
        if !self.inner.stand_by() {
            return;
        }
        // Without one the start itself begins it, and says what fails.
        let standby = StandBy::spawn(&self.program, self.store.home().root()).ok();
        *self.standby.lock().unwrap_or_else(PoisonError::into_inner) = standby;
    }

    async fn prepare(
        &self,
        spec: &InstanceSpec,
        progress: &mut (dyn for<'l> FnMut(&'l str) + Send),
    ) -> Result<(), BackendError> {
        if let Some(option) = refused(&self.inner, &spec.options) {
            return Err(BackendError::Unsupported(option));
        }
        if let (true, Some(option)) =
            (self.inner.kind() != BackendKind::Vm, spec.options.machine_only())
        {
            let text = format!("{option} is only for virtual machines: add --backend vm");
            return Err(BackendError::BadSetting(text));
        }
        self.inner.prepare(spec, progress).await
    }

    async fn create(&self, spec: InstanceSpec) -> Result<InstanceRecord, BackendError> {
        self.store.create(spec)
    }

    async fn start(
        &self,
        id: &InstanceId,
        phase: &mut (dyn FnMut(Phase) + Send),
    ) -> Result<InstanceRecord, BackendError> {
        Ok(self.launch(id, None, phase).await?.0)
    }

    async fn start_attached(
        &self,
        id: &InstanceId,
        wishes: AttachWishes,
        phase: &mut (dyn FnMut(Phase) + Send),
    ) -> Result<(InstanceRecord, Attached), BackendError> {
        let (record, connection) = self.launch(id, Some(wishes), phase).await?;
        let attached = match connection {
            Some(connection) => Attached::accepted(connection).await?,
            None => None,
        };
        let failed = |e| BackendError::engine("attaching", e);
        let gone = || failed(io::Error::from(io::ErrorKind::ConnectionReset));
        Ok((record, attached.ok_or_else(gone)?))
    }

    async fn attach(
        &self,
        id: &InstanceId,
        wishes: AttachWishes,
    ) -> Result<Attached, BackendError> {
        let begin = Instant::now();
        loop {
            if let Some(attached) = attach(&self.store.dir(id), wishes).await? {
                return Ok(attached);
            }
            self.nobody_listens(id, begin).await?;
        }
    }

    async fn stop_for_start(
        &self,
        id: &InstanceId,
        grace: Option<Duration>,
        signal: Option<i32>,
    ) -> Result<InstanceRecord, BackendError> {
        if self.store.load(id)?.spec.remove {
            call(&self.store.dir(id), &ControlRequest::Keep).await?;
        }
        self.stop_with(id, grace, signal).await
    }

    async fn stop_with(
        &self,
        id: &InstanceId,
        grace: Option<Duration>,
        signal: Option<i32>,
    ) -> Result<InstanceRecord, BackendError> {
        let before = self.store.load(id)?;
        let grace_ms = grace.map(|grace| u64::try_from(grace.as_millis()).unwrap_or(u64::MAX));
        let request = ControlRequest::Stop { grace_ms, signal };
        loop {
            let asked = call(&self.store.dir(id), &request).await?;
            if !asked {
                self.reap(id).await?;
            }
            match self.store.load(id) {
                // It was to be removed at its end.
                Err(BackendError::NoInstance(_)) => {
                    return Ok(InstanceRecord { state: InstanceState::Exited, ..before });
                }
                // Its supervisor has begun to listen only since it was asked.
                Ok(record) if !asked && record.state.is_up() => {
                    sleep(Duration::from_millis(1)).await;
                }
                other => return other,
            }
        }
    }

    async fn exec_command(
        &self,
        id: &InstanceId,
        spec: &ExecSpec,
    ) -> Result<Command, BackendError> {
        self.inner.exec_command(&self.program, &self.store.load(id)?, spec)
    }

    async fn signal(&self, id: &InstanceId, number: i32) -> Result<(), BackendError> {
        self.ask(id, &ControlRequest::Signal { number }).await
    }

    async fn pause(&self, id: &InstanceId) -> Result<(), BackendError> {
        self.ask(id, &ControlRequest::Pause).await
    }

    async fn resume(&self, id: &InstanceId) -> Result<(), BackendError> {
        self.ask(id, &ControlRequest::Resume).await
    }

    async fn update(&self, id: &InstanceId, resources: &Resources) -> Result<(), BackendError> {
        let Some(_lock) = self.store.lock_ended(id)? else {
            return self.ask(id, &ControlRequest::Update { resources: *resources }).await;
        };
        self.inner.check_limits(resources)?;
        let mut record = self.store.load(id)?;
        record.spec.resources = *resources;
        self.store.save(&record)
    }

    async fn set_restart(
        &self,
        id: &InstanceId,
        policy: RestartPolicy,
    ) -> Result<(), BackendError> {
        let request = ControlRequest::Restart { policy };
        self.change(id, &request, |spec| spec.options.restart = policy).await
    }

    async fn rename(&self, id: &InstanceId, name: &str) -> Result<(), BackendError> {
        let _names = self.store.hold_name(name)?;
        let request = ControlRequest::Rename { name: name.to_owned() };
        self.change(id, &request, |spec| name.clone_into(&mut spec.name)).await
    }

    async fn join_network(
        &self,
        id: &InstanceId,
        membership: &Membership,
    ) -> Result<(), BackendError> {
        let request = ControlRequest::Join { membership: membership.clone() };
        self.change(id, &request, |spec| spec.options.networks.push(membership.clone())).await
    }

    async fn leave_network(&self, id: &InstanceId, network: &str) -> Result<(), BackendError> {
        let request = ControlRequest::Leave { network: network.to_owned() };
        let leave = |spec: &mut InstanceSpec| {
            spec.options.networks.retain(|it| it.name != network);
        };
        self.change(id, &request, leave).await
    }

    async fn remove(&self, id: &InstanceId) -> Result<(), BackendError> {
        match self.reap(id).await {
            Err(BackendError::NoInstance(_)) => return Ok(()),
            other => other?,
        };
        let record = match self.store.load(id) {
            Err(BackendError::NoInstance(_)) => return Ok(()),
            other => other?,
        };
        let lock = match self.store.lock_ended(id) {
            // It was to be removed at its end, and has just ended.
            Err(_) if matches!(self.store.load(id), Err(BackendError::NoInstance(_))) => {
                return Ok(());
            }
            other => other?,
        };
        let Some(_lock) = lock else {
            let next = format!(
                "stop it first with `tandem stop {0}`, or use `tandem rm -f {0}`",
                record.spec.name
            );
            return Err(Self::wrong_state(&record, "running", next));
        };
        self.inner.discard(&record).await?;
        self.store.delete(id)
    }

    async fn reap(&self, id: &InstanceId) -> Result<Vec<String>, BackendError> {
        let Some(_lock) = self.store.lock_ended(id)? else {
            return Ok(Vec::new());
        };
        let mut record = self.store.load(id)?;
        let was_up = record.state.is_up() || record.runtime.supervisor.is_some();
        // The owner may have been killed before it started the instance, or
        // before it removed it.
        let ownerless = record.spec.owner.is_some_and(|owner| !alive(owner));
        if !was_up && !ownerless {
            return Ok(Vec::new());
        }
        let mut cleaned = self.inner.reap(&record).await?;
        let lost = if was_up { "its supervisor" } else { "the command that made it" };
        cleaned.insert(0, format!("instance {} had lost {lost}", record.spec.name));
        if ownerless || record.spec.remove {
            self.inner.discard(&record).await?;
            self.store.delete(id)?;
            return Ok(cleaned);
        }
        if record.state != InstanceState::Exited {
            record.state = InstanceState::Exited;
            record.finished_at = Some(Timestamp::now());
            record.exit = Some(Exit {
                code: 137,
                out_of_memory: false,
                error: Some(BackendError::engine("the supervisor", "it was killed").to_failure()),
            });
        }
        record.runtime.supervisor = None;
        record.runtime.process = None;
        record.runtime.cgroups.clear();
        record.runtime.mounts.clear();
        record.runtime.links.clear();
        self.store.save(&record)?;
        Ok(cleaned)
    }

    async fn sweep(&self) -> Result<Vec<String>, BackendError> {
        self.inner.sweep().await
    }

    async fn inspect(&self, id: &InstanceId) -> Result<InstanceRecord, BackendError> {
        self.store.load(id)
    }

    async fn disown(&self, id: &InstanceId) -> Result<(), BackendError> {
        call(&self.store.dir(id), &ControlRequest::Disown).await.map(|_| ())
    }

    async fn log_tail(&self, id: &InstanceId, lines: usize) -> Vec<String> {
        let mut kept = VecDeque::new();
        let Ok(Some(mut log)) = LogReader::open(&self.store.log_path(id)) else {
            return Vec::new();
        };
        while let Some(line) = log.next_line() {
            kept.push_back(line.text.trim_end().to_owned());
            if kept.len() > lines {
                kept.pop_front();
            }
        }
        kept.into()
    }

    async fn sample(&self, record: &InstanceRecord) -> Result<Sample, BackendError> {
        self.inner.sample(record).await
    }

    async fn memory_ledger(&self, record: &InstanceRecord) -> Result<Ledger, BackendError> {
        self.inner.memory_ledger(record).await
    }

    fn keepers(&self, record: &InstanceRecord) -> Vec<u32> {
        self.inner.keepers(record)
    }

    async fn disk_ledger(&self, record: &InstanceRecord) -> Result<Ledger, BackendError> {
        self.inner.disk_ledger(record).await
    }
}
