//! What a machine's devices hang on, and when it is the small one.

use std::env;

use serde::{Deserialize, Serialize};
use tandem_model::Accelerator;

/// A board of QEMU's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Board {
    /// A PC with PCI Express: everything there is.
    #[default]
    Q35,
    /// Virtio devices at fixed places in memory, and nothing that could be
    /// plugged in (QEMU, `docs/system/i386/microvm.rst`).
    Microvm,
}

/// Places for devices on the small one.
pub(crate) const PLACES: usize = 8;

/// What decides.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is an obstacle of its own")]
pub(crate) struct Wanted {
    pub(crate) accelerator: Accelerator,
    /// A guest has come up on the small one with that accelerator.
    pub(crate) came_up: bool,
    /// The guest's kernel is the host's choice, and not the disk's.
    pub(crate) enters_kernel: bool,
    /// That kernel finds devices in memory.
    pub(crate) has_driver: bool,
    /// Memory or processors may come or go.
    pub(crate) grows: bool,
    /// Folders of the host.
    pub(crate) has_shares: bool,
    /// Volumes, besides disk, network and channel.
    pub(crate) volumes: usize,
}

impl Board {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference over")]
    pub(crate) fn is_q35(&self) -> bool {
        *self == Self::Q35
    }

    /// The one for a machine, and why it is not the small one.
    pub(crate) fn of(wanted: &Wanted) -> (Self, Option<&'static str>) {
        match wanted.obstacle() {
            None => (Self::Microvm, None),
            Some(why) => (Self::Q35, Some(why)),
        }
    }

    /// What a trial under software emulation has to be told.
    pub(super) fn trial_clock(self, accelerator: Accelerator) -> Option<u32> {
        let is_trial = self == Self::Microvm && accelerator == Accelerator::Tcg;
        is_trial.then(trial_clock).flatten()
    }

    /// The name of a virtio device; `place` is its own among all.
    pub(super) fn device(self, kind: &str, place: usize) -> String {
        match self {
            Self::Q35 => format!("{kind}-pci"),
            // QEMU's tables list the last one first, and the guest's kernel
            // numbers its disks in their order.
            Self::Microvm => {
                let from_the_end = PLACES.saturating_sub(place + 1);
                format!("{kind}-device,bus=virtio-mmio-bus.{from_the_end}")
            }
        }
    }
}

impl Wanted {
    fn obstacle(&self) -> Option<&'static str> {
        if self.accelerator == Accelerator::Tcg && trial_clock().is_none() {
            return Some("on microvm an emulated processor finds no clock to measure its own by");
        }
        if !self.enters_kernel {
            return Some("a disk that boots by itself needs a BIOS and PCI");
        }
        if self.grows {
            return Some("microvm has no places for memory or processors that come and go");
        }
        if self.has_shares {
            return Some("folders of the host hang on PCI");
        }
        if self.volumes + 3 > PLACES {
            return Some("microvm has no places for so many disks");
        }
        if !self.has_driver {
            return Some("the guests' kernel has no module virtio_mmio for microvm's devices");
        }
        (!self.came_up).then_some("no guest came up on microvm when it was tried")
    }
}

/// How fast the processor's time stamps count, kHz: with it tests of ours run
/// the small board under software emulation too. Nobody else can.
fn trial_clock() -> Option<u32> {
    let set = cfg!(debug_assertions).then(|| env::var("TANDEM_TRY_MICROVM").ok()).flatten();
    set?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_small_board_is_for_what_it_can() {
        let plain = Wanted {
            accelerator: Accelerator::Kvm,
            came_up: true,
            enters_kernel: true,
            has_driver: true,
            grows: false,
            has_shares: false,
            volumes: 5,
        };
        assert_eq!(Board::of(&plain), (Board::Microvm, None));
        for (other, word) in [
            (Wanted { accelerator: Accelerator::Tcg, ..plain }, "emulated"),
            (Wanted { came_up: false, ..plain }, "came up"),
            (Wanted { enters_kernel: false, ..plain }, "boots by itself"),
            (Wanted { has_driver: false, ..plain }, "virtio_mmio"),
            (Wanted { grows: true, ..plain }, "come and go"),
            (Wanted { has_shares: true, ..plain }, "folders"),
            (Wanted { volumes: 6, ..plain }, "so many disks"),
        ] {
            let (board, why) = Board::of(&other);
            assert!(board == Board::Q35 && why.unwrap().contains(word), "{why:?}");
        }
        assert_eq!(Board::Q35.device("virtio-net", 1), "virtio-net-pci");
    }
}
