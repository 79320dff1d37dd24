//! The QEMU process: its command line, its start and its end.

mod arguments;
mod fence;
mod kernel_line;
mod nodes;
mod process;
mod program;
mod shape;

pub(crate) use arguments::{Arguments, Boot, Descriptors, Disk, MORE, Memory};
pub(crate) use fence::Reach;
pub(crate) use nodes::{disk_node, file_node, node_name, volume_name};
pub(crate) use process::{Machine, Started};
pub(crate) use program::{QEMU_FIX, Qemu};
pub(crate) use shape::{BLOCK, DEFAULT_MEMORY, LEAST_FOR_SYSTEM, LEAST_MEMORY, Shape};
