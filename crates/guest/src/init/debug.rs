//! The debug port: works before any driver is loaded.

use std::arch::asm;

use tandem_guest::wire::{DEBUG_PORT, Failure, LONGEST_FAILURE, Mark};

/// Allows this process, and no child of another user, to write to the port.
pub(crate) fn open() {
    // SAFETY: grants access to one I/O port; touches no memory.
    unsafe { libc::ioperm(DEBUG_PORT.into(), 1, 1) };
}

/// Takes the permission away, so that the app does not inherit it.
pub(crate) fn close() {
    // SAFETY: as in `open`.
    unsafe { libc::ioperm(DEBUG_PORT.into(), 1, 0) };
}

fn byte(byte: u8) {
    // SAFETY: `open` allowed the port before; the instruction touches no memory.
    unsafe {
        asm!("out dx, al", in("dx") DEBUG_PORT, in("al") byte, options(nomem, nostack, preserves_flags));
    }
}

/// Says how far the boot is.
pub(crate) fn mark(mark: Mark) {
    byte(mark as u8);
}

/// Says why it does not go on.
pub(crate) fn fail(failure: &Failure) {
    let mut text = serde_json::to_vec(failure).unwrap_or_default();
    text.truncate(LONGEST_FAILURE - 1);
    byte(b'!');
    text.into_iter().filter(|one| *one != b'\n').for_each(byte);
    byte(b'\n');
}
