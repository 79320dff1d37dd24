//! The QEMU process: its command line, its start and its end.

mod arguments;
mod kernel_line;
mod nodes;
mod process;
mod program;

pub(crate) use arguments::{
    Arguments, BLOCK, Boot, Descriptors, Disk, LEAST_FOR_SYSTEM, LEAST_MEMORY, MORE, Memory, Shape,
};
pub(crate) use nodes::{disk_node, file_node, node_name, volume_name};
pub(crate) use process::{Machine, Started};
pub(crate) use program::{QEMU_FIX, Qemu};
