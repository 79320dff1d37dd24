//! The protocol between a virtual machine's supervisor and its first process.
//!
//! ```text
//! host ── boot file in the initial RAM disk ──────────────▶ guest   Boot
//! host ◀─ bytes on the debug port ───────────────────────── guest   Mark
//! host ◀─ frames on virtio-serial: output, messages ─────── guest   Frame
//! host ── frames on virtio-serial: requests ──────────────▶ guest   Frame
//! ```
//!
//! The debug port works before any driver is loaded; it tells how far the boot
//! is and why it failed. Everything after the app was executed goes over
//! virtio-serial. The guest is not trusted: [`Frames`] takes any bytes in any
//! pieces and holds no more than one frame of them.

mod boot;
mod frame;
mod mark;

pub use boot::{Boot, Modules, Network};
pub use frame::{Frame, FrameError, Frames, FromGuest, LONGEST, Stream, ToGuest};
pub use mark::{Failure, Found, LONGEST_FAILURE, Mark, Marks};

/// Where the boot file lies in the initial RAM disk.
pub const BOOT_FILE: &str = "/boot.json";

/// Where the kernel modules lie in the initial RAM disk.
pub const MODULE_DIR: &str = "/modules";

/// Port of the debug console (QEMU's `isa-debugcon`).
pub const DEBUG_PORT: u16 = 0xe9;
