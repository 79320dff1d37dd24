use std::rc::Rc;

use async_trait::async_trait;
use tandem_backend::{BackendError, InstanceStore, Launch, Payload, Running};
use tandem_home::Home;
use tandem_model::InstanceRecord;
use tandem_probe::now;

use crate::{
    api::Api,
    container::{Container, note},
    create, image,
    place::Place,
    refusal::{of_start, of_update, other},
    running::RunningContainer,
    socket, volume,
};

/// Brings one instance up as a container of an engine.
struct EnginePayload {
    container: Rc<Container>,
    place: Place,
    home: Home,
}

/// The part of a supervisor that starts `record`'s app in Docker or Podman.
pub fn engine_payload(
    store: &InstanceStore,
    record: &InstanceRecord,
) -> Result<Box<dyn Payload>, BackendError> {
    let place = match Place::read(store, &record.id)? {
        // Its container is there.
        Some(place) => place,
        None => Place::new(
            socket::find(record.spec.backend)
                .map_err(|why| crate::engine::unavailable(record.spec.backend, why))?,
        ),
    };
    let container = container_of(store.home(), record, &place);
    Ok(Box::new(EnginePayload { container: Rc::new(container), place, home: store.home().clone() }))
}

/// The container of an instance in the engine at `place`.
pub(crate) fn container_of(home: &Home, record: &InstanceRecord, place: &Place) -> Container {
    let label = home.root().to_string_lossy().into_owned();
    Container::new(Api::new(&place.socket), &record.id, label)
}

#[async_trait(?Send)]
impl Payload for EnginePayload {
    async fn launch(&mut self, launch: &mut Launch<'_>) -> Result<Box<dyn Running>, BackendError> {
        let start = now();
        launch.record.runtime.engine = Some(launch.record.spec.backend.to_string());
        // From here on a crash may leave a container.
        self.place.write(launch.store, &launch.record.id)?;
        let container = &self.container;
        if let Some(found) = container.inspect("").await.map_err(other)? {
            let wanted = &launch.record.spec.resources;
            if !create::has_limits(&found["HostConfig"], wanted) {
                container.update(wanted).await.map_err(of_update)?;
            }
        } else {
            let spec = &launch.record.spec;
            let image = image::ensure(&container.api, &self.home, spec, &mut |_| {}).await?;
            let binds =
                volume::ensure(&container.api, &self.home, spec, &self.place.socket).await?;
            let home = self.home.root().to_string_lossy();
            let mut request = create::request(launch.record, &image, &home);
            request["HostConfig"]["Binds"] = binds.into();
            container.create(&request).await.map_err(|e| of_start(&e, &launch.record.spec))?;
        }
        let start = launch.phase("create", start);

        // Podman makes the process ready here already.
        let spec = &launch.record.spec;
        let output = container.attach().await.map_err(|e| of_start(&e, spec))?;
        container.start().await.map_err(|e| of_start(&e, spec))?;
        let found = container.inspect("").await.map_err(other)?;
        note(launch.record, &found.unwrap_or_default());
        launch.phase("start", start);
        Ok(Box::new(RunningContainer::watch(container.clone(), output, launch.output.clone())))
    }

    async fn clean_up(&mut self, record: &InstanceRecord) -> Vec<String> {
        // One that may be started again keeps its files.
        let ownerless = record.spec.owner.is_some_and(|owner| !tandem_probe::alive(owner));
        let fleeting = record.spec.remove || ownerless;
        let ended =
            if fleeting { self.container.remove().await } else { self.container.end().await };
        ended.err().map(|e| format!("the engine keeps the container: {e}")).into_iter().collect()
    }
}
