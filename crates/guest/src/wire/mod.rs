//! The protocol between a virtual machine's supervisor and its agent, which in
//! a `micro` machine is the first process.
//!
//! ```text
//! host ── boot file: initial RAM disk, or fw_cfg ─────────▶ guest   Boot
//! host ◀─ bytes on the debug port ───────────────────────── guest   Mark
//! host ◀─ frames on virtio-serial: data, messages ───────── guest   Frame
//! host ── frames on virtio-serial: data, requests ────────▶ guest   Frame
//! ```
//!
//! The debug port works before any driver is loaded; it tells how far the boot
//! is and why it failed. Everything after the app was executed goes over
//! virtio-serial, where a frame belongs to a *task*: the app, or something that
//! the host asked for under a number of its own. Each task's data has a window
//! in each direction, so that a slow reader holds up nobody else. The guest is
//! not trusted: [`Frames`] takes any bytes in any pieces and holds no more than
//! one frame of them, and windows bound what else is held.

mod boot;
mod frame;
mod mark;
mod message;
mod tool;

pub use boot::{
    Boot, Confinement, Limit, MemoryMount, Modules, Mount, Network, Service, SharedMount,
    VolumeMount,
};
pub use frame::{APP, Body, Frame, FrameError, Frames, LONGEST, Stream, cost};
pub use mark::{Failure, Found, LONGEST_FAILURE, Mark, Marks};
pub use message::{
    Execute, FromGuest, GuestStats, INPUT_WINDOW, MOST_TASKS, OUTPUT_WINDOW, PORT_NAME, ToGuest,
    VERSION, Window,
};
pub use tool::{
    FILES, FileAnswer, FileFailure, FileSource, FileTask, FileWork, PROCESSES, Process, STATS, TOOL,
};

/// Where the boot file lies in the initial RAM disk.
pub const BOOT_FILE: &str = "/boot.json";

/// Name under which QEMU hands the boot file to a disk that boots by itself
/// (QEMU, `docs/specs/fw_cfg.rst`).
pub const BOOT_ITEM: &str = "opt/tandem/boot";

/// Where a disk that boots by itself has the image's files.
pub const APP_ROOT: &str = "/srv/app";

/// Where it says what the app is when no Tandem is around: a [`Service`].
pub const SERVICE_FILE: &str = "/etc/tandem/app.json";

/// Where it has this program.
pub const SYSTEM_PROGRAM: &str = "/usr/lib/tandem/guest";

/// Where the kernel modules lie in the initial RAM disk.
pub const MODULE_DIR: &str = "/modules";

/// Port of the debug console (QEMU's `isa-debugcon`).
pub const DEBUG_PORT: u16 = 0xe9;
