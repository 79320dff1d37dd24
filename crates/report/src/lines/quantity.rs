//! What a line chart shows, and along what.

use tandem_model::{
    Unit,
    format::{format_bytes, format_cpus, format_duration},
};

use crate::axis::{Ticks, byte_ticks, cpu_ticks, round_up, ticks_between, time_ticks};

/// What grows with the number of instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Growth {
    /// Memory of all of them, bytes.
    Memory,
    /// What the newest added to the disk, bytes.
    Disk,
    /// Time to the newest one's first answer, nanoseconds.
    Launch,
}

/// What lies along the horizontal axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Along {
    /// Time since the request.
    Time,
    /// Instances that run.
    Instances,
}

/// What kind of value a line chart shows.
pub(super) struct Quantity {
    pub(super) title: &'static str,
    pub(super) along: Along,
    pub(super) note: &'static str,
    pub(super) unit: &'static str,
    pub(super) format: fn(f64) -> String,
    /// The axis reaches at least so far.
    pub(super) least: f64,
    pub(super) round_up: fn(f64) -> f64,
    pub(super) ticks: fn(f64, usize) -> Ticks,
}

pub(super) const CPU: Quantity = Quantity {
    title: "Processor",
    along: Along::Time,
    note: "100 % is one processor",
    unit: "processors",
    format: format_cpus,
    least: 1.0,
    round_up: |cpus| if cpus <= 1.05 { 1.05 } else { cpus.ceil().max(cpus * 1.02) },
    ticks: cpu_ticks,
};

pub(super) const MEMORY: Quantity = Quantity {
    title: "Memory of this machine, PSS",
    along: Along::Time,
    note: "shared pages are divided",
    unit: "bytes",
    format: |bytes| format_bytes(bytes),
    least: 1_048_576.0,
    round_up: |bytes| round_up(bytes * 1.05 / 1_048_576.0) * 1_048_576.0,
    ticks: byte_ticks,
};

pub(super) const MEMORY_OF_ALL: Quantity = Quantity {
    title: "Memory of all instances, PSS",
    along: Along::Instances,
    note: "along: instances that run",
    ..MEMORY
};

pub(super) const DISK_OF_EACH: Quantity =
    Quantity { title: "Disk that each further instance takes", ..MEMORY_OF_ALL };

pub(super) const LAUNCH_OF_EACH: Quantity = Quantity {
    title: "First answer of each further instance",
    unit: "ns",
    format: |ns| format_duration(ns),
    least: 1e6,
    round_up: |ns| round_up(ns * 1.05),
    ticks: time_ticks,
    ..MEMORY_OF_ALL
};

impl Growth {
    pub(super) fn quantity(self) -> Quantity {
        match self {
            Self::Memory => MEMORY_OF_ALL,
            Self::Disk => DISK_OF_EACH,
            Self::Launch => LAUNCH_OF_EACH,
        }
    }
}

impl Along {
    pub(super) fn unit(self) -> &'static str {
        match self {
            Self::Time => "ns",
            Self::Instances => "count",
        }
    }

    /// How far an axis without data reaches.
    pub(super) fn least(self) -> f64 {
        match self {
            Self::Time => 1e9,
            Self::Instances => 1.0,
        }
    }

    pub(super) fn ticks(self, max: f64, at_most: usize) -> Ticks {
        match self {
            Self::Time => time_ticks(max, at_most),
            Self::Instances => {
                let Ticks(mut ticks) = ticks_between(0.0, max, Unit::Count, at_most);
                // There is no half of an instance.
                ticks.retain(|(value, _)| value.fract() == 0.0);
                for (value, word) in &mut ticks {
                    *word = format!("{value:.0}");
                }
                Ticks(ticks)
            }
        }
    }
}
