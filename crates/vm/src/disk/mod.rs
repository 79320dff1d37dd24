//! Disks: one read-only base for each image, one overlay for each instance.

mod appliance;
mod base;
mod carry;
mod chain;
mod digest;
mod ext4;
mod flat;
mod foreign;
pub mod fuzz;
mod helper;
mod loader;
mod qcow2;
mod record;
mod sparse;

pub(crate) use base::{BaseDisk, Content, base_of, mke2fs_found, need_mke2fs};
pub use carry::{Carried, CarryError, MEMORY_PART, pack_disk, pack_file, unpack_disk, unpack_file};
pub use chain::{Chain, layers_of, sweep_layers};
pub(crate) use ext4::make_empty;
pub use flat::{DiskFormat, write_flat};
pub(crate) use foreign::{Firmware, Place, copy_mark, firmware_of, places_of, variables_of};
pub use foreign::{ForeignDisk, ForeignFormat, is_foreign, look_at_disk, take_disk};
pub use helper::{DISK, disk_main};
pub(crate) use qcow2::{Backing, make_overlay};
pub(crate) use record::{BaseRecord, digest_digits};
pub(crate) use sparse::copy_with_holes;
