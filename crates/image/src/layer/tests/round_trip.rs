use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use proptest::prelude::*;
use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, mknodat, utimensat};

use super::support::{Tar, differences, see};
use crate::{
    LayerError, Limits, OverlayXattrs,
    layer::{Unpack, pack, unpack},
    unpack_layer,
};

fn packed(dir: &Path) -> Vec<u8> {
    let mut tar = Vec::new();
    pack(dir, &mut tar).unwrap();
    tar
}

fn unpacked(tar: &[u8]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    unpack_layer(tar, dir.path(), Limits::default()).unwrap();
    dir
}

fn whiteout(path: &Path) {
    mknodat(CWD, path, FileType::CharacterDevice, Mode::empty(), 0).unwrap();
}

fn set_time(path: &Path, seconds: i64, nanoseconds: i64) {
    let time = Timespec { tv_sec: seconds, tv_nsec: nanoseconds };
    let times = Timestamps { last_access: time, last_modification: time };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

#[test]
fn everything_that_a_layer_keeps_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let long = format!("{}/{}", "d".repeat(200), "f".repeat(200));
    fs::create_dir_all(root.join(&long).parent().unwrap()).unwrap();
    fs::write(root.join(&long), "long").unwrap();
    fs::write(root.join("a"), "x".repeat(1000)).unwrap();
    fs::hard_link(root.join("a"), root.join("b")).unwrap();
    fs::set_permissions(root.join("a"), fs::Permissions::from_mode(0o4750)).unwrap();
    xattr::set(root.join("a"), "user.note", b"line\nend\0=").unwrap();
    std::os::unix::fs::symlink("x".repeat(150), root.join("link")).unwrap();
    fs::write(root.join("new\nline"), "").unwrap();
    fs::create_dir(root.join("sticky")).unwrap();
    fs::set_permissions(root.join("sticky"), fs::Permissions::from_mode(0o1777)).unwrap();
    mknodat(CWD, root.join("fifo"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    whiteout(&root.join("sticky/gone"));
    fs::create_dir(root.join("opaque")).unwrap();
    xattr::set(root.join("opaque"), OverlayXattrs::of_process().opaque(), b"y").unwrap();
    fs::write(root.join("opaque/kept"), "kept").unwrap();
    set_time(&root.join("link"), -100, 250_000_000);
    set_time(&root.join("a"), 1_700_000_000, 123_456_789);
    set_time(&root.join("sticky"), 9_000_000_000, 0);

    let tar = packed(root);
    let again = unpacked(&tar);
    assert_eq!(differences(root, again.path()), Vec::<PathBuf>::new());
    assert!(packed(again.path()) == tar, "the same files give the same bytes");
}

#[test]
fn marks_in_the_archive_are_the_ones_of_the_specification() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("d")).unwrap();
    xattr::set(dir.path().join("d"), "user.overlay.opaque", b"y").unwrap();
    xattr::set(dir.path().join("d"), "user.overlay.origin", b"z").unwrap();
    whiteout(&dir.path().join("gone"));
    let tar = packed(dir.path());
    let mut archive = tar::Archive::new(tar.as_slice());
    let names: Vec<String> = archive
        .entries()
        .unwrap()
        .map(|entry| entry.unwrap().path().unwrap().display().to_string())
        .collect();
    assert_eq!(names, ["d/", "d/.wh..wh..opq", ".wh.gone"]);
    assert!(!tar.windows(7).any(|bytes| bytes == b"overlay"));
}

#[test]
fn what_an_archive_cannot_say_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(".wh.x"), "").unwrap();
    assert!(matches!(pack(dir.path(), Vec::new()), Err(LayerError::ReservedName { .. })));
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("moved")).unwrap();
    xattr::set(dir.path().join("moved"), "user.overlay.redirect", b"/from").unwrap();
    assert!(matches!(pack(dir.path(), Vec::new()), Err(LayerError::OverlayFeature { .. })));
}

#[test]
fn a_deleted_folder_that_is_made_again_hides_the_old_one() {
    let opaque = OverlayXattrs::of_process().opaque();
    let before = Tar::default().file(".wh.d", b"").dir("d").file("d/new", b"").end();
    let after = Tar::default().dir("d").file("d/new", b"").file(".wh.d", b"").end();
    for tar in [before, after] {
        let dir = unpacked(&tar);
        assert_eq!(see(dir.path())[Path::new("d")].xattrs[opaque], b"y");
        assert!(dir.path().join("d/new").is_file());
    }
    // A file of this layer is not deleted by the mark for the one beneath.
    let dir = unpacked(&Tar::default().file("f", b"new").file(".wh.f", b"").end());
    assert_eq!(fs::read(dir.path().join("f")).unwrap(), b"new");
}

#[test]
fn folders_that_the_archive_implies_look_like_those_beneath() {
    let beneath = tempfile::tempdir().unwrap();
    fs::create_dir_all(beneath.path().join("tmp/deep")).unwrap();
    fs::set_permissions(beneath.path().join("tmp"), fs::Permissions::from_mode(0o1777)).unwrap();
    set_time(&beneath.path().join("tmp"), 1000, 0);
    let dir = tempfile::tempdir().unwrap();
    let options = Unpack {
        limits: Limits::default(),
        xattrs: OverlayXattrs::of_process(),
        parents: &[beneath.path().to_owned()],
    };
    let tar = Tar::default().file("tmp/file", b"").file("other/file", b"").end();
    unpack(tar.as_slice(), dir.path(), &options).unwrap();
    let seen = see(dir.path());
    assert_eq!(seen[Path::new("tmp")].mode, 0o1777);
    assert_eq!(seen[Path::new("tmp")].modified, (1000, 0));
    assert_eq!(seen[Path::new("other")].mode, 0o755);
}

#[test]
fn sparse_files_of_gnu_tar_are_unpacked() {
    // What `tar --sparse --format=pax` (1.0) makes of 8 bytes at 4096 of 8192.
    let mut data = b"1\n4096\n8\n".to_vec();
    data.resize(512, 0);
    data.extend_from_slice(b"sparsely");
    let tar = Tar::default()
        .pax(&[
            ("GNU.sparse.major", b"1"),
            ("GNU.sparse.minor", b"0"),
            ("GNU.sparse.name", b"file"),
            ("GNU.sparse.realsize", b"8192"),
        ])
        .file("GNUSparseFile.0/file", &data)
        .file("next", b"n")
        .end();
    let dir = unpacked(&tar);
    let content = fs::read(dir.path().join("file")).unwrap();
    assert_eq!(content.len(), 8192);
    assert_eq!(&content[4096..4104], b"sparsely");
    assert!(content[..4096].iter().all(|byte| *byte == 0));
    assert_eq!(fs::read(dir.path().join("next")).unwrap(), b"n");
}

#[test]
fn zeros_become_holes_and_stay_zeros() {
    use std::os::unix::fs::MetadataExt as _;
    let dir = tempfile::tempdir().unwrap();
    let mut content = vec![0u8; 3 << 20];
    content[1 << 20] = 7;
    fs::write(dir.path().join("zeros"), &content).unwrap();
    let again = unpacked(&packed(dir.path()));
    let path = again.path().join("zeros");
    assert_eq!(fs::read(&path).unwrap(), content);
    assert!(fs::metadata(&path).unwrap().blocks() * 512 < 1 << 20);
}

/// A small tree: names, and what they are.
fn tree() -> impl Strategy<Value = Vec<(String, u8, Vec<u8>, u32, i64)>> {
    let name = "[a-c]{1,2}(/[a-c\u{e9}\n ]{1,120}){0,3}";
    prop::collection::vec(
        (
            name,
            0u8..5,
            prop::collection::vec(any::<u8>(), 0..1500),
            0o600u32..0o7777,
            -4_000_000_000i64..20_000_000_000,
        ),
        1..20,
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_tree_comes_back(tree in tree()) {
        let dir = tempfile::tempdir().unwrap();
        let mut made: Vec<PathBuf> = Vec::new();
        for (name, kind, content, mode, seconds) in &tree {
            let path = dir.path().join(name);
            if fs::create_dir_all(path.parent().unwrap()).is_err() || path.symlink_metadata().is_ok() {
                continue;
            }
            match kind {
                0 => fs::create_dir(&path).unwrap(),
                1 => {
                    let target: String = content.iter().map(|b| char::from(b'a' + b % 26)).collect();
                    std::os::unix::fs::symlink(format!("t{target}"), &path).unwrap();
                }
                2 if !made.is_empty() => fs::hard_link(&made[0], &path).unwrap(),
                3 => whiteout(&path),
                _ => {
                    fs::write(&path, content).unwrap();
                    made.push(path.clone());
                }
            }
            if matches!(kind, 0 | 4) {
                fs::set_permissions(&path, fs::Permissions::from_mode(mode | 0o700)).unwrap();
            }
            if *kind != 3 {
                set_time(&path, *seconds, i64::from(mode % 3) * 111);
            }
        }
        let tar = packed(dir.path());
        let again = unpacked(&tar);
        prop_assert_eq!(differences(dir.path(), again.path()), Vec::<PathBuf>::new());
        prop_assert!(packed(again.path()) == tar, "the same files give the same bytes");
    }
}
