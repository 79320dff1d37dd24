//! A scripted backend: it goes through the same scheduler as the real ones
//! and writes down in which order it was driven.

use std::{
    collections::BTreeMap,
    process::Command,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use tandem_backend::{Availability, Backend, BackendError};
use tandem_model::{
    BackendKind, Capability, ExecSpec, Exit, InstanceId, InstanceRecord, InstanceSpec,
    InstanceState, Lane, Ledger, MemoryUse, Phase, ProcessIdentity, Resources, RestartPolicy,
    Runtime, Sample,
};
use tandem_probe::now;

type Serve = dyn Fn(&InstanceSpec) -> Result<u16, BackendError> + Send + Sync;

/// A backend that runs nothing. `serve` is called when an instance starts and
/// returns the port at which a test's server answers for it.
pub(crate) struct FakeBackend {
    kind: BackendKind,
    serve: Box<Serve>,
    journal: Arc<Mutex<Vec<String>>>,
    records: Mutex<BTreeMap<InstanceId, InstanceRecord>>,
    made: AtomicU8,
    unavailable: Option<String>,
    exit_code: Option<i32>,
    supervisor: Option<ProcessIdentity>,
}

impl FakeBackend {
    /// A fake of this kind that writes what it is asked into `journal`.
    pub(crate) fn new(
        kind: BackendKind,
        journal: Arc<Mutex<Vec<String>>>,
        serve: impl Fn(&InstanceSpec) -> Result<u16, BackendError> + Send + Sync + 'static,
    ) -> Self {
        Self {
            kind,
            serve: Box::new(serve),
            journal,
            records: Mutex::default(),
            made: AtomicU8::new(0),
            unavailable: None,
            exit_code: None,
            supervisor: None,
        }
    }

    /// Makes every lane unavailable for this reason.
    #[must_use]
    pub(crate) fn unavailable(mut self, why: &str) -> Self {
        self.unavailable = Some(why.to_owned());
        self
    }

    /// Makes every app end with this exit code as soon as it was started.
    #[must_use]
    pub(crate) fn exiting(mut self, code: i32) -> Self {
        self.exit_code = Some(code);
        self
    }

    /// Gives every instance this supervisor as soon as it was started.
    #[must_use]
    pub(crate) fn supervised_by(mut self, process: ProcessIdentity) -> Self {
        self.supervisor = Some(process);
        self
    }

    fn note(&self, what: &str) {
        let line = format!("{} {what}", self.kind);
        self.journal.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    fn change(
        &self,
        id: &InstanceId,
        change: impl FnOnce(&mut InstanceRecord),
    ) -> Result<InstanceRecord, BackendError> {
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        let record = records.get_mut(id).ok_or_else(|| BackendError::NoInstance(id.to_string()))?;
        change(record);
        Ok(record.clone())
    }
}

#[async_trait]
impl Backend for FakeBackend {
    fn kind(&self) -> BackendKind {
        self.kind
    }

    async fn capabilities(&self) -> Vec<Capability> {
        vec![Capability::ok("fake", "it is scripted")]
    }

    async fn availability(&self, _lane: &Lane) -> Result<Availability, BackendError> {
        if let Some(why) = &self.unavailable {
            return Err(BackendError::Unavailable {
                what: format!("the fake {}", self.kind),
                why: why.clone(),
                fix: "there is nothing to mend".to_owned(),
            });
        }
        Ok(Availability { engine: "fake".to_owned(), accelerator: None, note: None })
    }

    async fn prepare(
        &self,
        _spec: &InstanceSpec,
        _progress: &mut (dyn for<'l> FnMut(&'l str) + Send),
    ) -> Result<(), BackendError> {
        self.note("prepare");
        Ok(())
    }

    async fn create(&self, spec: InstanceSpec) -> Result<InstanceRecord, BackendError> {
        self.note("create");
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let record = InstanceRecord {
            version: InstanceRecord::VERSION,
            id: InstanceId::from_bytes([self.kind as u8, 0, 0, 0, 0, number]),
            spec,
            state: InstanceState::Created,
            created_at: jiff::Timestamp::now(),
            started_at: None,
            finished_at: None,
            ports: Vec::new(),
            runtime: Runtime::default(),
            exit: None,
            phases: Vec::new(),
            health: None,
            restarts: 0,
        };
        records.insert(record.id.clone(), record.clone());
        Ok(record)
    }

    async fn start(
        &self,
        id: &InstanceId,
        phase: &mut (dyn FnMut(Phase) + Send),
    ) -> Result<InstanceRecord, BackendError> {
        self.note("start");
        let spec = self.change(id, |_| {})?.spec;
        let start = now();
        let port = (self.serve)(&spec)?;
        phase(Phase { name: "create".to_owned(), start, end: now() });
        self.change(id, |record| {
            record.state = InstanceState::Running;
            record.runtime.supervisor = self.supervisor;
            if let Some(code) = self.exit_code {
                record.state = InstanceState::Exited;
                record.exit = Some(Exit { code, out_of_memory: false, error: None });
            }
            record.ports = record.spec.ports.iter().map(|map| map.at(port)).collect();
        })
    }

    async fn stop_with(
        &self,
        id: &InstanceId,
        _grace: Option<Duration>,
        _signal: Option<i32>,
    ) -> Result<InstanceRecord, BackendError> {
        self.note("stop");
        self.change(id, |record| record.state = InstanceState::Exited)
    }

    async fn exec_command(
        &self,
        _id: &InstanceId,
        _spec: &ExecSpec,
    ) -> Result<Command, BackendError> {
        Err(BackendError::Unsupported("executing further commands"))
    }

    async fn signal(&self, _id: &InstanceId, _number: i32) -> Result<(), BackendError> {
        self.note("signal");
        Ok(())
    }

    async fn pause(&self, id: &InstanceId) -> Result<(), BackendError> {
        self.note("pause");
        self.change(id, |record| record.state = InstanceState::Paused).map(|_| ())
    }

    async fn resume(&self, id: &InstanceId) -> Result<(), BackendError> {
        self.note("resume");
        self.change(id, |record| record.state = InstanceState::Running).map(|_| ())
    }

    async fn update(&self, id: &InstanceId, resources: &Resources) -> Result<(), BackendError> {
        self.note("update");
        self.change(id, |record| record.spec.resources = *resources).map(|_| ())
    }

    async fn rename(&self, id: &InstanceId, name: &str) -> Result<(), BackendError> {
        self.note("rename");
        self.change(id, |record| name.clone_into(&mut record.spec.name)).map(|_| ())
    }

    async fn set_restart(
        &self,
        id: &InstanceId,
        policy: RestartPolicy,
    ) -> Result<(), BackendError> {
        self.note("set restart");
        self.change(id, |record| record.spec.options.restart = policy).map(|_| ())
    }

    async fn remove(&self, id: &InstanceId) -> Result<(), BackendError> {
        self.note("remove");
        self.records.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
        Ok(())
    }

    async fn reap(&self, _id: &InstanceId) -> Result<Vec<String>, BackendError> {
        Ok(Vec::new())
    }

    async fn inspect(&self, id: &InstanceId) -> Result<InstanceRecord, BackendError> {
        self.change(id, |_| {})
    }

    async fn disown(&self, id: &InstanceId) -> Result<(), BackendError> {
        self.note("disown");
        self.change(id, |record| record.spec.owner = None).map(|_| ())
    }

    async fn log_tail(&self, _id: &InstanceId, _lines: usize) -> Vec<String> {
        vec!["a line of the fake's log".to_owned()]
    }

    async fn sample(&self, _record: &InstanceRecord) -> Result<Sample, BackendError> {
        let memory = MemoryUse { pss: 1 << 20, ..MemoryUse::default() };
        Ok(Sample { at: now(), cpu_ns: 0, memory, processes: 1 })
    }

    async fn memory_ledger(&self, _record: &InstanceRecord) -> Result<Ledger, BackendError> {
        let mut ledger = Ledger::default();
        ledger.push("anonymous", 1 << 20);
        Ok(ledger)
    }

    async fn disk_ledger(&self, _record: &InstanceRecord) -> Result<Ledger, BackendError> {
        let mut ledger = Ledger::default();
        ledger.push("instance", 4096);
        Ok(ledger)
    }
}
