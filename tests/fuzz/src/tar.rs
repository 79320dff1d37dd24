/// Bytes of a block.
const BLOCK: usize = 512;

/// The archive with the right checksum in every header, as far as headers can
/// be told from content: no search finds sums by chance.
pub fn mended(archive: &[u8]) -> Vec<u8> {
    let mut archive = archive.to_vec();
    let mut at = 0;
    while let Some(header) = archive.get_mut(at..at + BLOCK) {
        at += BLOCK;
        if header.iter().all(|byte| *byte == 0) {
            continue;
        }
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        let has_content = !matches!(header[156], b'1'..=b'6');
        let digits = header[124..136].iter().take_while(|byte| byte.is_ascii_digit());
        let size = digits.fold(0_usize, |sum, digit| sum * 8 + usize::from(digit - b'0') % 8);
        if has_content {
            at = at.saturating_add(size.next_multiple_of(BLOCK));
        }
    }
    archive
}
