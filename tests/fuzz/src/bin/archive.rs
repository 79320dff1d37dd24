#![no_main]
//! Archives of images, loaded into a store: what fails leaves nothing there.

use std::{cell::OnceCell, fs};

use libfuzzer_sys::fuzz_target;
use tandem_home::Home;
use tandem_image::{ArchiveSource, Store, load};

thread_local! {
    static PLACE: OnceCell<(tempfile::TempDir, Store)> = const { OnceCell::new() };
}

fuzz_target!(|data: &[u8]| {
    PLACE.with(|place| {
        let (dir, store) = place.get_or_init(|| {
            let dir = tempfile::tempdir().expect("a temporary folder");
            let home = Home::open(Some(&dir.path().join("home"))).expect("a home");
            (dir, Store::open(&home).expect("a store"))
        });
        let path = dir.path().join("archive");
        fs::write(&path, tandem_fuzz::mended(data)).expect("a file");
        let loaded = load(store, &ArchiveSource::File(path), &|| false, &|_| ());
        let there = store.list(false).expect("the store can be read");
        match loaded {
            Ok(images) => {
                assert!(!images.is_empty());
                for name in there.iter().filter_map(|image| image.reference.as_ref()) {
                    store.remove(name, true).expect("an image can be removed");
                }
            }
            Err(e) => assert!(there.is_empty(), "{e}"),
        }
    });
});
