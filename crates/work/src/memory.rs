use std::hint::black_box;

use crate::{Problem, guard, say};

/// Larger than any processor's cache that a laptop has.
const BLOCK: usize = 64 << 20;

/// Copies of one measurement: 2 GiB read and as much written.
const COPIES: usize = 32;

/// Copies a block of memory into another again and again.
pub(crate) fn copy() -> Result<(), Problem> {
    if guard::available_memory().is_some_and(|free| free < 3 * BLOCK as u64) {
        let text = "less than 192 MiB of memory are free: give the lane more with --memory";
        return Err(Problem::Refused(text.to_owned()));
    }
    let from: Vec<u8> = (0..BLOCK).map(|at| at.to_le_bytes()[0]).collect();
    let mut to = vec![1_u8; BLOCK];
    for _ in 0..COPIES {
        to.copy_from_slice(black_box(&from));
        black_box(&mut to);
    }
    Ok(())
}

/// Bytes that are asked for at a time.
const STEP: usize = 16 << 20;

/// Takes memory in steps up to `bytes`, touches it, says how far it came and
/// gives it back. Stops with `guard` when this kernel would be left with less
/// than `leave`.
pub(crate) fn grow(bytes: u64, leave: u64) -> Result<(), Problem> {
    take(bytes, leave).map(|held| drop(black_box(held)))
}

/// The same without giving back.
pub(crate) fn take(bytes: u64, leave: u64) -> Result<Vec<Vec<u8>>, Problem> {
    let mut held: Vec<Vec<u8>> = Vec::new();
    let steps = bytes / STEP as u64;
    for number in 1..=steps {
        let free = guard::available_memory();
        if leave > 0 && free.is_some_and(|free| free < leave.saturating_add(STEP as u64)) {
            say("guard")?;
            break;
        }
        let mut block = Vec::new();
        if block.try_reserve_exact(STEP).is_err() {
            say("refused")?;
            break;
        }
        // Not zeros, which a kernel could share between pages.
        block.resize(STEP, b'x');
        held.push(black_box(block));
        say(&(number * STEP as u64).to_string())?;
    }
    Ok(held)
}
