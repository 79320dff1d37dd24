//! From the kernel's first user process to the app's end.

mod app;
mod channel;
mod debug;
mod end;
mod files;
mod modules;
mod mounts;
mod network;
mod program;
mod relay;
mod user;

use std::{fs, io, path::Path, process::ExitCode};

use tandem_guest::wire::{BOOT_FILE, Boot, Failure, MODULE_DIR, Mark};

use self::{app::App, channel::Drivers, relay::Relay};

/// A failed step of the boot.
fn step(step: &str) -> impl FnOnce(io::Error) -> Failure {
    move |e| Failure::Step { step: step.to_owned(), reason: e.to_string() }
}

/// Runs the machine. Never returns while the machine is on.
pub(crate) fn run() -> ExitCode {
    debug::open();
    debug::mark(Mark::Init);
    match boot() {
        Ok((app, drivers)) => serve(app, &drivers),
        Err(failure) => debug::fail(&failure),
    }
    end::power_off()
}

/// Carries the app's output to the host until the app has ended.
fn serve(app: App, drivers: &Drivers) {
    let channel = match drivers.connect() {
        Ok(channel) => Some(channel),
        Err(e) => {
            kernel_log(&format!("the channel to the host failed: {e}"));
            None
        }
    };
    let relay = Relay::new(app, channel);
    match relay.and_then(|mut relay| relay.run().map(|exit| (relay, exit))) {
        Ok((mut relay, exit)) => {
            end::settle();
            relay.tell(exit);
        }
        Err(e) => kernel_log(&format!("the first process failed: {e}")),
    }
}

/// Writes to the kernel's log and so to the console.
fn kernel_log(text: &str) {
    let _ = fs::write("/dev/kmsg", format!("<2>tandem: {text}\n"));
}

fn boot() -> Result<(App, Drivers), Failure> {
    let text = fs::read(BOOT_FILE).map_err(step("reading the boot file"))?;
    let boot: Boot = serde_json::from_slice(&text)
        .map_err(|e| step("reading the boot file")(io::Error::other(e)))?;
    let dir = Path::new(MODULE_DIR);
    modules::load(dir, &boot.modules.disk).map_err(step("loading the disk's driver"))?;
    mounts::devices().map_err(step("mounting /dev"))?;
    let root = mounts::root(&boot.disk).map_err(step("mounting the root file system"))?;
    debug::mark(Mark::Root);
    modules::load(dir, &boot.modules.network).map_err(step("loading the network's driver"))?;
    network::up(boot.network.as_ref()).map_err(step("setting up the network"))?;
    debug::mark(Mark::Network);
    let drivers = Drivers::open(&boot.modules.channel).map_err(step("reading the drivers"))?;
    let files = files::make(&boot).map_err(step("making files for /etc"))?;
    mounts::enter(root).map_err(step("entering the root file system"))?;
    files.mount();
    nix::unistd::sethostname(&boot.hostname)
        .map_err(|e| step("setting the host name")(e.into()))?;
    let app = App::start(&boot)?;
    debug::mark(Mark::Executed);
    Ok((app, drivers))
}
