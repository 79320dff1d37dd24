//! Those who are measured: our own lanes, Docker, Podman, bare runtimes, QEMU.

mod big_image;
mod docker;
mod engine;
mod generic;
mod monitor;
mod network;
mod newc;
mod podman;
mod qemu;
mod registry;
mod runc;
mod runtime;
mod same;
mod saved;
mod tandem;
pub(crate) mod window;

pub(crate) use big_image::{BIG, BigImage, fill};
pub(crate) use docker::{Docker, NAME as DOCKER};
pub(crate) use engine::{Engine, Running};
pub(crate) use generic::{Generic, NAME as GENERIC};
pub(crate) use network::Namespace;
pub(crate) use podman::{NAME as PODMAN, Podman};
pub(crate) use qemu::{NAME as QEMU, Qemu};
pub(crate) use registry::Registry;
pub(crate) use runc::BareRunc;
pub(crate) use runtime::Runtime;
pub(crate) use same::Same;
pub(crate) use saved::{NAME as LOADVM, SavedMachine, patient};
pub(crate) use tandem::{Tandem, phases};
