//! Whole builds over a store in a temporary home, with a runner that plays
//! the container engine by editing the upper folder.

mod archives;
mod bench;
mod cache;
mod configuration;
mod copying;
mod failing;
mod mounts;
mod platforms;
mod sources;
mod stages;

use bench::Bench;
