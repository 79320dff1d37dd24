//! The old framing of LZ4 that kernels are packed in: a magic number, then
//! blocks with their length (LZ4, `doc/lz4_Frame_format.md`, "Legacy frame";
//! `doc/lz4_Block_format.md`).

use std::io;

/// A block never unpacks to more.
const BLOCK: usize = 8 << 20;

/// Unpacks a legacy frame to no more than `limit` bytes.
pub(super) fn unpack(frame: &[u8], limit: usize) -> io::Result<Vec<u8>> {
    let mut rest = frame.get(4..).ok_or_else(damaged)?;
    let mut output = Vec::new();
    while let Some(length) = rest.first_chunk() {
        let length = u32::from_le_bytes(*length) as usize;
        rest = &rest[4..];
        // What follows the last block is not a block's length.
        let Some(block) = rest.get(..length).filter(|_| length > 0) else { break };
        unpack_block(block, &mut output)?;
        if output.len() > limit {
            return Err(io::Error::other("it is too large"));
        }
        rest = &rest[length..];
    }
    Ok(output)
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "damaged LZ4 data")
}

fn unpack_block(block: &[u8], output: &mut Vec<u8>) -> io::Result<()> {
    let begin = output.len();
    let mut input = block.iter();
    let long = |short: u8, input: &mut std::slice::Iter<'_, u8>| {
        let mut length = usize::from(short);
        if short == 15 {
            loop {
                let more = *input.next().ok_or_else(damaged)?;
                length += usize::from(more);
                if length > BLOCK {
                    return Err(damaged());
                }
                if more != 255 {
                    break;
                }
            }
        }
        Ok(length)
    };
    while let Some(token) = input.next() {
        let literals = long(token >> 4, &mut input)?;
        let bytes = input.as_slice().get(..literals).ok_or_else(damaged)?;
        output.extend_from_slice(bytes);
        input = input.as_slice()[literals..].iter();
        // The last sequence has literals only.
        let (Some(low), Some(high)) = (input.next(), input.next()) else { break };
        let offset = usize::from(u16::from_le_bytes([*low, *high]));
        let length = long(token & 15, &mut input)? + 4;
        let from = output.len().checked_sub(offset).filter(|from| offset > 0 && *from >= begin);
        let from = from.ok_or_else(damaged)?;
        if output.len() - begin + length > BLOCK {
            return Err(damaged());
        }
        copy_within(output, from, length);
    }
    Ok(())
}

/// Repeats what lies at `from`; source and target may overlap.
fn copy_within(output: &mut Vec<u8>, from: usize, length: usize) {
    let offset = output.len() - from;
    let mut left = length;
    while left > 0 {
        let piece = left.min(offset);
        output.extend_from_within(from..from + piece);
        left -= piece;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(blocks: &[&[u8]]) -> Vec<u8> {
        let mut frame = vec![2, 0x21, 0x4c, 0x18];
        for block in blocks {
            frame.extend(u32::try_from(block.len()).unwrap().to_le_bytes());
            frame.extend(*block);
        }
        frame
    }

    #[test]
    fn literals_and_matches_are_unpacked() {
        // "abc", then nine bytes from three back, then "z".
        let block = [0x35, b'a', b'b', b'c', 3, 0, 0x10, b'z'];
        assert_eq!(unpack(&frame(&[&block]), 100).unwrap(), b"abcabcabcabcz");
        // A run of one byte: 15 + 255 + 0 + 4 times.
        let run = [0x1f, b'x', 1, 0, 255, 0, 0x00];
        assert_eq!(unpack(&frame(&[&run, &run]), 1000).unwrap(), [b'x'; 2 * 275]);
        assert!(unpack(&frame(&[&run, &run]), 300).is_err(), "the limit holds");
    }

    #[test]
    fn nothing_after_the_last_block_and_nothing_too_long_is_read() {
        let block: &[u8] = &[0x10, b'a'];
        assert_eq!(unpack(&frame(&[block, &[], block]), 100).unwrap(), b"a", "a length of zero");
        // A length of more than a block may have, in literals and in a match.
        let endless = [vec![255; BLOCK / 255 + 2], vec![0]].concat();
        let literals = [&[0xf0][..], &endless].concat();
        assert!(unpack(&frame(&[&literals]), usize::MAX).is_err());
        let repeat = [&[0x1f, b'x', 1, 0][..], &endless].concat();
        assert!(unpack(&frame(&[&repeat]), usize::MAX).is_err());
        // A first match fills the block, and a second one would go on.
        let nearly = [vec![0x1f, b'x', 1, 0], vec![255; BLOCK / 255], vec![0]].concat();
        let more = [&nearly[..], &[0x0f, 1, 0, 255, 255, 0]].concat();
        assert!(unpack(&frame(&[&nearly]), BLOCK).is_ok());
        assert!(unpack(&frame(&[&more]), usize::MAX).is_err());
    }

    #[test]
    fn matches_before_the_beginning_are_refused() {
        assert!(unpack(&frame(&[&[0x10, b'a', 2, 0]]), 100).is_err());
        assert!(unpack(&frame(&[&[0x10, b'a', 0, 0]]), 100).is_err());
        let into_the_first: [&[u8]; 2] = [&[0x10, b'a'], &[0x00, 1, 0]];
        assert!(unpack(&frame(&into_the_first), 100).is_err(), "blocks stand alone");
    }

    proptest! {
        #[test]
        fn damaged_data_is_refused_or_bounded(block in proptest::collection::vec(any::<u8>(), 1..300)) {
            if let Ok(output) = unpack(&frame(&[&block]), 1 << 20) {
                prop_assert!(output.len() <= 1 << 20);
            }
        }
    }
}
