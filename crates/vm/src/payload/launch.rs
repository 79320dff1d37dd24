use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use async_trait::async_trait;
use tandem_backend::{BackendError, Executor, InstanceStore, Launch, Payload, Running};
use tandem_guest::wire::Marks;
use tandem_home::Home;
use tandem_image::Store;
use tandem_model::{Accelerator, InstanceRecord, PortMap, ProcessIdentity};
use tandem_probe::{alive, identity, machine, now};
use tokio::net::UnixStream;

use super::{
    InstanceFiles, Kind, board_of,
    boot::{conclude, follow},
    identity::{mac_of, mac_text},
    ports,
    resume::{self, Up, drain},
    wishes::{boot_of, has_network},
};
use crate::{
    accelerator::{Chosen, choose},
    disk::{
        Backing, BaseDisk, BaseRecord, Chain, Content, Firmware, Place, firmware_of, make_overlay,
        places_of, variables_of,
    },
    exec::exec_command,
    guest::{guest_program, write_boot, write_initrd},
    kernel::{Flavour, Kernel},
    machine::{
        Arguments, Board, Boot, Disk, Machine, Memory, Pages, Qemu, Reach, Shape, Started, Uefi,
        User, maps_memory, runs_machines,
    },
    qmp::Qmp,
    quota::{self, Quota},
    running::{Console, Parts as RunningParts, RunningVm},
    share::{Share, check as check_shares, flavour, shares},
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
    kind: Kind,
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
    /// The raw disk beneath; none of a disk from elsewhere.
    base: Option<PathBuf>,
    /// The layers on it.
    layers: Vec<PathBuf>,
    /// Where several disks lie in it.
    places: Vec<Place>,
    chosen: Chosen,
    /// What its devices hang on, and why it is not the small board.
    board: (Board, Option<&'static str>),
    /// UEFI, with this machine's own variables, for a disk that needs it.
    uefi: Option<Uefi>,
    /// The state from which it goes on, instead of booting.
    resume: Option<Resume>,
    /// QEMU maps memory that it may only read.
    maps_memory: bool,
}

impl Parts {
    /// Why this accelerator, and where there is a choice, this board.
    fn reason(&self) -> String {
        let reason = &self.chosen.reason;
        let (chosen, why) = self.board;
        let board = self.resume.as_ref().map_or(chosen, |resume| resume.state.board);
        match (board, why) {
            (Board::Microvm, _) => format!("{reason}; on the microvm board"),
            (Board::Q35, Some(why)) if self.chosen.accelerator == Accelerator::Kvm => {
                format!("{reason}; on the q35 board, because {why}")
            }
            (Board::Q35, _) => reason.clone(),
        }
    }
}

type Connected = (Machine, Qmp, [UnixStream; 3]);

impl VmPayload {
    pub(super) fn new(
        home: Home,
        shape: Shape,
        files: InstanceFiles,
        kind: Kind,
        quota: Option<Quota>,
    ) -> Self {
        Self { home, shape, files, kind, quota, qemu: None, volumes: VolumeDisks::default() }
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
        let mut kernel = Kernel::ensure(home, Flavour::Cloud, &mut |_| {})?;
        let dir = store.dir(&record.id);
        let chosen = choose(record.spec.accelerator, home, &qemu, &kernel, &guest).await?;
        if self.kind == Kind::Micro && flavour(&record.spec.options) == Flavour::Generic {
            kernel = Kernel::ensure(home, Flavour::Generic, &mut |_| {})?;
        }
        let version = qemu.remembered_version(home)?;
        let maps_memory = maps_memory(&version);
        let board = board_of(&chosen, &kernel, &record.spec, self.shape, self.kind);
        if record.spec.options.template && BaseRecord::load(&dir)?.is_none() {
            // Without one it boots: the phases say which it was.
            let state =
                MachineState::here(&version, chosen.accelerator, self.shape, &kernel.release)
                    .on(board.0);
            begin_with(home, &Key::of(&record.spec, &state, &guest)?, &dir)?;
        }
        let base = match BaseRecord::load(&dir)? {
            _ if self.kind == Kind::Foreign => None,
            Some(recorded) => Some(recorded.find(home)?),
            None => Some(self.make_disk(home, &dir, &program, record)?),
        };
        let layers = Chain::load(&dir)?.paths(&dir);
        let places = places_of(&dir)?;
        let uefi = match firmware_of(&dir)? {
            Some(Firmware::Uefi) => Some(Uefi { variables: variables_of(&dir), ..Uefi::find()? }),
            _ => None,
        };
        let resume = Resume::load(&dir)?;
        if let Some(resume) = resume.as_ref().filter(|_| !maps_memory) {
            resume.take_memory(&dir)?;
        }
        Ok(Parts {
            qemu,
            kernel,
            guest,
            base,
            layers,
            places,
            chosen,
            board,
            uefi,
            resume,
            maps_memory,
        })
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
                Ok((machine, qmp, sockets)) => {
                    runs_machines(qmp.version())?;
                    return Ok((machine, qmp, sockets));
                }
                Err(failed) => failed,
            };
            let _ = machine.end(END_LIMIT).await;
            // What an old one complains of is a word that it does not know.
            if let Ok(version) = parts.qemu.version() {
                runs_machines(&version)?;
            }
            if reason.contains("set up guest memory") {
                return Err(no_memory(self.shape));
            }
            if !reason.contains("host forwarding rule") {
                return Err(BackendError::engine("QEMU", reason));
            }
            let wanted = &launch.record.spec.ports;
            match wanted.iter().find(|port| port.host_port != 0 && port.host_last.is_none()) {
                None if tries < PORT_TRIES => tries += 1,
                fixed => {
                    let port = fixed.or(chosen.first());
                    return Err(port.map_or_else(
                        || BackendError::engine("QEMU", reason),
                        |port| BackendError::in_use(*port),
                    ));
                }
            }
        }
    }

    /// What this machine's QEMU reaches by name: itself, and what it shows of
    /// the host. Everything else it is handed.
    fn reach(qemu: &Qemu, shares: &[Share]) -> Reach {
        let mut reach = Reach { read: vec![qemu.place()], ..Reach::default() };
        for share in shares {
            let list = if share.read_only { &mut reach.read } else { &mut reach.write };
            list.push(share.path.clone());
        }
        reach
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
            (Some(file), _) if parts.maps_memory => Memory::CopyOnWrite(file),
            (Some(file), _) => Memory::Copy(file),
            (None, Some(file)) => Memory::Shared(file),
            (None, None) => Memory::Own,
        };
        let mac = mac_text(mac_of(&launch.record.id));
        let network = has_network(&launch.record.spec.options);
        let shares: Vec<Share> =
            shares(&launch.record.spec.options).map(|(_, share)| share).collect();
        let begins_with = resume.is_none().then_some(self.files.boot.as_path());
        let accelerator = parts.chosen.accelerator;
        // Folders of the host are shown with the rights of whoever shows them.
        let user = if shares.is_empty() {
            User::of(&launch.record.id, &parts.qemu, accelerator, ports)
        } else {
            None
        };
        let reach = Self::reach(&parts.qemu, &shares);
        let shape = resume.map_or(self.shape, |resume| resume.state.shape());
        // A processor of silicon is quicker with huge pages, an emulated one is
        // not.
        let pages = if shape.room > 0 && accelerator == Accelerator::Tcg {
            Pages::Small
        } else {
            Pages::Usual
        };
        Started::spawn(&parts.qemu, user, reach, pages, |descriptors, handed| {
            Arguments {
                qemu: &parts.qemu,
                accelerator,
                board: resume.map_or(parts.board.0, |resume| resume.state.board),
                shape,
                name: &name,
                boot: match self.kind {
                    Kind::Micro => Boot::Kernel { kernel: &kernel, initrd: begins_with },
                    Kind::Full => Boot::Loader { item: begins_with },
                    Kind::Foreign => Boot::Foreign {
                        uefi: parts
                            .uefi
                            .as_ref()
                            .map(|it| (it.code.as_path(), it.variables.as_path())),
                    },
                },
                disk: Some(Disk {
                    base: parts.base.as_deref(),
                    layers: &parts.layers,
                    volumes: self.volumes.paths(),
                    parts: &parts.places,
                    locks: parts.maps_memory,
                }),
                shares: &shares,
                memory,
                mac: &mac,
                ports,
                network,
                descriptors,
            }
            .to_vec(handed)
        })
    }
}

#[async_trait(?Send)]
impl Payload for VmPayload {
    async fn launch(&mut self, launch: &mut Launch<'_>) -> Result<Box<dyn Running>, BackendError> {
        let start = now();
        ports::choose(&launch.record.spec.ports)?;
        check_shares(&launch.record.spec.options)?;
        self.volumes = VolumeDisks::open(launch.store.home(), &launch.record.spec.options)?;
        let parts = self.parts(launch.store, launch.record).await?;
        let runtime = &mut launch.record.runtime;
        runtime.accelerator = Some(parts.chosen.accelerator);
        runtime.accelerator_reason = Some(parts.reason());
        runtime.engine = Some("QEMU".to_owned());
        if parts.resume.is_none() {
            let boot = boot_of(launch.record, &parts.kernel, parts.board.0);
            let (home, file) = (launch.store.home(), &self.files.boot);
            match self.kind {
                Kind::Micro => {
                    write_initrd(file, home, &parts.kernel, &parts.guest, Some(&boot))?;
                }
                Kind::Full => write_boot(file, &boot)?,
                Kind::Foreign => {}
            }
        }
        let start = launch.phase("disk", start);

        let (mut machine, qmp, [debug, console, channel]) = self.spawn(&parts, launch).await?;
        launch.record.runtime.engine = Some(format!("QEMU {}", qmp.version()));
        let mut console = Console::keep(console, &self.files.console)?;
        let (dir, chosen) = (self.files.dir.clone(), parts.chosen.accelerator);
        let state = MachineState::here(qmp.version(), chosen, self.shape, &parts.kernel.release)
            .on(parts.board.0);
        if let Some(resume) = &parts.resume {
            let start = launch.phase("spawn", start);
            let up = Up { machine, qmp, debug, console, channel };
            return resume::go_on(up, launch, resume, state, dir, self.kind, start).await;
        }
        let has_loader = self.kind != Kind::Micro;
        if !has_loader {
            qmp.tell_firmware(true).await;
        }
        qmp.cont().await.map_err(|e| BackendError::engine("QEMU", e))?;
        let start = launch.phase("spawn", start);

        if self.kind == Kind::Foreign {
            // Nobody there says when it is up.
            drain(debug);
        } else {
            let marks = if has_loader { Marks::by_loader() } else { Marks::default() };
            let boot = follow(debug, marks).await;
            conclude(launch, &mut machine, &mut console, start, boot).await?;
            if !has_loader {
                // The app is no firmware, and may ask without end.
                qmp.tell_firmware(false).await;
            }
        }
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
            kind: self.kind,
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

/// The host does not give the guest's memory.
fn no_memory(shape: Shape) -> BackendError {
    let host = machine().memory_bytes >> 20;
    BackendError::Unavailable {
        what: format!("{} MB of memory for the guest", shape.memory >> 20),
        why: format!("this machine, which has {host} MB, does not give it"),
        fix: "choose less with --memory, or stop what takes its memory".to_owned(),
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
