//! The agent's service.

use std::{
    env,
    ffi::CStr,
    fs, io,
    os::unix::{fs::OpenOptionsExt as _, net::UnixDatagram},
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

use nix::mount::MsFlags;
use tandem_guest::wire::{APP_ROOT, BOOT_ITEM, Boot, Failure, FromGuest, Mark, Service};

use super::{RUN, pipes, service_file};
use crate::{
    agent::{self, Session, step},
    init::{channel, debug, files, mounts},
};

/// Where systemd counts the processes of the app.
const APP_GROUP: &CStr = c"/sys/fs/cgroup/system.slice/tandem-app.service/cgroup.procs";

/// Serves the host until the app has ended, then has the machine switched off.
pub(crate) fn serve() -> ExitCode {
    let ready = Ready::find();
    let boot = match read_boot() {
        Ok(Some(boot)) => boot,
        Ok(None) => {
            ready.tell();
            return ExitCode::SUCCESS;
        }
        Err(e) => return failed(&e),
    };
    debug::open();
    debug::mark(Mark::Network);
    let mut session = match begin(&boot) {
        Ok(session) => session,
        Err(failure) => {
            debug::fail(&failure);
            return failed(&io::Error::other(format!("{failure:?}")));
        }
    };
    ready.tell();
    match session.run() {
        Ok(exit) => {
            end(&mut session, exit);
            ExitCode::SUCCESS
        }
        Err(e) => failed(&e),
    }
}

fn failed(e: &io::Error) -> ExitCode {
    eprintln!("tandem-guest: {e}");
    ExitCode::FAILURE
}

/// The app has ended: the files go to the disk, systemd shuts down, and the
/// host, which waits for that, is told.
fn end(session: &mut Session, exit: FromGuest) {
    nix::unistd::sync();
    // The real-time signal that starts poweroff.target (systemd(1), "Signals").
    // SAFETY: a system call without memory.
    unsafe { libc::kill(1, libc::SIGRTMIN() + 4) };
    session.tell(exit);
}

/// What the host wants; `None` when there is no Tandem around.
fn read_boot() -> io::Result<Option<Boot>> {
    load("qemu_fw_cfg");
    let item = PathBuf::from(format!("/sys/firmware/qemu_fw_cfg/by_name/{BOOT_ITEM}/raw"));
    match fs::read(item) {
        Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// Loads a driver, unless it is built in or there already.
fn load(driver: &str) {
    let _ = Command::new("modprobe")
        .arg(driver)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
}

/// Makes everything ready for the app.
fn begin(boot: &Boot) -> Result<Session, Failure> {
    let run = Path::new(RUN);
    fs::create_dir_all(run).map_err(step("making the folder of the machine's state"))?;
    let own = files::make(boot, &run.join("etc")).map_err(step("making files for /etc"))?;
    nix::unistd::sethostname(&boot.hostname)
        .map_err(|e| step("setting the host name")(e.into()))?;
    if let Some(most) = boot.confinement.pids {
        limit_processes(most).map_err(step("limiting the number of processes"))?;
    }
    write_service(boot).map_err(step("writing what the app is"))?;
    pipes().make().map_err(step("making the app's pipes"))?;
    let service =
        agent::Service::open(&pipes(), &boot.app, told).map_err(step("opening the app's pipes"))?;
    let root = Path::new(APP_ROOT);
    mounts::furnish(root).map_err(step("furnishing the image's folder"))?;
    if boot.confinement.pids.is_some() {
        agent::mount_groups(root).map_err(step("mounting the control groups"))?;
    }
    // On a busy machine udev is a long time on its way to it.
    load("virtio_console");
    let channel = channel::wait().map_err(step("opening the channel to the host"))?;
    mounts::step_into(root).map_err(step("entering the image's folder"))?;
    own.mount();
    mounts::over(&boot.mounts).map_err(step("mounting volumes and memory"))?;
    fs::create_dir_all(&boot.app.cwd).map_err(step("making the working directory"))?;
    if boot.read_only {
        mounts::read_only(MsFlags::MS_BIND).map_err(step("making the image's files read-only"))?;
    }
    let session = Session::new(debug::close, boot.confinement.clone());
    let mut session = session.map_err(step("starting the agent"))?;
    session.connect(Some(channel));
    session.expect_app(service, APP_GROUP);
    Ok(session)
}

/// The host hears on the debug port whether the app was executed.
fn told(executed: Result<(), &Failure>) {
    match executed {
        Ok(()) => debug::mark(Mark::Executed),
        Err(failure) => debug::fail(failure),
    }
}

/// What the app's service reads. It holds the app's environment.
fn write_service(boot: &Boot) -> io::Result<()> {
    let confinement = agent_confinement(boot);
    let text = serde_json::to_vec(&Service { app: boot.app.clone(), confinement })?;
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    io::Write::write_all(&mut options.open(service_file())?, &text)
}

/// systemd limits the processes of its services itself.
fn agent_confinement(boot: &Boot) -> tandem_guest::wire::Confinement {
    tandem_guest::wire::Confinement { pids: None, ..boot.confinement.clone() }
}

fn limit_processes(most: u64) -> io::Result<()> {
    let status = Command::new("systemctl")
        .args(["set-property", "--runtime", "tandem-app.service"])
        .arg(format!("TasksMax={most}"))
        .stdin(Stdio::null())
        .status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(status.to_string())) }
}

/// How systemd is told that the app may start (sd_notify(3)). Found while its
/// socket can be named.
struct Ready(Option<UnixDatagram>);

impl Ready {
    fn find() -> Self {
        let socket = env::var_os("NOTIFY_SOCKET").and_then(|path| {
            let socket = UnixDatagram::unbound().ok()?;
            socket.connect(path).ok()?;
            Some(socket)
        });
        Self(socket)
    }

    fn tell(self) {
        if let Some(socket) = self.0 {
            let _ = socket.send(b"READY=1");
        }
    }
}
