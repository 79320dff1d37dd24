use tandem_backend::{AttachWishes, Attached, BackendError};
use tandem_image::Image;
use tandem_model::{BackendKind, ErrorCode, InstanceRecord, InstanceSpec, Phase, PortMap};

use crate::{App, AppError, PullWhen, RunOptions, network, platform, spec::merge};

impl App {
    /// An instance of this backend is about to be run: its supervisor starts
    /// while the image is looked for.
    pub fn stand_by(&self, backend: BackendKind) {
        if !self.home.is_read_only() {
            self.backend(backend).stand_by();
        }
    }

    /// Makes an instance without starting it. An image that is not here is
    /// pulled. `progress` gets a line for people now and then.
    pub async fn create(
        &self,
        mut options: RunOptions,
        progress: &mut (dyn FnMut(&str) + Send),
    ) -> Result<InstanceRecord, AppError> {
        if let Some(note) = network::check(&mut options)? {
            progress(note);
        }
        self.check_network(&options)?;
        let (platform, backend) = (options.platform.as_deref(), options.backend);
        let image = match options.pull {
            PullWhen::Always => self.pulled(&options.image, platform, progress).await?,
            PullWhen::Missing => {
                self.image_to_run(&options.image, platform, backend, progress).await?
            }
            PullWhen::Never => self.image_here(&options.image, platform, backend)?,
        };
        let backend = self.backend(options.backend).clone();
        let spec = self.spec(&image, options)?;
        backend.prepare(&spec, progress).await?;
        let volumes = self.make_volumes(&spec.options)?;
        let created = self.create_on_network(spec).await;
        if created.is_err() {
            self.unmake_volumes(volumes);
        }
        created
    }

    /// Makes and starts an instance; resolves when its app was executed. An
    /// instance that cannot start leaves nothing behind.
    pub async fn run(
        &self,
        options: RunOptions,
        progress: &mut (dyn FnMut(&str) + Send),
        phase: &mut (dyn FnMut(Phase) + Send),
    ) -> Result<InstanceRecord, AppError> {
        let record = self.create(options, progress).await?;
        let backend = self.backend(record.spec.backend);
        let started = backend.start(&record.id, phase).await;
        self.or_remove(record, started).await
    }

    /// The same with the caller attached from the app's first byte on.
    pub async fn run_attached(
        &self,
        options: RunOptions,
        wishes: AttachWishes,
        progress: &mut (dyn FnMut(&str) + Send),
        phase: &mut (dyn FnMut(Phase) + Send),
    ) -> Result<(InstanceRecord, Attached), AppError> {
        let record = self.create(options, progress).await?;
        let backend = self.backend(record.spec.backend);
        let started = backend.start_attached(&record.id, wishes, phase).await;
        self.or_remove(record, started).await
    }

    async fn or_remove<T>(
        &self,
        record: InstanceRecord,
        started: Result<T, BackendError>,
    ) -> Result<T, AppError> {
        let error = match started {
            Ok(started) => return Ok(started),
            Err(error) => error,
        };
        self.backend(record.spec.backend).remove(&record.id).await?;
        self.remove_anonymous_volumes(&record)?;
        Err(self.who_has_the_port(&record, error).into())
    }

    /// Names the instance that has a port which is in use, when it is one of
    /// ours.
    fn who_has_the_port(&self, record: &InstanceRecord, error: BackendError) -> BackendError {
        if error.code() != ErrorCode::PortInUse {
            return error;
        }
        let others = self.instances.list().unwrap_or_default();
        let up = others.iter().filter(|other| other.state.is_up() && other.id != record.id);
        for other in up {
            let taken = |wanted: &PortMap| {
                other.ports.iter().any(|port| {
                    let (its, ours) = (port.host_ip, wanted.host_ip);
                    let meet = its == ours || its.is_unspecified() || ours.is_unspecified();
                    meet && its.is_ipv4() == ours.is_ipv4()
                        && port.host_port == wanted.host_port
                        && port.protocol == wanted.protocol
                })
            };
            let certain = |port: &&PortMap| port.host_port != 0 && port.host_last.is_none();
            let port = record.spec.ports.iter().filter(certain).find(|port| taken(port));
            if let Some(port) = port {
                let holder = other.spec.name.clone();
                return BackendError::PortPublished { port: *port, holder };
            }
        }
        error
    }

    /// Merges image and wishes, with a name that is free.
    pub(crate) fn spec(
        &self,
        image: &Image,
        options: RunOptions,
    ) -> Result<InstanceSpec, AppError> {
        if let Some(platform) = image.platform() {
            platform::check(&options.image, &platform, options.backend)?;
        }
        let name = match &options.name {
            Some(name) => name.clone(),
            None => self.free_name(image)?,
        };
        let (backend, health) = (options.backend, options.health.clone());
        let mut spec = merge(image, name, options)?;
        self.complete_health(image, &health, &mut spec.options)?;
        self.complete_mounts(image, backend, &mut spec.options)?;
        Ok(spec)
    }

    fn free_name(&self, image: &Image) -> Result<String, AppError> {
        let repository = image.reference.repository();
        let stem = repository.rsplit('/').next().unwrap_or(repository);
        let taken: Vec<_> =
            self.instances.list()?.into_iter().map(|record| record.spec.name).collect();
        let name = |number: u32| {
            if number == 1 { stem.to_owned() } else { format!("{stem}-{number}") }
        };
        // One more name than there are instances: one of them is free.
        let last = u32::try_from(taken.len()).unwrap_or(u32::MAX - 1) + 1;
        let free = (1..=last).map(name).find(|name| !taken.contains(name));
        Ok(free.unwrap_or_else(|| stem.to_owned()))
    }
}
