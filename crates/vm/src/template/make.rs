use std::{fs, os::unix::fs::OpenOptionsExt as _, path::Path, time::Duration};

use tandem_backend::{Backend, BackendError, ControlRequest, ask};
use tandem_home::{Home, Lock, make_private_dir};
use tandem_model::{HealthCheck, InstanceRecord, InstanceSpec, PortMap, Protocol, RestartPolicy};
use tandem_probe::{ReadyOptions, identity, wait_for_first_response};

use super::{Key, MEMORY_IN_THE_MAKING, Template, is_there, put, record, root};
use crate::{
    disk::BaseRecord,
    snapshot::{DEVICES, MEMORY, Request, Saved},
};

/// How long an app may take until it answers.
const ANSWER: Duration = Duration::from_mins(2);

/// How long one that answers nobody is given to come up.
const SETTLE: Duration = Duration::from_secs(3);

/// Makes the template of `spec`, unless it is there. `backend` runs machines of
/// this home: one of them boots for it and is gone afterwards.
pub(crate) async fn make(
    home: &Home,
    backend: &dyn Backend,
    spec: &InstanceSpec,
    key: &Key,
    progress: &mut (dyn for<'l> FnMut(&'l str) + Send),
) -> Result<(), BackendError> {
    make_private_dir(&root(home))?;
    let lock = root(home).join(format!("{}.lock", key.as_str()));
    let waiting = tokio::task::spawn_blocking(move || Lock::exclusive(&lock)).await;
    let _lock = waiting.map_err(|e| BackendError::engine("waiting for a template", e))??;
    if is_there(home, key) {
        return Ok(());
    }
    progress("booting once for the template: later starts go on from there");
    let instance = backend.create(blueprint(spec, key)).await?;
    let made = boot_and_save(home, backend, &instance, key).await;
    let removed = backend.take_away(&instance.id, Some(Duration::ZERO)).await;
    made?;
    removed
}

/// The instance that boots: it ends with this process, and is reached by
/// nobody else.
fn blueprint(spec: &InstanceSpec, key: &Key) -> InstanceSpec {
    let mut spec = spec.clone();
    spec.name = format!("template-{}", &key.as_str()[..12]);
    spec.owner = identity(std::process::id());
    spec.hostname = None;
    spec.options.template = false;
    spec.options.restart = RestartPolicy::No;
    spec.options.health = None::<HealthCheck>;
    spec.ports.retain(|port| port.protocol == Protocol::Tcp);
    for port in &mut spec.ports {
        *port = PortMap::anywhere(port.port, port.protocol);
    }
    spec
}

async fn boot_and_save(
    home: &Home,
    backend: &dyn Backend,
    instance: &InstanceRecord,
    key: &Key,
) -> Result<(), BackendError> {
    let dir = home.instances().join(instance.id.as_str());
    let memory = dir.join(MEMORY_IN_THE_MAKING);
    let made = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&memory);
    made.map_err(|e| BackendError::io("make", &memory, e))?;
    let running = backend.start(&instance.id, &mut |_| {}).await?;
    wait_until_up(backend, &running).await?;

    let scratch = home.scratch("template")?;
    let made = scratch.path().join("template");
    make_private_dir(&made)?;
    let request = Request::Freeze { to: made.join(DEVICES) };
    let unreadable = |e| BackendError::engine("the supervisor", e);
    let request = serde_json::to_value(request).map_err(unreadable)?;
    let answer = ask(&dir, &ControlRequest::Own { request }).await?;
    let ended = || BackendError::engine("making the template", "the app ended");
    let saved: Saved = serde_json::from_value(answer.ok_or_else(ended)?).map_err(unreadable)?;
    let state = saved.memory.ok_or_else(ended)?;

    let link = |from: &Path, name: &str| {
        fs::hard_link(from, made.join(name)).map_err(|e| BackendError::io("link", from, e))
    };
    link(&memory, MEMORY)?;
    for name in saved.chain.names() {
        link(&dir.join(name), name)?;
    }
    BaseRecord::load(&dir)?.ok_or_else(ended)?.save(&made)?;
    // QEMU is gone before anybody reads what it wrote.
    let _ = backend.stop(&instance.id, Some(Duration::ZERO)).await;
    record(&made, &Template { state, chain: saved.chain })?;
    put(home, key, &made)
}

async fn wait_until_up(
    backend: &dyn Backend,
    running: &InstanceRecord,
) -> Result<(), BackendError> {
    let port = running.ports.iter().find(|port| port.protocol == Protocol::Tcp);
    let failed = |why: String| BackendError::engine("making the template", why);
    let Some(port) = port else {
        tokio::time::sleep(SETTLE).await;
        let now = backend.inspect(&running.id).await?;
        return if now.state.is_up() { Ok(()) } else { Err(failed("the app ended".to_owned())) };
    };
    let address = (port.host_ip, port.host_port).into();
    let options = ReadyOptions { limit: ANSWER, ..ReadyOptions::default() };
    let answer = wait_for_first_response(address, "/", options).await;
    answer.map(drop).map_err(|e| failed(format!("the app gives no answer: {e}")))
}
