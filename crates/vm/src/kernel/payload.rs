//! The kernel inside a bzImage.

use std::{
    io::{self, Read, Write as _},
    process::{Command, Stdio},
};

use super::lz4;

/// The largest kernel that is unpacked, in bytes.
const LARGEST: usize = 512 << 20;

/// What is wrong with a kernel image.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PayloadError {
    /// It is something else.
    #[error("it is not a bzImage")]
    NotBzImage,
    /// Its header points outside.
    #[error("its header is damaged")]
    Damaged,
    /// It is packed in a way that is not known here.
    #[error("it is packed in an unknown way (it begins with {0:02x?})")]
    Unknown([u8; 4]),
    /// Unpacking failed.
    #[error("it cannot be unpacked: {0}")]
    Unpack(#[from] io::Error),
    /// The kernel cannot be started without firmware.
    #[error("it has no PVH entry point")]
    NoPvh,
}

/// Unpacks the `vmlinux` of a bzImage (Linux, `Documentation/arch/x86/boot.rst`,
/// header fields of protocol 2.08), and checks that it can be entered by PVH.
pub(super) fn vmlinux(image: &[u8]) -> Result<Vec<u8>, PayloadError> {
    vmlinux_within(image, LARGEST)
}

/// [`vmlinux`] of no more than `largest` bytes.
pub(super) fn vmlinux_within(image: &[u8], largest: usize) -> Result<Vec<u8>, PayloadError> {
    let payload = payload(image)?;
    let unpacked = match *payload.first_chunk::<4>().ok_or(PayloadError::Damaged)? {
        [0x1f, 0x8b, ..] => read(flate2::read::GzDecoder::new(payload), largest)?,
        [0x28, 0xb5, 0x2f, 0xfd] => read(zstd::Decoder::new(payload)?, largest)?,
        [0x02, 0x21, 0x4c, 0x18] => lz4::unpack(payload, largest)?,
        [0xfd, b'7', b'z', b'X'] => xz(payload, largest)?,
        [0x7f, b'E', b'L', b'F'] => payload.to_vec(),
        other => return Err(PayloadError::Unknown(other)),
    };
    if has_pvh_entry(&unpacked) { Ok(unpacked) } else { Err(PayloadError::NoPvh) }
}

fn payload(image: &[u8]) -> Result<&[u8], PayloadError> {
    let u16_at = |at: usize| Some(u16::from_le_bytes(*image.get(at..)?.first_chunk()?));
    let u32_at =
        |at: usize| usize::try_from(u32::from_le_bytes(*image.get(at..)?.first_chunk()?)).ok();
    if image.get(0x202..0x206) != Some(b"HdrS") || u16_at(0x206) < Some(0x208) {
        return Err(PayloadError::NotBzImage);
    }
    let sectors = match image[0x1f1] {
        0 => 4,
        count => usize::from(count),
    };
    let begin = u32_at(0x248).and_then(|offset| ((sectors + 1) * 512).checked_add(offset));
    let range = begin.zip(u32_at(0x24c)).and_then(|(begin, length)| {
        // The last four bytes tell the unpacked size.
        image.get(begin..begin.checked_add(length)?.checked_sub(4)?)
    });
    range.ok_or(PayloadError::Damaged)
}

fn read(source: impl Read, largest: usize) -> io::Result<Vec<u8>> {
    let mut unpacked = Vec::new();
    source.take(largest as u64).read_to_end(&mut unpacked)?;
    Ok(unpacked)
}

/// `dpkg-deb` needs the `xz` program too, so it is there.
fn xz(payload: &[u8], largest: usize) -> io::Result<Vec<u8>> {
    let mut child = Command::new("xz")
        .arg("--decompress")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut stdin = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
    let output = std::thread::scope(|scope| {
        // What follows the stream makes it stop reading early.
        scope.spawn(move || stdin.write_all(payload));
        child.stdout.take().map_or_else(|| Ok(Vec::new()), |stdout| read(stdout, largest))
    });
    child.wait()?;
    output.and_then(|output| {
        if output.is_empty() { Err(io::Error::other("xz gave nothing")) } else { Ok(output) }
    })
}

/// Looks for the ELF note that tells the 32-bit entry point
/// (`XEN_ELFNOTE_PHYS32_ENTRY`, Xen's `public/elfnote.h`).
fn has_pvh_entry(kernel: &[u8]) -> bool {
    let mut note = Vec::from(4_u32.to_le_bytes());
    note.extend(8_u32.to_le_bytes());
    note.extend(18_u32.to_le_bytes());
    note.extend(b"Xen\0");
    let mut short = note.clone();
    short[4] = 4;
    kernel.starts_with(b"\x7fELF\x02\x01")
        && kernel.windows(note.len()).any(|window| window == note || window == short)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A bzImage around a payload.
    fn image(payload: &[u8]) -> Vec<u8> {
        let mut image = vec![0; 5 * 512 + 16];
        image[0x1f1] = 4;
        image[0x202..0x206].copy_from_slice(b"HdrS");
        image[0x206..0x208].copy_from_slice(&0x20f_u16.to_le_bytes());
        image[0x248..0x24c].copy_from_slice(&16_u32.to_le_bytes());
        let length = u32::try_from(payload.len() + 4).unwrap();
        image[0x24c..0x250].copy_from_slice(&length.to_le_bytes());
        image.extend(payload);
        image.extend([0; 4]);
        image
    }

    fn kernel() -> Vec<u8> {
        let mut kernel = b"\x7fELF\x02\x01".to_vec();
        kernel.extend([7; 5000]);
        kernel.extend([4, 0, 0, 0, 8, 0, 0, 0, 18, 0, 0, 0]);
        kernel.extend(b"Xen\0");
        kernel
    }

    #[test]
    fn every_packing_is_unpacked() {
        let kernel = kernel();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&kernel).unwrap();
        for packed in
            [kernel.clone(), gzip.finish().unwrap(), zstd::encode_all(&kernel[..], 1).unwrap()]
        {
            assert_eq!(vmlinux(&image(&packed)).unwrap(), kernel);
        }
    }

    #[test]
    fn what_cannot_boot_is_refused() {
        assert!(matches!(vmlinux(b"MZ"), Err(PayloadError::NotBzImage)));
        assert!(matches!(vmlinux(&image(&kernel()[..40])), Err(PayloadError::NoPvh)));
        assert!(matches!(vmlinux(&image(b"abcdefgh")), Err(PayloadError::Unknown(_))));
        let mut outside = image(b"abcdefgh");
        outside[0x24b] = 0xff;
        assert!(matches!(vmlinux(&outside), Err(PayloadError::Damaged)));
    }

    proptest! {
        #[test]
        fn no_header_makes_it_panic(header in proptest::collection::vec(any::<u8>(), 0x250), rest in proptest::collection::vec(any::<u8>(), 0..2000)) {
            let mut image = header;
            image[0x202..0x206].copy_from_slice(b"HdrS");
            image.extend(rest);
            let _ = vmlinux(&image);
        }
    }
}
