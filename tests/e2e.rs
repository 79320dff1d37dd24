//! The whole program from outside: every case with what it needs, and nothing
//! of it left behind.
//!
//! `cargo xtask test e2e` builds what is tested and runs this. A part of a
//! case's name as an argument runs only those.

use std::process::ExitCode;

use libtest_mimic::Arguments;
use tandem_tests::{cases, run_cases};

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // One at a time: the cases measure, and they watch the whole machine.
    arguments.test_threads = Some(1);
    run_cases(&arguments, cases::all())
}
