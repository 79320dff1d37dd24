//! Disks: one read-only base for each image, one overlay for each instance.

mod base;
mod helper;
mod qcow2;

pub(crate) use base::{BaseDisk, image_of, mke2fs_found};
pub use helper::{DISK, disk_main};
pub(crate) use qcow2::make_overlay;
