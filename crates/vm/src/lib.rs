//! Virtual machines under QEMU.
//!
//! The `micro` profile boots an image's own files with a kernel and
//! `tandem-guest` as first process, and nothing else:
//!
//! ```text
//! prepare   kernel/ ─ vmlinux, modules      disk/ ─ layers ─▶ base.ext4
//! launch    disk      overlay, initial RAM disk
//!           spawn     QEMU until its processor starts
//!           firmware  until it enters the kernel           (QEMU's trace)
//!           kernel    until the guest's first process      (debug port: i)
//!           userspace until the app was executed           (debug port: x)
//! running   agent ◀─ virtio-serial ─▶ supervisor: output, commands, end
//! ```
//!
//! The `full` profile boots a Debian with systemd by its own loader (GRUB) from
//! its own disk; the image's files lie in a folder of it, and its app is one of
//! its services. Its firmware ends with the loader's first word; `loader` comes
//! before the kernel then, and `systemd` last.
//!
//! Moments are taken on the host; the guest's clock is not asked. What the
//! guest says is read with bounds and believed only about itself. KVM is used
//! only where a guest has really come up with it; otherwise QEMU translates
//! the guest's instructions (TCG), which is said everywhere.

mod accelerator;
#[expect(dead_code, reason = "commands, which use the rest, are on their way")]
mod agent;
mod disk;
mod engine;
mod exec;
#[doc(hidden)]
pub mod fuzz;
mod guest;
mod kernel;
mod machine;
mod payload;
mod probe;
mod qmp;
mod quota;
mod running;
mod share;
mod snapshot;
mod system;
mod template;
mod tool;
mod usage;
mod volume;

pub use disk::{
    Carried, CarryError, Chain, DISK, DiskFormat, ForeignDisk, ForeignFormat, MEMORY_PART,
    disk_main, is_foreign, layers_of, look_at_disk, pack_disk, pack_file, sweep_layers, take_disk,
    unpack_disk, unpack_file, write_flat,
};
pub use engine::VmEngine;
pub use exec::{VM_EXEC, vm_exec_main};
pub use guest::guest_program;
pub use kernel::{CarriedKernel, LAYOUT as KERNEL_LAYOUT, kernel_of, take_kernel};
pub use machine::machine_size;
pub use payload::{check_size, vm_payload};
pub use snapshot::{
    GuestSize, MEMORY, MachineState, Saved, Taken, give_back, give_to_new, guest_size,
    save_running, save_stopped,
};
pub use system::{SYSTEM, SystemBuilder};
pub use tool::{GuestProcess, GuestStats, GuestTool};
