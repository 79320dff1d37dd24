use std::{fs, path::PathBuf, sync::LazyLock};

use proptest::prelude::*;

use super::*;

/// A home with an image, something that stands for a kernel, and a lesson.
fn filled(dir: &Path) -> Arc<App> {
    let app = opened(dir);
    let upper = tempfile::tempdir_in(app.home.temporary()).unwrap().keep();
    fs::write(upper.join("hello"), "hello\n".repeat(500)).unwrap();
    let layer = app.images.commit_layer_dir(&upper, None).unwrap();
    let config = oci_spec::image::ImageConfigurationBuilder::default().build().unwrap();
    app.images.put_image(&"box:1".parse().unwrap(), config, &[layer.into()]).unwrap();
    let kernel = app.home.kernels().join("6.1");
    fs::create_dir(&kernel).unwrap();
    fs::write(kernel.join("vmlinux"), "image").unwrap();
    fs::write(kernel.join("modules.cpio"), "modules").unwrap();
    let record = serde_json::json!({
        "release": "6.1", "package": null, "sha256": null, "layout": tandem_vm::KERNEL_LAYOUT,
        "modules": {"disk": [], "network": [], "channel": [], "memory": []},
    });
    tandem_home::write_json(&app.home.kernels().join("current.json"), &record).unwrap();
    fs::create_dir_all(app.home.lessons()).unwrap();
    fs::write(app.home.lessons().join("own.md"), "# Own\n").unwrap();
    app
}

fn opened(dir: &Path) -> Arc<App> {
    App::open(Some(dir), "/nonexistent/tandem".into()).unwrap()
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

fn created(app: &App, file: &Path) -> Result<BundleReport, AppError> {
    let request =
        BundleRequest { no_build: true, images: vec!["box:1".to_owned()], ..Default::default() };
    run(app.create_bundle(&BundleRequest { kernel: true, ..request }, file, |_| (), &Cancel::new()))
}

fn taken(app: &App, file: &Path) -> Result<BundleReport, AppError> {
    run(app.open_bundle(file, |_| ()))
}

/// A whole bundle, made once.
static WHOLE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("class.tandem");
    created(&filled(&dir.path().join("home")), &file).unwrap();
    fs::read(file).unwrap()
});

/// Everything in a home that somebody could have put there.
fn content(app: &App) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut pending = vec![app.home.root().to_owned()];
    while let Some(dir) = pending.pop() {
        for entry in fs::read_dir(dir).unwrap().flatten() {
            let path = entry.path();
            let is_lock = entry.file_name().to_string_lossy().starts_with('.')
                || path.parent().is_some_and(|it| it.ends_with(".locks"));
            // A note that layers may be half on the disk goes by itself.
            if path.ends_with("cache/unsettled") {
                continue;
            }
            if path.is_dir() {
                pending.push(path);
            } else if !is_lock {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

#[test]
fn what_is_created_is_opened_once() {
    let dir = tempfile::tempdir().unwrap();
    let from = filled(&dir.path().join("from"));
    let file = dir.path().join("class.tandem");
    let request = BundleRequest { no_build: true, ..BundleRequest::default() };
    let nothing = run(from.create_bundle(&request, &file, |_| (), &Cancel::new())).unwrap();
    let kinds: Vec<_> = nothing.items.iter().map(|item| item.kind).collect();
    assert_eq!(kinds, [BundleKind::Kernel, BundleKind::Lesson], "no sample is here");
    let made = created(&from, &file).unwrap();
    assert_eq!(made.bytes, fs::metadata(&file).unwrap().len());
    assert!(made.items.iter().all(|item| item.state == BundleState::Packed));

    let to = opened(&dir.path().join("to"));
    let first = taken(&to, &file).unwrap();
    assert!(first.items.iter().all(|item| item.state == BundleState::New), "{first:?}");
    let digest = from.images.find("box:1").unwrap().digest;
    let image = to.images.find("box:1").unwrap();
    assert_eq!(image.digest, digest);
    let dirs = to.images.layer_dirs(&image, &|_| ()).unwrap();
    assert!(dirs[0].join("hello").is_file());
    assert_eq!(fs::read(to.home.kernels().join("6.1/vmlinux")).unwrap(), b"image");
    let before = content(&to);
    let second = taken(&to, &file).unwrap();
    assert!(second.items.iter().all(|item| item.state == BundleState::Present), "{second:?}");
    assert_eq!(content(&to), before);
}

#[test]
fn a_persons_own_lesson_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let from = filled(&dir.path().join("from"));
    let file = dir.path().join("class.tandem");
    let request = BundleRequest { no_build: true, ..BundleRequest::default() };
    run(from.create_bundle(&request, &file, |_| (), &Cancel::new())).unwrap();
    let to = filled(&dir.path().join("to"));
    fs::write(to.home.lessons().join("own.md"), "# Mine\n").unwrap();
    let report = taken(&to, &file).unwrap();
    let lesson = report.items.iter().find(|item| item.kind == BundleKind::Lesson).unwrap();
    assert_eq!(lesson.state, BundleState::Kept);
    assert_eq!(fs::read(to.home.lessons().join("own.md")).unwrap(), b"# Mine\n");
}

#[test]
fn what_fails_at_the_end_takes_everything_back() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("class.tandem");
    fs::write(&file, &*WHOLE).unwrap();
    let to = opened(&dir.path().join("to"));
    // The kernel's lock cannot be had.
    fs::create_dir(to.home.kernels().join(".lock")).unwrap();
    let before = content(&to);
    taken(&to, &file).unwrap_err();
    assert!(to.images.list(true).unwrap().is_empty());
    assert_eq!(content(&to), before);
}

#[test]
fn what_is_no_bundle_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let to = opened(&dir.path().join("to"));
    let before = content(&to);
    let file = dir.path().join("file");
    let why = |bytes: &[u8]| {
        fs::write(&file, bytes).unwrap();
        let error = taken(&to, &file).unwrap_err().to_string();
        assert!(!error.contains('\n'), "{error}");
        error
    };
    assert!(why(b"").contains("it is empty"));
    assert!(why(b"hello").contains("it is no tar archive"));
    assert!(why(&[0; 2048]).contains("it is no tar archive"));
    let text = WHOLE.windows(11).position(|it| it == b"\"version\":1").unwrap();
    let mut newer = WHOLE.clone();
    newer[text + 10] = b'9';
    assert!(why(&newer).contains("bundle version 9"), "{}", why(&newer));
    let image = run(async {
        let from = filled(&dir.path().join("from"));
        let archive = dir.path().join("images");
        let names = ["box:1".to_owned()];
        from.save_images(&names, crate::ArchiveFormat::Oci, Some(archive.clone()), |_| ())
            .await
            .unwrap();
        fs::read(archive).unwrap()
    });
    assert!(why(&image).contains("tandem load"));
    assert!(why(&WHOLE[..WHOLE.len() - 1]).contains("1 bytes too soon"));
    let mut longer = WHOLE.clone();
    longer.extend([0; 512]);
    assert!(why(&longer).contains("too many"));
    fs::remove_file(&file).unwrap();
    assert!(taken(&to, &file).unwrap_err().to_string().contains("there is no bundle"));
    assert!(taken(&to, dir.path()).unwrap_err().to_string().contains("it is a folder"));
    assert_eq!(content(&to), before);
}

#[test]
fn steps_of_other_images_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let from = filled(&dir.path().join("from"));
    let images = vec![from.images.find("box:1").unwrap()];
    let wanted = gather::Wanted { images, ..Default::default() };
    let mut gathered = gather::gather(&from.home, &from.images, &wanted).unwrap();
    let step = serde_json::json!({"created": "2026-01-01T00:00:00Z", "layer": null});
    gathered.text(format!("steps/ab/{}.json", "0".repeat(62)), &step).unwrap();
    let file = dir.path().join("class.tandem");
    write::write(&gathered.pieces, &file, &|| false, &|_| ()).unwrap();
    let to = opened(&dir.path().join("to"));
    let error = taken(&to, &file).unwrap_err().to_string();
    assert!(error.contains("made none of the images"), "{error}");
    assert!(to.images.list(true).unwrap().is_empty());
    assert!(!to.home.cache().join("build/steps/ab").exists());
}

#[test]
fn a_place_that_is_none_is_refused_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let from = opened(&dir.path().join("from"));
    let place = |file: &Path| created(&from, file).unwrap_err().to_string();
    assert!(place(dir.path()).contains("it is a folder"));
    assert!(place(&dir.path().join("none/x")).contains("its folder is not there"));
    let request = BundleRequest { no_build: true, ..BundleRequest::default() };
    let file = dir.path().join("x");
    let error = run(from.create_bundle(&request, &file, |_| (), &Cancel::new())).unwrap_err();
    assert!(error.to_string().contains("nothing to put into a bundle"));
    assert!(!file.exists());
}

#[test]
fn layers_that_changed_in_the_home_make_no_bundle() {
    let dir = tempfile::tempdir().unwrap();
    let from = filled(&dir.path().join("from"));
    let layer = from.images.find("box:1").unwrap().layers[0].digest.clone();
    let blob = from.home.images().join("blobs/sha256").join(layer.hex());
    let mut bytes = fs::read(&blob).unwrap();
    bytes[30] ^= 1;
    fs::write(&blob, bytes).unwrap();
    let file = dir.path().join("class.tandem");
    let error = created(&from, &file).unwrap_err().to_string();
    assert!(error.contains("system check"), "{error}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "a half bundle is left");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn no_damage_is_taken_over(
        at in any::<prop::sample::Index>(), change in 1_u8.., cut in any::<bool>()
    ) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("class.tandem");
        let at = at.index(WHOLE.len());
        let mut bytes = WHOLE.clone();
        if cut {
            bytes.truncate(at);
        } else {
            bytes[at] ^= change;
        }
        fs::write(&file, &bytes).unwrap();
        let to = opened(&dir.path().join("to"));
        let before = content(&to);
        match taken(&to, &file) {
            Err(_) => prop_assert_eq!(content(&to), before),
            // Padding between members, and what no digest is about.
            Ok(report) => {
                prop_assert!(!cut);
                prop_assert!(report.items.iter().all(|it| it.state == BundleState::New));
            }
        }
    }
}
