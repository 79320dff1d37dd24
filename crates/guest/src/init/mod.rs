//! From the kernel's first user process to the app's end.

pub(crate) mod channel;
pub(crate) mod debug;
mod end;
pub(crate) mod files;
mod modules;
pub(crate) mod mounts;
mod network;
mod volumes;

use std::{fs, io, path::Path, process::ExitCode};

use nix::mount::MsFlags;
use tandem_guest::wire::{BOOT_FILE, Boot, Failure, MODULE_DIR, Mark, Mount};

use self::channel::Drivers;
use crate::agent::{Session, prepare, step};

/// Runs the machine. Never returns while the machine is on.
pub(crate) fn run() -> ExitCode {
    debug::open();
    debug::mark(Mark::Init);
    match boot() {
        Ok((session, drivers)) => serve(session, &drivers),
        Err(failure) => debug::fail(&failure),
    }
    end::power_off()
}

/// Serves the host until the app has ended.
fn serve(mut session: Session, drivers: &Drivers) {
    let channel = match drivers.connect() {
        Ok(channel) => Some(channel),
        Err(e) => {
            kernel_log(&format!("the channel to the host failed: {e}"));
            None
        }
    };
    session.connect(channel);
    match session.run() {
        Ok(exit) => {
            end::settle();
            session.tell(exit);
        }
        Err(e) => kernel_log(&format!("the first process failed: {e}")),
    }
}

/// Writes to the kernel's log and so to the console.
fn kernel_log(text: &str) {
    let _ = fs::write("/dev/kmsg", format!("<2>tandem: {text}\n"));
}

fn boot() -> Result<(Session, Drivers), Failure> {
    let text = fs::read(BOOT_FILE).map_err(step("reading the boot file"))?;
    let boot: Boot = serde_json::from_slice(&text)
        .map_err(|e| step("reading the boot file")(io::Error::other(e)))?;
    let dir = Path::new(MODULE_DIR);
    modules::load(dir, &boot.modules.disk).map_err(step("loading the disk's driver"))?;
    mounts::devices().map_err(step("mounting /dev"))?;
    let root = mounts::root(&boot.disk).map_err(step("mounting the root file system"))?;
    debug::mark(Mark::Root);
    if boot.network.is_some() {
        modules::load(dir, &boot.modules.network).map_err(step("loading the network's driver"))?;
    }
    network::up(boot.network.as_ref()).map_err(step("setting up the network"))?;
    debug::mark(Mark::Network);
    if boot.has_room {
        modules::load(dir, &boot.modules.memory).map_err(step("loading the memory's drivers"))?;
    }
    if boot.mounts.iter().any(|mount| matches!(mount, Mount::Shared(_))) {
        let loaded = modules::load(dir, &boot.modules.shares);
        loaded.map_err(step("loading what shows folders of the host"))?;
    }
    let drivers = Drivers::open(&boot.modules.channel).map_err(step("reading the drivers"))?;
    let files = files::make(&boot, Path::new("/files")).map_err(step("making files for /etc"))?;
    mounts::enter(root).map_err(step("entering the root file system"))?;
    files.mount();
    nix::unistd::sethostname(&boot.hostname)
        .map_err(|e| step("setting the host name")(e.into()))?;
    mounts::over(&boot.mounts).map_err(step("mounting volumes and memory"))?;
    fs::create_dir_all(&boot.app.cwd).map_err(step("making the working directory"))?;
    if boot.read_only {
        mounts::read_only(MsFlags::empty())
            .map_err(step("making the root file system read-only"))?;
    }
    prepare(&boot.confinement)?;
    let session = Session::new(debug::close, boot.confinement.clone());
    let mut session = session.map_err(step("starting the agent"))?;
    session.start_app(&boot.app)?;
    debug::mark(Mark::Executed);
    Ok((session, drivers))
}
