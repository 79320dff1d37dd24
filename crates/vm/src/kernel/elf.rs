//! As much of ELF as kernel modules and our guest program need
//! (System V ABI, "Object files").

/// The bytes of a section of a 64-bit little-endian file.
pub(crate) fn section<'a>(file: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let headers = Sections::of(file)?;
    let names = headers.get(usize::from(u16_at(file, 0x3e)?))?;
    let names = headers.bytes(names)?;
    (0..headers.count).find_map(|index| {
        let header = headers.get(index)?;
        let rest = names.get(usize::try_from(u32_at(header, 0)?).ok()?..)?;
        let length = rest.iter().position(|byte| *byte == 0)?;
        (&rest[..length] == name).then(|| headers.bytes(header)).flatten()
    })
}

/// Whether a program needs a loader from the file system it runs in.
/// `None` when it is no program for this kind of machine.
pub(crate) fn needs_interpreter(file: &[u8]) -> Option<bool> {
    const PT_INTERP: u32 = 3;
    let is_ours = file.starts_with(b"\x7fELF\x02\x01") && u16_at(file, 0x12)? == 62;
    if !is_ours {
        return None;
    }
    let begin = usize::try_from(u64_at(file, 0x20)?).ok()?;
    let size = usize::from(u16_at(file, 0x36)?);
    let mut kinds = (0..usize::from(u16_at(file, 0x38)?))
        .map_while(|index| u32_at(file, begin.checked_add(index * size)?));
    Some(kinds.any(|kind| kind == PT_INTERP))
}

struct Sections<'a> {
    file: &'a [u8],
    begin: usize,
    size: usize,
    count: usize,
}

impl<'a> Sections<'a> {
    fn of(file: &'a [u8]) -> Option<Self> {
        file.starts_with(b"\x7fELF\x02\x01").then_some(())?;
        Some(Self {
            file,
            begin: usize::try_from(u64_at(file, 0x28)?).ok()?,
            size: usize::from(u16_at(file, 0x3a)?),
            count: usize::from(u16_at(file, 0x3c)?),
        })
    }

    fn get(&self, index: usize) -> Option<&'a [u8]> {
        let begin = self.begin.checked_add(index.checked_mul(self.size)?)?;
        self.file.get(begin..begin.checked_add(self.size)?)
    }

    fn bytes(&self, header: &[u8]) -> Option<&'a [u8]> {
        let begin = usize::try_from(u64_at(header, 0x18)?).ok()?;
        let size = usize::try_from(u64_at(header, 0x20)?).ok()?;
        self.file.get(begin..begin.checked_add(size)?)
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn this_program_is_read() {
        let me = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert_eq!(needs_interpreter(&me), Some(true));
        let interpreter = section(&me, b".interp").unwrap();
        assert!(interpreter.starts_with(b"/lib"), "{interpreter:?}");
        assert!(section(&me, b".no-such-section").is_none());
        assert_eq!(needs_interpreter(b"#!/bin/sh"), None);
        let mut foreign = me;
        foreign[0x12] = 183;
        assert_eq!(needs_interpreter(&foreign), None, "a program for ARM");
    }

    proptest! {
        #[test]
        fn damage_does_not_make_it_panic(at in 0_usize..0x40, byte: u8, length in 0_usize..4000) {
            static ME: std::sync::LazyLock<Vec<u8>> =
                std::sync::LazyLock::new(|| std::fs::read("/proc/self/exe").unwrap());
            let mut file = ME[..length.max(0x40)].to_vec();
            // The section headers lie within what is left.
            file[0x28..0x30].copy_from_slice(&64_u64.to_le_bytes());
            file[at] = byte;
            let _ = (section(&file, b".text"), needs_interpreter(&file));
        }
    }
}
