use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use async_trait::async_trait;
use tandem_backend::{BackendError, Executor, InstanceStore, Launch, Payload, Running};
use tandem_guest::wire::Marks;
use tandem_home::Home;
use tandem_image::Store;
use tandem_model::{InstanceRecord, PortMap, ProcessIdentity};
use tandem_probe::{alive, identity, now};
use tokio::net::UnixStream;

use super::{
    InstanceFiles,
    boot::{BootError, follow},
    identity::{mac_of, mac_text},
    ports,
    resume::{self, Up},
    wishes::{boot_of, has_network},
};
use crate::{
    accelerator::{Chosen, choose},
    disk::{Backing, BaseDisk, BaseRecord, Chain, Content, make_overlay},
    exec::{exec_command, explain},
    guest::{guest_program, write_boot, write_initrd},
    kernel::Kernel,
    machine::{Arguments, Boot, Disk, Machine, Memory, Qemu, Shape, Started},
    qmp::Qmp,
    quota::{self, Quota},
    running::{Console, Parts as RunningParts, RunningVm},
    snapshot::{MachineState, Resume},
    template::{Key, begin_with, memory_in_the_making},
    volume::VolumeDisks,
};

/// How often another free port is tried when somebody took it between our
/// look and QEMU's.
const PORT_TRIES: usize = 3;

/// How long a killed QEMU may take to be gone.
pub(super) const END_LIMIT: Duration = Duration::from_secs(10);

/// Brings up one instance as a virtual machine.
pub(super) struct VmPayload {
    home: Home,
    shape: Shape,
    files: InstanceFiles,
    /// Its disk has an operating system and boots by itself.
    has_system: bool,
    quota: Option<Quota>,
    qemu: Option<ProcessIdentity>,
    /// Nobody else has these as long as the payload lives.
    volumes: VolumeDisks,
}

/// What a machine is started from.
struct Parts {
    qemu: Qemu,
    kernel: Kernel,
    guest: PathBuf,
    /// The raw disk beneath.
    base: PathBuf,
    /// The layers on it.
    layers: Vec<PathBuf>,
    chosen: Chosen,
    /// The state from which it goes on, instead of booting.
    resume: Option<Resume>,
}

type Connected = (Machine, Qmp, [UnixStream; 3]);

impl VmPayload {
    pub(super) fn new(
        home: Home,
        shape: Shape,
        files: InstanceFiles,
        has_system: bool,
        quota: Option<Quota>,
    ) -> Self {
        Self { home, shape, files, has_system, quota, qemu: None, volumes: VolumeDisks::default() }
    }

    /// Finds what `prepare` made; makes what is missing.
    async fn parts(
        &self,
        store: &InstanceStore,
        record: &InstanceRecord,
    ) -> Result<Parts, BackendError> {
        let home = store.home();
        let program = std::env::current_exe()
            .map_err(|e| BackendError::engine("finding the `tandem` program", e))?;
        let qemu = Qemu::find()?;
        let guest = guest_program(&program)?;
        let kernel = Kernel::ensure(home, &mut |_| {})?;
        let dir = store.dir(&record.id);
        let chosen = choose(record.spec.accelerator, home, &qemu, &kernel, &guest).await?;
        if record.spec.options.template && BaseRecord::load(&dir)?.is_none() {
            // Without one it boots: the phases say which it was.
            let version = qemu.version()?;
            let state =
                MachineState::here(&version, chosen.accelerator, self.shape, &kernel.release);
            begin_with(home, &Key::of(&record.spec, &state, &guest)?, &dir)?;
        }
        let base = match BaseRecord::load(&dir)? {
            Some(recorded) => recorded.find(home)?,
            None => self.make_disk(home, &dir, &program, record)?,
        };
        let layers = Chain::load(&dir)?.paths(&dir);
        let resume = Resume::load(&dir)?;
        Ok(Parts { qemu, kernel, guest, base, layers, chosen, resume })
    }

    /// The first layer of an instance's disk on its image's base.
    fn make_disk(
        &self,
        home: &Home,
        dir: &Path,
        program: &Path,
        record: &InstanceRecord,
    ) -> Result<PathBuf, BackendError> {
        let images = Store::open(home).map_err(|e| BackendError::Reported(e.into()))?;
        let content = Content::of(&images, &record.spec)?;
        let base = BaseDisk::of(home, &content)?;
        base.ensure(&images, &content, program, &|_| {})?;
        let disk = &self.files.disk;
        if !disk.exists() {
            make_overlay(disk, Backing::Raw(base.path()), base.size()?)
                .map_err(|e| BackendError::io("make the disk", disk, e))?;
        }
        BaseRecord::of(base.path())?.save(dir)?;
        Ok(base.path().to_owned())
    }

    /// Starts QEMU with free ports and waits for its monitor.
    async fn spawn(
        &mut self,
        parts: &Parts,
        launch: &mut Launch<'_>,
    ) -> Result<Connected, BackendError> {
        let mut tries = 1;
        loop {
            let chosen = ports::choose(&launch.record.spec.ports)?;
            let started = self.start_qemu(parts, launch, &chosen)?;
            launch.record.ports.clone_from(&chosen);
            self.qemu = started.machine.pid().and_then(identity);
            launch.record.runtime.process = self.qemu;
            let group = self.quota.as_ref().map(|quota| quota.folder().to_owned());
            launch.record.runtime.cgroups = group.into_iter().collect();
            launch.save()?;
            if let (Some(quota), Some(pid)) = (&self.quota, started.machine.pid()) {
                quota.apply(pid)?;
            }
            let (mut machine, reason) = match started.connect().await {
                Ok(connected) => return Ok(connected),
                Err(failed) => failed,
            };
            let _ = machine.end(END_LIMIT).await;
            if !reason.contains("host forwarding rule") {
                return Err(BackendError::engine("QEMU", reason));
            }
            let wanted = &launch.record.spec.ports;
            match wanted.iter().find(|port| port.host_port != 0) {
                None if tries < PORT_TRIES => tries += 1,
                fixed => {
                    let port = fixed.or(chosen.first());
                    return Err(port.map_or_else(
                        || BackendError::engine("QEMU", reason),
                        |port| BackendError::PortInUse(*port),
                    ));
                }
            }
        }
    }

    fn start_qemu(
        &self,
        parts: &Parts,
        launch: &Launch<'_>,
        ports: &[PortMap],
    ) -> Result<Started, BackendError> {
        let name = format!("tandem-{}", launch.record.id);
        let kernel = parts.kernel.image(launch.store.home());
        let resume = parts.resume.as_ref();
        let shared = memory_in_the_making(&self.files.dir);
        let template = resume.and_then(|resume| resume.files(&self.files.dir).1);
        let memory = match (&template, &shared) {
            (Some(file), _) => Memory::CopyOnWrite(file),
            (None, Some(file)) => Memory::Shared(file),
            (None, None) => Memory::Own,
        };
        let mac = mac_text(mac_of(&launch.record.id));
        let network = has_network(&launch.record.spec.options);
        let begins_with = resume.is_none().then_some(self.files.boot.as_path());
        Started::spawn(&parts.qemu, |descriptors| {
            Arguments {
                qemu: &parts.qemu,
                accelerator: parts.chosen.accelerator,
                shape: resume.map_or(self.shape, |resume| resume.state.shape()),
                name: &name,
                boot: if self.has_system {
                    Boot::Loader { item: begins_with }
                } else {
                    Boot::Kernel { kernel: &kernel, initrd: begins_with }
                },
                disk: Some(Disk {
                    base: &parts.base,
                    layers: &parts.layers,
                    volumes: self.volumes.paths(),
                }),
                memory,
                mac: &mac,
                ports,
                network,
                descriptors,
            }
            .to_vec()
        })
    }
}

#[async_trait(?Send)]
impl Payload for VmPayload {
    async fn launch(&mut self, launch: &mut Launch<'_>) -> Result<Box<dyn Running>, BackendError> {
        let start = now();
        ports::choose(&launch.record.spec.ports)?;
        self.volumes = VolumeDisks::open(launch.store.home(), &launch.record.spec.options)?;
        let parts = self.parts(launch.store, launch.record).await?;
        let runtime = &mut launch.record.runtime;
        runtime.accelerator = Some(parts.chosen.accelerator);
        runtime.accelerator_reason = Some(parts.chosen.reason.clone());
        runtime.engine = Some("QEMU".to_owned());
        if parts.resume.is_none() {
            let boot = boot_of(launch.record, &parts.kernel);
            let (home, file) = (launch.store.home(), &self.files.boot);
            if self.has_system {
                write_boot(file, &boot)?;
            } else {
                write_initrd(file, home, &parts.kernel, &parts.guest, Some(&boot))?;
            }
        }
        let start = launch.phase("disk", start);

        let (mut machine, qmp, [debug, console, channel]) = self.spawn(&parts, launch).await?;
        launch.record.runtime.engine = Some(format!("QEMU {}", qmp.version()));
        let console = Console::keep(console, &self.files.console)?;
        let (dir, chosen) = (self.files.dir.clone(), parts.chosen.accelerator);
        let state = MachineState::here(qmp.version(), chosen, self.shape, &parts.kernel.release);
        if let Some(resume) = &parts.resume {
            let start = launch.phase("spawn", start);
            let up = Up { machine, qmp, debug, console, channel };
            let has_system = self.has_system;
            return resume::go_on(up, launch, resume, state, dir, has_system, start).await;
        }
        qmp.cont().await.map_err(|e| BackendError::engine("QEMU", e))?;
        let start = launch.phase("spawn", start);

        let program = launch.record.spec.args.first().cloned().unwrap_or_default();
        let marks = if self.has_system { Marks::by_loader() } else { Marks::default() };
        let boot = match follow(debug, marks).await {
            Ok(moments) => moments,
            Err(BootError::Failed(failure)) => return Err(explain(failure, &program)),
            Err(BootError::Ended) => {
                let _ = machine.end(END_LIMIT).await;
                let said = machine.errors().await;
                let reason = console.reason(&said).await;
                return Err(BackendError::engine("starting the guest", reason));
            }
            Err(BootError::Timeout(limit)) => {
                let reason =
                    console.reason(&format!("it took more than {} s", limit.as_secs())).await;
                return Err(BackendError::engine("starting the guest", reason));
            }
        };
        boot.phases(start, |name, from, to| launch.phase_between(name, from, to));
        let app_output = &launch.output;
        let limits = launch.record.spec.resources;
        let has_volumes = !self.volumes.paths().is_empty();
        let parts = RunningParts {
            machine,
            qmp,
            channel,
            console,
            app_output,
            dir,
            state,
            limits,
            has_volumes,
            has_system: self.has_system,
            terminal: launch.record.spec.options.terminal,
        };
        Ok(Box::new(RunningVm::watch(parts)))
    }

    fn executor(&self, record: &InstanceRecord) -> Option<Executor> {
        let (program, id) = (std::env::current_exe().ok()?, record.id.clone());
        let home = self.home.clone();
        Some(Box::new(move |spec| exec_command(&program, &home, &id, spec)))
    }

    async fn clean_up(&mut self, _record: &InstanceRecord) -> Vec<String> {
        let mut problems = Vec::new();
        // Dropping the launch or the machine has killed QEMU already.
        if let Some(qemu) = self.qemu
            && !end_process(qemu).await
        {
            problems.push(format!("QEMU (process {}) cannot be ended", qemu.pid));
        }
        if let Some(quota) = &self.quota
            && let Err(e) = quota::remove(quota.folder()).await
        {
            problems.push(format!("the control group {} stays: {e}", quota.folder().display()));
        }
        if let Err(e) = remove_boot(&self.files) {
            problems.push(e.to_string());
        }
        problems
    }
}

/// Kills exactly this process and waits for its end; `false` when it stays.
pub(crate) async fn end_process(process: ProcessIdentity) -> bool {
    let deadline = tokio::time::Instant::now() + END_LIMIT;
    let pid = i32::try_from(process.pid).ok().and_then(rustix::process::Pid::from_raw);
    while alive(process) {
        if let Some(pid) = pid {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
        if tokio::time::Instant::now() > deadline {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    true
}

/// Removes what only a running machine needs. It holds the app's environment.
pub(crate) fn remove_boot(files: &InstanceFiles) -> Result<(), BackendError> {
    match std::fs::remove_file(&files.boot) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(BackendError::io("remove", &files.boot, e))
        }
        _ => Ok(()),
    }
}
