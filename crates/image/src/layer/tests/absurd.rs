//! Numbers, names and attributes that no honest archive has.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path, time::Instant};

use tar::{EntryType, Header};

use super::support::{Cage, Tar};
use crate::{ArchiveMembers, Extract, LayerError, Limits, MemberKind, Rebase, extract};

/// An archive with one file whose header was changed.
fn file(change: impl FnOnce(&mut Header)) -> Vec<u8> {
    let mut header = Header::new_ustar();
    header.as_old_mut().name[..1].copy_from_slice(b"f");
    header.set_mode(0o644);
    header.set_size(1);
    change(&mut header);
    Tar::default().raw(header, b"x").end()
}

fn with(records: &[(&str, &[u8])]) -> Vec<u8> {
    Tar::default().pax(records).file("f", b"x").end()
}

#[test]
fn ids_that_mean_nobody_or_do_not_fit_are_refused() {
    for key in ["uid", "gid"] {
        // To chown(2) that number means: leave the owner as it is.
        for number in ["4294967295", "4294967296", "99999999999999999999", "-1", "1.5", ""] {
            let error = Cage::new().unpack(&with(&[(key, number.as_bytes())])).unwrap_err();
            assert!(matches!(error, LayerError::Malformed { .. }), "{key}={number}: {error}");
        }
    }
    for wide in [[0xff; 8], [0x80, 0, 0, 0, 0xff, 0xff, 0xff, 0xff], [0x80, 0, 1, 0, 0, 0, 0, 0]] {
        let archive = file(|header| header.as_old_mut().uid = wide);
        assert!(Cage::new().unpack(&archive).is_err(), "{wide:?}");
    }
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let cage = Cage::new();
    cage.unpack(&with(&[("uid", b"4294967294"), ("gid", b"70000")])).unwrap();
    let made = fs::metadata(cage.layer().join("f")).unwrap();
    assert_eq!((made.uid(), made.gid()), (4_294_967_294, 70_000));
}

#[test]
fn a_mode_has_twelve_bits_and_a_time_is_one() {
    let seen = Cage::new().unpack(&file(|header| header.set_mode(0o7_777_777))).unwrap();
    assert_eq!((seen[Path::new("f")].kind, seen[Path::new("f")].mode), ('-', 0o7777));
    for time in ["nan", "inf", "1e3", "99999999999999999999", "", "1.x"] {
        let error = Cage::new().unpack(&with(&[("mtime", time.as_bytes())])).unwrap_err();
        assert!(matches!(error, LayerError::Malformed { .. }), "{time}: {error}");
    }
    // Those the file system cannot keep it cuts, or says so.
    for time in ["-9223372036854775808", "9223372036854775807", "-1.999999999", "-0.5"] {
        let cage = Cage::new();
        match cage.unpack(&with(&[("mtime", time.as_bytes())])) {
            Ok(seen) => assert_eq!(seen[Path::new("f")].content, b"x", "{time}"),
            Err(error) => assert!(matches!(error, LayerError::Io { .. }), "{time}: {error}"),
        }
    }
}

#[test]
fn names_without_an_end_are_refused_in_a_short_sentence() {
    let long = vec![b'n'; 900_000];
    let deep = b"d/".repeat(200).into_iter().chain(vec![b'n'; 4000]).collect::<Vec<u8>>();
    let whiteout = [&b".wh."[..], &long].concat();
    for name in [&long, &deep, &whiteout] {
        for key in ["path", "GNU.sparse.name"] {
            let error = Cage::new().unpack(&with(&[(key, name)])).unwrap_err().to_string();
            assert!(error.len() < 1000, "{} letters", error.len());
        }
        let link = Tar::default().pax(&[("linkpath", name)]).hard_link("h", "f").end();
        let error = Cage::new().unpack(&link).unwrap_err().to_string();
        assert!(error.len() < 1000, "{} letters", error.len());
        let mut up = b"../".to_vec();
        up.extend_from_slice(name);
        let error = Cage::new().unpack(&with(&[("path", &up)])).unwrap_err();
        assert!(matches!(error, LayerError::Escapes { .. }), "{error}");
        assert!(error.to_string().len() < 1000);
    }
    let nul = Cage::new().unpack(&with(&[("path", b"a\0b")])).unwrap_err();
    assert!(matches!(nul, LayerError::Malformed { .. }), "{nul}");
}

#[test]
fn headers_and_attributes_have_a_limit_that_is_said() {
    let limit = |archive: &[u8], limits| match Cage::new().unpack_limited(archive, limits) {
        Err(error @ LayerError::Limit { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    };
    let huge = vec![b'x'; 3 << 20];
    let said = limit(&with(&[("comment", &huge)]), Limits::default());
    assert!(said.contains("bytes in one header") && said.contains("`header_bytes`"), "{said}");
    assert!(said.contains("limits.json"), "{said}");
    let names: Vec<String> = (0..3000).map(|at| format!("SCHILY.xattr.user.{at}")).collect();
    let records: Vec<(&str, &[u8])> = names.iter().map(|it| (it.as_str(), &b"v"[..])).collect();
    let said = limit(&with(&records), Limits::default());
    assert!(said.contains("extended attributes") && said.contains("`attributes`"), "{said}");
    // Whoever allows more gets more.
    let many = with(&records[..300]);
    limit(&many, Limits::default());
    let more = Limits { attributes: 300, ..Limits::default() };
    let unpacked = Cage::new().unpack_limited(&many, more);
    // The file system may have less room for them.
    assert!(!matches!(unpacked, Err(LayerError::Limit { .. })), "{unpacked:?}");
    // A large one is no bomb, but larger than Linux keeps.
    let archive = with(&[("SCHILY.xattr.user.large", &huge[..100_000])]);
    let begun = Instant::now();
    assert!(Cage::new().unpack(&archive).is_err());
    assert!(begun.elapsed().as_secs() < 5);
}

#[test]
fn devices_stay_in_the_layer_and_are_left_out_of_plain_files() {
    let nodes = [("memory", EntryType::Char, 1, 1), ("disk", EntryType::Block, 254, 0)];
    let mut tar = Tar::default();
    for (name, kind, major, minor) in nodes {
        let mut header = Header::new_ustar();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(0o666);
        header.set_device_major(major).unwrap();
        header.set_device_minor(minor).unwrap();
        header.set_size(0);
        tar = tar.raw(header, b"");
    }
    let archive = tar.file("f", b"x").end();
    let seen = Cage::new().unpack(&archive).unwrap();
    if rustix::process::geteuid().is_root() {
        assert_eq!(seen[Path::new("memory")].device, rustix::fs::makedev(1, 1));
        assert_eq!(seen[Path::new("disk")].device, rustix::fs::makedev(254, 0));
    } else {
        assert_eq!(seen.keys().collect::<Vec<_>>(), [Path::new("f")]);
    }
    // What `cp` and a context that comes as a stream take apart.
    let cage = Cage::new();
    let options =
        Extract { rebase: Rebase::Keep, owner: None, privileges: true, limits: Limits::default() };
    extract(&archive[..], &cage.layer(), &options).unwrap();
    let names: Vec<_> = fs::read_dir(cage.layer()).unwrap().flatten().collect();
    assert_eq!(names.len(), 1, "{names:?}");
    let mut members = ArchiveMembers::new(&archive[..], Limits::default());
    let first = members.read_member().unwrap().unwrap();
    assert_eq!((first.kind, first.device), (MemberKind::CharacterDevice, (1, 1)));
}
