//! The engine on a real kernel: containers, the process lane, build steps.
//!
//! Needs root and a static busybox for the image; without them the tests are
//! listed as ignored, with the reason. The test program is its own `tandem`:
//! it serves the hidden entry points.

mod clean;
mod limits;
mod network;
mod run;
mod steps;
mod world;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use tandem_backend::{SUPERVISE, supervise};
use tandem_container::{STEP, container_payload, process_payload, step_main};
use tandem_model::BackendKind;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [_, SUPERVISE, home, id] => {
            supervise(home.as_ref(), id, false, |store, record| match record.spec.backend {
                BackendKind::Process => process_payload(store, record),
                _ => container_payload(store, record, None),
            })
        }
        [_, STEP] => step_main(),
        _ => {
            let mut arguments = Arguments::from_args();
            // They measure and count what is on the host.
            arguments.test_threads = arguments.test_threads.or(Some(1));
            let all = [run::all(), limits::all(), network::all(), clean::all(), steps::all()];
            let trials = all.into_iter().flatten().collect();
            libtest_mimic::run(&arguments, trials).exit_code()
        }
    }
}

/// A test that needs what the engine needs.
fn trial(name: &'static str, test: fn() -> anyhow::Result<()>) -> Trial {
    Trial::ignorable_test(name, move || match world::lacking() {
        Some(reason) => Ok(Completion::ignored_with(reason)),
        None => match test() {
            Ok(()) => Ok(Completion::Completed),
            Err(e) => Err(Failed::from(format!("{e:?}"))),
        },
    })
}
