use std::{fs, path::Path};

use proptest::prelude::*;
use tar::{EntryType, Header};

use super::support::{Cage, Tar};
use crate::{LayerError, Limits};

#[test]
fn names_with_two_dots_are_refused() {
    for path in ["../outside/file", "a/../../outside/new", "/../outside/file", ".."] {
        let error = Cage::new().unpack(&Tar::default().file(path, b"evil").end()).unwrap_err();
        assert!(matches!(error, LayerError::Escapes { .. }), "{path}: {error}");
    }
    let link = Tar::default().hard_link("h", "../outside/file").end();
    assert!(matches!(Cage::new().unpack(&link), Err(LayerError::Escapes { .. })));
    for mark in [".wh...", ".wh..", "d/.wh."] {
        let tar = Tar::default().file(mark, b"").end();
        assert!(matches!(Cage::new().unpack(&tar), Err(LayerError::Escapes { .. })), "{mark}");
    }
}

#[test]
fn absolute_names_are_below_the_layer() {
    let cage = Cage::new();
    let path = format!("{}/file", cage.outside());
    let seen = cage.unpack(&Tar::default().file(&path, b"mine").end()).unwrap();
    let inside = Path::new(path.trim_start_matches('/'));
    assert_eq!(seen[inside].content, b"mine");
}

#[test]
fn links_do_not_lead_outside() {
    let cage = Cage::new();
    let outside = cage.outside();
    for target in [outside.as_str(), "../outside", "/proc/self/cwd", "../../../../../.."] {
        let cage = Cage::new();
        let target = if target == outside { cage.outside() } else { target.to_owned() };
        // Each of these either stays inside or ends in an error; the cage
        // checks that nothing changed outside.
        let tar = |then: Tar| then.end();
        let link = || Tar::default().symlink("l", &target);
        let _ = cage.unpack(&tar(link().file("l/file", b"evil")));
        let _ = cage.unpack(&tar(link().file("l/folder/new", b"evil")));
        let _ = cage.unpack(&tar(link().file("l/.wh.file", b"")));
        let _ = cage.unpack(&tar(link().file("l/folder/.wh..wh..opq", b"")));
        let _ = cage.unpack(&tar(link().hard_link("h", "l/file").file("h", b"evil")));
        let _ = cage.unpack(&tar(link().dir("l").file("l/file", b"fine")));
    }
    let seen = cage.unpack(&Tar::default().symlink("l", &outside).file("l", b"new").end()).unwrap();
    assert_eq!((seen[Path::new("l")].kind, &*seen[Path::new("l")].content), ('-', &b"new"[..]));
}

#[test]
fn a_hard_link_to_a_symbolic_link_is_not_followed() {
    let cage = Cage::new();
    let target = format!("{}/file", cage.outside());
    let tar = Tar::default().symlink("s", &target).hard_link("h", "s").end();
    let seen = cage.unpack(&tar).unwrap();
    assert_eq!(seen[Path::new("h")].kind, 'l');
    // Nor is writing to that name.
    let tar = Tar::default().symlink("s", &target).hard_link("h", "s").file("h", b"x").end();
    cage.unpack(&tar).unwrap();
}

#[test]
fn attributes_that_steer_the_overlay_are_dropped() {
    let records: [(&str, &[u8]); 4] = [
        ("SCHILY.xattr.trusted.overlay.redirect", b"/etc"),
        ("SCHILY.xattr.user.overlay.opaque", b"y"),
        ("SCHILY.xattr.security.selinux", b"x"),
        ("SCHILY.xattr.user.fine", b"y"),
    ];
    let cage = Cage::new();
    let seen = cage.unpack(&Tar::default().pax(&records).file("f", b"").end()).unwrap();
    let names: Vec<&str> = seen[Path::new("f")].xattrs.keys().map(String::as_str).collect();
    assert_eq!(names, ["user.fine"]);
}

#[test]
fn bombs_end_at_their_limit() {
    let limits = |limits: Limits, tar: Tar| Cage::new().unpack_limited(&tar.end(), limits);
    let is_limit = |result: Result<_, LayerError>| matches!(result, Err(LayerError::Limit { .. }));
    let defaults = Limits::default();
    let many = (0..20).fold(Tar::default(), |tar, at| tar.file(&at.to_string(), b""));
    assert!(is_limit(limits(Limits { entries: 10, ..defaults }, many)));
    let large = Tar::default().file("f", &vec![1; 100_000]);
    assert!(is_limit(limits(Limits { bytes: 50_000, ..defaults }, large)));
    let deep = Tar::default().file(&"d/".repeat(40), b"");
    assert!(is_limit(limits(Limits { depth: 10, ..defaults }, deep)));
    let header = Tar::default().pax(&[("comment", &[b'x'; 9000])]).file("f", b"");
    assert!(is_limit(limits(Limits { header_bytes: 8000, ..defaults }, header)));
    // A hole may be as large as what is read, and no larger.
    let holes = |size: &[u8]| {
        let records = [("GNU.sparse.size", size), ("GNU.sparse.map", b"0,1")];
        Tar::default().pax(&records).file("f", b"x")
    };
    assert!(limits(defaults, holes(b"1000000")).is_ok());
    assert!(is_limit(limits(defaults, holes(b"1000000000000000"))));
    // A size that is only claimed takes neither memory nor time.
    let mut claim = Header::new_gnu();
    claim.set_entry_type(EntryType::XHeader);
    claim.set_size(u64::MAX >> 2);
    assert!(is_limit(limits(defaults, Tar::default().raw(claim, b""))));
}

#[test]
fn an_archive_cut_short_gives_no_short_file() {
    let tar = Tar::default()
        .dir("d")
        .pax(&[("path", b"d/long")])
        .file("x", &[7; 700])
        .symlink("d/l", "long")
        .end();
    let mut errors = 0;
    for length in (0..tar.len() - 1024).step_by(37) {
        match Cage::new().unpack(&tar[..length]) {
            Err(_) => errors += 1,
            // Cut between two members it is a shorter archive.
            Ok(seen) => {
                let long = seen.get(Path::new("d/long"));
                assert!(long.is_none_or(|long| long.content == [7; 700]), "{length}");
            }
        }
    }
    assert!(errors > 40, "{errors}");
}

#[test]
fn a_hard_link_to_nothing_says_so() {
    let error = Cage::new().unpack(&Tar::default().hard_link("h", "none").end()).unwrap_err();
    assert!(error.to_string().contains("none"), "{error}");
}

/// Mostly members that build on each other: a name that has two dots ends an
/// archive, so that wild ones alone hardly ever come to a file behind a link.
fn hostile_member() -> impl Strategy<Value = (u8, String, String, Vec<u8>)> {
    prop_oneof![3 => leading_member(), 1 => wild_member()]
}

fn leading_member() -> impl Strategy<Value = (u8, String, String, Vec<u8>)> {
    let names = ["a", "b", "a/b", "a/file", "b/file", "a/new", "a/folder/new", "a/.wh.file"];
    let links = ["../outside", "../outside/file", "..", "a", "a/file", "/"];
    (
        prop::sample::select(b"0012225".to_vec()),
        prop::sample::select(names.to_vec()).prop_map(str::to_owned),
        prop::sample::select(links.to_vec()).prop_map(str::to_owned),
        prop::collection::vec(any::<u8>(), 0..4),
    )
}

fn wild_member() -> impl Strategy<Value = (u8, String, String, Vec<u8>)> {
    let name = prop::collection::vec(
        prop::sample::select(vec![
            "a",
            "b",
            "..",
            ".",
            "",
            "outside",
            "file",
            ".wh.a",
            ".wh..wh..opq",
            ".wh.b",
            "layer",
        ]),
        1..4,
    )
    .prop_map(|parts| parts.join("/"));
    let link = prop::sample::select(vec![
        "a",
        "b",
        "..",
        "../..",
        "../outside",
        "../outside/file",
        "/",
        ".",
        "a/b",
        "/proc/self/root",
    ])
    .prop_map(str::to_owned);
    (
        prop::sample::select(b"0123456".to_vec()),
        name,
        link,
        prop::collection::vec(any::<u8>(), 0..40),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_sequence_of_members_reaches_outside(members in prop::collection::vec(hostile_member(), 1..12)) {
        let mut tar = Tar::default();
        for (kind, path, link, data) in members {
            let data = if kind == b'0' { data } else { Vec::new() };
            tar = tar.add(EntryType::new(kind), &path, &link, &data);
        }
        let _ = Cage::new().unpack(&tar.end());
    }

    #[test]
    fn any_bytes_end_in_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
        let _ = Cage::new().unpack(&bytes);
    }

    #[test]
    fn any_header_ends_in_an_answer(header in prop::collection::vec(any::<u8>(), 512), kind in prop::sample::select(b"0123456xgLKSV".to_vec()), data in prop::collection::vec(any::<u8>(), 0..1200)) {
        let mut raw = Header::new_gnu();
        let wild = Header::from_byte_slice(&header);
        raw.as_mut_bytes()[..257].copy_from_slice(&wild.as_bytes()[..257]);
        raw.as_mut_bytes()[257..265].copy_from_slice(b"ustar  \0");
        raw.as_mut_bytes()[265..].copy_from_slice(&wild.as_bytes()[265..]);
        raw.set_entry_type(EntryType::new(kind));
        raw.set_size(data.len() as u64);
        let _ = Cage::new().unpack(&Tar::default().raw(raw, &data).file("a", b"x").end());
    }
}

#[test]
fn the_cage_notices() {
    // The checks above are worth nothing if the cage does not see a change.
    let cage = Cage::new();
    let file = format!("{}/file", cage.outside());
    let seen = std::panic::catch_unwind(|| {
        let reader = Overwriting { file, done: false };
        let outside = std::path::PathBuf::from(cage.outside());
        let before = super::support::see(&outside);
        let _ = crate::unpack_layer(reader, &cage.layer(), Limits::default());
        assert_eq!(super::support::see(&outside), before);
    });
    assert!(seen.is_err());
}

struct Overwriting {
    file: String,
    done: bool,
}

impl std::io::Read for Overwriting {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        if !self.done {
            fs::write(&self.file, "changed")?;
            self.done = true;
        }
        Ok(0)
    }
}
