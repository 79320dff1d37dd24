//! Real machines under QEMU, brought up the way `tandem` does.
//!
//! Needs root, QEMU, a kernel package in apt, a static busybox for the image
//! and a static `tandem-guest`; without them the tests are listed as ignored,
//! with the reason. The test program is its own `tandem`: it serves the hidden
//! entry points.

mod failures;
mod lifecycle;
mod world;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use tandem_backend::{SUPERVISE, supervise};
use tandem_vm::{DISK, disk_main, vm_payload};

use world::World;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [_, SUPERVISE, home, id] => supervise(home.as_ref(), id, false, vm_payload),
        [_, DISK] => disk_main(),
        _ => {
            let mut arguments = Arguments::from_args();
            // Each boots a machine and takes a processor.
            arguments.test_threads = arguments.test_threads.or(Some(1));
            let trials = [lifecycle::all(), failures::all()].into_iter().flatten().collect();
            let conclusion = libtest_mimic::run(&arguments, trials);
            World::dispose();
            conclusion.exit_code()
        }
    }
}

/// A test that needs what a machine needs.
fn trial(name: &'static str, test: fn(&World) -> anyhow::Result<()>) -> Trial {
    Trial::ignorable_test(name, move || {
        if let Some(reason) = world::lacking() {
            return Ok(Completion::ignored_with(reason));
        }
        let result = World::shared().and_then(|world| {
            let result = test(world);
            world.clear()?;
            result
        });
        result.map(|()| Completion::Completed).map_err(|e| Failed::from(format!("{e:?}")))
    })
}
