//! The QEMU process: its command line, its start and its end.

mod arguments;
mod process;
mod program;

pub(crate) use arguments::{
    Arguments, BLOCK, Descriptors, Disk, LEAST_MEMORY, MORE, Memory, Shape, file_node, node_name,
    volume_name,
};
pub(crate) use process::{Machine, Started};
pub(crate) use program::{QEMU_FIX, Qemu};
