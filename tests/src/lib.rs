//! End-to-end tests: the built programs, used as people use them.
//!
//! A [`Case`] gets a [`World`]: a home of its own, a way to call `tandem`, and
//! a watch over the machine. When the case ends, whatever it left behind
//! (mounts, processes, network devices, cgroups, files) fails it. A case whose
//! needs this machine does not meet is skipped with the reason, never passed.

pub mod axe;
pub mod bench;
mod case;
pub mod cases;
pub mod desktop;
mod differential;
pub mod docker_peer;
mod leaks;
mod ledger;
mod need;
mod output;
mod person;
pub mod podman_peer;
pub mod poll;
mod process;
pub mod proxy_peer;
pub mod registry_peer;
mod schema;
mod shared_home;
mod terminal;
mod world;

pub use case::{Case, Start, run_cases};
pub use need::Need;
pub use output::Output;
pub use person::Person;
pub use schema::validate_result;
pub use terminal::Terminal;
pub use world::{Background, World};
