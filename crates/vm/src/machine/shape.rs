use serde::{Deserialize, Serialize};
use tandem_model::{Accelerator, Resources};

/// Memory of a machine without a limit of its own, bytes.
pub(crate) const DEFAULT_MEMORY: u64 = 512 << 20;

/// Thousandths of a processor that it has then.
const DEFAULT_CPUS: u32 = 1000;

/// What a machine with these limits has: the usual where they say nothing.
pub fn machine_size(limits: &Resources) -> Resources {
    Resources {
        memory_bytes: limits.memory_bytes.or(Some(DEFAULT_MEMORY)),
        milli_cpus: limits.milli_cpus.or(Some(DEFAULT_CPUS)),
        ..*limits
    }
}

/// The least that the kernel and our init come up with, bytes.
pub(crate) const LEAST_MEMORY: u64 = 128 << 20;

/// The least with which a whole operating system comes up, bytes.
pub(crate) const LEAST_FOR_SYSTEM: u64 = 256 << 20;

/// The largest number of virtual processors.
const MOST_CPUS: u32 = 64;

/// How large a machine is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shape {
    /// Memory in bytes, whole MiB.
    pub(crate) memory: u64,
    /// Virtual processors.
    pub(crate) cpus: u32,
    /// Memory that may come to it while it runs, bytes.
    #[serde(default)]
    pub(crate) room: u64,
    /// What the device that brings it has beyond that, bytes: see [`PIECE`].
    #[serde(default)]
    pub(crate) spare: u64,
    /// How much of that room it has now, bytes.
    #[serde(default)]
    pub(crate) plugged: u64,
    /// The most processors that it may have; at least `cpus`.
    #[serde(default)]
    pub(crate) most_cpus: u32,
}

/// Memory comes and goes in such pieces: the kernel's own, bytes.
pub(crate) const BLOCK: u64 = 2 << 20;

/// A guest takes memory from a device in whole pieces of this size only (Linux,
/// `drivers/virtio/virtio_mem.c`, `virtio_mem_sbm_init_config`; `MIN_MEMORY_BLOCK_SIZE`
/// in `arch/x86/include/asm/sparsemem.h`): the rest of a device that ends within
/// one it would leave alone.
const PIECE: u64 = 128 << 20;

/// How often a processor can come back to an emulated machine that was taken
/// away from it. QEMU's software emulation gives each that comes a thread of its
/// own out of as many as the machine has places, takes none back, and ends with
/// one too many (`tcg_register_thread`): so there are more places than
/// processors.
const COME_BACKS: u32 = 8;

impl Shape {
    /// The places for processors that QEMU is told of; the same as long as the
    /// machine lives.
    pub(crate) fn places(self, accelerator: Accelerator) -> u32 {
        let most = self.most_cpus.max(self.cpus);
        if accelerator == Accelerator::Tcg && most > 1 { most + COME_BACKS } else { most }
    }

    /// The machine for these limits. A part of a processor needs a whole one.
    ///
    /// # Errors
    /// A sentence when no machine is so small or so large.
    pub(crate) fn of(resources: &Resources, room: &Resources, least: u64) -> Result<Self, String> {
        let memory = resources.memory_bytes.unwrap_or(DEFAULT_MEMORY);
        if memory < least {
            let least = least >> 20;
            return Err(format!("such a virtual machine needs {least} MB of memory at least"));
        }
        let cpus = resources.milli_cpus.unwrap_or(DEFAULT_CPUS).div_ceil(1000);
        let most_cpus = room.milli_cpus.map_or(cpus, |milli| milli.div_ceil(1000));
        if cpus.max(most_cpus) > MOST_CPUS {
            return Err(format!("a virtual machine has {MOST_CPUS} processors at most"));
        }
        let most = room.memory_bytes.unwrap_or(memory);
        if most_cpus < cpus || most < memory {
            let more = "it has more at its start than it may grow to (--max-memory, --max-cpus)";
            return Err(more.to_owned());
        }
        let memory = memory & !((1 << 20) - 1);
        // With room for nothing it may still shrink: the devices are there.
        let bytes = (most.saturating_sub(memory)).next_multiple_of(BLOCK).max(BLOCK);
        let room = if room.memory_bytes.is_some() { bytes } else { 0 };
        let spare = room.next_multiple_of(PIECE) - room;
        Ok(Self { memory, cpus, room, spare, plugged: 0, most_cpus })
    }

    /// Bytes of the device that brings memory.
    pub(crate) fn device(self) -> u64 {
        self.room + self.spare
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_become_a_machine() {
        let of = |memory_bytes, milli_cpus| {
            Shape::of(
                &Resources { memory_bytes, milli_cpus, pids: None },
                &Resources::default(),
                LEAST_MEMORY,
            )
        };
        let shape = |memory, cpus| Shape { memory, cpus, most_cpus: cpus, ..Shape::default() };
        assert_eq!(of(None, None), Ok(shape(512 << 20, 1)));
        let usual = machine_size(&Resources::default());
        assert_eq!(of(usual.memory_bytes, usual.milli_cpus), of(None, None));
        let given = Resources { memory_bytes: Some(1 << 30), milli_cpus: Some(2), pids: Some(7) };
        assert_eq!(machine_size(&given), given);
        assert_eq!(of(Some((256 << 20) + 5), Some(1500)), Ok(shape(256 << 20, 2)));
        assert!(of(Some(64 << 20), None).is_err());
        assert!(of(None, Some(1_000_000)).is_err());

        let room = |memory, cpus| Resources {
            memory_bytes: Some(memory),
            milli_cpus: Some(cpus),
            pids: None,
        };
        let plain = Resources::default();
        let grown = Shape::of(&plain, &room(1 << 30, 4000), LEAST_MEMORY).unwrap();
        assert_eq!((grown.room, grown.most_cpus), (512 << 20, 4));
        let less = Shape::of(&plain, &room(256 << 20, 4000), LEAST_MEMORY);
        assert!(less.is_err(), "less than it begins with");
        let places = |cpus, accelerator| Shape { cpus, ..grown }.places(accelerator);
        assert_eq!(places(1, Accelerator::Tcg), places(4, Accelerator::Tcg));
        assert_eq!((places(1, Accelerator::Kvm), places(1, Accelerator::Tcg)), (4, 4 + COME_BACKS));
        let two = Resources { milli_cpus: Some(2000), ..plain };
        assert!(Shape::of(&two, &room(512 << 20, 1000), LEAST_MEMORY).is_err(), "fewer of them");
        assert_eq!(shape(512 << 20, 1).places(Accelerator::Tcg), 1);
        let only_down = Shape::of(&plain, &room(512 << 20, 1000), LEAST_MEMORY).unwrap();
        assert_eq!(only_down.room, BLOCK, "the balloon needs no room");
        let odd = Shape::of(&plain, &room(700 << 20, 1000), LEAST_MEMORY).unwrap();
        assert_eq!((odd.room >> 20, odd.device() >> 20), (188, 256), "whole pieces");
    }
}
