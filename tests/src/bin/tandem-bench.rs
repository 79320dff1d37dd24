//! Tandem beside Docker, Podman, the bare runtimes and a QEMU started by hand:
//! starts, first answers, images, updates and memory in one interleaved run.
//! `cargo xtask bench` builds what is measured and runs this.
#![expect(clippy::print_stdout, reason = "a command line program: stdout is its output")]

use std::process::ExitCode;

use tandem_tests::bench;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match bench::Options::parse(&arguments).and_then(|options| bench::run(&options)) {
        Ok(report) => {
            print!("{report}");
            if report.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("tandem-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}
