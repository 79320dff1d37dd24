//! What keeps an app inside: paths, users, capabilities, system calls.

mod attributes;
mod capabilities;
mod command;
mod path;
mod program;
mod seccomp;
mod surroundings;
mod user;

pub(crate) use attributes::{Attributes, restrict, restrict_at};
pub(crate) use capabilities::{KEPT_MASK, bit, bound, keep, out_of_reach, own, set_of, wanted};
pub(crate) use command::{DEFAULT_PATH, find_program, variable};
pub(crate) use path::Root;
pub(crate) use program::{Program, Report, Stage, die_with_parent, reset_signals};
pub(crate) use seccomp::{Filter, forbids};
pub(crate) use surroundings::{Kind, Target};
pub(crate) use user::{User, become_user, find_user, lost_user};

/// Paths of `/proc` and `/sys` that show something of the host and are
/// covered (moby `oci/defaults.go`).
pub(crate) const MASKED: [&str; 12] = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
];

/// Paths that an app may read only (same source).
pub(crate) const READ_ONLY: [&str; 5] =
    ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];
