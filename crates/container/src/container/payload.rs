use std::{
    io,
    net::{IpAddr, Ipv4Addr},
    os::fd::AsRawFd as _,
    path::{Path, PathBuf},
    rc::Rc,
};

use async_trait::async_trait;
use libcontainer::{
    container::builder::ContainerBuilder, error::LibcontainerError, syscall::syscall::SyscallType,
};
use rustix::process::{PidfdFlags, Uid, getpid, pidfd_open};
use tandem_backend::{
    BackendError, Executor, InstanceStore, Launch, Payload, Remainder, Running, WindowSize,
};
use tandem_home::Home;
use tandem_model::{InstanceOptions, InstanceRecord};
use tandem_probe::{identity, now};

use super::{
    ENGINE,
    executor::AppExecutor,
    places::check_places,
    resume::Resumed,
    security::{Security, check_ulimits},
};
use crate::{
    bundle::Bundle,
    cgroup::{self, Guest, Layout, View, WarmUp},
    checkpoint::{Subject, pending},
    confine::{Report, User},
    descendants::kill_descendants,
    exec::exec_command,
    init::{self, INIT},
    launch::{Prepared, bind_ports, is_fleeting, prepare_rootfs},
    memory::give_back_later,
    network::{self, Connected, Ground, Leaving, Networks},
    proxy::Published,
    rootfs::InstanceDirs,
    running::{Kin, RunningApp},
    stdio::{Console, Ends, Stdio, peer_of},
    storage::Storage,
};

/// Brings up one instance as a container.
pub(super) struct ContainerPayload {
    home: Home,
    pub(super) dirs: InstanceDirs,
    pub(super) layout: Layout,
    pub(super) group: String,
    warm_up: Option<WarmUp>,
    /// Held until the end: the volumes' locks are in it.
    storage: Option<Storage>,
    /// The same for the network that the home has of its own.
    ground: Option<Ground>,
    leaving: Option<Leaving>,
}

/// The part of a supervisor that makes the container of `record`. `warm_up`
/// was begun before it was known which that is.
///
/// # Errors
/// [`BackendError::Unavailable`] when this machine has no control groups, or
/// not those that a limit needs.
pub fn container_payload(
    store: &InstanceStore,
    record: &InstanceRecord,
    warm_up: Option<WarmUp>,
) -> Result<Box<dyn Payload>, BackendError> {
    let mut early = warm_up;
    let lasts = early.as_mut().is_some_and(WarmUp::lasts);
    let warm_up = early.filter(|_| lasts).unwrap_or_else(WarmUp::begin);
    let layout = Layout::detect().map_err(|e| BackendError::Unavailable {
        what: "the container engine".into(),
        why: e.to_string(),
        fix: "mount them, or start from a system that does".into(),
    })?;
    cgroup::refuse_impossible(&layout, &record.spec.resources)?;
    let dirs = InstanceDirs::new(store.dir(&record.id));
    let (group, warm_up) = (cgroup::group_of(&record.id), Some(warm_up));
    let home = store.home().clone();
    Ok(Box::new(ContainerPayload {
        home,
        dirs,
        layout,
        group,
        warm_up,
        storage: None,
        ground: None,
        leaving: None,
    }))
}

#[async_trait(?Send)]
impl Payload for ContainerPayload {
    async fn launch(&mut self, launch: &mut Launch<'_>) -> Result<Box<dyn Running>, BackendError> {
        let start = now();
        launch.record.runtime.engine = Some(ENGINE.to_owned());
        launch.record.runtime.cgroups = self.layout.folders(&self.group);
        let ports = bind_ports(launch.record)?;
        // An image may bring the node of the host's disk along.
        let unfiltered = self.layout.folder("devices", "").is_none();
        let name = network::hostname(launch.record);
        let name = Some(name.as_str());
        let prepared = prepare_rootfs(launch.store, launch.record, &self.dirs, name, unfiltered)?;
        let start = launch.phase("rootfs", start);

        let resumed = pending(self.dirs.instance())?;
        let wish = resumed.as_ref().and_then(|(_, checkpoint)| checkpoint.address);
        let mut network = network::connect(launch.store, launch.record, wish).await?;
        launch.record.runtime.ip = network.address;
        launch.record.runtime.links.clone_from(&network.links);
        launch.record.runtime.addresses.clone_from(&network.addresses);
        let networks = Networks::of(&network, launch.store, self.dirs.bundle())
            .map_err(|e| BackendError::engine("the container's network", e))?;
        let way_to = |published: &Published| {
            let way = network.way_to(published.port.port);
            way.map_err(|e| BackendError::engine("publishing ports", e))
        };
        let mut beside = Vec::new();
        for published in ports {
            beside.extend(way_to(&published)?.map(|way| published.serve(way)));
        }
        self.ground = network.take_ground();
        beside.extend(network.serve()?);
        beside.push(give_back_later());
        let start = launch.phase("network", start);

        let files = network.write_files(&self.dirs.bundle())?;
        let files = files_of(launch.record, files)?;
        check_places(&self.dirs.rootfs(), &files)?;
        let (pid, ends) = match &resumed {
            Some((images, checkpoint)) => {
                let saved = Resumed { images, checkpoint };
                self.resume(launch, &prepared, &mut network, &files, &saved).await?
            }
            None => self.create(launch, &prepared, &mut network, &files)?,
        };
        launch.record.runtime.warnings.clear();
        launch.record.runtime.warn(network.take_warnings());
        self.warm_up = None;
        self.storage = Some(prepared.storage);
        let kin = Kin::Group(Rc::from(launch.record.runtime.cgroups.as_slice()));
        let subject = Subject {
            pid,
            streams: ends.inodes(),
            address: address_of(launch.record),
            namespace: network.namespace().is_some(),
            hostname: network.hostname.clone(),
            terminal: launch.record.spec.options.terminal,
        };
        let running = RunningApp::watch(pid, kin, ends, launch.output.clone(), beside)
            .map_err(|e| BackendError::engine("watching the app", e))?
            .with_memory_of(subject)
            .on_networks(networks);
        launch.record.runtime.process = u32::try_from(pid).ok().and_then(identity);
        launch.phase(if resumed.is_some() { "restore" } else { "create" }, start);
        Ok(Box::new(running))
    }

    async fn clean_up(&mut self, record: &InstanceRecord) -> Vec<String> {
        let mut problems = Vec::new();
        cgroup::kill_all(&self.layout.folders(&self.group));
        match kill_descendants() {
            0 => {}
            left => problems.push(format!("{left} processes cannot be ended")),
        }
        // The kernel takes its time with each; so all at once.
        let (folders, dirs) = (self.layout.folders(&self.group), self.dirs.clone());
        let stay = !is_fleeting(record);
        let group = tokio::task::spawn_blocking(move || cgroup::remove(&folders).map(drop));
        let files = tokio::task::spawn_blocking(move || dirs.clean_up(stay));
        match network::begin_to_leave(&self.home, record).await {
            Ok(leaving) => self.leaving = leaving,
            Err(e) => problems.push(e.to_string()),
        }
        let ended = |e: tokio::task::JoinError| Err(std::io::Error::other(e));
        if let Err(e) = group.await.unwrap_or_else(ended) {
            problems.push(format!("the control group stays: {e}"));
        }
        if let Err(e) = files.await.unwrap_or_else(ended) {
            problems.push(format!("the bundle stays: {e}"));
        }
        problems
    }

    fn remainder(&mut self) -> Option<Remainder> {
        let leaving = self.leaving.take()?;
        Some(Box::pin(async move {
            leaving.finish().await.err().map(|e| e.to_string()).into_iter().collect()
        }))
    }

    fn executor(&self, record: &InstanceRecord) -> Option<Executor> {
        let (home, id) = (self.home.clone(), record.id.clone());
        let program = own_program()?;
        Some(Box::new(move |spec| exec_command(&program, &home, &id, spec)))
    }
}

/// This program by its path, as it can be executed in the mount namespace of
/// now; `/proc/self/exe` belongs to the one of before.
fn own_program() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    // Its file may have been replaced by a later version (proc_pid_exe(5)).
    let path = program.to_str().and_then(|path| path.strip_suffix(" (deleted)"));
    Some(path.map_or(program.clone(), PathBuf::from))
}

impl ContainerPayload {
    /// Makes the container and executes the app in it. Returns its process id.
    fn create(
        &self,
        launch: &Launch<'_>,
        prepared: &Prepared,
        network: &mut Connected,
        files: &[(PathBuf, &'static str)],
    ) -> Result<(i32, Ends), BackendError> {
        let (dir, record) = (self.dirs.bundle(), &*launch.record);
        let namespace = network.namespace_path();
        let options = &record.spec.options;
        check_ulimits(&options.ulimits)?;
        let filtered = self.layout.folder("devices", "").is_some();
        let security =
            Security::of(launch.store.home(), &options.security, &prepared.user, filtered)?;
        let spec = Bundle {
            spec: &record.spec,
            rootfs: &self.dirs.rootfs(),
            user: &prepared.user,
            env: &prepared.env,
            hostname: &network.hostname,
            files,
            late: &prepared.storage.late,
            capabilities: security.capabilities,
            lent: security.lent,
            network: namespace.as_deref(),
            group: &self.group,
            layout: &self.layout,
        };
        let spec = spec.to_spec().map_err(|e| BackendError::engine("the bundle", e))?;
        // Its own `save` keeps the reason to itself, e.g. that the disk is full.
        let file = dir.join("config.json");
        let text = serde_json::to_vec(&spec).map_err(|e| BackendError::engine("the bundle", e))?;
        std::fs::write(&file, text).map_err(|e| BackendError::io("write into", &file, e))?;
        let report = Report::new().map_err(|e| BackendError::engine("making pipes", e))?;
        let supervisor = pidfd_open(getpid(), PidfdFlags::empty())
            .map_err(|e| BackendError::engine("making a container", e))?;
        let executor = AppExecutor {
            program: prepared.program.clone(),
            filter: security.filter,
            last: security.last,
            report: report.writer(),
            supervisor: supervisor.as_raw_fd(),
        };
        let groups = &record.runtime.cgroups;
        let ours = self.layout.is_ours_to_make();
        let control = |e| BackendError::engine("the control groups", e);
        cgroup::make_room(&self.layout).map_err(control)?;
        let guest = ours.then(|| Guest::enter(groups)).transpose().map_err(control)?;
        let view = ours.then(View::open).transpose().map_err(control)?;
        let builder = ContainerBuilder::new(record.id.to_string(), SyscallType::default())
            .with_executor(executor)
            .with_root_path(dir.join("state"))
            .map_err(|e| failed(&e))?;
        let (builder, streams) = Streams::open(builder, &dir, options, &prepared.user)
            .map_err(|e| BackendError::engine("making the app's streams", e))?;
        let mut container = builder
            .as_init(&dir)
            .with_systemd(false)
            .with_detach(true)
            .build()
            .map_err(|e| failed(&e))?;
        let ends = streams
            .ours(&prepared.user)
            .map_err(|e| BackendError::engine("taking the app's terminal over", e))?;
        let pid = container
            .pid()
            .ok_or_else(|| BackendError::engine("libcontainer", "it reported no process"))?;
        // The way back is hidden by the view.
        drop(view);
        drop(guest);
        if ours {
            // With nobody but the app in the group.
            cgroup::update(&self.layout, groups, &record.spec.resources)?;
        }
        cgroup::check_limits(groups, &record.spec.resources)?;
        network.ready();
        container.start().map_err(|e| failed(&e))?;
        let executed = report.wait().map_err(|e| BackendError::engine("libcontainer", e))?;
        let program = record.spec.args.first().map_or("", String::as_str);
        executed.map_err(|complaint| complaint.into_error(program, &record.spec.cwd))?;
        Ok((pid.as_raw(), ends))
    }
}

/// The files that are mounted over the image's; what a person mounts there
/// comes in their place.
fn files_of(
    record: &InstanceRecord,
    mut files: Vec<(PathBuf, &'static str)>,
) -> Result<Vec<(PathBuf, &'static str)>, BackendError> {
    let options = &record.spec.options;
    let theirs = |place: &str| options.mounts.iter().any(|mount| mount.target == place);
    files.retain(|(_, place)| !theirs(place));
    if options.init {
        files.push((init::find()?, INIT));
    }
    Ok(files)
}

/// The app's address, where it has one of its own.
fn address_of(record: &InstanceRecord) -> Option<Ipv4Addr> {
    match record.runtime.ip {
        Some(IpAddr::V4(address)) => Some(address),
        _ => None,
    }
}

/// The app's streams while libcontainer makes the container.
enum Streams {
    Pipes(Ends),
    Terminal { console: Console, stdin: bool },
}

impl Streams {
    /// Gives the builder the app's ends, or a place to send its terminal to.
    fn open(
        builder: ContainerBuilder,
        bundle: &Path,
        options: &InstanceOptions,
        user: &User,
    ) -> io::Result<(ContainerBuilder, Self)> {
        if options.terminal {
            let console = Console::listen(bundle)?;
            let builder = builder.with_console_socket(Some(console.path()));
            return Ok((builder, Self::Terminal { console, stdin: options.stdin }));
        }
        let (stdin, stdout, stderr, ours) = Stdio::new(user, options.stdin)?.split();
        let builder = builder.with_stdin(stdin).with_stdout(stdout).with_stderr(stderr);
        Ok((builder, Self::Pipes(ours)))
    }

    /// Our ends, once the container is made.
    fn ours(self, user: &User) -> io::Result<Ends> {
        match self {
            Self::Pipes(ends) => Ok(ends),
            Self::Terminal { console, stdin } => {
                let master = console.receive()?;
                // Its user may want to open /dev/stdout; the group stays tty.
                rustix::fs::fchown(peer_of(&master)?, Some(Uid::from_raw(user.uid)), None)?;
                USUAL_SIZE.apply(&master)?;
                Ok(Ends::Terminal { master, stdin })
            }
        }
    }
}

/// The size of a terminal that nobody has looked at yet.
const USUAL_SIZE: WindowSize = WindowSize { rows: 24, columns: 80 };

/// An error of libcontainer with its causes, without repeating a part.
fn failed(error: &LibcontainerError) -> BackendError {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    BackendError::engine("libcontainer", text)
}
