//! `cargo xtask bench`: Tandem beside its peers.

use anyhow::Result;

use crate::{
    build, shell,
    system::{self, Group},
};

/// Installs the peers, builds everything as people run it, and hands over to
/// the `tandem-bench` program of the tests package, which measures.
pub(crate) fn run(args: &[String]) -> Result<()> {
    system::setup(&[Group::Build, Group::Run, Group::Window, Group::Test, Group::Bench])?;
    build::release(true)?;
    // A window with nothing in it, to measure ours against.
    let empty = ["build", "--release", "-p", "tandem-desktop", "--example", "tandem-empty"];
    shell::run(&mut shell::cargo(&empty))?;
    shell::run(&mut shell::cargo(&["build", "--release", "-p", "tandem-tests", "--bins"]))?;
    let programs = build::programs(build::Profile::Release);
    shell::run(
        shell::command(programs.join("tandem-bench"), &[])
            .args(args)
            .env("TANDEM_PROGRAMS", &programs),
    )
}
