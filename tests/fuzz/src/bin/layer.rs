#![no_main]
//! A layer from anybody, unpacked in a cage; what was unpacked can be packed,
//! and unpacks again.

use libfuzzer_sys::fuzz_target;
use tandem_fuzz::Cage;
use tandem_image::{Limits, pack_layer, unpack_layer};

const LIMITS: Limits =
    Limits { entries: 64, bytes: 1 << 20, depth: 16, header_bytes: 4096, attributes: 9 };

fuzz_target!(|data: &[u8]| {
    let archive = tandem_fuzz::mended(data);
    let cage = Cage::new();
    if cage.watch(|layer| unpack_layer(&archive[..], layer, LIMITS)).is_err() {
        return;
    }
    let mut packed = Vec::new();
    if pack_layer(&cage.layer(), &mut packed).is_err() {
        return;
    }
    let again = Cage::new();
    let unpacked = again.watch(|layer| unpack_layer(&packed[..], layer, Limits::default()));
    unpacked.expect("what was packed here can be unpacked");
});
