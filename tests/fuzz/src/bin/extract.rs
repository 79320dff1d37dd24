#![no_main]
//! An archive that `cp` or ADD takes apart, in a cage where links lie already.

use libfuzzer_sys::fuzz_target;
use tandem_fuzz::Cage;
use tandem_image::{Extract, Limits, Rebase, extract};

const LIMITS: Limits =
    Limits { entries: 64, bytes: 1 << 20, depth: 16, header_bytes: 4096, attributes: 9 };

fuzz_target!(|data: &[u8]| {
    let archive = tandem_fuzz::mended(data);
    let cage = Cage::new();
    let layer = cage.layer();
    let _ = std::os::unix::fs::symlink("../outside", layer.join("beside"));
    let _ = std::os::unix::fs::symlink("/tmp/tandem-fuzz-outside/file", layer.join("far"));
    let _ = cage.watch(|layer| extract(&archive[..], layer, &options()));
});

fn options() -> Extract {
    Extract { rebase: Rebase::Keep, owner: None, privileges: true, limits: LIMITS }
}
