use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use async_trait::async_trait;
use serde_json::Value;
use tandem_backend::{
    Availability, BackendError, InstanceStore, Supervised, memory_ledger, sample,
};
use tandem_home::Home;
use tandem_model::{
    BackendKind, Capability, ExecSpec, InstanceRecord, InstanceSpec, Lane, Ledger, Sample,
};
use tandem_probe::allocated_bytes;

use crate::{
    api::{Api, ApiError},
    container::Container,
    exec::exec_command,
    image, keeper,
    payload::container_of,
    place::Place,
    refusal::other,
    socket,
};

/// Docker or Podman as it runs on this machine.
#[derive(Debug, Clone)]
pub struct EngineApi {
    kind: BackendKind,
    home: Home,
    store: InstanceStore,
}

/// What is known of an engine that answers.
struct Found {
    socket: PathBuf,
    /// Name and version, e.g. `Docker 20.10.24`.
    engine: String,
    /// It is the other engine.
    other: bool,
}

impl EngineApi {
    /// Docker, for instances of this home.
    pub fn docker(home: Home) -> Self {
        Self::new(BackendKind::Docker, home)
    }

    /// Podman.
    pub fn podman(home: Home) -> Self {
        Self::new(BackendKind::Podman, home)
    }

    fn new(kind: BackendKind, home: Home) -> Self {
        let store = InstanceStore::new(home.clone());
        Self { kind, home, store }
    }

    /// The engine that answers where its own client would look for it.
    async fn find(&self) -> Result<Found, BackendError> {
        let socket = socket::find(self.kind).map_err(|why| unavailable(self.kind, why))?;
        let version = Api::new(&socket).get_within(WHO, "/version").await;
        let version = version.map_err(|e| unavailable(self.kind, e.to_string()))?;
        let named = |name: &str| {
            let parts = version["Components"].as_array();
            parts.is_some_and(|parts| parts.iter().any(|part| part["Name"] == name))
        };
        let is_podman = named("Podman Engine");
        let Some(number) = version["Version"].as_str() else {
            let why = format!("what answers at {} is no container engine", socket.display());
            return Err(unavailable(self.kind, why));
        };
        let name = if is_podman { "Podman" } else { "Docker" };
        let other = is_podman != (self.kind == BackendKind::Podman);
        Ok(Found { engine: format!("{name} {number}"), socket, other })
    }

    /// The container of an instance; `None` when it was never started.
    fn container(&self, record: &InstanceRecord) -> Result<Option<Container>, BackendError> {
        let place = Place::read(&self.store, &record.id)?;
        Ok(place.map(|place| container_of(&self.home, record, &place)))
    }
}

/// How long an engine may take to say what it is.
const WHO: Duration = Duration::from_secs(10);

/// There is no engine, and what to do.
pub(crate) fn unavailable(kind: BackendKind, why: String) -> BackendError {
    let (what, fix) = if kind == BackendKind::Podman {
        (
            "Podman",
            "start its service with `sudo systemctl start podman.socket`, or name its socket in CONTAINER_HOST",
        )
    } else {
        ("Docker", "start it with `sudo systemctl start docker`, or name its socket in DOCKER_HOST")
    };
    BackendError::Unavailable { what: what.to_owned(), why, fix: fix.to_owned() }
}

#[async_trait]
impl Supervised for EngineApi {
    fn kind(&self) -> BackendKind {
        self.kind
    }

    fn has_volumes(&self) -> bool {
        true
    }

    async fn capabilities(&self) -> Vec<Capability> {
        let id = if self.kind == BackendKind::Podman { "podman_engine" } else { "docker_engine" };
        vec![match self.find().await {
            Ok(found) if found.other => {
                let detail = format!("{} answers at {}", found.engine, found.socket.display());
                Capability::limited(id, detail, None)
            }
            Ok(found) => {
                let detail = format!("{} answers at {}", found.engine, found.socket.display());
                Capability::ok(id, detail)
            }
            Err(BackendError::Unavailable { why, fix, .. }) => {
                Capability::missing(id, why, Some(&fix))
            }
            Err(e) => Capability::missing(id, e.to_string(), None),
        }]
    }

    async fn availability(&self, _: &Lane) -> Result<Availability, BackendError> {
        let found = self.find().await?;
        let mut note =
            "the engine's own processes that serve all its containers are not counted".to_owned();
        if found.other {
            note = format!("{} answers at this engine's socket; {note}", found.engine);
        }
        Ok(Availability { engine: found.engine, accelerator: None, note: Some(note) })
    }

    async fn prepare(
        &self,
        spec: &InstanceSpec,
        progress: &mut (dyn for<'l> FnMut(&'l str) + Send),
    ) -> Result<(), BackendError> {
        let found = self.find().await?;
        image::ensure(&Api::new(&found.socket), &self.home, spec, progress).await.map(drop)
    }

    async fn sample(&self, record: &InstanceRecord) -> Result<Sample, BackendError> {
        sample(record)
    }

    async fn memory_ledger(&self, record: &InstanceRecord) -> Result<Ledger, BackendError> {
        let mut ledger = memory_ledger(record)?;
        keeper::push(&mut ledger, record);
        Ok(ledger)
    }

    fn keepers(&self, record: &InstanceRecord) -> Vec<u32> {
        keeper::of(record)
    }

    async fn disk_ledger(&self, record: &InstanceRecord) -> Result<Ledger, BackendError> {
        let container = self.container(record)?;
        let container = container.ok_or_else(|| lost("it was never started"))?;
        let found = container.inspect("?size=1").await.map_err(other)?;
        let found = found.ok_or_else(|| lost("the engine has no container of it"))?;
        let (_, image) = image::image_of(&self.home, &record.spec)?;
        let shared = image_bytes(&container.api, &image).await.map_err(other)?;
        let instance = self.store.dir(&record.id);
        let own =
            allocated_bytes(&instance).map_err(|e| BackendError::io("measure", &instance, e))?;
        let mut ledger = Ledger::default();
        ledger.push("image layers, as the engine counts them", shared);
        ledger.push("files changed by the instance", found["SizeRw"].as_u64().unwrap_or(0));
        ledger.push("logs and records of the instance", own);
        Ok(ledger)
    }

    fn exec_command(
        &self,
        program: &Path,
        record: &InstanceRecord,
        spec: &ExecSpec,
    ) -> Result<Command, BackendError> {
        exec_command(program, &self.home, record, spec)
    }

    async fn reap(&self, record: &InstanceRecord) -> Result<Vec<String>, BackendError> {
        let Some(container) = self.container(record)? else { return Ok(Vec::new()) };
        let ended = container.end().await.map_err(other)?;
        Ok(ended.then(|| format!("the container {}", container.name())).into_iter().collect())
    }

    async fn discard(&self, record: &InstanceRecord) -> Result<(), BackendError> {
        match self.container(record)? {
            Some(container) => container.remove().await.map(drop).map_err(other),
            None => Ok(()),
        }
    }
}

fn lost(why: &str) -> BackendError {
    BackendError::engine("measuring the container", why)
}

async fn image_bytes(api: &Api, image: &tandem_image::Image) -> Result<u64, ApiError> {
    let Some(id) = image::id_in(api, image).await? else { return Ok(0) };
    let found: Value = api.get(&format!("/images/{id}/json")).await?;
    Ok(found["Size"].as_u64().unwrap_or(0))
}
