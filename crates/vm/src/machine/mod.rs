//! The QEMU process: its command line, its start and its end.

mod arguments;
mod board;
mod fence;
mod handed;
mod kernel_line;
mod nodes;
mod process;
mod program;
mod shape;
mod told;
mod uefi;
mod user;
mod version;

pub(crate) use arguments::{Arguments, Boot, Descriptors, Disk, MORE, Memory};
pub(crate) use board::{Board, Wanted as WantedBoard};
pub(crate) use fence::Reach;
pub(crate) use handed::{Access, Handed, openings, set_name};
pub(crate) use nodes::{
    disk_node, file_node, layer_set, node_name, part_node, unlocked, volume_name,
};
pub(crate) use process::{Machine, Pages, Started};
pub(crate) use program::{QEMU_FIX, Qemu};
pub use shape::machine_size;
pub(crate) use shape::{BLOCK, DEFAULT_MEMORY, LEAST_FOR_SYSTEM, LEAST_MEMORY, Shape};
pub(crate) use told::EVENT as FIRMWARE_EVENT;
pub(crate) use uefi::Uefi;
pub(crate) use user::User;
pub(crate) use version::{NEWER_FIX, maps_memory, runs_machines};
