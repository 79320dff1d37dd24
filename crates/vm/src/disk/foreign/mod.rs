//! Disks that somebody else made, on their way into a home.
//!
//! Nothing of a foreign file reaches QEMU before our own reader has seen that
//! it names no other file and asks for nothing absurd; the format is then said,
//! and QEMU guesses none. What comes in is a fresh qcow2 disk of our own
//! making.
//!
//! ```text
//! FILE ─▶ kind ─┬ qcow2 ──────────────┬▶ head checked ─▶ qemu-img ─▶ disk.qcow2
//!               ├ vmdk ───────────────┤
//!               ├ ova: tar, ovf, vmdk ┘
//!               └ raw ─────────────────▶ size checked ┘
//! ```

mod check;
mod ova;
mod ovf;
mod qcow2;
mod take;
mod tar;
mod vmdk;

use std::{fmt, str::FromStr};

pub(super) use check::size_in_head;
pub use check::{ForeignDisk, look_at_disk};
#[cfg(test)]
pub(super) use ovf::Described;
pub(super) use ovf::read as read_ovf;
pub(crate) use take::{Firmware, Place, copy_mark, firmware_of, places_of, variables_of};
pub use take::{is_foreign, take_disk};
#[cfg(test)]
pub(super) use tar::members;
pub(super) use tar::{header, list};

/// The largest disk that is taken, bytes.
const MOST: u64 = 4 << 40;

/// Kinds of files with a disk in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForeignFormat {
    /// QEMU's own.
    Qcow2,
    /// The disk's bytes.
    Raw,
    /// VMware's, in one file.
    Vmdk,
    /// An appliance: a tar archive of an OVF descriptor and VMDK disks
    /// (DMTF DSP0243).
    Ova,
}

const NAMES: [(&str, ForeignFormat); 4] = [
    ("qcow2", ForeignFormat::Qcow2),
    ("raw", ForeignFormat::Raw),
    ("vmdk", ForeignFormat::Vmdk),
    ("ova", ForeignFormat::Ova),
];

impl fmt::Display for ForeignFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = NAMES.iter().find(|(_, format)| format == self);
        f.write_str(found.map_or("", |(name, _)| name))
    }
}

impl FromStr for ForeignFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = NAMES.iter().find(|(name, _)| *name == text);
        let unknown = || format!("`{text}` is no kind of disk: write qcow2, raw, vmdk or ova");
        found.map(|(_, format)| *format).ok_or_else(unknown)
    }
}

impl ForeignFormat {
    /// What a file is, by its first bytes; a disk's bytes look like nothing.
    fn of(head: &[u8]) -> Option<Self> {
        match head {
            [b'Q', b'F', b'I', 0xfb, ..] => Some(Self::Qcow2),
            [b'K', b'D', b'M', b'V', ..] => Some(Self::Vmdk),
            _ if head.starts_with(b"# Disk DescriptorFile") => Some(Self::Vmdk),
            _ if head.get(257..262) == Some(b"ustar") => Some(Self::Ova),
            // A boot sector.
            _ if head.get(510..512) == Some(&[0x55, 0xaa]) => Some(Self::Raw),
            _ => None,
        }
    }
}

/// What kind of disk of somebody else's a file is that QEMU reads and we do not.
fn converted_first(head: &[u8]) -> Option<&'static str> {
    match head {
        _ if head.get(64..68) == Some(&[0x7f, 0x10, 0xda, 0xbe]) => Some("VDI"),
        _ if head.starts_with(b"vhdxfile") => Some("VHDX"),
        _ if head.starts_with(b"conectix") => Some("VHD"),
        _ if head.starts_with(b"QED\0") => Some("QED"),
        _ if head.starts_with(b"Without") && head.get(7..11) == Some(b"Free") => Some("Parallels"),
        _ => None,
    }
}

/// An integer at a place, if it is there.
fn big<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_names_and_beginnings() {
        for (name, format) in NAMES {
            assert_eq!((name.parse(), format.to_string()), (Ok(format), name.to_owned()));
        }
        assert!("vhd".parse::<ForeignFormat>().unwrap_err().contains("qcow2, raw, vmdk or ova"));
        let mut sector = vec![0; 512];
        assert_eq!(ForeignFormat::of(&sector), None);
        sector[510..].copy_from_slice(&[0x55, 0xaa]);
        assert_eq!(ForeignFormat::of(&sector), Some(ForeignFormat::Raw));
        sector[257..262].copy_from_slice(b"ustar");
        assert_eq!(ForeignFormat::of(&sector), Some(ForeignFormat::Ova));
        assert_eq!(ForeignFormat::of(b"QFI\xfb"), Some(ForeignFormat::Qcow2));
        assert_eq!(ForeignFormat::of(b"# Disk DescriptorFile\n"), Some(ForeignFormat::Vmdk));
        let mut virtual_box = vec![0; 512];
        assert_eq!(converted_first(&virtual_box), None);
        virtual_box[64..68].copy_from_slice(&0xbeda_107f_u32.to_le_bytes());
        assert_eq!(converted_first(&virtual_box), Some("VDI"));
        assert_eq!(converted_first(b"vhdxfile"), Some("VHDX"));
    }
}
